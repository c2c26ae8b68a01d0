//! Labels of success that rows bear.

use std::collections::BTreeMap;

use super::{DataSet, DataSetError, columns::Table, listing::most_episodes};

impl DataSet {
    /// Whether each episode succeeded, where the rows say so (`next.success` in any of its frames). A file that does not
    /// say it is passed over.
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
                // More labels than episodes: nobody's.
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
