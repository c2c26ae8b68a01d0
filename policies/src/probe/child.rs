//! A child process that ends by a deadline, with all processes that it started.
//!
//! Drivers start helpers that keep the pipe open after the child ended, close the pipe and hang, or fill it. Therefore the
//! end of the output is never awaited. The child has its own process group, and the group is killed.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::{Duration, Instant},
};

/// Interval between checks for the end of the child.
const PERIOD: Duration = Duration::from_millis(20);
/// Longest wait for output that the child printed before it ended.
const LAST_OUTPUT: Duration = Duration::from_millis(250);
/// Longest wait for a killed process to be reaped. One that sleeps in the kernel in a driver is left behind.
const REAP_WITHIN: Duration = Duration::from_secs(1);
/// Longest line in bytes; longer ones are split.
const LINE_BYTES: u64 = 64 << 10;
/// Most output of a child that is kept, in bytes.
const MAX_OUTPUT_BYTES: usize = 1 << 20;

/// End of the child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    Normally,
    TimedOut(Duration),
    Crashed(String),
}

/// Runs a child for at most `time_limit`, then kills its process group. Returns the lines that it printed, and its end. Its
/// standard input stays open while this process waits for it.
pub(super) fn run(
    command: &mut Command,
    time_limit: Duration,
) -> std::io::Result<(Vec<String>, Ended)> {
    let until = Instant::now() + time_limit;
    let mut group = Group::spawn(command)?;
    let Some(stdout) = group.child.stdout.take() else {
        return Ok((Vec::new(), Ended::Crashed("it has no output".to_owned())));
    };
    let lines = read(stdout);
    let (mut output, mut output_bytes) = (Vec::new(), 0);
    let mut status = None;
    let mut read_until = until;
    while Instant::now() < read_until {
        match lines.recv_timeout(PERIOD) {
            Ok(line) if output_bytes < MAX_OUTPUT_BYTES => {
                output_bytes += line.len() + size_of::<String>();
                output.push(line);
            }
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            // There is no more output, but the child may still run.
            Err(RecvTimeoutError::Disconnected) if status.is_some() => break,
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(PERIOD),
        }
        if status.is_none() {
            status = group.child.try_wait()?;
            if status.is_some() {
                read_until = until.min(Instant::now() + LAST_OUTPUT);
            }
        }
    }
    let ended = match status {
        None => Ended::TimedOut(time_limit),
        Some(status) if status.success() => Ended::Normally,
        Some(status) => Ended::Crashed(status.to_string()),
    };
    Ok((output, ended))
}

/// The process group of the child; killed when dropped.
struct Group {
    child: Child,
    /// The child ends when this is closed, which also happens when this process is killed.
    _stdin: Option<ChildStdin>,
}

impl Group {
    fn spawn(command: &mut Command) -> std::io::Result<Self> {
        command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        #[cfg(unix)]
        {
            use std::os::unix::process::CommandExt as _;
            command.process_group(0);
        }
        let mut child = command.spawn()?;
        let stdin = child.stdin.take();
        Ok(Self {
            child,
            _stdin: stdin,
        })
    }

    /// Kills the group, whose id is that of the child. The standard library kills single processes only; the shell of POSIX
    /// kills groups.
    #[cfg(unix)]
    fn kill_all(&self) {
        let killed = Command::new("/bin/sh")
            .args(["-c", "kill -s KILL -- -$0", &self.child.id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if let Err(error) = killed {
            tracing::debug!("the processes that a driver started cannot be killed: {error}");
        }
    }

    #[cfg(not(unix))]
    fn kill_all(&self) {}
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill_all();
        self.child.kill().ok();
        let until = Instant::now() + REAP_WITHIN;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(PERIOD);
        }
    }
}

/// Reads lines on a detached thread, which ends when the last writer has closed the pipe.
fn read(stdout: ChildStdout) -> Receiver<String> {
    let (lines_in, lines) = sync_channel(16);
    std::thread::spawn(move || {
        let mut reader = BufReader::new(stdout);
        let mut line = Vec::new();
        loop {
            line.clear();
            match reader
                .by_ref()
                .take(LINE_BYTES)
                .read_until(b'\n', &mut line)
            {
                Ok(1..) => {}
                Ok(0) | Err(_) => break,
            }
            let text = String::from_utf8_lossy(&line).trim_end().to_owned();
            if lines_in.send(text).is_err() {
                break;
            }
        }
    });
    lines
}

#[cfg(all(test, unix))]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    const LIMIT: Duration = Duration::from_millis(700);
    /// Upper limit for the duration of a run: far more than the time limit, far less than the children sleep.
    const MAX_TIME: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> (Vec<String>, Ended, Duration) {
        let started = Instant::now();
        let (lines, ended) = run(Command::new("sh").args(["-c", script]), LIMIT).unwrap();
        (lines, ended, started.elapsed())
    }

    /// True once the process is gone. A killed process takes a moment to end, and an unreaped one counts as gone.
    fn is_gone(pid: &str) -> bool {
        let until = Instant::now() + MAX_TIME / 4;
        while Instant::now() < until {
            match std::fs::read_to_string(format!("/proc/{pid}/stat")) {
                Ok(stat) if !stat.contains(") Z ") => std::thread::sleep(PERIOD),
                _ => return true,
            }
        }
        false
    }

    #[test]
    fn a_child_that_never_ends_is_killed() {
        let (lines, ended, took) = shell("exec sleep 100");
        assert_eq!((lines.len(), ended), (0, Ended::TimedOut(LIMIT)));
        assert!(took < MAX_TIME);
    }

    #[test]
    fn a_helper_that_keeps_the_pipe_open_is_killed_without_a_wait() {
        let (lines, ended, took) = shell("sleep 100 & echo $!; exit 0");
        assert_eq!(ended, Ended::Normally);
        assert!(took < MAX_TIME, "{took:?}");
        assert!(is_gone(&lines[0]), "the helper {} still runs", lines[0]);
    }

    #[test]
    fn a_helper_of_a_child_that_hangs_is_killed_with_it() {
        let (lines, ended, took) = shell("sleep 100 & echo $!; exec sleep 100");
        assert_eq!(ended, Ended::TimedOut(LIMIT));
        assert!(took < MAX_TIME && is_gone(&lines[0]));
    }

    #[test]
    fn a_child_that_closes_its_output_and_hangs_is_killed() {
        let (lines, ended, took) = shell("echo said; exec >&-; exec sleep 100");
        assert_eq!(lines, ["said"]);
        assert_eq!(ended, Ended::TimedOut(LIMIT));
        assert!(took < MAX_TIME);
    }

    #[test]
    fn a_child_that_prints_without_end_is_killed_and_costs_no_memory() {
        let (lines, ended, took) = shell("exec yes");
        assert_eq!(ended, Ended::TimedOut(LIMIT));
        assert!(lines.len() * size_of::<String>() <= MAX_OUTPUT_BYTES);
        let (lines, _, took_too) = shell("exec tr '\\0' x < /dev/zero");
        let bytes: usize = lines.iter().map(String::len).sum();
        assert!(bytes <= MAX_OUTPUT_BYTES + LINE_BYTES as usize, "{bytes}");
        assert!(took < MAX_TIME && took_too < MAX_TIME);
    }

    #[test]
    fn output_before_a_crash_is_kept() {
        let (lines, ended, _) = shell("echo one; echo two; kill -SEGV $$");
        assert_eq!(lines, ["one", "two"]);
        assert!(
            matches!(&ended, Ended::Crashed(status) if status.contains("11")),
            "{ended:?}"
        );
    }
}
