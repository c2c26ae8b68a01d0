//! The studio: everything behind one listening socket, from start to graceful stop.

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

/// Connections get this long to say goodbye, from the moment the studio stops.
const GOODBYE: Duration = Duration::from_millis(1500);
/// The socket is let go by then.
const SOCKET: Duration = Duration::from_secs(2);
/// The threads of models are waited for until then: after that they are left behind, because a point of a large model
/// takes minutes, and one that hangs never ends.
const THREADS: Duration = Duration::from_secs(3);
/// The runtime says this often that it runs.
const RUNTIME_BEAT: Duration = Duration::from_millis(250);

/// What a studio is started with.
pub struct Config {
    /// The hosted policy, or why there is none, in words for the person who gives a command.
    pub policy: Result<Box<dyn Policy>, String>,
    /// Who answers questions about the scene, or why nobody does, in words for the person who asks.
    pub question_answerer: Answering,
    /// The hosted scorer of videos, or why there is none, in words for the person who wants to score.
    pub scorer: Scoring,
    /// The data folder, in which latched stops survive a restart; `None` keeps nothing.
    pub data: Option<DataFolder>,
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
            .field("question_answerer", &self.question_answerer)
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
    /// The data folder cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The listening socket broke.
    #[error("the listening socket failed: {0}")]
    Socket(std::io::Error),
}

/// Serves robots, viewers, the scorer and the page on `listener` until `shutdown` resolves, then stops gracefully: no
/// new connections, every robot and viewer gets a close frame (a robot that loses its studio holds), and the threads of
/// models end after what they are computing. All of that takes at most three seconds: threads that need longer are left
/// behind, so whoever calls this should end the process, or at least not wait for them.
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
        question_answerer,
        scorer,
        recordings,
        data,
        limits,
    } = config;
    let health = Health::new();
    let latches = Arc::new(Latches::open(data.as_ref(), &health)?);
    let events = Events::open(data.as_ref(), &health).map_err(DataError::Thread)?;
    // Those who write in it have it now, until they are done.
    drop(data);
    let metrics = Arc::new(Metrics::new());
    let mut threads = Threads::default();
    let (inference, thread) = Inference::start(policy, metrics.clone(), limits.max_batch, &health)
        .map_err(ServeError::Thread)?;
    threads.add("the policy", thread);
    let (asking, thread) =
        SceneQuestions::start(question_answerer, &health).map_err(ServeError::Thread)?;
    threads.add("the model that answers questions", thread);
    let (desk, thread) =
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
        desk: desk.clone(),
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
            stop.run_until_cancelled(registry.keep_viewers_told()).await;
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
    let asked_at = tokio::time::Instant::now();
    health.close();
    stop.cancel();
    desk.close();
    connections.close();
    // They end after the chunk, the token and the point that they are computing.
    inference.stop();
    asking.stop();
    if tokio::time::timeout_at(asked_at + GOODBYE, connections.wait())
        .await
        .is_err()
    {
        tracing::warn!("some connections did not end in time and are cut");
    }
    let result = match served {
        Some(ended) => flatten(ended),
        None => match tokio::time::timeout_at(asked_at + SOCKET, &mut server).await {
            Ok(ended) => flatten(ended),
            Err(_) => {
                server.abort();
                Ok(())
            }
        },
    };
    threads.end_by(asked_at + THREADS).await;
    result
}

/// Says that the runtime runs.
async fn beat(part: Arc<Part>) {
    let work = part.work("held up");
    let mut ticks = tokio::time::interval(RUNTIME_BEAT);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        work.beat();
    }
}

/// Threads that compute.
#[derive(Debug, Default)]
struct Threads(Vec<(&'static str, JoinHandle<()>)>);

impl Threads {
    fn add(&mut self, name: &'static str, threads: impl IntoIterator<Item = JoinHandle<()>>) {
        self.0
            .extend(threads.into_iter().map(|thread| (name, thread)));
    }

    /// Joins those that have ended until then, and leaves the others behind.
    async fn end_by(self, until: tokio::time::Instant) {
        for (name, thread) in self.0 {
            while !thread.is_finished() && tokio::time::Instant::now() < until {
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
