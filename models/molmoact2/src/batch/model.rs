//! The parts of a loaded policy that compute.

use crate::checkpoint::config::Config;
use crate::heads::depth::head::DepthHead;
use crate::heads::flow::ModulationCache;
use crate::heads::token_head::{NoTokenHead, TokenHead};
use crate::network::Network;

/// Network and heads of a policy, with the configuration that they were loaded from.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) config: Config,
    pub(crate) network: Network,
    pub(crate) modulations: ModulationCache,
    /// The token head, or the reason for its absence.
    pub(crate) token_head: Result<TokenHead, NoTokenHead>,
    /// `None` for a checkpoint that does not reason about depth.
    pub(crate) depth_head: Option<DepthHead>,
}
