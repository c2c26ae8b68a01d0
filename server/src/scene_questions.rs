//! Questions about a robot's camera images, answered on a separate thread, one at a time and in order.
//!
//! A question keeps the observation it is about, so later observations do not change it. Questions never reach a robot. A
//! viewer that asks again, stops the answer or disconnects ends its answer after the current token.
//!
//! - `question`: one question and its answer
//! - `cancel_token`: cancellation by the viewer
//! - `images`, `marks`: the model's input images, and the marks in its answer
//! - `messages`: messages for the viewer

mod cancel_token;
mod images;
mod marks;
mod messages;
mod question;

use crate::{
    health::{Health, Rule},
    images::view_encoding::for_viewers,
    panics::caught,
    queues::{fifo::FifoQueue, outbox::Outbox},
};
use messages::{failed, send_answer, send_scene};
use policies::{policy::PolicyError, question_answerer::Answering};
use protocol::{
    robot::Observation,
    scene::{Answerer, Ask, SceneAsked},
};
use question::{Question, answer};
use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread::JoinHandle,
};
use tokio::sync::Semaphore;

pub(crate) use cancel_token::CancelToken;

/// Questions whose images are encoded for the viewer concurrently.
const MAX_PREPARING: usize = 4;
/// Memory limit for the images of all waiting questions, as sent by the robots, in KiB.
const MAX_HELD_KIB: usize = 64 << 10;
/// Minimum that a question counts against that limit, so that at most 64 wait, in KiB.
const MIN_HELD_KIB: u32 = 1 << 10;

/// The service that answers questions, shared by all viewers.
pub(crate) struct SceneQuestions {
    queue: Arc<FifoQueue<Question>>,
    answerer: Answering,
    closing: Arc<AtomicBool>,
    next_viewer: AtomicU64,
    /// Permits for encoding the images of a question.
    preparing: Semaphore,
    /// Permits for image memory, one per KiB.
    image_memory: Arc<Semaphore>,
}

impl std::fmt::Debug for SceneQuestions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SceneQuestions")
            .field("answerer", &self.answerer)
            .finish_non_exhaustive()
    }
}

impl SceneQuestions {
    /// Starts the thread, if there is an answerer.
    pub(crate) fn start(
        answerer: Answering,
        health: &Health,
    ) -> std::io::Result<(Arc<Self>, Option<JoinHandle<()>>)> {
        let questions = Arc::new(Self {
            queue: Arc::new(FifoQueue::new()),
            answerer,
            closing: Arc::default(),
            next_viewer: AtomicU64::default(),
            preparing: Semaphore::new(MAX_PREPARING),
            image_memory: Arc::new(Semaphore::new(MAX_HELD_KIB)),
        });
        let Ok(answerer) = questions.answerer.clone() else {
            return Ok((questions, None));
        };
        let (queue, closing) = (questions.queue.clone(), questions.closing.clone());
        let part = health.part("the model that answers questions", Rule::Learned);
        let thread = std::thread::Builder::new().name("scene".to_owned());
        let thread = thread.spawn(move || {
            let _alive = part.thread();
            while let Some(question) = queue.next() {
                let work = part.work("answering a question");
                // A panic ends the answer, not the thread.
                let answered = caught(|| answer(answerer.as_ref(), &question, &closing, &work));
                if let Err(message) = answered {
                    tracing::error!("answering a question crashed: {message}");
                }
            }
        })?;
        Ok((questions, Some(thread)))
    }

    /// Description of the answerer for viewers.
    pub(crate) fn describe(&self) -> Answerer {
        match &self.answerer {
            Ok(answerer) => Answerer {
                model: Some(answerer.name().to_owned()),
                unavailable: None,
            },
            Err(reason) => Answerer {
                model: None,
                unavailable: Some(reason.clone()),
            },
        }
    }

    /// A new key for a viewer in the queue.
    pub(crate) fn new_viewer(&self) -> u64 {
        self.next_viewer.fetch_add(1, Ordering::Relaxed)
    }

    /// Encodes the images of a question for its viewer, then queues the question. The images, the answer and any error are
    /// sent to `outbox`.
    pub(crate) async fn ask(
        self: Arc<Self>,
        viewer: u64,
        ask: Ask,
        observation: Option<Arc<Observation>>,
        outbox: &Arc<Outbox>,
        cancel: &CancelToken,
    ) {
        let Ok(_preparing) = self.preparing.acquire().await else {
            return;
        };
        if cancel.is_abandoned() {
            return;
        }
        let (question_id, robot_id) = (ask.question_id, ask.robot_id.clone());
        let outcome = tokio::task::spawn_blocking({
            let (questions, outbox, cancel) = (self.clone(), outbox.clone(), cancel.clone());
            move || questions.prepare(ask, observation, outbox, cancel)
        })
        .await
        .unwrap_or_else(|_| {
            Err(PolicyError::new(
                "the studio crashed while preparing these images",
            ))
        });
        match outcome {
            _ if cancel.is_abandoned() => {}
            Ok((scene, question)) => {
                send_scene(outbox, &scene);
                // A newer question of this viewer replaces the one that still waits.
                if let Some(replaced) = self.queue.join(viewer, question) {
                    replaced.send_stopped();
                }
            }
            Err(error) => {
                tracing::debug!("a question about {robot_id} is refused: {error}");
                send_answer(outbox, &failed(question_id, &error));
            }
        }
    }

    /// Checks a question and encodes its images.
    fn prepare(
        &self,
        ask: Ask,
        observation: Option<Arc<Observation>>,
        outbox: Arc<Outbox>,
        cancel: CancelToken,
    ) -> Result<(SceneAsked, Question), PolicyError> {
        if let Err(reason) = &self.answerer {
            return Err(PolicyError::new(reason.clone()));
        }
        let observation = observation
            .ok_or_else(|| PolicyError::new(format!("{} has sent no image yet", ask.robot_id)))?;
        let selected = images::selected(&ask.cameras, &observation)?;
        let bytes: usize = observation.views.iter().map(|view| view.data.len()).sum();
        let kib = u32::try_from(bytes >> 10)
            .unwrap_or(u32::MAX)
            .max(MIN_HELD_KIB);
        let memory = self
            .image_memory
            .clone()
            .try_acquire_many_owned(kib)
            .map_err(|_| {
                PolicyError::new(
                    "the images of waiting questions use all memory for them; ask again later",
                )
            })?;
        let views = selected
            .into_iter()
            .map(|view| for_viewers(view).map_err(PolicyError::new))
            .collect::<Result<Vec<_>, _>>()?;
        let scene = SceneAsked {
            question_id: ask.question_id,
            robot_id: ask.robot_id.clone(),
            sequence: observation.sequence,
            captured_at_micros: observation.captured_at_micros,
            views,
        };
        let question = Question {
            ask,
            observation,
            _memory: memory,
            outbox,
            cancel,
        };
        Ok((scene, question))
    }

    /// Ends the waiting or active question of a viewer, and sends that it was stopped.
    pub(crate) fn stop_answer(&self, viewer: u64, cancel: &CancelToken) {
        cancel.stop();
        if let Some(question) = self.queue.leave(viewer) {
            question.send_stopped();
        }
    }

    /// Ends a question without a message, for a viewer that disconnected or asks another question.
    pub(crate) fn abandon(&self, viewer: u64, cancel: &CancelToken) {
        cancel.abandon();
        self.queue.leave(viewer);
    }

    /// Lets the thread end after the current token.
    pub(crate) fn stop(&self) {
        self.closing.store(true, Ordering::Release);
        self.queue.close();
    }
}

/// Sends the reason why a question is refused.
pub(crate) fn refuse(outbox: &Outbox, question_id: u64, reason: &str) {
    send_answer(outbox, &failed(question_id, &PolicyError::new(reason)));
}
