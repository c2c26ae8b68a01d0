//! A program in a child process: what it writes is read within limits, and it never outlives its reader.
//!
//! Programs of others hang: on a network drive, on a damaged file, on a question that nobody answers. Whatever they
//! write goes through bounded channels, every wait ends, and a child is ended and waited for on every way out.

use super::ScoringError;
use std::{
    io::{self, BufRead, ErrorKind, Read},
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel},
    time::{Duration, Instant},
};

/// Bytes that are taken from a pipe at once.
const PIECE: usize = 1 << 18;
/// Pieces that wait for the reader; after those the child waits.
const WAITING: usize = 8;
/// Bytes of complaints that are kept; what comes after is read and forgotten.
const SAID: usize = 16 << 10;
/// How long an ended child may take to be gone.
const ENDING: Duration = Duration::from_secs(2);

/// How long a child may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// Between two pieces of its output.
    pub silence: Duration,
    /// Altogether.
    pub whole: Duration,
}

impl Patience {
    /// For a program that answers at once.
    pub const ANSWER: Self = Self {
        silence: Duration::from_secs(5),
        whole: Duration::from_secs(5),
    };
    /// For one that has a small clip to read.
    pub const TRIAL: Self = Self {
        silence: Duration::from_secs(5),
        whole: Duration::from_secs(10),
    };
    /// For one that has a whole video to read.
    pub const VIDEO: Self = Self {
        silence: Duration::from_secs(60),
        whole: Duration::from_secs(6 * 3600),
    };
}

/// Where a program is, by the path that shells look it up on.
#[must_use]
pub fn find(program: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let name = format!("{program}{}", std::env::consts::EXE_SUFFIX);
    std::env::split_paths(&path)
        // An empty entry is the current folder, from which nothing is run by accident.
        .filter(|folder| !folder.as_os_str().is_empty())
        .map(|folder| folder.join(&name))
        .find(|file| is_program(file))
}

#[cfg(unix)]
fn is_program(file: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    file.metadata()
        .is_ok_and(|data| data.is_file() && data.permissions().mode() & 0o111 != 0)
}

#[cfg(not(unix))]
fn is_program(file: &Path) -> bool {
    file.is_file()
}

/// A child that runs, and its output as something to read from.
#[derive(Debug)]
pub struct Running {
    program: PathBuf,
    child: Child,
    pieces: Receiver<io::Result<Vec<u8>>>,
    said: Receiver<Vec<u8>>,
    piece: Vec<u8>,
    taken: usize,
    patience: Patience,
    started: Instant,
    overdue: Option<Duration>,
}

/// How a child ended.
#[derive(Debug)]
pub struct Ended {
    /// Its exit status.
    pub status: ExitStatus,
    /// The beginning of what it wrote to standard error.
    pub said: String,
}

impl Running {
    /// Starts `program` with what `prepare` gives it.
    ///
    /// # Errors
    /// [`ScoringError::Program`] when it cannot be started.
    pub fn start(
        program: &Path,
        prepare: impl FnOnce(&mut Command),
        patience: Patience,
    ) -> Result<Self, ScoringError> {
        let mut command = Command::new(program);
        prepare(&mut command);
        let mut child = command
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .map_err(|error| ScoringError::Program {
                program: program.to_owned(),
                reason: format!("it cannot be started: {error}"),
            })?;
        let (send, pieces) = sync_channel(WAITING);
        if let Some(stdout) = child.stdout.take() {
            std::thread::spawn(move || pass_on(stdout, &send));
        }
        let (send, said) = sync_channel(1);
        if let Some(stderr) = child.stderr.take() {
            std::thread::spawn(move || send.send(beginning(stderr)));
        }
        Ok(Self {
            program: program.to_owned(),
            child,
            pieces,
            said,
            piece: Vec::new(),
            taken: 0,
            patience,
            started: Instant::now(),
            overdue: None,
        })
    }

    /// Why reading failed, if the child took too long; `None` if it did not.
    #[must_use]
    pub fn overdue(&self) -> Option<ScoringError> {
        self.overdue.map(|waited| ScoringError::Program {
            program: self.program.clone(),
            reason: if waited >= self.patience.whole {
                format!(
                    "it was not done after {}, and was ended",
                    figure(self.patience.whole)
                )
            } else {
                format!("it gave nothing for {}, and was ended", figure(waited))
            },
        })
    }

    /// Waits for the end of a child whose output has been read to its end.
    ///
    /// # Errors
    /// [`ScoringError::Program`] for one that does not end.
    pub fn finish(mut self) -> Result<Ended, ScoringError> {
        let deadline = Instant::now() + self.patience.silence.min(self.patience.whole);
        let status = loop {
            match self.child.try_wait() {
                Ok(Some(status)) => break status,
                Ok(None) if Instant::now() < deadline => {
                    std::thread::sleep(Duration::from_millis(5));
                }
                Ok(None) => {
                    return Err(self.fault(format!(
                        "it did not end within {} of its last output, and was ended",
                        figure(self.patience.silence)
                    )));
                }
                Err(error) => return Err(self.fault(error.to_string())),
            }
        };
        // A helper that the child left behind may keep the pipe open: it is not waited for.
        let said = self.said.recv_timeout(ENDING).unwrap_or_default();
        Ok(Ended {
            status,
            said: String::from_utf8_lossy(&said).trim().to_owned(),
        })
    }

    fn fault(&self, reason: String) -> ScoringError {
        ScoringError::Program {
            program: self.program.clone(),
            reason,
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Neither can fail in a way that leaves something to be done.
        self.child.kill().ok();
        let deadline = Instant::now() + ENDING;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < deadline {
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

impl BufRead for Running {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.taken >= self.piece.len() {
            let left = self.patience.whole.saturating_sub(self.started.elapsed());
            let wait = self.patience.silence.min(left);
            if wait.is_zero() {
                self.overdue = Some(self.patience.whole);
                return Err(ErrorKind::TimedOut.into());
            }
            match self.pieces.recv_timeout(wait) {
                Ok(piece) => {
                    self.piece = piece?;
                    self.taken = 0;
                }
                Err(RecvTimeoutError::Disconnected) => {
                    self.piece.clear();
                    self.taken = 0;
                }
                Err(RecvTimeoutError::Timeout) => {
                    let whole = left <= self.patience.silence;
                    self.overdue = Some(if whole { self.patience.whole } else { wait });
                    return Err(ErrorKind::TimedOut.into());
                }
            }
        }
        Ok(self.piece.get(self.taken..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.taken = self.piece.len().min(self.taken + amount);
    }
}

impl Read for Running {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut there = self.fill_buf()?;
        let read = there.read(buffer)?;
        self.consume(read);
        Ok(read)
    }
}

/// The whole answer of a program that says little.
///
/// # Errors
/// [`ScoringError::Program`] when it cannot be started, takes too long, or says more than `most` bytes.
pub fn answer(
    program: &Path,
    prepare: impl FnOnce(&mut Command),
    patience: Patience,
    most: usize,
) -> Result<(Vec<u8>, Ended), ScoringError> {
    let mut running = Running::start(program, prepare, patience)?;
    let mut answer = Vec::new();
    let read = (&mut running)
        .take(most as u64 + 1)
        .read_to_end(&mut answer);
    if let Some(error) = running.overdue() {
        return Err(error);
    }
    read.map_err(|error| running.fault(error.to_string()))?;
    if answer.len() > most {
        return Err(running.fault(format!("its answer is longer than {most} bytes")));
    }
    Ok((answer, running.finish()?))
}

/// Passes on what comes until nobody wants it.
fn pass_on(mut from: impl Read, to: &SyncSender<io::Result<Vec<u8>>>) {
    loop {
        let mut piece = vec![0; PIECE];
        let sent = match from.read(&mut piece) {
            Ok(0) => return,
            Ok(read) => {
                piece.truncate(read);
                to.send(Ok(piece))
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            Err(error) => {
                to.send(Err(error)).ok();
                return;
            }
        };
        if sent.is_err() {
            return;
        }
    }
}

/// The first bytes of what comes; all of it is read, so that nobody waits to be rid of it.
fn beginning(mut from: impl Read) -> Vec<u8> {
    let mut said = Vec::new();
    let mut piece = vec![0; 4 << 10];
    while let Ok(read @ 1..) = from.read(&mut piece) {
        let room = SAID.saturating_sub(said.len());
        said.extend(piece.iter().take(read.min(room)));
    }
    said
}

fn figure(time: Duration) -> String {
    match time.as_secs() {
        secs @ 7200.. => format!("{} hours", secs / 3600),
        _ => format!("{:.3} s", time.as_secs_f64()).replace(".000", ""),
    }
}
