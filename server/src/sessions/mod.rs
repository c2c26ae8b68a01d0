//! The state of every robot: its instruction, its stop, its subscribers.
//!
//! - [`rules`]: the rules of one robot as a plain value; time is passed in
//! - [`execution`]: the chunk that a robot executes, as far as the studio can tell
//! - [`connection`]: a robot's connection, and the token with which the next one takes its place
//! - [`latched_stop`]: the stop that holds a robot, and the releases that lift it
//! - [`places`]: the choice of the peer to disconnect when all places are taken; [`viewers`]: the viewers of the studio
//! - [`freshness`]: the extra delay of an observation
//! - [`units`]: a robot's hello compared with the statistics of its norm tag
//! - [`session`]: the rules connected to the robot, the policy and the subscribers
//! - [`subscribers`]: the viewers of one robot
//! - [`depth`]: a depth map as a message for viewers
//! - [`listing`]: the list of robots, one copy of each version
//! - [`registry`]: all robots and all viewers

pub(crate) mod connection;
mod depth;
mod execution;
mod freshness;
mod latched_stop;
mod listing;
mod places;
pub(crate) mod registry;
pub(crate) mod rules;
pub(crate) mod session;
mod subscribers;
mod units;
pub(crate) mod viewers;

pub(crate) use registry::Registry;
pub(crate) use session::Session;
