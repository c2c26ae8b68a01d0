//! One question: its place in the queue and its answer.

use super::{
    cancel_token::CancelToken,
    images, marks,
    messages::{completed, empty, failed, send_answer},
};
use crate::{
    health::Work,
    panics::caught,
    queues::{fifo::Queued, outbox::Outbox},
};
use molmoact2::grounding;
use policies::{policy::PolicyError, question_answerer::QuestionAnswerer};
use protocol::{
    robot::Observation,
    scene::{Answer, AnswerState, Ask},
};
use std::{
    ops::ControlFlow,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::OwnedSemaphorePermit;

/// Minimum interval between two updates of an answer (30 Hz).
const UPDATE_PERIOD: Duration = Duration::from_millis(33);

/// A question and the observation that it is about.
pub(super) struct Question {
    pub(super) ask: Ask,
    /// Its images are decoded when the answer begins.
    pub(super) observation: Arc<Observation>,
    /// Memory of the images while the question exists.
    pub(super) _memory: OwnedSemaphorePermit,
    pub(super) outbox: Arc<Outbox>,
    pub(super) cancel: CancelToken,
}

impl Queued for Question {
    fn is_unwanted(&self) -> bool {
        self.cancel.is_cancelled()
    }

    fn moved_up(&self, ahead: usize) {
        let answer = Answer {
            ahead: u32::try_from(ahead).unwrap_or(u32::MAX),
            ..empty(self.ask.question_id, AnswerState::Waiting)
        };
        self.send(&answer);
    }
}

impl Question {
    /// Sends the newest state of the answer, which replaces one that still waits.
    fn send(&self, answer: &Answer) {
        if !self.cancel.is_abandoned() {
            send_answer(&self.outbox, answer);
        }
    }

    pub(super) fn send_stopped(&self) {
        self.send(&empty(self.ask.question_id, AnswerState::Stopped));
    }
}

/// Answers a question and sends the answer as it grows.
pub(super) fn answer(
    answerer: &dyn QuestionAnswerer,
    question: &Question,
    closing: &AtomicBool,
    work: &Work,
) {
    let Question {
        ask,
        observation,
        cancel,
        ..
    } = question;
    let is_cancelled = || cancel.is_cancelled() || closing.load(Ordering::Acquire);
    let question_id = ask.question_id;
    if is_cancelled() {
        question.send_stopped();
        return;
    }
    question.send(&empty(question_id, AnswerState::Writing));
    let images = match images::decoded(&ask.cameras, observation) {
        Ok(images) => images,
        Err(error) => {
            question.send(&failed(question_id, &error));
            return;
        }
    };
    let sizes: Vec<[usize; 2]> = images
        .iter()
        .map(|image| [image.width(), image.height()])
        .collect();
    let mut text = String::new();
    let mut sent_at = Instant::now();
    let reply = caught(|| {
        answerer.answer(&ask.question, &images, &mut |piece| {
            work.beat();
            if is_cancelled() {
                return ControlFlow::Break(());
            }
            text.push_str(piece);
            if sent_at.elapsed() >= UPDATE_PERIOD {
                sent_at = Instant::now();
                let markups = grounding::parse(&text, &sizes);
                question.send(&Answer {
                    text: text.clone(),
                    plain: grounding::plain_so_far(&text, &markups),
                    marks: marks::scene_marks(&markups, &ask.cameras),
                    ..empty(question_id, AnswerState::Writing)
                });
            }
            ControlFlow::Continue(())
        })
    })
    .unwrap_or_else(|_| Err(PolicyError::new("the model crashed on this question")));
    match reply {
        Ok(reply) => question.send(&completed(ask, reply)),
        Err(error) => question.send(&failed(question_id, &error)),
    }
}
