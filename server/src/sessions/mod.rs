//! The live state of every robot: what it was told, whether it is stopped, who watches.
//!
//! - [`rules`]: the rules of one robot as a plain value; time is handed in
//! - [`execution`]: what it is executing, as far as the studio knows
//! - [`connection`]: a robot's connection, and the token with which the next one takes its place
//! - [`latched_stop`]: the stop that holds a robot, and the releases that lift it
//! - [`places`]: who gives way when all places are taken; [`viewers`]: the viewers of the studio
//! - [`presses`]: stop presses that were carried out lately
//! - [`freshness`]: how much longer than usual an observation was on its way
//! - [`units`]: what a robot announces, held against the statistics of its norm tag
//! - [`session`]: those rules connected to the wire, the policy and the viewers
//! - [`subscribers`]: the viewers of one robot
//! - [`depth`]: a depth map as viewers are told
//! - [`listing`]: the list of robots, one copy of each version
//! - [`registry`]: all robots and all viewers

pub(crate) mod connection;
mod depth;
mod execution;
mod freshness;
mod latched_stop;
mod listing;
mod places;
mod presses;
pub(crate) mod registry;
pub(crate) mod rules;
pub(crate) mod session;
mod subscribers;
mod units;
pub(crate) mod viewers;

pub(crate) use registry::Registry;
pub(crate) use session::Session;
