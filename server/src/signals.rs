//! The signals that end a program: the first asks it to stop, the second ends it at once, and so does the time that it
//! takes too long.
//!
//! They are heard on a thread of their own with a runtime of its own: whatever hangs elsewhere, the program ends.

use std::{io, time::Duration};
use tokio_util::sync::CancellationToken;

/// A program that was asked to stop has ended by then.
const PATIENCE: Duration = Duration::from_millis(4500);

/// A signal that means the end, and the status that a shell gives a program which died of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Signal {
    name: &'static str,
    status: i32,
}

const INTERRUPT: Signal = Signal {
    name: "Ctrl-C",
    status: 130,
};
#[cfg(unix)]
const TERMINATE: Signal = Signal {
    name: "SIGTERM",
    status: 143,
};

/// From now on the first Ctrl-C or SIGTERM cancels the token that is returned; a second one ends the process, and so do
/// four and a half seconds after the first. `before_exit` runs before the process is ended so, and takes a limited time:
/// it gives the log a moment.
///
/// # Errors
/// When the system gives no thread or no signals.
pub fn listen(before_exit: impl FnOnce() + Send + 'static) -> io::Result<CancellationToken> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let asked = CancellationToken::new();
    // Signals are heard from here on, not only once the thread runs.
    let heard = {
        let _inside = runtime.enter();
        Heard::new()?
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn({
            let asked = asked.clone();
            move || run(&runtime, heard, &asked, before_exit)
        })?;
    Ok(asked)
}

fn run(
    runtime: &tokio::runtime::Runtime,
    heard: Heard,
    asked: &CancellationToken,
    before_exit: impl FnOnce(),
) {
    let signal = runtime.block_on(obey(heard, asked));
    before_exit();
    end(signal)
}

/// Ends with the signal of which the process dies.
async fn obey(mut heard: Heard, asked: &CancellationToken) -> Signal {
    let first = heard.next().await;
    tracing::debug!("{} asks to stop", first.name);
    asked.cancel();
    let last = tokio::time::timeout(PATIENCE, heard.next()).await;
    if last.is_err() {
        tracing::error!(
            "stopping took more than {:.1} s; something hangs and is left behind",
            PATIENCE.as_secs_f64()
        );
    }
    last.unwrap_or(first)
}

#[expect(
    clippy::exit,
    reason = "whoever asks twice wants it at once, and what hangs cannot be asked"
)]
fn end(signal: Signal) -> ! {
    std::process::exit(signal.status)
}

#[cfg(unix)]
struct Heard {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Heard {
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) -> Signal {
        tokio::select! {
            Some(()) = self.interrupt.recv() => INTERRUPT,
            Some(()) = self.terminate.recv() => TERMINATE,
            else => std::future::pending().await,
        }
    }
}

#[cfg(not(unix))]
struct Heard;

#[cfg(not(unix))]
impl Heard {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!("Ctrl-C cannot be heard: {error}");
            std::future::pending::<()>().await;
        }
        INTERRUPT
    }
}
