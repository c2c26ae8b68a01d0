//! The studio: everything behind one listening socket, from start to graceful stop.

use crate::{
    listener,
    metrics::Metrics,
    policies::{Actor, inference::Inference, speaker::Answering},
    recordings::Recordings,
    scene::Asking,
    scorer::{Scoring, desk::Desk},
    sessions::{Registry, registry::Limits},
    socket::WaitingRoom,
    web::{self, routes::Studio},
};
use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::net::TcpListener;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

/// Connections get this long to say goodbye.
const GOODBYE: Duration = Duration::from_secs(3);

/// What a studio is started with.
pub struct Config {
    /// The hosted policy, or why there is none, in words for the person who gives a command.
    pub policy: Result<Box<dyn Actor>, String>,
    /// Who answers questions about the scene, or why nobody does, in words for the person who asks.
    pub speaker: Answering,
    /// The hosted scorer of videos, or why there is none, in words for the person who wants to score.
    pub scorer: Scoring,
    /// Recorded episodes, for pages that score them.
    pub recordings: Recordings,
    /// What is accepted, and how long is waited.
    pub limits: Limits,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let policy = self.policy.as_ref().map(|actor| actor.info());
        f.debug_struct("Config")
            .field("policy", &policy)
            .field("speaker", &self.speaker)
            .field("scorer", &self.scorer)
            .field("episodes", &self.recordings.list().episodes.len())
            .field("limits", &self.limits)
            .finish()
    }
}

/// The studio could not start or broke.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// No thread for the policy, for whoever answers questions, or for the scorer.
    #[error("cannot start a thread for a model: {0}")]
    Thread(std::io::Error),
    /// The listening socket broke.
    #[error("the listening socket failed: {0}")]
    Socket(std::io::Error),
}

/// Serves robots, viewers, the scorer and the page on `listener` until `shutdown` resolves, then stops gracefully: no
/// new connections, every robot and viewer gets a close frame (a robot that loses its studio holds), and the
/// inference thread is joined.
///
/// # Errors
/// [`ServeError`] when the inference thread or the socket cannot be had.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let Config {
        policy,
        speaker,
        scorer,
        recordings,
        limits,
    } = config;
    let metrics = Arc::new(Metrics::new());
    let (inference, thread) =
        Inference::start(policy, metrics.clone(), limits.max_batch).map_err(ServeError::Thread)?;
    let (asking, answering) = Asking::start(speaker).map_err(ServeError::Thread)?;
    let (desk, scoring) = Desk::open(scorer, limits.max_scorings).map_err(ServeError::Thread)?;
    let stop = CancellationToken::new();
    let connections = TaskTracker::new();
    let studio = Studio {
        registry: Arc::new(Registry::new(
            inference.clone(),
            asking.clone(),
            metrics,
            limits,
        )),
        desk: desk.clone(),
        recordings: Arc::new(recordings),
        waiting: WaitingRoom::new(limits.max_ungreeted),
        stop: stop.clone(),
        connections: connections.clone(),
    };

    tokio::spawn({
        let (registry, stop) = (studio.registry.clone(), stop.clone());
        async move {
            stop.run_until_cancelled(registry.keep_viewers_told()).await;
        }
    });
    let router = web::router(studio);
    let mut server = tokio::spawn({
        let stop = stop.clone();
        async move { listener::serve(listener, router, limits.max_connections, stop).await }
    });
    let served = tokio::select! {
        () = shutdown => None,
        ended = &mut server => Some(ended),
    };
    stop.cancel();
    desk.close();
    connections.close();
    if tokio::time::timeout(GOODBYE, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!("some connections did not end in time and are cut");
    }
    let result = match served {
        Some(ended) => flatten(ended),
        None => match tokio::time::timeout(GOODBYE, &mut server).await {
            Ok(ended) => flatten(ended),
            Err(_) => {
                server.abort();
                Ok(())
            }
        },
    };
    inference.stop();
    asking.stop();
    // They end after the chunk, and the token, that they are computing.
    for thread in [thread, answering].into_iter().flatten() {
        let joined = tokio::task::spawn_blocking(move || thread.join()).await;
        if !matches!(joined, Ok(Ok(()))) {
            tracing::error!("the thread of a model crashed");
        }
    }
    // A point of a large model may take minutes, and whoever waited for it is gone.
    if let Some(thread) = scoring {
        let patience = Instant::now() + GOODBYE;
        while !thread.is_finished() && Instant::now() < patience {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        if !thread.is_finished() {
            tracing::warn!("the scorer is in the middle of a video and is left behind");
        } else if thread.join().is_err() {
            tracing::error!("the thread of a model crashed");
        }
    }
    result
}

fn flatten(
    ended: Result<Result<(), std::io::Error>, tokio::task::JoinError>,
) -> Result<(), ServeError> {
    match ended {
        Ok(result) => result.map_err(ServeError::Socket),
        Err(join) => Err(ServeError::Socket(std::io::Error::other(join))),
    }
}
