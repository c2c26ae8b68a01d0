//! The built-in robot: the simulator behind the same WebSocket as any other robot.
//!
//! - [`player`]: which target to command now, a plain value
//! - [`body`]: the 30 Hz control loop on a thread of its own
//! - [`eyes`]: pictures, on another thread, so that drawing never delays the control loop
//! - [`link`]: the connection, with reconnects

mod body;
mod eyes;
mod link;
pub mod player;

use crate::queues::mailbox::Mailbox;
use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

pub use link::{BadUrl, robot_url};

/// Norm tag of this embodiment in a checkpoint's `norm_stats.json`.
pub const TAG: &str = "policy_studio_sim";

/// Frames that may wait for the network: pictures are dropped when they do not fit.
const PICTURES_WAITING: usize = 2;
/// Its threads are over so soon after it was stopped, or are left behind.
const ENDS_WITHIN: Duration = Duration::from_millis(400);
/// Reports and errors that may wait; a report that does not fit is tried again in the next tick.
const REPORTS_WAITING: usize = 8;

/// What kind of robot to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimConfig {
    /// `http://`, `https://`, `ws://` or `wss://` address of the studio.
    pub studio_url: String,
    /// Name for people.
    pub name: String,
    /// Seed of the first scene.
    pub seed: u64,
    /// Control ticks between two observations: 3 gives ten observations a second.
    pub ticks_per_observation: u64,
}

impl SimConfig {
    /// Ten observations a second of scene `seed`.
    pub fn new(studio_url: impl Into<String>, name: impl Into<String>, seed: u64) -> Self {
        Self {
            studio_url: studio_url.into(),
            name: name.into(),
            seed,
            ticks_per_observation: 3,
        }
    }
}

/// The robot could not start.
#[derive(Debug, thiserror::Error)]
pub enum SimError {
    /// The address cannot be dialled.
    #[error(transparent)]
    Url(#[from] BadUrl),
    /// No thread.
    #[error("cannot start a thread for the simulated robot: {0}")]
    Thread(#[from] std::io::Error),
}

/// What the threads and the connection share.
#[derive(Debug)]
struct Shared {
    /// Orders from the studio.
    inbox: Mailbox,
    /// 0 while there is no connection, else a number that grows with each.
    connection: AtomicU64,
    ended: AtomicBool,
    /// Takes the robot's place back at the studio, whose old connection may still count as open.
    resume_token: Mutex<Option<String>>,
    started_at: Instant,
}

impl Shared {
    /// The robot's own monotonic clock.
    fn now_micros(&self) -> u64 {
        self.started_at
            .elapsed()
            .as_micros()
            .try_into()
            .unwrap_or(u64::MAX)
    }

    fn resume_token(&self) -> Option<String> {
        self.resume_token
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn has_ended(&self) -> bool {
        self.ended.load(Ordering::Acquire)
    }
}

/// Frames on their way out.
#[derive(Debug)]
struct Outgoing {
    pictures: mpsc::Receiver<Vec<u8>>,
    reports: mpsc::Receiver<Vec<u8>>,
}

/// Runs a simulated robot until `stop` is cancelled; reconnects whenever the studio is gone.
///
/// # Errors
/// [`SimError`] when the address is not one or a thread cannot be had. A studio that cannot be reached is not
/// an error: it is dialled again.
pub async fn run(config: SimConfig, stop: CancellationToken) -> Result<(), SimError> {
    let url = robot_url(&config.studio_url)?;
    let shared = Arc::new(Shared {
        inbox: Mailbox::default(),
        connection: AtomicU64::new(0),
        ended: AtomicBool::new(false),
        resume_token: Mutex::default(),
        started_at: Instant::now(),
    });
    let (pictures_in, pictures) = mpsc::channel(PICTURES_WAITING);
    let (reports_in, reports) = mpsc::channel(REPORTS_WAITING);
    let (eyes, snapshots) = eyes::spawn(pictures_in)?;
    let body = body::spawn(&config, shared.clone(), snapshots, reports_in)?;

    let mut outgoing = Outgoing { pictures, reports };
    link::run(&url, &config, &shared, &mut outgoing, &stop).await;
    shared.ended.store(true, Ordering::Release);
    let until = tokio::time::Instant::now() + ENDS_WITHIN;
    for thread in [body, eyes] {
        while !thread.is_finished() && tokio::time::Instant::now() < until {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if !thread.is_finished() {
            tracing::warn!(
                "a thread of the simulated robot {:?} hangs and is left behind",
                config.name
            );
        } else if thread.join().is_err() {
            tracing::error!("a thread of the simulated robot {:?} crashed", config.name);
        }
    }
    Ok(())
}
