//! Requests that share their passes through the network.

pub(crate) mod answer;
pub(crate) mod prefix;
pub(crate) mod run;
