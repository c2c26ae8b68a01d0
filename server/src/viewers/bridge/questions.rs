//! Questions of one viewer about a scene.

use super::Viewer;
use crate::scene_questions::{self, CancelToken};
use protocol::scene::Ask;

/// Questions of one viewer whose images are being prepared at once. A newer question cancels the older one, which takes
/// a moment to end.
pub(super) const MAX_PREPARED: usize = 2;

impl Viewer {
    pub(super) fn ask(&mut self, ask: Ask) {
        self.abandon_question();
        self.outbox.turn_to_question(ask.question_id);
        // Every question is answered, also one that is refused.
        let robot = match self.robot(&ask.robot_id) {
            Ok(robot) => robot,
            Err(error) => {
                scene_questions::refuse(&self.outbox, ask.question_id, &error.message);
                return;
            }
        };
        let Ok(permit) = self.preparing.clone().try_acquire_owned() else {
            scene_questions::refuse(
                &self.outbox,
                ask.question_id,
                "the questions before this one are still being prepared; ask more slowly",
            );
            return;
        };
        let scene = robot.scene();
        let cancel = CancelToken::default();
        self.question = Some((ask.question_id, cancel.clone()));
        let (questions, outbox, key) = (
            self.registry.scene_questions.clone(),
            self.outbox.clone(),
            self.key,
        );
        tokio::spawn(async move {
            questions.ask(key, ask, scene, &outbox, &cancel).await;
            drop(permit);
        });
    }

    /// Cancels the current question and drops its messages that wait to be sent: a viewer that sends many questions and
    /// reads slowly costs no memory.
    pub(super) fn abandon_question(&mut self) {
        if let Some((id, cancel)) = self.question.take() {
            self.registry.scene_questions.abandon(self.key, &cancel);
            self.outbox.forget_question(id);
        }
    }
}
