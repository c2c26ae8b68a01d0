//! The log of a serving process: standard error, written by a separate thread behind a bounded queue.
//!
//! Standard error may be a pipe without a reader, and writing to it then blocks. So only the log's thread writes to it while
//! the process serves. Lines beyond the queue are lost, and the next written line reports their number.

use std::{
    fmt::Display,
    io::{self, Write},
    sync::{Arc, Mutex, OnceLock, PoisonError, mpsc::sync_channel},
    thread,
    time::Duration,
};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Largest number of queued lines.
const MAX_LINES: usize = 1024;
/// Largest number of bytes of one line; the rest is cut off. With [`MAX_LINES`] this bounds the queue to 4 MiB.
const MAX_LINE_BYTES: usize = 4 << 10;
/// Time limit for writing the queued lines at the end of the process; later ones are lost.
const FLUSH_WITHIN: Duration = Duration::from_millis(200);

/// The queue of a serving process.
static QUEUE: OnceLock<Lines> = OnceLock::new();
/// Guard whose drop ends the writing thread.
static THREAD: Mutex<Option<WorkerGuard>> = Mutex::new(None);

/// The queue of the writing thread. Writing to it never waits and never fails.
#[derive(Debug, Clone)]
pub(super) struct Lines(NonBlocking);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // The queue takes every write as one line.
        if line.len() > MAX_LINE_BYTES {
            self.0.write_all(&shortened(line))?;
        } else {
            self.0.write_all(line)?;
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The beginning of a line that is too long.
fn shortened(line: &[u8]) -> Vec<u8> {
    const END: &[u8] = b"...\n";
    let is_inside = |byte: &u8| byte & 0xc0 == 0x80;
    let mut end = MAX_LINE_BYTES - END.len();
    while end > 0 && line.get(end).is_some_and(is_inside) {
        end -= 1;
    }
    let mut short = line.get(..end).unwrap_or_default().to_vec();
    short.extend_from_slice(END);
    short
}

/// Writer of the thread: reports lines that were lost since the last line before the next one.
struct Counted<W> {
    to: W,
    /// Counter of the queue, which is created after this value.
    lost: Arc<OnceLock<ErrorCounter>>,
    reported: usize,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let lost = self.lost.get().map_or(0, ErrorCounter::dropped_lines);
        let new = lost.saturating_sub(self.reported);
        if new > 0 {
            self.reported = lost;
            let notice = format!("{new} lines of this log are lost: it was not read in time\n");
            self.to.write_all(notice.as_bytes())?;
        }
        self.to.write_all(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// Starts a queue of `max_lines` lines and the thread that writes them until the guard is dropped.
fn start<W: Write + Send + 'static>(to: W, max_lines: usize) -> (Lines, WorkerGuard) {
    let lost = Arc::<OnceLock<ErrorCounter>>::default();
    let writer = Counted {
        to,
        lost: lost.clone(),
        reported: 0,
    };
    let (queue, guard) = NonBlockingBuilder::default()
        .lossy(true)
        .buffered_lines_limit(max_lines)
        .thread_name("log")
        .finish(writer);
    lost.set(queue.error_counter()).ok();
    (Lines(queue), guard)
}

/// Sends everything that this process writes to standard error through the queue from now on: its log, [`say`], and
/// panics, whose message the panicking thread would otherwise write.
pub(super) fn queued() -> Lines {
    let queue = QUEUE.get_or_init(|| {
        let (queue, guard) = start(io::stderr(), MAX_LINES);
        *THREAD.lock().unwrap_or_else(PoisonError::into_inner) = Some(guard);
        queue
    });
    std::panic::set_hook(Box::new(|panic| {
        let thread = thread::current();
        let name = thread.name().unwrap_or("without a name");
        say(format_args!("the thread {name:?} {panic}"));
    }));
    queue.clone()
}

/// Writes a line to standard error: through the queue in a serving process, directly otherwise.
pub(super) fn say(message: impl Display) {
    let line = format!("{message}\n");
    let written = match QUEUE.get() {
        Some(queue) => queue.clone().write_all(line.as_bytes()),
        None => io::stderr().write_all(line.as_bytes()),
    };
    // Standard error may have no reader; that is not an error of the process.
    written.ok();
}

/// Waits shortly for queued lines at the end of the process. Later lines are not written.
pub(super) fn flush() {
    let (ended, end) = sync_channel(1);
    // Dropping the guard may wait a second for a blocked thread, so another thread drops it.
    let flushing = thread::Builder::new()
        .name("end of the log".to_owned())
        .spawn(move || {
            let guard = THREAD.lock().unwrap_or_else(PoisonError::into_inner).take();
            drop(guard);
            ended.send(()).ok();
        });
    if flushing.is_ok() {
        end.recv_timeout(FLUSH_WITHIN).ok();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use std::{
        sync::mpsc::{Receiver, SyncSender},
        time::Instant,
    };

    const SOON: Duration = Duration::from_secs(10);

    /// A writer that blocks in each line until the test lets it continue.
    struct BlockingWriter {
        began: SyncSender<()>,
        may: Receiver<()>,
        written: Arc<Mutex<String>>,
    }

    impl Write for BlockingWriter {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.began.send(()).ok();
            self.may.recv().ok();
            let text = String::from_utf8_lossy(bytes);
            self.written.lock().unwrap().push_str(&text);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn unread_lines_are_lost_and_counted() {
        let written = Arc::<Mutex<String>>::default();
        let ((began, begins), (release, may)) = (sync_channel(16), sync_channel(16));
        let writer = BlockingWriter {
            began,
            may,
            written: written.clone(),
        };
        let (mut lines, guard) = start(writer, 2);
        lines.write_all(b"first\n").unwrap();
        begins.recv_timeout(SOON).unwrap();
        // The thread blocks in the first line: two more are queued, and none of these calls waits.
        for number in 0..1000 {
            lines.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        drop(release);
        let deadline = Instant::now() + SOON;
        while !written.lock().unwrap().ends_with("\n1\n") && Instant::now() < deadline {
            thread::sleep(Duration::from_millis(5));
        }
        assert_eq!(
            *written.lock().unwrap(),
            "first\n998 lines of this log are lost: it was not read in time\n0\n1\n"
        );
        drop(guard);
    }

    #[test]
    fn a_long_line_is_cut_between_two_characters() {
        for (line, bytes) in [
            ("ä".repeat(10_000), MAX_LINE_BYTES),
            (format!("a{}", "ä".repeat(10_000)), MAX_LINE_BYTES - 1),
        ] {
            let short = String::from_utf8(shortened(line.as_bytes())).unwrap();
            assert_eq!(short.len(), bytes);
            assert!(short.ends_with("ä...\n"));
        }
    }
}
