//! Signals that end a program: the first one requests a graceful stop, and a second one or a timeout ends the process.
//!
//! They are handled on a separate thread with a separate runtime, so that the program ends whatever hangs elsewhere.

use std::{io, time::Duration};
use tokio_util::sync::CancellationToken;

/// Time limit of a graceful stop.
const STOP_WITHIN: Duration = Duration::from_millis(4500);

/// A signal that ends the program, and the exit status that shells assign to it.
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

/// Handles signals from now on: the first Ctrl-C or SIGTERM cancels the returned token. A second one ends the process, and
/// so does a stop that takes longer than 4.5 seconds. `before_exit` runs before the process is ended in this way, for
/// example to flush the log, and must return within a limited time.
///
/// # Errors
/// If the system provides no thread or no signal handler.
pub fn listen(before_exit: impl FnOnce() + Send + 'static) -> io::Result<CancellationToken> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()?;
    let stop = CancellationToken::new();
    // The handlers are installed here, so that no signal is missed before the thread runs.
    let signals = {
        let _inside = runtime.enter();
        Signals::new()?
    };
    std::thread::Builder::new()
        .name("signals".to_owned())
        .spawn({
            let stop = stop.clone();
            move || run(&runtime, signals, &stop, before_exit)
        })?;
    Ok(stop)
}

fn run(
    runtime: &tokio::runtime::Runtime,
    signals: Signals,
    stop: &CancellationToken,
    before_exit: impl FnOnce(),
) {
    let signal = runtime.block_on(wait_for_exit(signals, stop));
    before_exit();
    end(signal)
}

/// Cancels `stop` at the first signal. Returns the signal that ends the process, when it must end.
async fn wait_for_exit(mut signals: Signals, stop: &CancellationToken) -> Signal {
    let first = signals.next().await;
    tracing::debug!("{} requests a stop", first.name);
    stop.cancel();
    let last = tokio::time::timeout(STOP_WITHIN, signals.next()).await;
    if last.is_err() {
        tracing::error!(
            "stopping took more than {:.1} s; something hangs and is left behind",
            STOP_WITHIN.as_secs_f64()
        );
    }
    last.unwrap_or(first)
}

#[expect(
    clippy::exit,
    reason = "a second signal means immediately, and a hanging part does not react to a token"
)]
fn end(signal: Signal) -> ! {
    std::process::exit(signal.status)
}

#[cfg(unix)]
struct Signals {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
}

#[cfg(unix)]
impl Signals {
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
struct Signals;

#[cfg(not(unix))]
impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self)
    }

    async fn next(&mut self) -> Signal {
        if let Err(error) = tokio::signal::ctrl_c().await {
            tracing::warn!("Ctrl-C cannot be handled: {error}");
            std::future::pending::<()>().await;
        }
        INTERRUPT
    }
}
