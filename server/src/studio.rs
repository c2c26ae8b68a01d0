//! Studio: all parts behind one listening socket, from the start to the graceful stop.

use crate::{
    data::{DataError, DataFolder, events::Events, latches::Latches},
    health::{Health, Part, Rule, Watchdog},
    http::{self, state::Studio},
    inference::thread::Inference,
    limits::Limits,
    listener,
    metrics::Metrics,
    recordings::Recordings,
    scene_questions::SceneQuestions,
    scorer_service::{Scoring, queue::ScoringQueue},
    sessions::Registry,
    socket::UngreetedLimit,
};
use policies::{Policy, question_answerer::Answering};
use std::{future::Future, sync::Arc, thread::JoinHandle, time::Duration};
use tokio::{net::TcpListener, time::MissedTickBehavior};
use tokio_util::{
    sync::CancellationToken,
    task::{AbortOnDropHandle, TaskTracker},
};

/// Time for connections to close, from the request to stop.
const CLOSE_WITHIN: Duration = Duration::from_millis(1500);
/// Time for the listening socket to close, from the request to stop.
const SOCKET_CLOSED_WITHIN: Duration = Duration::from_secs(2);
/// Time for the threads of models to end, from the request to stop. Afterwards they are left behind: a point of a large
/// model takes minutes, and a model that hangs never ends.
const THREADS_END_WITHIN: Duration = Duration::from_secs(3);
/// Period of the runtime's reports to [`Health`].
const RUNTIME_BEAT: Duration = Duration::from_millis(250);

/// Contents of a studio.
pub struct Config {
    /// The hosted policy, or the reason why there is none, which is shown to people who give instructions.
    pub policy: Result<Box<dyn Policy>, String>,
    /// The model that answers questions about the scene, or the reason why there is none, which is shown with each
    /// question.
    pub question_answerer: Answering,
    /// The hosted scorer of videos, or the reason why there is none, which is shown to people who want to score.
    pub scorer: Scoring,
    /// The data folder, in which latched stops survive a restart; with `None` nothing is stored.
    pub data: Option<DataFolder>,
    /// Recorded episodes, for pages that score them.
    pub recordings: Recordings,
    /// Limits on connections, sizes and times.
    pub limits: Limits,
}

impl std::fmt::Debug for Config {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let policy = self.policy.as_ref().map(|policy| policy.info());
        f.debug_struct("Config")
            .field("policy", &policy)
            .field("question_answerer", &self.question_answerer)
            .field("scorer", &self.scorer)
            .field("episodes", &self.recordings.list().episodes.len())
            .field("limits", &self.limits)
            .finish()
    }
}

/// Failure to start or to serve.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// A thread of the policy, of the question answerer or of the scorer could not be started; the system's error.
    #[error("cannot start a thread for a model: {0}")]
    Thread(std::io::Error),
    /// The data folder cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The listening socket failed; the system's error.
    #[error("the listening socket failed: {0}")]
    Socket(std::io::Error),
}

/// Serves robots, viewers, the scorer and the page on `listener` until `shutdown` resolves, and then stops gracefully: new
/// connections are refused, every robot and viewer receives a close frame (a robot without its studio holds), and the
/// threads of models end after their current computation. This takes at most three seconds. Threads that need longer are
/// left behind, so the caller should end the process, or at least not wait for them.
///
/// # Errors
/// [`ServeError`] if a thread cannot be started, the data folder cannot be used, or the socket fails.
pub async fn serve(
    listener: TcpListener,
    config: Config,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<(), ServeError> {
    let Config {
        policy,
        question_answerer,
        scorer,
        recordings,
        data,
        limits,
    } = config;
    let health = Health::new();
    let latches = Arc::new(Latches::open(data.as_ref(), &health)?);
    let events = Events::open(data.as_ref(), &health).map_err(DataError::Thread)?;
    // The writers hold the folder from now on, until they have finished.
    drop(data);
    let metrics = Arc::new(Metrics::new());
    let mut threads = Threads::default();
    let (inference, thread) = Inference::start(policy, metrics.clone(), limits.max_batch, &health)
        .map_err(ServeError::Thread)?;
    threads.add("the policy", thread);
    let (asking, thread) =
        SceneQuestions::start(question_answerer, &health).map_err(ServeError::Thread)?;
    threads.add("the model that answers questions", thread);
    let (scoring, thread) =
        ScoringQueue::open(scorer, limits.max_scorings, &health).map_err(ServeError::Thread)?;
    threads.add("the scorer", thread);
    let _watchdog = Watchdog::start(health.clone()).map_err(ServeError::Thread)?;
    let stop = CancellationToken::new();
    let connections = TaskTracker::new();
    let studio = Studio {
        registry: Arc::new(Registry::new(
            inference.clone(),
            asking.clone(),
            metrics,
            latches,
            events,
            health.clone(),
            limits,
        )),
        scoring: scoring.clone(),
        recordings: Arc::new(recordings),
        waiting: UngreetedLimit::new(limits.max_ungreeted),
        stop: stop.clone(),
        connections: connections.clone(),
        files_log: Arc::default(),
    };
    let _beating = AbortOnDropHandle::new(tokio::spawn(beat(
        health.part("the runtime that serves connections", Rule::Fixed),
    )));

    tokio::spawn({
        let (registry, stop) = (studio.registry.clone(), stop.clone());
        async move {
            stop.run_until_cancelled(registry.publish_changes()).await;
        }
    });
    tokio::spawn({
        let (logs, stop) = (studio.registry.logs.clone(), stop.clone());
        async move {
            stop.run_until_cancelled(logs.keep_counting()).await;
        }
    });
    let router = http::router(studio);
    let mut server = tokio::spawn({
        let stop = stop.clone();
        async move { listener::serve(listener, router, limits.max_connections, stop).await }
    });
    let served = tokio::select! {
        () = shutdown => None,
        ended = &mut server => Some(ended),
    };
    let stopped_at = tokio::time::Instant::now();
    health.close();
    stop.cancel();
    scoring.close();
    connections.close();
    // The threads end after the current chunk, token or point.
    inference.stop();
    asking.stop();
    if tokio::time::timeout_at(stopped_at + CLOSE_WITHIN, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!("some connections did not end in time and are cut");
    }
    let result = match served {
        Some(ended) => flatten(ended),
        None => match tokio::time::timeout_at(stopped_at + SOCKET_CLOSED_WITHIN, &mut server).await
        {
            Ok(ended) => flatten(ended),
            Err(_) => {
                server.abort();
                Ok(())
            }
        },
    };
    threads.end_by(stopped_at + THREADS_END_WITHIN).await;
    result
}

/// Reports regularly that the runtime works.
async fn beat(part: Arc<Part>) {
    let work = part.work("held up");
    let mut ticks = tokio::time::interval(RUNTIME_BEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        work.beat();
    }
}

/// Threads of models, with their names in the log.
#[derive(Debug, Default)]
struct Threads(Vec<(&'static str, JoinHandle<()>)>);

impl Threads {
    fn add(&mut self, name: &'static str, threads: impl IntoIterator<Item = JoinHandle<()>>) {
        self.0
            .extend(threads.into_iter().map(|thread| (name, thread)));
    }

    /// Joins the threads that end before `deadline`, and leaves the others behind.
    async fn end_by(self, deadline: tokio::time::Instant) {
        for (name, thread) in self.0 {
            while !thread.is_finished() && tokio::time::Instant::now() < deadline {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            if !thread.is_finished() {
                tracing::warn!("{name} is in the middle of something and is left behind");
            } else if thread.join().is_err() {
                tracing::error!("the thread of {name} crashed");
            }
        }
    }
}

fn flatten(
    ended: Result<Result<(), std::io::Error>, tokio::task::JoinError>,
) -> Result<(), ServeError> {
    match ended {
        Ok(result) => result.map_err(ServeError::Socket),
        Err(join) => Err(ServeError::Socket(std::io::Error::other(join))),
    }
}
