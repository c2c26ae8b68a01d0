//! Questions about what a robot sees: a thread of its own answers them, one at a time, each viewer's in turn.
//!
//! A question holds the pictures it is about, so nothing that happens meanwhile changes them. Nothing here reaches a
//! robot. A viewer that asks again, says stop or leaves ends its answer after the token being written.

use crate::{
    health::{Health, Rule, Work},
    images::view_encoding::for_viewers,
    panics::caught,
    queues::{
        fifo::{FifoQueue, Queued},
        outbox::{Key, Outbox},
    },
};
use molmoact2::{FinishReason, Reply, grounding};
use policies::{
    policy::PolicyError,
    question_answerer::{Answering, QuestionAnswerer},
};
use protocol::{
    Message, Stage,
    robot::Observation,
    scene::{Answer, AnswerState, Answerer, Ask, SceneAsked},
};
use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering},
    },
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

mod marking;
mod pictures;

/// An answer is told at most this often: 30 times a second.
const PERIOD: Duration = Duration::from_millis(33);
/// Pictures that are compressed for those who asked, at once.
const MAX_PREPARING: usize = 4;
/// Pictures of all questions that wait, as the robots sent them.
const MAX_HELD_KIB: usize = 64 << 10;
/// A question counts as this much at least, so that no more than 64 wait.
const MIN_HELD_KIB: u32 = 1 << 10;

/// Whether the answer to a question is still wanted; shared by whoever asked and whoever answers.
#[derive(Debug, Clone, Default)]
pub(crate) struct CancelToken(Arc<AtomicU8>);

impl CancelToken {
    const STOPPED: u8 = 1;
    const ABANDONED: u8 = 2;

    /// Enough of the answer; that it ended is still of interest.
    fn stop(&self) {
        self.0.fetch_max(Self::STOPPED, Ordering::AcqRel);
    }

    /// Nobody listens any more.
    fn abandon(&self) {
        self.0.fetch_max(Self::ABANDONED, Ordering::AcqRel);
    }

    fn is_over(&self) -> bool {
        self.0.load(Ordering::Acquire) != 0
    }

    fn is_heard(&self) -> bool {
        self.0.load(Ordering::Acquire) < Self::ABANDONED
    }
}

struct Question {
    ask: Ask,
    /// Whose pictures are decoded when the question is put.
    observation: Arc<Observation>,
    /// What they take while it waits.
    _held: OwnedSemaphorePermit,
    to: Arc<Outbox>,
    wanted: CancelToken,
}

impl Queued for Question {
    fn is_unwanted(&self) -> bool {
        self.wanted.is_over()
    }

    fn moved_up(&self, ahead: usize) {
        let answer = Answer {
            ahead: u32::try_from(ahead).unwrap_or(u32::MAX),
            ..blank(self.ask.question_id, AnswerState::Waiting)
        };
        self.tell(&answer);
    }
}

impl Question {
    /// Replaces what waits of the same answer.
    fn tell(&self, answer: &Answer) {
        if self.wanted.is_heard() {
            tell(&self.to, answer);
        }
    }

    fn tell_stopped(&self) {
        self.tell(&blank(self.ask.question_id, AnswerState::Stopped));
    }
}

/// The handle that the viewers share.
pub(crate) struct SceneQuestions {
    line: Arc<FifoQueue<Question>>,
    answerer: Answering,
    closing: Arc<AtomicBool>,
    next_viewer: AtomicU64,
    /// Questions whose pictures are being prepared.
    preparing: Semaphore,
    /// KiB of pictures that questions may hold.
    room: Arc<Semaphore>,
}

impl std::fmt::Debug for SceneQuestions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("SceneQuestions")
            .field("answerer", &self.answerer)
            .finish_non_exhaustive()
    }
}

impl SceneQuestions {
    /// Starts the thread, if there is somebody to answer.
    pub(crate) fn start(
        answerer: Answering,
        health: &Health,
    ) -> std::io::Result<(Arc<Self>, Option<JoinHandle<()>>)> {
        let questions = Arc::new(Self {
            line: Arc::new(FifoQueue::new()),
            answerer,
            closing: Arc::default(),
            next_viewer: AtomicU64::default(),
            preparing: Semaphore::new(MAX_PREPARING),
            room: Arc::new(Semaphore::new(MAX_HELD_KIB)),
        });
        let Ok(answerer) = questions.answerer.clone() else {
            return Ok((questions, None));
        };
        let (line, closing) = (questions.line.clone(), questions.closing.clone());
        let part = health.part("the model that answers questions", Rule::Learned);
        let thread = std::thread::Builder::new().name("scene".to_owned());
        let thread = thread.spawn(move || {
            let _alive = part.thread();
            while let Some(question) = line.next() {
                let work = part.work("answering a question");
                // Nothing that a question does ends the thread.
                let answered = caught(|| answer(answerer.as_ref(), &question, &closing, &work));
                if let Err(words) = answered {
                    tracing::error!("a question was lost to a crash: {words}");
                }
            }
        })?;
        Ok((questions, Some(thread)))
    }

    /// As viewers are told.
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

    /// Names a viewer in the line.
    pub(crate) fn new_viewer(&self) -> u64 {
        self.next_viewer.fetch_add(1, Ordering::Relaxed)
    }

    /// Takes a question about an observation, after its pictures were compressed for whoever asked. Whatever comes of it
    /// is told to `to`.
    pub(crate) async fn ask(
        self: Arc<Self>,
        viewer: u64,
        ask: Ask,
        observation: Option<Arc<Observation>>,
        to: &Arc<Outbox>,
        wanted: &CancelToken,
    ) {
        let Ok(_preparing) = self.preparing.acquire().await else {
            return;
        };
        if !wanted.is_heard() {
            return;
        }
        let (question_id, robot_id) = (ask.question_id, ask.robot_id.clone());
        let outcome = tokio::task::spawn_blocking({
            let (questions, to, wanted) = (self.clone(), to.clone(), wanted.clone());
            move || questions.question(ask, observation, to, wanted)
        })
        .await
        .unwrap_or_else(|_| Err(PolicyError::new("the studio crashed on these pictures")));
        match outcome {
            _ if !wanted.is_heard() => {}
            Ok((scene, question)) => {
                tell_scene(to, &scene);
                // A newer question of this viewer ended the older one before it was put.
                if let Some(ended) = self.line.join(viewer, question) {
                    ended.tell_stopped();
                }
            }
            Err(error) => {
                tracing::debug!("a question about {robot_id} is refused: {error}");
                tell(to, &failed(question_id, &error));
            }
        }
    }

    fn question(
        &self,
        ask: Ask,
        observation: Option<Arc<Observation>>,
        to: Arc<Outbox>,
        wanted: CancelToken,
    ) -> Result<(SceneAsked, Question), PolicyError> {
        if let Err(reason) = &self.answerer {
            return Err(PolicyError::new(reason.clone()));
        }
        let observation = observation
            .ok_or_else(|| PolicyError::new(format!("{} has sent no picture yet", ask.robot_id)))?;
        let asked = pictures::asked(&ask.cameras, &observation)?;
        let bytes: usize = observation.views.iter().map(|view| view.data.len()).sum();
        let held = u32::try_from(bytes >> 10)
            .unwrap_or(u32::MAX)
            .max(MIN_HELD_KIB);
        let held = self
            .room
            .clone()
            .try_acquire_many_owned(held)
            .map_err(|_| {
                PolicyError::new(
                    "as many questions wait as the studio keeps pictures for; ask again later",
                )
            })?;
        let views = asked
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
            _held: held,
            to,
            wanted,
        };
        Ok((scene, question))
    }

    /// Ends the question of a viewer, whether it waits or is being answered, and tells that.
    pub(crate) fn stop_answer(&self, viewer: u64, wanted: &CancelToken) {
        wanted.stop();
        if let Some(question) = self.line.leave(viewer) {
            question.tell_stopped();
        }
    }

    /// The same without a word, for a viewer that left or has another question.
    pub(crate) fn abandon(&self, viewer: u64, wanted: &CancelToken) {
        wanted.abandon();
        self.line.leave(viewer);
    }

    /// Lets the thread end after the token it is at.
    pub(crate) fn stop(&self) {
        self.closing.store(true, Ordering::Release);
        self.line.close();
    }
}

/// Tells that a question cannot be asked, and why.
pub(crate) fn refuse(to: &Outbox, question_id: u64, reason: &str) {
    tell(to, &failed(question_id, &PolicyError::new(reason)));
}

fn answer(answerer: &dyn QuestionAnswerer, question: &Question, closing: &AtomicBool, work: &Work) {
    let Question {
        ask,
        observation,
        wanted,
        ..
    } = question;
    let unwanted = || wanted.is_over() || closing.load(Ordering::Acquire);
    let question_id = ask.question_id;
    if unwanted() {
        question.tell_stopped();
        return;
    }
    question.tell(&blank(question_id, AnswerState::Writing));
    let decoded = pictures::decoded(&ask.cameras, observation);
    let images = match decoded {
        Ok(images) => images,
        Err(error) => {
            question.tell(&failed(question_id, &error));
            return;
        }
    };
    let sizes: Vec<[usize; 2]> = images
        .iter()
        .map(|image| [image.width(), image.height()])
        .collect();
    let mut text = String::new();
    let mut told_at = Instant::now();
    let spoken = caught(|| {
        answerer.answer(&ask.question, &images, &mut |piece| {
            work.beat();
            if unwanted() {
                return ControlFlow::Break(());
            }
            text.push_str(piece);
            if told_at.elapsed() >= PERIOD {
                told_at = Instant::now();
                let marks = grounding::parse(&text, &sizes);
                question.tell(&Answer {
                    text: text.clone(),
                    plain: grounding::plain_so_far(&text, &marks),
                    marks: marking::scene_marks(&marks, &ask.cameras),
                    ..blank(question_id, AnswerState::Writing)
                });
            }
            ControlFlow::Continue(())
        })
    })
    .unwrap_or_else(|_| Err(PolicyError::new("the model crashed on this question")));
    match spoken {
        Ok(reply) => question.tell(&whole(ask, reply)),
        Err(error) => question.tell(&failed(question_id, &error)),
    }
}

fn blank(question_id: u64, state: AnswerState) -> Answer {
    Answer {
        question_id,
        state,
        ahead: 0,
        text: String::new(),
        plain: String::new(),
        marks: Vec::new(),
        tokens: 0,
        error: String::new(),
        stages: Vec::new(),
    }
}

fn failed(question_id: u64, error: &PolicyError) -> Answer {
    Answer {
        error: error.reason.clone(),
        ..blank(question_id, AnswerState::Failed)
    }
}

fn whole(ask: &Ask, reply: Reply) -> Answer {
    // What was ended in the middle of its markup shows no raw coordinates either.
    let plain = match reply.finish_reason {
        FinishReason::EndOfText => grounding::plain(&reply.text, &reply.marks),
        _ => grounding::plain_so_far(&reply.text, &reply.marks),
    };
    Answer {
        plain,
        marks: marking::scene_marks(&reply.marks, &ask.cameras),
        text: reply.text,
        tokens: u32::try_from(reply.ids.len()).unwrap_or(u32::MAX),
        stages: reply
            .stages
            .iter()
            .map(|stage| Stage {
                name: stage.name.to_owned(),
                micros: stage.micros,
            })
            .collect(),
        ..blank(
            ask.question_id,
            match reply.finish_reason {
                FinishReason::EndOfText => AnswerState::Done,
                FinishReason::MaxTokens | FinishReason::Positions => AnswerState::CutOff,
                FinishReason::Stopped => AnswerState::Stopped,
            },
        )
    }
}

fn tell(to: &Outbox, answer: &Answer) {
    if let Some(frame) = frame(answer) {
        to.put_newest(Key::Answer(answer.question_id), frame);
    }
}

fn tell_scene(to: &Outbox, scene: &SceneAsked) {
    if let Some(frame) = frame(scene) {
        to.put_newest(Key::Scene(scene.question_id), frame);
    }
}

fn frame<M: Message>(message: &M) -> Option<bytes::Bytes> {
    match protocol::encode(message) {
        Ok(frame) => Some(frame.into()),
        Err(error) => {
            tracing::warn!("a message about a question was dropped: {error}");
            None
        }
    }
}
