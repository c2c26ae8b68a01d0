//! One robot's rules connected to its wire, to the policy and to its viewers.
//!
//! Locks are held for a few statements and never across an await. Where two are needed the order is `details`, then `live`
//! (the rules), then the mailbox or the watchers.

use super::{
    connection::Connection,
    freshness::Freshness,
    latched_stop::{LatchedStop, StopNumbers},
    rules::SessionState,
    subscribers::Audience,
    units::{self, Contradiction},
};
use crate::{
    data::latches::Latches,
    images::{
        budget::{Budget, MAX_IMAGE_BYTES},
        view_publishing::EncodingSchedule,
    },
    inference::thread::Inference,
    limits::Limits,
    metrics::Metrics,
    peer_log::{Kind, PeerLog},
    queues::{
        mailbox::Mailbox,
        outbox::{Key, Outbox},
    },
};
use protocol::{
    ErrorMessage, ToRobot,
    robot::{Observation, RobotHello, RobotReport, Stop},
    viewer::{RobotState, RobotSummary},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU32},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

mod chunks;
mod commands;
mod details;
mod seeing;
use details::Details;
use seeing::Seen;

/// The same problem is not told to viewers more often than this.
const PROBLEM_PERIOD: Duration = Duration::from_secs(3);

/// A robot that is or was connected.
#[derive(Debug)]
pub(crate) struct Session {
    /// Names this robot in the inference queue.
    key: u64,
    live: Mutex<SessionState>,
    /// The newest connection of the robot.
    connection: Mutex<Connection>,
    subscribers: Audience,
    /// Its views for people.
    encoding: EncodingSchedule,
    /// The bytes of its pictures, wherever they are.
    pictures: Arc<Budget>,
    over_budget: AtomicU32,
    freshness: Mutex<Freshness>,
    /// What it announced and the policy knows otherwise.
    contradictions: Mutex<Vec<Contradiction>>,
    /// What those who watch it are told beyond the list.
    details: Mutex<Details>,
    /// The newest observation with pictures, for questions.
    scene: Mutex<Option<Seen>>,
    last_problem: Mutex<Option<(String, Instant)>>,
    /// How often viewers hear of problems.
    problems: PeerLog,
    services: Services,
}

/// What every session uses.
#[derive(Debug, Clone)]
pub(crate) struct Services {
    pub(crate) inference: Arc<Inference>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) latches: Arc<Latches>,
    pub(crate) stop_numbers: Arc<StopNumbers>,
    pub(crate) limits: Limits,
}

impl Services {
    /// A press that arrives now.
    fn stop_pressed(&self) -> LatchedStop {
        LatchedStop {
            number: self.stop_numbers.draw(),
            at: Instant::now(),
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every value here is complete after each statement, so a panic elsewhere leaves it usable.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    /// The session of a robot that was not here before. One that was stopped in an earlier run of the studio is
    /// stopped: it hears so before anything else.
    pub(crate) fn new(
        key: u64,
        robot_id: String,
        hello: RobotHello,
        connection: Connection,
        services: Services,
    ) -> Self {
        let contradictions = contradictions(&hello, &services.inference);
        let live = if services.latches.is_latched(&robot_id) {
            connection.mailbox.put(still_stopped());
            SessionState::stopped(robot_id, hello, services.stop_pressed())
        } else {
            SessionState::new(robot_id, hello)
        };
        Self {
            key,
            live: Mutex::new(live),
            connection: Mutex::new(connection),
            subscribers: Audience::new(services.metrics.clone()),
            encoding: EncodingSchedule::default(),
            pictures: Budget::new(MAX_IMAGE_BYTES),
            over_budget: AtomicU32::new(0),
            freshness: Mutex::default(),
            contradictions: Mutex::new(contradictions),
            details: Mutex::default(),
            scene: Mutex::default(),
            last_problem: Mutex::default(),
            problems: PeerLog::default(),
            services,
        }
    }

    pub(crate) fn robot_id(&self) -> String {
        lock(&self.live).robot_id.clone()
    }

    pub(crate) fn is_connected(&self) -> bool {
        lock(&self.live).connected
    }

    pub(crate) fn summary(&self) -> RobotSummary {
        lock(&self.live).summary(self.services.limits.unattended)
    }

    /// The newest connection.
    pub(crate) fn connection(&self) -> Connection {
        lock(&self.connection).clone()
    }

    /// What it announced and the policy knows otherwise, one refusal each.
    pub(crate) fn contradictions(&self) -> Vec<ErrorMessage> {
        let contradictions = lock(&self.contradictions);
        let found = contradictions.iter();
        found
            .map(|found| refusal(found.code, found.words.clone()))
            .collect()
    }

    /// The viewer that gave the instruction in force.
    pub(crate) fn operator(&self) -> Option<u64> {
        lock(&self.live).operator()
    }

    // ---- from the robot

    /// The robot dialled in again under the same name. Its old connection, if there still is one, is cut.
    pub(crate) fn reconnect(&self, hello: RobotHello, connection: Connection) {
        {
            let found = contradictions(&hello, &self.services.inference);
            self.forget_pictures();
            // One critical section, or a stop in between would go to the old connection alone, and the end of the old
            // connection would clear what was found about the new one.
            let mut live = lock(&self.live);
            *lock(&self.contradictions) = found;
            live.reconnected(hello);
            if live.is_stopped() {
                connection.mailbox.put(still_stopped());
            }
            let old = std::mem::replace(&mut *lock(&self.connection), connection);
            old.cut.cancel();
        }
        self.details_changed();
        self.publish_status();
    }

    /// A repeated hello updates the sentences that people are offered. False, and nothing changes, when it
    /// differs in more than that.
    pub(crate) fn update_description(&self, hello: RobotHello) -> bool {
        let same_body = {
            let mut live = lock(&self.live);
            let same_body = hello.tag == live.hello.tag
                && hello.joints == live.hello.joints
                && hello.cameras == live.hello.cameras
                && hello.control_rate_hz == live.hello.control_rate_hz;
            if same_body {
                live.hello.example_instructions = hello.example_instructions;
            }
            same_body
        };
        if same_body {
            self.details_changed();
        }
        same_body
    }

    /// A connection of the robot ended. False, and nothing changes, when another has taken its place.
    pub(crate) fn disconnect(&self, connection_number: u64) -> bool {
        {
            let mut live = lock(&self.live);
            let mut connection = lock(&self.connection);
            if !live.connected || connection.number != connection_number {
                return false;
            }
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            live.disconnected(now.map_or(0, |at| at.as_secs()));
            // The writer has its own; what nobody reads any more does not stay for as long as the robot is known.
            connection.mailbox = Arc::new(Mailbox::closed());
            *lock(&self.contradictions) = Vec::new();
        }
        self.details_changed();
        self.forget_pictures();
        self.publish_status();
        true
    }

    pub(crate) fn observed(self: &Arc<Self>, observation: Observation) {
        let now = Instant::now();
        lock(&self.connection).used();
        self.services.metrics.observations.inc();
        let late = lock(&self.freshness).arrived(observation.captured_at_micros, now);
        let (observation, lease) = self.keep(observation);
        self.ask(&observation, lease.clone(), late, now);
        if self.subscribers.is_empty() {
            return;
        }
        let robot_id = self.robot_id();
        self.subscribers.newest(
            &Key::State,
            &RobotState {
                robot_id: robot_id.clone(),
                sequence: observation.sequence,
                captured_at_micros: observation.captured_at_micros,
                state: observation.state.clone(),
                commanded: observation.commanded.clone(),
            },
        );
        self.show(robot_id, observation, lease, now);
    }

    pub(crate) fn reported(&self, report: RobotReport) {
        lock(&self.connection).used();
        lock(&self.live).reported(report, Instant::now());
        self.publish_status();
    }

    /// An error that the robot sent, passed on to those who watch it.
    pub(crate) fn robot_error(&self, error: &ErrorMessage) {
        self.subscribers.control(error);
    }

    /// A stop has left towards the robot.
    pub(crate) fn stop_left(&self) {
        if let Some(took) = lock(&self.live).stop_left(Instant::now()) {
            self.services.metrics.observe_stop_dispatch(took);
        }
    }

    /// The stop has been written to the robot's connection.
    pub(crate) fn stop_delivered(&self, connection_number: u64) {
        {
            let mut live = lock(&self.live);
            if lock(&self.connection).number == connection_number {
                live.stop_delivered();
            }
        }
        self.publish_status();
    }

    // ---- to viewers

    pub(crate) fn watch(&self, outbox: &Arc<Outbox>) {
        let status = lock(&self.live).status();
        self.subscribers.join(outbox, Key::Status, &status);
        self.give_details(outbox);
    }

    pub(crate) fn unwatch(&self, outbox: &Arc<Outbox>) {
        self.subscribers.leave(outbox);
    }

    fn publish_status(&self) {
        if !self.subscribers.is_empty() {
            let status = lock(&self.live).status();
            self.subscribers.newest(&Key::Status, &status);
        }
    }

    fn tell_problem(&self, code: &str, words: &str) {
        let now = Instant::now();
        {
            let mut last = lock(&self.last_problem);
            let told = last.as_ref().is_some_and(|(told, at)| {
                told == words && now.saturating_duration_since(*at) < PROBLEM_PERIOD
            });
            if told {
                return;
            }
            *last = Some((words.to_owned(), now));
        }
        self.services.metrics.error(code);
        let log = lock(&self.connection).log.clone();
        log.say(Kind::Fault, &format!("{}: {words}", self.robot_id()));
        // Words that are new each time are counted like any other.
        if !self.problems.allows() {
            return;
        }
        self.subscribers.control(&refusal(code, words));
    }
}

/// What a robot hears first when its stop is older than its connection.
fn still_stopped() -> ToRobot {
    ToRobot::Stop(Stop {
        reason: "stopped before this connection; release it in the page".to_owned(),
    })
}

/// What a robot announces and the policy knows otherwise.
fn contradictions(hello: &RobotHello, inference: &Inference) -> Vec<Contradiction> {
    let tag = inference.info().and_then(|info| info.tag(&hello.tag));
    tag.map(|tag| units::contradictions(hello, tag))
        .unwrap_or_default()
}

/// A refusal that leaves the connection open.
pub(crate) fn refusal(code: impl Into<String>, message: impl Into<String>) -> ErrorMessage {
    ErrorMessage {
        code: code.into(),
        message: message.into(),
        fatal: false,
    }
}
