//! The questions of one viewer.

use super::Viewer;
use crate::scene_questions::{self, CancelToken};
use protocol::scene::Ask;

/// Questions of one viewer whose pictures are being prepared; all but the newest are given up, but not at once.
pub(super) const MAX_PREPARED: usize = 2;

impl Viewer {
    pub(super) fn ask(&mut self, ask: Ask) {
        self.abandon_question();
        self.outbox.turn_to_question(ask.question_id);
        // Every question gets an answer, so that nobody waits for one in vain.
        let robot = match self.robot(&ask.robot_id) {
            Ok(robot) => robot,
            Err(error) => {
                scene_questions::refuse(&self.outbox, ask.question_id, &error.message);
                return;
            }
        };
        let Ok(permit) = self.asking.clone().try_acquire_owned() else {
            scene_questions::refuse(
                &self.outbox,
                ask.question_id,
                "the questions before this one are still being prepared; ask more slowly",
            );
            return;
        };
        let scene = robot.scene();
        let wanted = CancelToken::default();
        self.asked = Some((ask.question_id, wanted.clone()));
        let (asking, outbox, key) = (
            self.registry.scene_questions.clone(),
            self.outbox.clone(),
            self.key,
        );
        tokio::spawn(async move {
            asking.ask(key, ask, scene, &outbox, &wanted).await;
            drop(permit);
        });
    }

    /// Nothing more of it is told, and what waits to be sent is dropped: a viewer that asks much and reads little costs
    /// no memory.
    pub(super) fn abandon_question(&mut self) {
        if let Some((id, wanted)) = self.asked.take() {
            self.registry.scene_questions.abandon(self.key, &wanted);
            self.outbox.forget_question(id);
        }
    }
}
