//! Success labels of the rows.

use std::collections::BTreeMap;

use super::{DataSet, DataSetError, columns::Table, listing::most_episodes};

impl DataSet {
    /// Success of each labeled episode: true if `next.success` is set in any of its frames. `None` if the data set has
    /// no labels. Files without the column are skipped.
    ///
    /// # Errors
    /// When there are no files.
    pub fn successes(&self) -> Result<Option<BTreeMap<u64, bool>>, DataSetError> {
        const COLUMN: &str = "next.success";
        if !self.info().features.contains_key(COLUMN) {
            return Ok(None);
        }
        let mut successes = BTreeMap::new();
        let mut bytes = 0;
        for path in self.files()?.data {
            let Ok(table) = Table::open(&path) else {
                continue;
            };
            bytes += table.bytes;
            let columns = table
                .sparse_counts("episode_index")
                .and_then(|rows| Ok((rows, table.sparse_numbers(COLUMN)?)));
            let Ok((rows, values)) = columns else {
                continue;
            };
            for (episode, success) in rows.into_iter().zip(values) {
                // More labels than episodes: the labels cannot be assigned.
                if successes.len() as u64 > most_episodes(bytes) {
                    return Ok(None);
                }
                if let (Some(episode), Some(success)) = (episode, success) {
                    *successes.entry(episode).or_insert(false) |= success != 0.0;
                }
            }
        }
        Ok(Some(successes))
    }
}
