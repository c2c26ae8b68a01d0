//! The rules of one robot connected to its connection, to the policy and to its subscribers.
//!
//! - `chunks`: chunks on their way to the robot; `commands`: instructions, stops and releases from viewers
//! - `observations`: observations on their way to the policy and to subscribers
//! - `details`: the rest of the robot's hello, encoded once for all subscribers
//!
//! Locks are held for a few statements and never across an await. Where two are needed the order is `details`, then `state`
//! (the rules), then the mailbox or the subscribers. `publishing` is locked before `state`.

use super::{
    connection::Connection,
    freshness::Freshness,
    latched_stop::{LatchedStop, StopNumbers},
    rules::SessionState,
    subscribers::Subscribers,
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
mod observations;
use details::Details;
use observations::LeasedObservation;

/// Minimum interval between two reports of the same problem.
const PROBLEM_PERIOD: Duration = Duration::from_secs(3);

/// A robot that is or was connected.
#[derive(Debug)]
pub(crate) struct Session {
    /// Number of this robot in the inference queue.
    key: u64,
    state: Mutex<SessionState>,
    /// The newest connection of the robot.
    connection: Mutex<Connection>,
    subscribers: Subscribers,
    /// Held while a status is made and queued, so that no older one overtakes it.
    publishing: Mutex<()>,
    /// Schedule of encoding its views for subscribers.
    encoding: EncodingSchedule,
    /// Budget for the bytes of its images, wherever they are.
    pictures: Arc<Budget>,
    /// Observations in a row whose images did not fit into the budget.
    over_budget: AtomicU32,
    freshness: Mutex<Freshness>,
    /// Contradictions between its hello and the policy's statistics.
    contradictions: Mutex<Vec<Contradiction>>,
    /// The part of its hello that is not in the list.
    details: Mutex<Details>,
    /// The newest observation with images, for questions.
    scene: Mutex<Option<LeasedObservation>>,
    last_problem: Mutex<Option<(String, Instant)>>,
    /// Rate limit of problem reports to subscribers.
    problems: PeerLog,
    services: Services,
}

/// Services that all sessions share.
#[derive(Debug, Clone)]
pub(crate) struct Services {
    pub(crate) inference: Arc<Inference>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) latches: Arc<Latches>,
    pub(crate) stop_numbers: Arc<StopNumbers>,
    pub(crate) limits: Limits,
}

impl Services {
    /// Makes the stop of a press that arrives now.
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
    /// The session of a robot that connects for the first time. If it was stopped in an earlier run of the studio, it is
    /// stopped, and the stop is the first message that it receives.
    pub(crate) fn new(
        key: u64,
        robot_id: String,
        hello: RobotHello,
        connection: Connection,
        services: Services,
    ) -> Self {
        let contradictions = contradictions(&hello, &services.inference);
        let state = if services.latches.is_latched(&robot_id) {
            connection.mailbox.put(still_stopped());
            SessionState::stopped(robot_id, hello, services.stop_pressed())
        } else {
            SessionState::new(robot_id, hello)
        };
        Self {
            key,
            state: Mutex::new(state),
            connection: Mutex::new(connection),
            subscribers: Subscribers::new(services.metrics.clone()),
            publishing: Mutex::default(),
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
        lock(&self.state).robot_id.clone()
    }

    pub(crate) fn is_connected(&self) -> bool {
        lock(&self.state).connected
    }

    pub(crate) fn summary(&self) -> RobotSummary {
        lock(&self.state).summary(self.services.limits.unattended)
    }

    /// The newest connection.
    pub(crate) fn connection(&self) -> Connection {
        lock(&self.connection).clone()
    }

    /// Contradictions between its hello and the policy's statistics, one refusal each.
    pub(crate) fn contradictions(&self) -> Vec<ErrorMessage> {
        let contradictions = lock(&self.contradictions);
        let found = contradictions.iter();
        found
            .map(|found| refusal(found.code, found.message.clone()))
            .collect()
    }

    /// The viewer that gave the instruction in force.
    pub(crate) fn operator(&self) -> Option<u64> {
        lock(&self.state).operator()
    }

    // ---- from the robot

    /// Takes over a new connection of the robot. The old one, if it is still open, is cut.
    pub(crate) fn reconnect(&self, hello: RobotHello, connection: Connection) {
        {
            let found = contradictions(&hello, &self.services.inference);
            self.forget_images();
            // One critical section: otherwise a stop in between would go to the old connection alone, and the end of the
            // old connection would clear the contradictions of the new one.
            let mut state = lock(&self.state);
            *lock(&self.contradictions) = found;
            state.reconnected(hello);
            if state.is_stopped() {
                connection.mailbox.put(still_stopped());
            }
            let old = std::mem::replace(&mut *lock(&self.connection), connection);
            old.cut.cancel();
        }
        self.details_changed();
        self.publish_status();
    }

    /// Updates the example instructions from a repeated hello. Returns `false` and changes nothing if the hello differs in
    /// more than those.
    pub(crate) fn update_description(&self, hello: RobotHello) -> bool {
        let same_body = {
            let mut state = lock(&self.state);
            let same_body = hello.tag == state.hello.tag
                && hello.joints == state.hello.joints
                && hello.cameras == state.hello.cameras
                && hello.control_rate_hz == state.hello.control_rate_hz;
            if same_body {
                state.hello.example_instructions = hello.example_instructions;
            }
            same_body
        };
        if same_body {
            self.details_changed();
        }
        same_body
    }

    /// Ends a connection of the robot. Returns `false` and changes nothing if another one has taken its place.
    pub(crate) fn disconnect(&self, connection_number: u64) -> bool {
        {
            let mut state = lock(&self.state);
            let mut connection = lock(&self.connection);
            if !state.connected || connection.number != connection_number {
                return false;
            }
            let now = SystemTime::now().duration_since(UNIX_EPOCH);
            state.disconnected(now.map_or(0, |at| at.as_secs()));
            // The writer holds the old mailbox. Unread messages must not stay for as long as the robot is remembered.
            connection.mailbox = Arc::new(Mailbox::closed());
            *lock(&self.contradictions) = Vec::new();
        }
        self.details_changed();
        self.forget_images();
        self.publish_status();
        true
    }

    /// Takes an observation: a job for the policy, if a chunk is due, and state and views for subscribers.
    pub(crate) fn observed(self: &Arc<Self>, observation: Observation) {
        let now = Instant::now();
        lock(&self.connection).used();
        self.services.metrics.observations.inc();
        let delay = lock(&self.freshness).arrived(observation.captured_at_micros, now);
        let (observation, lease) = self.lease_images(observation);
        self.request_chunk(&observation, lease.clone(), delay, now);
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
        self.prepare_views(robot_id, observation, lease, now);
    }

    /// Takes a report of the robot.
    pub(crate) fn reported(&self, report: RobotReport) {
        lock(&self.connection).used();
        lock(&self.state).reported(report, Instant::now());
        self.publish_status();
    }

    /// Passes an error that the robot sent on to its subscribers.
    pub(crate) fn robot_error(&self, error: &ErrorMessage) {
        self.subscribers.control(error);
    }

    /// Records that a stop left for the robot.
    pub(crate) fn stop_left(&self) {
        if let Some(took) = lock(&self.state).stop_left(Instant::now()) {
            self.services.metrics.observe_stop_dispatch(took);
        }
    }

    /// Records that the stop was written to the robot's connection.
    pub(crate) fn stop_delivered(&self, connection_number: u64) {
        {
            let mut state = lock(&self.state);
            if lock(&self.connection).number == connection_number {
                state.stop_delivered();
            }
        }
        self.publish_status();
    }

    // ---- to viewers

    /// Subscribes a viewer: it receives status and details at once, and then what changes.
    pub(crate) fn watch(&self, outbox: &Arc<Outbox>) {
        {
            let _in_order = lock(&self.publishing);
            let status = lock(&self.state).status();
            self.subscribers.join(outbox, Key::Status, &status);
        }
        self.send_details(outbox);
    }

    /// True if a viewer watches it.
    pub(crate) fn is_watched(&self) -> bool {
        !self.subscribers.is_empty()
    }

    pub(crate) fn unwatch(&self, outbox: &Arc<Outbox>) {
        self.subscribers.leave(outbox);
    }

    fn publish_status(&self) {
        let _in_order = lock(&self.publishing);
        if !self.subscribers.is_empty() {
            let status = lock(&self.state).status();
            self.subscribers.newest(&Key::Status, &status);
        }
    }

    /// Reports a problem to the log and to subscribers, not more often than [`PROBLEM_PERIOD`] if it is the same.
    fn report_problem(&self, code: &str, message: &str) {
        let now = Instant::now();
        {
            let mut last = lock(&self.last_problem);
            let is_repeated = last.as_ref().is_some_and(|(reported, at)| {
                reported == message && now.saturating_duration_since(*at) < PROBLEM_PERIOD
            });
            if is_repeated {
                return;
            }
            *last = Some((message.to_owned(), now));
        }
        self.services.metrics.error(code);
        let log = lock(&self.connection).log.clone();
        log.say(Kind::Fault, &format!("{}: {message}", self.robot_id()));
        // Messages that differ each time pass the check above, so all of them are rate limited too.
        if !self.problems.allows() {
            return;
        }
        self.subscribers.control(&refusal(code, message));
    }
}

/// The first message to a robot whose stop is older than its connection.
fn still_stopped() -> ToRobot {
    ToRobot::Stop(Stop {
        reason: "stopped before this connection; release it in the page".to_owned(),
    })
}

/// Contradictions between a hello and the policy's statistics; none without a policy.
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
