//! Recorded episodes: LeRobot data sets on disk.
//!
//! - [`DataSet`]: `meta/info.json` and what it leads to; [`DataSet::episodes`] reads the vectors
//! - [`columns`]: one parquet file's columns, checked row by row
//! - [`Listing`]: which episodes there are, what they were told, and where their pictures are ([`Footage`])
//! - [`Stats`]: the recorded statistics of a vector, of the whole set (v3.0) or added up from episodes (v2.1)
//! - [`Normalisation`]: the four mappings of LeRobot's tokenizer trainer
//! - [`windows`]: episodes cut into action chunks
//!
//! Layouts v2.0, v2.1 (one file per episode) and v3.0 (many episodes per file) differ here only in their statistics:
//! the rows themselves say which episode and frame they are. Videos and tasks are kept differently in all of them.

mod bytes;
pub mod columns;
mod data_set;
mod error;
mod footage;
mod listing;
mod normalisation;
mod stats;
mod template;
pub mod windows;

pub use data_set::{DataSet, Episode, Feature, Info, Wanted};
pub use error::DataSetError;
pub use footage::{Footage, Still};
pub use listing::{Entry, Listing};
pub use normalisation::{NormMode, Normalisation};
pub use stats::Stats;
