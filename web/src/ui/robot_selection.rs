//! The robot in view: chosen by the viewer, by the page's URL, or the first one connected.

use std::collections::HashMap;

use leptos::prelude::*;
use protocol::viewer::Watch;

use super::score::live;
use super::settings;
use super::state::Studio;
use crate::backoff::Connection;
use crate::decisions::Decisions;
use crate::joint_history::History;
use crate::pending_instruction::PendingInstruction;
use crate::stopping::Stopping;
use crate::token_stream::TokenStream;

impl Studio {
    /// Keeps the robot in view, or selects one: the one that the URL names, or the first connected.
    pub(super) fn keep_watching(self) {
        let robots = self.robots.get_untracked();
        let known = |id: &str| robots.iter().any(|robot| robot.robot_id == id);
        let watched = self.watched.get_untracked();
        if watched
            .as_deref()
            .is_some_and(|id| known(id) || self.chosen_by_viewer.get_value())
        {
            return self.request_views();
        }
        let from_url = settings::robot_in_url().filter(|id| known(id));
        let first = robots
            .iter()
            .find(|robot| robot.connected)
            .or_else(|| robots.first());
        if let Some(robot_id) = from_url.or_else(|| first.map(|robot| robot.robot_id.clone())) {
            self.watch(robot_id);
        }
    }

    /// Shows the robot that the viewer chose.
    pub(crate) fn choose(self, robot_id: String) {
        self.chosen_by_viewer.set_value(true);
        settings::put_robot_in_url(&robot_id);
        self.watch(robot_id);
    }

    fn watch(self, robot_id: String) {
        // Status and details of a robot that is in view already are not sent again.
        if self.watches(&robot_id) {
            return self.request_views();
        }
        self.status.set(None);
        // Its cameras leave the page until the details of the other robot are here.
        self.canvas_images.update_value(HashMap::clear);
        self.details.set(None);
        self.newest.set(None);
        self.refusal.set(None);
        self.pending_instruction
            .update_value(PendingInstruction::forget);
        self.stopping.update(Stopping::robot_changed);
        self.history.update_value(History::clear);
        self.decisions.update(Decisions::clear);
        self.stream.set(TokenStream::default());
        self.watched.set(Some(robot_id));
        live::robot_changed(self);
        self.request_views();
    }

    /// Subscribes this connection to the robot in view once the studio knows it: after a restart of the studio the robot
    /// may connect later than the page.
    fn request_views(self) {
        let Some(robot_id) = self.watched.get_untracked() else {
            return;
        };
        let is_known = self
            .robots
            .with_untracked(|robots| robots.iter().any(|robot| robot.robot_id == robot_id));
        if !is_known {
            return self.subscribed_to.set_value(None);
        }
        let is_subscribed = self
            .subscribed_to
            .with_value(|subscribed| subscribed.as_deref() == Some(robot_id.as_str()));
        if !is_subscribed && self.connection.get_untracked() == Connection::Live {
            self.subscribed_to.set_value(Some(robot_id.clone()));
            self.send(Watch { robot_id });
        }
    }
}
