//! The record of what people did to robots: commands, stops, releases, with who gave them, as JSON lines.
//!
//! A thread appends to `events.jsonl` in the data folder. At [`MAX_FILE_BYTES`] the file becomes `events.1.jsonl` and a
//! new one begins, so the record takes at most twice that. A disk that is slow or full loses lines, never a command;
//! how many were lost is the next line.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::{SystemTime, UNIX_EPOCH},
};

/// Lines that may wait for the disk.
const MAX_WAITING: usize = 1024;
/// A file of the record is at most this long.
const MAX_FILE_BYTES: u64 = 16 << 20;

/// One line of the record.
#[derive(Debug, Clone, PartialEq, Eq, serde::Serialize)]
pub(crate) struct Event {
    /// Milliseconds since 1970, UTC.
    at_unix_millis: u64,
    /// `command`, `stop`, `stop_all`, `release`, `reset`, `operator_gone`.
    what: &'static str,
    robot_id: String,
    /// The viewer's number in this run of the studio, and the client that it named.
    by: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    text: String,
    /// Why it was refused; empty when it was not.
    #[serde(skip_serializing_if = "String::is_empty")]
    refused: String,
}

/// The record.
#[derive(Debug)]
pub(crate) struct Events {
    lines: Option<SyncSender<Event>>,
    lost: std::sync::Arc<AtomicU64>,
}

impl Events {
    /// Appends to the record of a data folder; without one, events are in the log alone.
    ///
    /// # Errors
    /// When there is no thread.
    pub(crate) fn open(data: Option<&Path>) -> io::Result<Self> {
        let lost = std::sync::Arc::<AtomicU64>::default();
        let lines = match data {
            Some(data) => {
                let (lines, waiting) = sync_channel(MAX_WAITING);
                let (path, lost) = (data.join("events.jsonl"), lost.clone());
                std::thread::Builder::new()
                    .name("events".to_owned())
                    .spawn(move || write(&path, &waiting, &lost))?;
                Some(lines)
            }
            None => None,
        };
        Ok(Self { lines, lost })
    }

    /// Takes note of one event. Never waits.
    pub(crate) fn note(
        &self,
        what: &'static str,
        robot_id: &str,
        by: &str,
        text: &str,
        refused: &str,
    ) {
        tracing::debug!("{what} {robot_id} by {by}: {text:?} {refused}");
        let Some(lines) = &self.lines else { return };
        let now = SystemTime::now().duration_since(UNIX_EPOCH);
        let event = Event {
            at_unix_millis: now.map_or(0, |at| at.as_millis().try_into().unwrap_or(u64::MAX)),
            what,
            robot_id: robot_id.to_owned(),
            by: by.to_owned(),
            text: text.to_owned(),
            refused: refused.to_owned(),
        };
        if lines.try_send(event).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

fn write(path: &Path, waiting: &Receiver<Event>, lost: &AtomicU64) {
    let mut file: Option<File> = None;
    let mut told = false;
    while let Ok(event) = waiting.recv() {
        let gone = lost.swap(0, Ordering::Relaxed);
        let mut lines = Vec::new();
        if gone > 0 {
            lines.extend(format!("{{\"what\":\"lost\",\"lines\":{gone}}}\n").into_bytes());
        }
        if serde_json::to_writer(&mut lines, &event).is_err() {
            continue;
        }
        lines.push(b'\n');
        match append(path, &mut file, &lines) {
            Ok(()) => told = false,
            Err(error) => {
                lost.fetch_add(gone + 1, Ordering::Relaxed);
                file = None;
                if !told {
                    tracing::error!(
                        "the record of commands and stops cannot be written to {}: {error}",
                        path.display()
                    );
                    told = true;
                }
            }
        }
    }
}

fn append(path: &Path, file: &mut Option<File>, lines: &[u8]) -> io::Result<()> {
    let open = || OpenOptions::new().create(true).append(true).open(path);
    let mut current = match file.take() {
        Some(file) => file,
        None => open()?,
    };
    if current.metadata()?.len() >= MAX_FILE_BYTES {
        let mut older = PathBuf::from(path);
        older.set_extension("1.jsonl");
        fs::rename(path, older)?;
        current = open()?;
    }
    current.write_all(lines)?;
    *file = Some(current);
    Ok(())
}

#[cfg(test)]
mod tests;
