//! Recorded episodes: LeRobot data sets on disk.
//!
//! - [`DataSet`]: `meta/info.json` ([`Info`]) and what it leads to; [`DataSet::recorded`] reads the vectors
//! - [`columns`]: one parquet file's columns
//! - [`Listing`]: which episodes there are, what they were told, and where their pictures are ([`Footage`])
//! - [`RowFinder`]: where an episode's rows are, and which numbers they bear
//! - [`Stats`]: the recorded statistics of a vector, of the whole set (v3.0) or added up from episodes (v2.1)
//! - [`Normalisation`]: the four mappings of LeRobot's tokenizer trainer
//! - [`windows`]: episodes cut into action chunks
//!
//! Layouts v2.0, v2.1 (one file per episode) and v3.0 (many episodes per file) differ here only in their statistics:
//! the rows themselves say which episode and frame they are. Videos and tasks are kept differently in all of them.
//!
//! Data sets come from anybody and from everywhere. Three rules keep them apart from what they were copied with:
//!
//! - What is not used is not needed: a column, a camera, a label that a command does not ask for may be missing or odd.
//! - Rows are believed before metadata: numbers, episodes and frames are those that the rows bear.
//! - A file costs itself: what is not named like data is not read, what is broken is named by its cause
//!   ([`field_files::Foreign`]) and loses what it held. Only a clone without its files (Git LFS) is refused as a whole.
//!
//! Nothing that a file says of its own size is believed before it is compared with its bytes on disk.

mod bytes;
mod cameras;
pub mod columns;
mod data_set;
mod error;
mod footage;
mod footer;
mod info;
mod leaf;
mod listing;
mod loose;
mod names;
mod normalisation;
mod pages;
mod recorded;
mod rows;
mod stats;
mod successes;
mod tasks;
mod template;
mod thrift;
mod vectors;
pub mod windows;

pub use data_set::DataSet;
pub use error::DataSetError;
pub use footage::{Footage, Still};
pub use info::{Feature, Info};
pub use listing::{Entry, Listing};
pub use normalisation::{NormMode, Normalisation};
pub use recorded::{Episode, LeftOut, Recorded, Used, Wanted};
pub use rows::{Indices, OwnRows, Pace, RowFinder};
pub use stats::Stats;
