//! Limits of a studio: connections, sizes, ages and waits.

use policies::chunking::Chunking;
use std::time::Duration;

/// Limits and timeouts of a studio.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Most robots connected at once.
    pub max_robots: usize,
    /// Most viewers connected at once.
    pub max_viewers: usize,
    /// Largest age of an observation for whose chunk to be sent.
    pub max_chunk_age: Duration,
    /// Longest wait for the first message of a connection.
    pub hello_within: Duration,
    /// Interval between pings.
    pub ping_every: Duration,
    /// Longest time without traffic before a connection is dropped.
    pub silence: Duration,
    /// Longest time of a write to a robot before its connection ends: a stop could not be written either.
    pub robot_write_within: Duration,
    /// Largest age of a robot's newest answered ping before its connection ends, because the robot does not read.
    pub deaf_after: Duration,
    /// Longest silence of a viewer before it counts as gone and its instructions end. If it echoes heartbeats, only its
    /// echoes break the silence.
    pub operator_gone_after: Duration,
    /// Largest age of the heartbeat that a message names if the message can set a robot in motion. A page that receives
    /// nothing for a second sends no such messages, and heartbeats come every half second; the rest is for transport in both
    /// directions.
    pub command_within: Duration,
    /// `true` if robots continue when the viewer that instructed them is gone. Simulated robots always do.
    pub unattended: bool,
    /// Most bytes of images, states and traces that may wait for one viewer.
    pub max_lossy_bytes: usize,
    /// Transition from the running chunk of a robot to the next.
    pub chunking: Chunking,
    /// Most robots whose observations the policy receives in one batch.
    pub max_batch: usize,
    /// Most videos that are being scored on the studio or wait for it.
    pub max_scorings: usize,
    /// Most open connections of any kind.
    pub max_connections: usize,
    /// Most WebSockets that have not sent a hello. Beyond this, one of the address that has the most is closed.
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
