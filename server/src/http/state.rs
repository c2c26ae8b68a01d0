//! State that every handler shares.

use crate::{
    peer_log::PeerLog, recordings::Recordings, scorer_service::queue::ScoringQueue,
    sessions::Registry, socket::UngreetedLimit,
};
use std::sync::Arc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// State that every handler shares.
#[derive(Debug, Clone)]
pub(crate) struct Studio {
    pub(crate) registry: Arc<Registry>,
    pub(crate) scoring: Arc<ScoringQueue>,
    pub(crate) recordings: Arc<Recordings>,
    /// WebSockets that have not sent a hello yet.
    pub(crate) waiting: Arc<UngreetedLimit>,
    /// Cancelled when the studio stops.
    pub(crate) stop: CancellationToken,
    /// Connections that outlive their HTTP request.
    pub(crate) connections: TaskTracker,
    /// Rate-limited log of files that cannot be served.
    pub(crate) files_log: Arc<PeerLog>,
}
