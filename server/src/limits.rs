//! Limits of a studio: connections, sizes, ages and waits.

use policies::chunking::Chunking;
use std::time::Duration;

/// What a studio accepts, how long it waits, and how it drives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Robots connected at once.
    pub max_robots: usize,
    /// Viewers connected at once.
    pub max_viewers: usize,
    /// A chunk whose observation arrived longer ago than this is not sent.
    pub max_chunk_age: Duration,
    /// The first message must come within this time.
    pub hello_within: Duration,
    /// A ping is sent this often.
    pub ping_every: Duration,
    /// A connection without any traffic for this long is dropped.
    pub silence: Duration,
    /// A write to a robot that takes longer than this ends its connection: what cannot be written is also the stop.
    pub robot_write_within: Duration,
    /// A robot whose newest answered ping was sent longer ago than this does not read, and its connection ends.
    pub deaf_after: Duration,
    /// A viewer that was not heard for this long is gone, and the instructions that it gave end. One that echoes heartbeats
    /// is heard by its echoes alone.
    pub operator_gone_after: Duration,
    /// What can set a robot in motion and names a heartbeat that was sent longer ago than this is refused. A page that hears
    /// nothing for a second sends nothing of the kind, and heartbeats come every half second: the rest is for the way there
    /// and back. A viewer that is not heard for as long counts as gone.
    pub command_within: Duration,
    /// Robots go on when the viewer that commanded them is gone. Simulated ones always do.
    pub unattended: bool,
    /// Bytes of pictures, states and traces that may wait for one viewer.
    pub max_lossy_bytes: usize,
    /// How the next chunk of a robot meets the running one.
    pub chunking: Chunking,
    /// Robots whose questions the policy is asked in one batch, at most.
    pub max_batch: usize,
    /// Videos that are being scored on the studio or wait for that, at most.
    pub max_scorings: usize,
    /// Connections of any kind that are open at once.
    pub max_connections: usize,
    /// WebSockets that have not said hello; beyond this one goes, of the address that has the most.
    pub max_ungreeted: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_robots: 64,
            max_viewers: 256,
            max_chunk_age: Duration::from_secs(1),
            hello_within: Duration::from_secs(5),
            ping_every: Duration::from_millis(500),
            silence: Duration::from_secs(15),
            robot_write_within: Duration::from_secs(2),
            deaf_after: Duration::from_secs(10),
            operator_gone_after: Duration::from_secs(2),
            command_within: Duration::from_secs(2),
            unattended: false,
            max_lossy_bytes: 4 << 20,
            chunking: Chunking::default(),
            max_batch: 8,
            max_scorings: 8,
            max_connections: 1024,
            max_ungreeted: 64,
        }
    }
}
