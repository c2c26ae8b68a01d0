//! Stops and releases of one viewer: their execution and their answers.

use super::{Viewer, put};
use crate::{
    peer_log::Kind,
    quota::Quota,
    sessions::{Session, session::refusal},
};
use futures_util::future::join_all;
use protocol::{
    ErrorMessage,
    viewer::{ReleaseRobot, StopAccepted, StoppedRobot},
};
use std::{
    sync::Arc,
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Answers to stops of one viewer that may wait for the disk at once.
pub(super) const MAX_ANSWERS: usize = 16;
/// Burst of releases of one viewer, enough for a release of every robot.
const RELEASES_AT_ONCE: f64 = 64.0;
/// Sustained rate of releases of one viewer. A stop of a moving robot is always carried out, so only a limit on releases
/// bounds the number of stops.
const RELEASES_PER_SEC: f64 = 5.0;
/// Resolution of the timer.
const TIMER_STEP: Duration = Duration::from_millis(1);

/// Quota of releases of a new viewer.
pub(super) fn releases() -> Quota {
    Quota::new(RELEASES_AT_ONCE, RELEASES_PER_SEC, Instant::now())
}

/// Waits until presses are due and one more answer may wait for the disk.
pub(super) async fn answer_permit(
    due: Instant,
    answers: Arc<Semaphore>,
) -> Option<OwnedSemaphorePermit> {
    if due > Instant::now() {
        tokio::time::sleep_until((due + TIMER_STEP).into()).await;
    }
    // The semaphore is never closed.
    answers.acquire_owned().await.ok()
}

impl Viewer {
    /// Stops robots at once; without `robot_id` the press is for all robots. The answer follows when the latches are on
    /// disk and the quota of answers allows it, and nothing waits for it. A repeated press stops nothing and is answered
    /// again, because the first answer may be lost.
    pub(super) fn stop(
        &mut self,
        robot_id: Option<String>,
        robots: &[Arc<Session>],
        press_id: u64,
    ) {
        let kind = if robot_id.is_some() {
            "stop"
        } else {
            "stop_all"
        };
        let reason = self.stop_reason();
        let stopped = if self.carried_out.add(press_id) {
            self.registry.stop(robots, &reason)
        } else {
            Vec::new()
        };
        for robot in &stopped {
            let robot_id = robot.robot_id();
            self.log
                .say(Kind::Stop, &format!("{robot_id} is stopped: {reason}"));
            self.note(kind, &robot_id, "", &Ok(()));
        }
        self.presses.add(robot_id, press_id);
        if let Ok(permit) = self.answers.clone().try_acquire_owned() {
            self.answer(permit, &stopped);
        }
    }

    /// Answers the waiting presses, if the quota allows it. Robots that were already stopped are sent the stop again,
    /// except those in `just_stopped`.
    pub(super) fn answer(&mut self, permit: OwnedSemaphorePermit, just_stopped: &[Arc<Session>]) {
        let presses = self.presses.take(Instant::now());
        if presses.is_empty() {
            return;
        }
        let reason = self.stop_reason();
        let mut answers = Vec::new();
        for (robot_id, press_id) in presses {
            let mut robots: Vec<Arc<Session>> = match robot_id {
                Some(robot_id) => self.registry.robot(&robot_id).into_iter().collect(),
                None => self.registry.robots(),
            };
            // Between a press and its repetition robots may have been released or have connected.
            robots.retain(|robot| robot.is_stopped());
            for robot in &robots {
                if !just_stopped.iter().any(|one| Arc::ptr_eq(one, robot)) {
                    robot.repeat_stop(&reason);
                }
            }
            let robots = robots.iter().map(|robot| StoppedRobot {
                robot_id: robot.robot_id(),
                connected: robot.is_connected(),
            });
            answers.push(StopAccepted {
                press_id,
                robots: robots.collect(),
                not_on_disk: String::new(),
            });
        }
        let (registry, outbox) = (self.registry.clone(), self.outbox.clone());
        tokio::spawn(async move {
            // Concurrently: a disk that hangs delays all of them no longer than one.
            let answers = answers.into_iter().map(|mut accepted: StopAccepted| {
                let (registry, outbox) = (&registry, &outbox);
                async move {
                    let robots = accepted.robots.iter();
                    let stopped: Vec<_> = robots.map(|robot| robot.robot_id.clone()).collect();
                    accepted.not_on_disk = registry.latches.not_on_disk(&stopped).await;
                    put(outbox, &accepted);
                }
            });
            join_all(answers).await;
            drop(permit);
        });
    }

    pub(super) fn release(&mut self, release: &ReleaseRobot) -> Result<(), ErrorMessage> {
        let robot = self.robot(&release.robot_id)?;
        if !self.releases.take(Instant::now()) {
            // Not recorded: a flood of refusals would push out the events of others.
            self.registry.metrics.error("too_many_releases");
            return Err(refusal(
                "too_many_releases",
                format!(
                    "{} was not released: a viewer may release {RELEASES_AT_ONCE:.0} robots at once and \
                     {RELEASES_PER_SEC:.0} per second; release it again",
                    release.robot_id
                ),
            ));
        }
        let heard_at = release.heard_beat.and_then(|beat| self.beats.sent_at(beat));
        let result = self
            .in_time("the release", release.heard_beat)
            .and_then(|()| self.registry.release(&robot, release.stop_number, heard_at));
        self.note("release", &release.robot_id, "", &result);
        result
    }

    fn stop_reason(&self) -> String {
        format!("{} pressed stop", self.name)
    }
}
