//! The built-in robot: the simulator behind the same WebSocket as any other robot.
//!
//! - [`player`]: the target of each tick from action chunks, as a plain value
//! - `control_loop`: the 30 Hz control loop on a separate thread
//! - `cameras`: camera views on another thread, so that rendering never delays the control loop
//! - `hello`: the robot's description of itself
//! - `link`: the connection, with reconnects

mod cameras;
mod control_loop;
mod hello;
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

/// Observations that may wait for the network; one that does not fit is dropped.
const OBSERVATIONS_WAITING: usize = 2;
/// Time limit for the robot's threads to end after a stop; a thread that takes longer is abandoned.
const ENDS_WITHIN: Duration = Duration::from_millis(400);
/// Reports and errors that may wait for the network; a report that does not fit is retried in the next tick.
const REPORTS_WAITING: usize = 8;

/// Settings of a simulated robot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SimConfig {
    /// `http://`, `https://`, `ws://` or `wss://` address of the studio.
    pub studio_url: String,
    /// Display name.
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
    /// A thread could not be started.
    #[error("cannot start a thread for the simulated robot: {0}")]
    Thread(#[from] std::io::Error),
}

/// State shared by the threads and the connection.
#[derive(Debug)]
struct Shared {
    /// Messages from the studio.
    inbox: Mailbox,
    /// 0 while disconnected, otherwise the number of the connection, counted from 1.
    connection: AtomicU64,
    ended: AtomicBool,
    /// Token that resumes the session at the studio, where the old connection may still count as open.
    resume_token: Mutex<Option<String>>,
    started_at: Instant,
}

impl Shared {
    /// Time on the robot's monotonic clock, in microseconds.
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

/// Encoded messages that wait to be sent.
#[derive(Debug)]
struct Outgoing {
    observations: mpsc::Receiver<Vec<u8>>,
    reports: mpsc::Receiver<Vec<u8>>,
}

/// Runs a simulated robot until `stop` is cancelled; reconnects after every lost connection.
///
/// # Errors
/// [`SimError`] if the address is invalid or a thread cannot be started. A studio that cannot be reached is not an error:
/// the robot keeps trying.
pub async fn run(config: SimConfig, stop: CancellationToken) -> Result<(), SimError> {
    let url = robot_url(&config.studio_url)?;
    let shared = Arc::new(Shared {
        inbox: Mailbox::default(),
        connection: AtomicU64::new(0),
        ended: AtomicBool::new(false),
        resume_token: Mutex::default(),
        started_at: Instant::now(),
    });
    let (observations_in, observations) = mpsc::channel(OBSERVATIONS_WAITING);
    let (reports_in, reports) = mpsc::channel(REPORTS_WAITING);
    let (cameras, snapshots) = cameras::spawn(observations_in)?;
    let control = control_loop::spawn(&config, shared.clone(), snapshots, reports_in)?;

    let mut outgoing = Outgoing {
        observations,
        reports,
    };
    link::run(&url, &config, &shared, &mut outgoing, &stop).await;
    shared.ended.store(true, Ordering::Release);
    let deadline = tokio::time::Instant::now() + ENDS_WITHIN;
    for thread in [control, cameras] {
        while !thread.is_finished() && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if !thread.is_finished() {
            tracing::warn!(
                "a thread of the simulated robot {:?} does not end and is abandoned",
                config.name
            );
        } else if thread.join().is_err() {
            tracing::error!("a thread of the simulated robot {:?} crashed", config.name);
        }
    }
    Ok(())
}
