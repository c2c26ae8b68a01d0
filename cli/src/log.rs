//! The log of a program that serves others: standard error, written by a thread with a bounded queue before it.
//!
//! Standard error can be a pipe that nobody reads. Writing to it then blocks whoever writes, so in a program that serves
//! only the thread of the log does. Lines beyond the queue are lost, and the next line that is written says how many.

use std::{
    fmt::Display,
    io::{self, Write},
    sync::{Arc, Mutex, OnceLock, PoisonError, mpsc::sync_channel},
    thread,
    time::Duration,
};
use tracing_appender::non_blocking::{ErrorCounter, NonBlocking, NonBlockingBuilder, WorkerGuard};

/// Lines that may wait to be written.
const MAX_LINES: usize = 1024;
/// Bytes of one line; the rest is cut off. With [`MAX_LINES`] the bound of the queue: 4 MiB.
const MAX_LINE_BYTES: usize = 4 << 10;
/// Lines that wait at the end are written within this time, or are lost.
const FLUSH_WITHIN: Duration = Duration::from_millis(200);

/// The queue of this process, once it serves.
static QUEUE: OnceLock<Lines> = OnceLock::new();
/// The end of the thread that writes.
static THREAD: Mutex<Option<WorkerGuard>> = Mutex::new(None);

/// The queue before the thread that writes. Writing to it never waits and never fails.
#[derive(Debug, Clone)]
pub(super) struct Lines(NonBlocking);

impl Write for Lines {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        // The queue takes the whole of what it is given as one line.
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

/// The thread's end of the log: before a line it writes how many were lost since the last.
struct Counted<W> {
    to: W,
    /// Of the queue, which is made after this.
    lost: Arc<OnceLock<ErrorCounter>>,
    reported: usize,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let lost = self.lost.get().map_or(0, ErrorCounter::dropped_lines);
        let new = lost.saturating_sub(self.reported);
        if new > 0 {
            self.reported = lost;
            let words = format!("{new} lines of this log are lost: it was not read in time\n");
            self.to.write_all(words.as_bytes())?;
        }
        self.to.write_all(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

/// A queue of so many lines, and the thread that writes them until the guard is dropped.
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

/// From now on everything that this process says goes through the queue: its log, [`say`], and panics, whose message
/// would else be written by the thread that panics.
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

/// Writes a line to standard error: through the queue in a program that serves, at once elsewhere.
pub(super) fn say(words: impl Display) {
    let line = format!("{words}\n");
    let written = match QUEUE.get() {
        Some(queue) => queue.clone().write_all(line.as_bytes()),
        None => io::stderr().write_all(line.as_bytes()),
    };
    // Nobody may be reading, and that ends nothing.
    written.ok();
}

/// Gives what waits a moment to be written. For the end of the process, after which nothing more is written.
pub(super) fn flush() {
    let (ended, end) = sync_channel(1);
    // The guard waits a second for a thread that is stuck, so that it is not dropped here.
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

    /// A reader that takes a line when the test lets it.
    struct Held {
        began: SyncSender<()>,
        may: Receiver<()>,
        written: Arc<Mutex<String>>,
    }

    impl Write for Held {
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
    fn lines_that_nobody_reads_are_lost_and_counted() {
        let written = Arc::<Mutex<String>>::default();
        let ((began, begins), (let_go, may)) = (sync_channel(16), sync_channel(16));
        let held = Held {
            began,
            may,
            written: written.clone(),
        };
        let (mut lines, guard) = start(held, 2);
        lines.write_all(b"first\n").unwrap();
        begins.recv_timeout(SOON).unwrap();
        // The thread is held in the first line: two more wait, and none of these calls does.
        for number in 0..1000 {
            lines.write_all(format!("{number}\n").as_bytes()).unwrap();
        }
        drop(let_go);
        let until = Instant::now() + SOON;
        while !written.lock().unwrap().ends_with("\n1\n") && Instant::now() < until {
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
