//! TOPReward: zero-shot task progress, the probability under a video model that a video completes an instruction.
//!
//! The model is shown the first t frames and a claim that they complete the instruction, and the
//! log-probability of ` True` as the next token is read. Over growing prefixes that is a curve; nothing is
//! generated and nothing was trained for it. This crate is the method around the model:
//!
//! - A [`Clip`] is cut into [`Prefixes`]; a [`Profile`] selects the [`Frames`] of each that the model is shown, with
//!   their times, and a [`Prompt`] is the question.
//! - A [`Curve`] is the result: raw log-probabilities, progress within the clip ([`min_max`]), its rank
//!   correlation with time ([`voc`]) and a success score. A [`Score`] is a curve with its controls: the
//!   first frame held for as long as the clip, and instructions that the clip does not complete
//!   ([`control_instructions`]). It is never without them, because on a frozen frame some models score as
//!   well as on the episode.
//! - Over a set: [`roc_auc`]. For training: [`RabcWeights`], [`top_awr`], values ([`impute`],
//!   [`discounted`]), a curve for [`interpolate_progress`]. For comparison: the baseline that asks for percentages
//!   ([`gvl`]), with NumPy's shuffling ([`NumpyRng`]). For others to read: [`Record`], [`GvlRecord`].
//!
//! Rounding is to even throughout, as in NumPy. Every function here is tested against the reference code and
//! LeRobot (`tests/goldens/topreward`). Nothing here reads files; only [`scorer`], behind the feature `scorer`, which
//! is on by default, uses a network.
//!
//! # Example
//!
//! ```
//! use topreward::{Clip, Curve, Prefixes, Profile};
//!
//! // Ten seconds at 30 frames per second, scored at five prefixes.
//! let clip = Clip::new(300, 30.0)?;
//! let lengths = Prefixes::Spread(5).lengths(&clip, Profile::Aligned)?;
//! assert_eq!(lengths, [1, 75, 150, 225, 300]);
//!
//! // Two frames per second are shown to the model.
//! let shown = Profile::Aligned.frames(&clip, 300)?;
//! assert_eq!(shown.indices.len(), 20);
//!
//! // The model's log-probabilities of " True" and " False", one per prefix, become a curve.
//! let yes = vec![-4.0, -3.1, -2.2, -2.4, -0.6];
//! let no = yes.iter().map(|log_prob: &f64| (1.0 - log_prob.exp()).ln()).collect();
//! let curve = Curve::new(yes, no)?;
//! assert_eq!((curve.progress[0], curve.progress[4]), (0.0, 1.0));
//! assert!((curve.voc.unwrap_or_default() - 0.9).abs() < 1e-9);
//! # Ok::<(), topreward::Error>(())
//! ```
//!
//! With a model, `scorer::Scorer::score` does all of it: `examples/quickstart.rs`.

mod clip;
mod controls;
mod curve;
mod error;
pub mod gvl;
mod gvl_record;
mod linspace;
mod numpy_rng;
mod prefixes;
mod profile;
mod prompt;
mod rabc;
mod rank;
mod record;
mod score;
#[cfg(feature = "scorer")]
pub mod scorer;
mod top_awr;
mod values;

pub use clip::Clip;
#[cfg(feature = "scorer")]
pub use controls::FrozenFirstFrame;
pub use controls::{ControlInstruction, ControlKind, control_instructions};
pub use curve::{interpolate_progress, min_max, success_score};
pub use error::Error;
pub use gvl_record::{GvlEpisode, GvlRecord, gvl_mean_voc};
pub use numpy_rng::NumpyRng;
pub use prefixes::Prefixes;
pub use profile::{Block, Frames, Profile};
pub use prompt::{DESCRIBE, DESCRIBE_TOKENS, Prompt, Template, describe, negation};
pub use rabc::{Rabc, RabcWeights};
pub use rank::{average_ranks, roc_auc, spearman, voc};
pub use record::Record;
pub use score::{Control, Curve, Score, ScoreConfig};
pub use top_awr::{Center, TopAwr, top_awr};
pub use values::{Impute, discounted, impute};
