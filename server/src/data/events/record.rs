//! One file of lines in the data folder, and the thread that appends to it.
//!
//! At [`MAX_FILE_BYTES`] the file is renamed to `NAME.1.jsonl` and a new one begins, so a record takes at most twice that. A
//! slow or full disk loses lines but delays no command; the number of lost lines is recorded as the next line.

use super::{
    Event,
    ration::{Ration, Share},
};
use crate::{data::DataFolder, health::Part};
use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
        mpsc::{Receiver, SyncSender, sync_channel},
    },
    time::Instant,
};

/// Most lines that wait for the disk.
const MAX_WAITING: usize = 1024;
/// Largest size of a file.
pub(super) const MAX_FILE_BYTES: u64 = 16 << 20;

/// One record, or none without a data folder.
#[derive(Debug)]
pub(super) struct Record(Option<Open>);

#[derive(Debug)]
struct Open {
    lines: SyncSender<Vec<u8>>,
    ration: Mutex<Ration>,
    /// Number of lines that could not be written.
    lost: Arc<AtomicU64>,
}

impl Record {
    pub(super) fn nowhere() -> Self {
        Self(None)
    }

    /// Opens `name.jsonl` for appending. `burst_bytes` is the largest burst of one viewer, per kind of event.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub(super) fn open(
        data: &DataFolder,
        name: &'static str,
        burst_bytes: u32,
        part: Arc<Part>,
    ) -> io::Result<Self> {
        let lost = Arc::<AtomicU64>::default();
        let (lines, waiting) = sync_channel(MAX_WAITING);
        let mut file = RecordFile {
            path: data.path().join(name).with_extension("jsonl"),
            data: data.clone(),
            file: None,
        };
        std::thread::Builder::new().name(name.to_owned()).spawn({
            let lost = lost.clone();
            move || write(&mut file, &waiting, &lost, &part)
        })?;
        Ok(Self(Some(Open {
            lines,
            ration: Mutex::new(Ration::new(burst_bytes)),
            lost,
        })))
    }

    /// Records one event without waiting.
    pub(super) fn note(&self, event: &Event<'_>) {
        let Some(open) = &self.0 else { return };
        let Ok(mut line) = serde_json::to_vec(event) else {
            open.lost.fetch_add(1, Ordering::Relaxed);
            return;
        };
        line.push(b'\n');
        let (share, forgotten) = {
            let mut ration = open.ration.lock().unwrap_or_else(PoisonError::into_inner);
            ration.take(event.what, event.by, line.len(), Instant::now())
        };
        open.lost.fetch_add(forgotten, Ordering::Relaxed);
        let Share::Full { left_out } = share else {
            return;
        };
        if left_out > 0 {
            let summary = serde_json::json!({
                "at_unix_millis": event.at_unix_millis,
                "what": "left_out",
                "of": event.what,
                "by": event.by,
                "lines": left_out,
            });
            let mut lines = format!("{summary}\n").into_bytes();
            lines.append(&mut line);
            line = lines;
        }
        if open.lines.try_send(line).is_err() {
            open.lost.fetch_add(1 + left_out, Ordering::Relaxed);
        }
    }
}

fn write(file: &mut RecordFile, waiting: &Receiver<Vec<u8>>, lost: &AtomicU64, part: &Arc<Part>) {
    let _alive = part.thread();
    let mut is_reported = false;
    while let Ok(line) = waiting.recv() {
        let gone = lost.swap(0, Ordering::Relaxed);
        let mut lines = Vec::new();
        if gone > 0 {
            lines.extend(format!("{{\"what\":\"lost\",\"lines\":{gone}}}\n").into_bytes());
        }
        lines.extend(line);
        let appended = {
            let _work = part.work("writing to the data folder");
            file.append(&lines)
        };
        match appended {
            Ok(()) => is_reported = false,
            Err(error) => {
                lost.fetch_add(gone + 1, Ordering::Relaxed);
                if !is_reported {
                    tracing::error!(
                        "commands to robots cannot be recorded in {}: {error}",
                        file.path.display()
                    );
                    is_reported = true;
                }
            }
        }
    }
}

/// The file that lines are appended to.
#[derive(Debug)]
pub(super) struct RecordFile {
    pub(super) path: PathBuf,
    pub(super) data: DataFolder,
    /// Closed after an error.
    pub(super) file: Option<File>,
}

impl RecordFile {
    pub(super) fn append(&mut self, lines: &[u8]) -> io::Result<()> {
        let mut current = match self.file.take() {
            // Lines appended to a deleted or moved file would be lost.
            Some(file) if self.path.exists() => file,
            _ => self.open()?,
        };
        if current.metadata()?.len() >= MAX_FILE_BYTES {
            fs::rename(&self.path, older(&self.path))?;
            current = self.open()?;
        }
        current.write_all(lines)?;
        self.file = Some(current);
        Ok(())
    }

    fn open(&self) -> io::Result<File> {
        let open = || {
            let mut options = OpenOptions::new();
            options.create(true).append(true).open(&self.path)
        };
        match open() {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                self.data.make_again(self.data.path())?;
                open()
            }
            opened => opened,
        }
    }
}

/// Path to which a full file is renamed.
fn older(path: &Path) -> PathBuf {
    path.with_extension("1.jsonl")
}
