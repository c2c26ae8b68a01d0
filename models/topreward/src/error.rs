//! What can go wrong, with the figures a person needs to put it right.

/// A question about a clip cannot be asked, or its answer not be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A clip without frames.
    #[error("the clip has no frames; a curve needs at least one")]
    NoFrames,
    /// A frame rate that is no rate.
    #[error(
        "{fps} frames per second is not a frame rate; give the rate at which the frames were recorded, above 0"
    )]
    BadFps {
        /// What was given.
        fps: f64,
    },
    /// A prefix length outside the clip.
    #[error(
        "a prefix of {length} frames was asked for, the clip has {total}; lengths run from 1 to {total}"
    )]
    BadPrefix {
        /// What was asked for.
        length: usize,
        /// Frames of the clip.
        total: usize,
    },
    /// A list of prefix lengths that is empty.
    #[error("the list of prefix lengths is empty; name at least one, or ask for a number of them")]
    NoPrefixes,
    /// A name that is none of the known ones.
    #[error("{got:?} is not a {what}; known are {known}")]
    Unknown {
        /// What kind of name.
        what: &'static str,
        /// What was given.
        got: String,
        /// What could have been given.
        known: &'static str,
    },
    /// An instruction that says nothing.
    #[error("the instruction is empty; say what the robot is meant to do")]
    NoInstruction,
    /// Text that the tokenizer would read as a control token.
    #[error(
        "{what} contains {found:?}, which the model would read as a control token; leave it out"
    )]
    ControlToken {
        /// Which text.
        what: &'static str,
        /// The first such piece.
        found: String,
    },
    /// Two series that belong together differ in length.
    #[error("{what}: {left} and {right} values; they must be equally many")]
    Lengths {
        /// Which series.
        what: &'static str,
        /// Length of the first.
        left: usize,
        /// Length of the second.
        right: usize,
    },
    /// A number that is no number where one is needed.
    #[error("{what}: value {index} is {value}, which is not finite")]
    NotFinite {
        /// Which series.
        what: &'static str,
        /// Where in it.
        index: usize,
        /// The value.
        value: f64,
    },
    /// A set without both kinds.
    #[error("an ROC curve needs successes and failures; there are {successes} and {failures}")]
    OneClass {
        /// How many successes.
        successes: usize,
        /// How many failures.
        failures: usize,
    },
    /// Percentages that cannot be rescaled, because they are all zero.
    #[error("the percentages in the answer add up to nothing, so they cannot be rescaled to 100")]
    NoMass,
    /// An answer with more or fewer percentages than frames were shown.
    #[error("the answer holds {got} percentages for {want} frames")]
    WrongCount {
        /// How many there are.
        got: usize,
        /// How many frames were shown.
        want: usize,
    },
    /// A parameter outside its range.
    #[error("{name} is {value}, it must be {want}")]
    Parameter {
        /// Which.
        name: &'static str,
        /// What was given.
        value: f64,
        /// What it may be.
        want: &'static str,
    },
    /// A robot that is being watched can only be scored where every frame that comes is shown as it came.
    #[error(
        "a robot that is being watched cannot be scored at {fps} frames per second with profile {profile}: use aligned at 2 \
         or fewer per second, or lerobot"
    )]
    NotStreamable {
        /// Name of the profile.
        profile: &'static str,
        /// Frames per second.
        fps: f64,
    },
}
