//! Instructions of episodes whose metadata have none: each row has a task index, and a table of the data set maps it to
//! the text.

use super::{DataSet, DataSetError, Entry, columns::Table, loose};
use field_files::read_json_lines;
use std::{collections::BTreeMap, path::Path};

#[derive(serde::Deserialize)]
struct Line {
    #[serde(deserialize_with = "loose::count")]
    task_index: u64,
    task: String,
}

impl DataSet {
    /// Fills in the instructions of the episodes that have none. One that is not found stays empty, with a message in
    /// `notes`.
    pub(super) fn find_tasks(&self, episodes: &mut [Entry], notes: &mut Vec<String>) {
        if episodes.iter().all(|episode| !episode.task.is_empty()) {
            return;
        }
        let tasks = match self.tasks(notes) {
            Ok(tasks) if !tasks.is_empty() => tasks,
            Ok(_) => return,
            Err(error) => return notes.push(error.to_string()),
        };
        let mut finder = self.row_finder();
        // Without rows, the only task is that of all episodes.
        let only = (tasks.len() == 1).then(|| tasks.values().next()).flatten();
        let mut note: Option<String> = None;
        for episode in episodes
            .iter_mut()
            .filter(|episode| episode.task.is_empty())
        {
            let found = finder.find(episode);
            let number = found.as_ref().ok().and_then(|rows| rows.task_index);
            match number.and_then(|number| tasks.get(&number)).or(only) {
                Some(task) => episode.task.clone_from(task),
                None => {
                    let reason = found
                        .err()
                        .unwrap_or_else(|| "its rows name none of the tasks".to_owned());
                    note.get_or_insert(format!(
                        "the task of episode {} is not known: {reason}",
                        episode.index
                    ));
                }
            }
        }
        notes.extend(note);
    }

    /// Instructions by task index, from `tasks.parquet` or `tasks.jsonl`.
    fn tasks(&self, notes: &mut Vec<String>) -> Result<BTreeMap<i64, String>, DataSetError> {
        let table = self.root().join("meta/tasks.parquet");
        let lines = self.root().join("meta/tasks.jsonl");
        let mut first_error = None;
        if field_files::is_there(&table)? {
            match of_table(&table) {
                Ok(tasks) => return Ok(tasks),
                Err(error) => first_error = Some(error),
            }
        }
        if field_files::is_there(&lines)? {
            let mut tasks = BTreeMap::new();
            read_json_lines(
                &lines,
                &mut |line: Line| {
                    tasks.insert(
                        i64::try_from(line.task_index).unwrap_or(i64::MAX),
                        line.task,
                    );
                },
                &mut |problem| notes.push(problem),
            )?;
            return Ok(tasks);
        }
        first_error.map_or_else(|| Ok(BTreeMap::new()), Err)
    }
}

/// `meta/tasks.parquet`: the instruction is the index of a pandas table and can have any name.
fn of_table(path: &Path) -> Result<BTreeMap<i64, String>, DataSetError> {
    let table = Table::open(path)?;
    let texts = table.text_columns();
    let named = ["task", "__index_level_0__"]
        .into_iter()
        .find(|name| texts.iter().any(|text| text == name));
    let column = named
        .or(texts.first().map(String::as_str))
        .unwrap_or("task");
    let numbers = table.sparse_numbers("task_index")?.into_iter();
    let pairs = numbers
        .zip(table.texts(column)?)
        .filter_map(|(number, text)| {
            let number = number.filter(|number| number.fract() == 0.0)?;
            Some((number as i64, text.into_iter().next()?))
        });
    Ok(pairs.collect())
}
