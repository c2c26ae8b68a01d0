//! Errors, with the figures needed to correct them.

/// A clip cannot be scored, or a statistic not be computed.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum Error {
    /// A clip without frames.
    #[error("the clip has no frames; a curve needs at least one")]
    NoFrames,
    /// A frame rate that is not finite or not above 0.
    #[error(
        "{fps} frames per second is not a frame rate; give the rate at which the frames were recorded, above 0"
    )]
    BadFps {
        /// The value given.
        fps: f64,
    },
    /// A prefix length outside the clip.
    #[error(
        "a prefix of {length} frames was asked for, the clip has {total}; lengths run from 1 to {total}"
    )]
    BadPrefix {
        /// The requested length (frames).
        length: usize,
        /// Frames of the clip.
        total: usize,
    },
    /// A list of prefix lengths that is empty.
    #[error("the list of prefix lengths is empty; name at least one, or ask for a number of them")]
    NoPrefixes,
    /// An unknown name.
    #[error("{got:?} is not a {what}; known are {known}")]
    Unknown {
        /// Kind of name.
        what: &'static str,
        /// The value given.
        got: String,
        /// The known names.
        known: &'static str,
    },
    /// An empty instruction.
    #[error("the instruction is empty; say what the robot is meant to do")]
    NoInstruction,
    /// Text that the tokenizer would read as a control token.
    #[error(
        "{what} contains {found:?}, which the model would read as a control token; leave it out"
    )]
    ControlToken {
        /// The text concerned.
        what: &'static str,
        /// The first such piece.
        found: String,
    },
    /// Two series that belong together differ in length.
    #[error("{what}: {left} and {right} values; they must be equally many")]
    Lengths {
        /// The series concerned.
        what: &'static str,
        /// Length of the first.
        left: usize,
        /// Length of the second.
        right: usize,
    },
    /// A value that is NaN or infinite.
    #[error("{what}: value {index} is {value}, which is not finite")]
    NotFinite {
        /// The series concerned.
        what: &'static str,
        /// Index of the value, from 0.
        index: usize,
        /// The value.
        value: f64,
    },
    /// Outcomes that are all successes or all failures.
    #[error("an ROC curve needs successes and failures; there are {successes} and {failures}")]
    OneClass {
        /// Number of successes.
        successes: usize,
        /// Number of failures.
        failures: usize,
    },
    /// Percentages that cannot be rescaled, because they are all zero.
    #[error("the percentages in the answer add up to nothing, so they cannot be rescaled to 100")]
    NoMass,
    /// An answer with more or fewer percentages than frames were shown.
    #[error("the answer holds {got} percentages for {want} frames")]
    WrongCount {
        /// Percentages in the answer.
        got: usize,
        /// Frames that were shown.
        want: usize,
    },
    /// A parameter outside its range.
    #[error("{name} is {value}, it must be {want}")]
    Parameter {
        /// Name of the parameter.
        name: &'static str,
        /// The value given.
        value: f64,
        /// The permitted range.
        want: &'static str,
    },
    /// A live camera can only be scored with a profile that shows every frame as it was taken.
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
