//! Requests that share their passes through the network.

pub(crate) mod answer;
pub(crate) mod prefill;
pub(crate) mod run;
