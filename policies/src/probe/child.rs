//! A child process that is over by a deadline, with everything that it started.
//!
//! Drivers start helpers that keep the pipe open after the child ended, close the pipe and hang, or fill it. So the
//! end of the output is never waited for, the child has a process group of its own, and the group is killed.

use std::{
    io::{BufRead as _, BufReader, Read as _},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::mpsc::{Receiver, RecvTimeoutError, sync_channel},
    time::{Duration, Instant},
};

/// How often it is looked whether the child has ended.
const PERIOD: Duration = Duration::from_millis(20);
/// What a child printed before it ended arrives within this.
const LAST_WORDS: Duration = Duration::from_millis(250);
/// A killed process that the system does not give back within this (a driver that sleeps in the kernel) is left.
const REAPED: Duration = Duration::from_secs(1);
/// Longer lines come in pieces.
const LINE_BYTES: u64 = 64 << 10;
/// What a child that prints without end is heard of, in bytes.
const MAX_HEARD: usize = 1 << 20;

/// How the child ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ended {
    Normally,
    TimedOut(Duration),
    Crashed(String),
}

/// Runs a child for at most `time_limit` and kills whatever is left of it then. What it printed, and how it ended.
/// Its standard input stays open for as long as this process waits for it.
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
    let (mut heard, mut heard_bytes) = (Vec::new(), 0);
    let mut status = None;
    let mut listen_until = until;
    while Instant::now() < listen_until {
        match lines.recv_timeout(PERIOD) {
            Ok(line) if heard_bytes < MAX_HEARD => {
                heard_bytes += line.len() + size_of::<String>();
                heard.push(line);
            }
            Ok(_) | Err(RecvTimeoutError::Timeout) => {}
            // Nothing more will be heard; the child may live on.
            Err(RecvTimeoutError::Disconnected) if status.is_some() => break,
            Err(RecvTimeoutError::Disconnected) => std::thread::sleep(PERIOD),
        }
        if status.is_none() {
            status = group.child.try_wait()?;
            if status.is_some() {
                listen_until = until.min(Instant::now() + LAST_WORDS);
            }
        }
    }
    let ended = match status {
        None => Ended::TimedOut(time_limit),
        Some(status) if status.success() => Ended::Normally,
        Some(status) => Ended::Crashed(status.to_string()),
    };
    Ok((heard, ended))
}

/// The child and everything that it started; killed when dropped.
struct Group {
    child: Child,
    /// The child ends when it is closed, as it is when this process is killed.
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

    /// The group has the child's number. The standard library kills single processes only, and the shell is where
    /// POSIX has the rest.
    #[cfg(unix)]
    fn kill_all(&self) {
        let killed = Command::new("/bin/sh")
            .args(["-c", "kill -s KILL -- -$0", &self.child.id().to_string()])
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status();
        if let Err(error) = killed {
            tracing::debug!("what a driver started cannot be killed: {error}");
        }
    }

    #[cfg(not(unix))]
    fn kill_all(&self) {}
}

impl Drop for Group {
    fn drop(&mut self) {
        self.kill_all();
        self.child.kill().ok();
        let until = Instant::now() + REAPED;
        while matches!(self.child.try_wait(), Ok(None)) && Instant::now() < until {
            std::thread::sleep(PERIOD);
        }
    }
}

/// Reads lines on a thread that nobody waits for: it ends when the last writer is gone.
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
            let words = String::from_utf8_lossy(&line).trim_end().to_owned();
            if lines_in.send(words).is_err() {
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
    /// A child that was not waited for in vain: far more than the limit, far less than the children here sleep.
    const MUCH: Duration = Duration::from_secs(20);

    fn shell(script: &str) -> (Vec<String>, Ended, Duration) {
        let started = Instant::now();
        let (lines, ended) = run(Command::new("sh").args(["-c", script]), LIMIT).unwrap();
        (lines, ended, started.elapsed())
    }

    /// A killed process takes a moment to go, and one that nobody reaps here is as good as gone.
    fn is_gone(pid: &str) -> bool {
        let until = Instant::now() + MUCH / 4;
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
        assert!(took < MUCH);
    }

    #[test]
    fn a_helper_that_keeps_the_pipe_open_is_not_waited_for_and_killed() {
        let (lines, ended, took) = shell("sleep 100 & echo $!; exit 0");
        assert_eq!(ended, Ended::Normally);
        assert!(took < MUCH, "{took:?}");
        assert!(is_gone(&lines[0]), "the helper {} lives on", lines[0]);
    }

    #[test]
    fn a_helper_of_a_child_that_hangs_is_killed_with_it() {
        let (lines, ended, took) = shell("sleep 100 & echo $!; exec sleep 100");
        assert_eq!(ended, Ended::TimedOut(LIMIT));
        assert!(took < MUCH && is_gone(&lines[0]));
    }

    #[test]
    fn a_child_that_closes_its_output_and_hangs_is_killed() {
        let (lines, ended, took) = shell("echo said; exec >&-; exec sleep 100");
        assert_eq!(lines, ["said"]);
        assert_eq!(ended, Ended::TimedOut(LIMIT));
        assert!(took < MUCH);
    }

    #[test]
    fn a_child_that_prints_without_end_is_killed_and_costs_no_memory() {
        let (lines, ended, took) = shell("exec yes");
        assert_eq!(ended, Ended::TimedOut(LIMIT));
        assert!(lines.len() * size_of::<String>() <= MAX_HEARD);
        let (lines, _, took_too) = shell("exec tr '\\0' x < /dev/zero");
        let heard: usize = lines.iter().map(String::len).sum();
        assert!(heard <= MAX_HEARD + LINE_BYTES as usize, "{heard}");
        assert!(took < MUCH && took_too < MUCH);
    }

    #[test]
    fn what_was_said_before_a_crash_is_heard() {
        let (lines, ended, _) = shell("echo one; echo two; kill -SEGV $$");
        assert_eq!(lines, ["one", "two"]);
        assert!(
            matches!(&ended, Ended::Crashed(words) if words.contains("11")),
            "{ended:?}"
        );
    }
}
