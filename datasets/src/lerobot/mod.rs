//! Recorded episodes: LeRobot data sets on disk.
//!
//! - [`DataSet`]: the folder with its `meta/info.json` ([`Info`]); [`DataSet::recorded`] reads the vectors
//! - [`columns`]: one parquet file's columns
//! - [`Listing`]: episodes with their instructions, and the locations of their images ([`Footage`])
//! - [`RowFinder`]: locations and frame indices of an episode's rows
//! - [`Stats`]: the recorded statistics of a vector, of the whole set (v3.0) or aggregated from its episodes (v2.1)
//! - [`Normalisation`]: the four mappings of LeRobot's tokenizer trainer
//! - [`windows`]: episodes cut into action chunks
//!
//! Layouts v2.0, v2.1 (one file per episode) and v3.0 (many episodes per file) differ here only in their statistics:
//! each row holds its episode and frame. Videos and tasks are stored differently in all of them.
//!
//! Data sets come from many tools and often contain unrelated or damaged files. Three rules apply:
//!
//! - Unused data is optional: a column, camera or label that a command does not use may be missing or malformed.
//! - Rows take precedence over metadata for frame indices, episodes and frames.
//! - A bad file affects only its own rows: files not named like data are not read, and a broken file is reported with
//!   its cause ([`field_files::Foreign`]) and left out. Only a clone without its Git LFS files is refused as a whole.
//!
//! Sizes that a file announces are checked against its bytes on disk before they are used.

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
