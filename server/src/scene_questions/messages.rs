//! Messages about a question for its viewer.

use super::marks;
use crate::queues::outbox::{Key, Outbox};
use molmoact2::{FinishReason, Reply, grounding};
use policies::policy::PolicyError;
use protocol::{
    Message, Stage,
    scene::{Answer, AnswerState, Ask, SceneAsked},
};

/// An answer without content in a state.
pub(super) fn empty(question_id: u64, state: AnswerState) -> Answer {
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

/// The answer for an error.
pub(super) fn failed(question_id: u64, error: &PolicyError) -> Answer {
    Answer {
        error: error.reason.clone(),
        ..empty(question_id, AnswerState::Failed)
    }
}

/// The answer for a completed reply.
pub(super) fn completed(ask: &Ask, reply: Reply) -> Answer {
    // A reply that ended inside its markup shows no raw coordinates either.
    let plain = match reply.finish_reason {
        FinishReason::EndOfText => grounding::plain(&reply.text, &reply.marks),
        _ => grounding::plain_so_far(&reply.text, &reply.marks),
    };
    Answer {
        plain,
        marks: marks::scene_marks(&reply.marks, &ask.cameras),
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
        ..empty(
            ask.question_id,
            match reply.finish_reason {
                FinishReason::EndOfText => AnswerState::Done,
                FinishReason::MaxTokens | FinishReason::Positions => AnswerState::CutOff,
                FinishReason::Stopped => AnswerState::Stopped,
            },
        )
    }
}

/// Puts an answer into the outbox; replaces one that still waits.
pub(super) fn send_answer(outbox: &Outbox, answer: &Answer) {
    if let Some(frame) = encoded(answer) {
        outbox.put_newest(Key::Answer(answer.question_id), frame);
    }
}

/// Puts the images of a question into the outbox.
pub(super) fn send_scene(outbox: &Outbox, scene: &SceneAsked) {
    if let Some(frame) = encoded(scene) {
        outbox.put_newest(Key::Scene(scene.question_id), frame);
    }
}

fn encoded<M: Message>(message: &M) -> Option<bytes::Bytes> {
    match protocol::encode(message) {
        Ok(frame) => Some(frame.into()),
        Err(error) => {
            tracing::warn!("a message about a question was dropped: {error}");
            None
        }
    }
}
