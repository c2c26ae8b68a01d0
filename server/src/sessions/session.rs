//! One robot's rules connected to its wire, to the policy and to its viewers.
//!
//! Locks are held for a few statements and never across an await. Where two are needed the order is `live`,
//! then the mailbox or the watchers.

use super::{
    audience::Audience,
    freshness::Freshness,
    live::Live,
    registry::Limits,
    units::{self, Contradiction},
};
use crate::{
    chunking::{Chunking, committed::Committed},
    mailbox::Mailbox,
    metrics::Metrics,
    policies::{
        actor::{Acted, ActorError},
        inference::{Asker, Explained, Inference, Job},
    },
    robots::{
        budget::{Budget, ROBOT_BYTES},
        showing::Turns,
    },
    viewers::outbox::{Key, Outbox},
};
use protocol::{
    ErrorMessage, Message as _, Mode, ToRobot,
    robot::{Instruction, Observation, Release, ResetScene, RobotHello, RobotReport, Stop},
    viewer::{RobotState, RobotSummary, TokensSoFar, Trace},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU32},
    time::{Duration, Instant},
};

mod seeing;
use seeing::Seen;

/// The same problem is not told to viewers more often than this.
const PROBLEM_PERIOD: Duration = Duration::from_secs(3);

/// A robot that is or was connected.
#[derive(Debug)]
pub(crate) struct Session {
    /// Names this robot in the inference queue.
    key: u64,
    live: Mutex<Live>,
    /// The wire to the robot while it is connected.
    mailbox: Mutex<Arc<Mailbox>>,
    audience: Audience,
    /// Its views for people.
    turns: Turns,
    /// The bytes of its pictures, wherever they are.
    pictures: Arc<Budget>,
    over_budget: AtomicU32,
    freshness: Mutex<Freshness>,
    /// What it announced and the policy knows otherwise.
    contradictions: Mutex<Vec<Contradiction>>,
    /// The newest observation with pictures, for questions.
    scene: Mutex<Option<Seen>>,
    last_problem: Mutex<Option<(String, Instant)>>,
    inference: Arc<Inference>,
    metrics: Arc<Metrics>,
    limits: Limits,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Every value here is complete after each statement, so a panic elsewhere leaves it usable.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Session {
    pub(crate) fn new(
        key: u64,
        live: Live,
        mailbox: Arc<Mailbox>,
        inference: Arc<Inference>,
        metrics: Arc<Metrics>,
        limits: Limits,
    ) -> Self {
        let contradictions = contradictions(&live.hello, &inference);
        Self {
            key,
            live: Mutex::new(live),
            mailbox: Mutex::new(mailbox),
            audience: Audience::new(metrics.clone()),
            turns: Turns::default(),
            pictures: Budget::new(ROBOT_BYTES),
            over_budget: AtomicU32::new(0),
            freshness: Mutex::default(),
            contradictions: Mutex::new(contradictions),
            scene: Mutex::default(),
            last_problem: Mutex::default(),
            inference,
            metrics,
            limits,
        }
    }

    pub(crate) fn robot_id(&self) -> String {
        lock(&self.live).robot_id.clone()
    }

    pub(crate) fn is_connected(&self) -> bool {
        lock(&self.live).connected
    }

    pub(crate) fn summary(&self) -> RobotSummary {
        let mut summary = lock(&self.live).summary();
        let contradictions = lock(&self.contradictions);
        let warnings = contradictions.iter().map(|found| found.words.clone());
        summary.warnings.extend(warnings);
        summary
    }

    /// What it announced and the policy knows otherwise, one refusal each.
    pub(crate) fn contradictions(&self) -> Vec<ErrorMessage> {
        let contradictions = lock(&self.contradictions);
        let found = contradictions.iter();
        found
            .map(|found| refusal(found.code, found.words.clone()))
            .collect()
    }

    // ---- from the robot

    /// The robot dialled in again under the same name.
    pub(crate) fn reconnect(&self, hello: RobotHello, mailbox: Arc<Mailbox>) {
        {
            *lock(&self.contradictions) = contradictions(&hello, &self.inference);
            self.forget_pictures();
            // One critical section, or a stop in between would go to the old wire alone.
            let mut live = lock(&self.live);
            live.reconnected(hello);
            if live.is_stopped() {
                mailbox.put(ToRobot::Stop(Stop {
                    reason: "stopped before the connection was lost; release it in the page"
                        .to_owned(),
                }));
            }
            *lock(&self.mailbox) = mailbox;
        }
        self.publish_status();
    }

    /// A repeated hello updates the sentences that people are offered. False, and nothing changes, when it
    /// differs in more than that.
    pub(crate) fn update_description(&self, hello: RobotHello) -> bool {
        let mut live = lock(&self.live);
        let same_body = hello.tag == live.hello.tag
            && hello.joints == live.hello.joints
            && hello.cameras == live.hello.cameras
            && hello.control_rate_hz == live.hello.control_rate_hz;
        if same_body {
            live.hello.example_instructions = hello.example_instructions;
        }
        same_body
    }

    pub(crate) fn disconnect(&self) {
        lock(&self.live).disconnected();
        self.forget_pictures();
        self.publish_status();
    }

    pub(crate) fn observed(self: &Arc<Self>, observation: Observation) {
        let now = Instant::now();
        self.metrics.observations.inc();
        let late = lock(&self.freshness).arrived(observation.captured_at_micros, now);
        let (observation, lease) = self.keep(observation);
        self.ask(&observation, lease.clone(), late, now);
        if self.audience.is_empty() {
            return;
        }
        let robot_id = self.robot_id();
        self.audience.newest(
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
        lock(&self.live).reported(report, Instant::now());
        self.publish_status();
    }

    /// An error that the robot sent, passed on to those who watch it.
    pub(crate) fn robot_error(&self, error: &ErrorMessage) {
        self.audience.control(error);
    }

    /// A stop has left towards the robot.
    pub(crate) fn stop_left(&self) {
        if let Some(took) = lock(&self.live).stop_left(Instant::now()) {
            self.metrics.observe_stop_dispatch(took);
        }
    }

    // ---- from viewers

    /// What the robot saw last.
    pub(crate) fn scene(&self) -> Option<Arc<Observation>> {
        lock(&self.scene)
            .as_ref()
            .map(|(observation, _)| observation.clone())
    }

    /// Gives the robot a sentence; an empty one ends its task.
    ///
    /// Returns why nothing will happen although the sentence was passed on.
    pub(crate) fn command(&self, text: &str, mode: Mode) -> Result<(), ErrorMessage> {
        {
            let mut live = lock(&self.live);
            if !live.connected {
                return Err(refusal(
                    "robot_disconnected",
                    format!(
                        "{} is not connected; wait until it dials in again",
                        live.robot_id
                    ),
                ));
            }
            if let (Some(info), false) = (self.inference.info(), text.trim().is_empty())
                && !info.modes.contains(&mode)
            {
                return Err(refusal(
                    "mode_unavailable",
                    format!("the policy {:?} has no {mode:?} head", info.name),
                ));
            }
            let contradictions = lock(&self.contradictions);
            if let Some(found) = contradictions.iter().find(|found| found.refused)
                && !text.trim().is_empty()
            {
                return Err(refusal(
                    found.code,
                    format!("{} is not driven: {}", live.robot_id, found.words),
                ));
            }
            live.command(text, mode, Instant::now());
            lock(&self.mailbox).put(ToRobot::Instruction(Instruction {
                text: live.instruction().to_owned(),
            }));
        }
        self.publish_status();
        match self.inference.unavailable() {
            Some(reason) if !text.trim().is_empty() => Err(refusal("no_policy", reason)),
            _ => Ok(()),
        }
    }

    /// Halts the robot: the stop overtakes everything that waits for it, and latches here and there.
    pub(crate) fn stop(&self, reason: String) {
        {
            let mut live = lock(&self.live);
            live.stop(Instant::now());
            lock(&self.mailbox).put(ToRobot::Stop(Stop { reason }));
        }
        self.metrics.stops.inc();
        self.publish_status();
    }

    pub(crate) fn release(&self) {
        {
            let mut live = lock(&self.live);
            live.release();
            lock(&self.mailbox).put(ToRobot::Release(Release {}));
        }
        self.publish_status();
    }

    pub(crate) fn reset(&self, scene: ResetScene) {
        {
            let mut live = lock(&self.live);
            live.reset();
            let mailbox = lock(&self.mailbox);
            mailbox.put(ToRobot::Instruction(Instruction {
                text: String::new(),
            }));
            mailbox.put(ToRobot::Reset(scene));
        }
        self.publish_status();
    }

    // ---- to viewers

    pub(crate) fn watch(&self, outbox: &Arc<Outbox>) {
        let status = lock(&self.live).status();
        self.audience.join(outbox, Key::Status, &status);
    }

    pub(crate) fn unwatch(&self, outbox: &Arc<Outbox>) {
        self.audience.leave(outbox);
    }

    fn publish_status(&self) {
        if !self.audience.is_empty() {
            let status = lock(&self.live).status();
            self.audience.newest(&Key::Status, &status);
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
        self.metrics.error(code);
        tracing::warn!("{}: {words}", self.robot_id());
        self.audience.control(&refusal(code, words));
    }
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

impl Asker for Session {
    fn still_wanted(&self, job: &Job) -> bool {
        let verdict = lock(&self.live).check(job, self.limits.max_chunk_age, Instant::now());
        if let Err(reason) = verdict {
            self.metrics.chunk_dropped(reason.code());
        }
        verdict.is_ok()
    }

    fn begins(&self, job: &Job) -> Option<Committed> {
        let committed = lock(&self.live).begins(job, Instant::now());
        // The discrete head has no flow to steer.
        committed
            .filter(|_| self.limits.chunking == Chunking::RealTime && job.mode == Mode::Continuous)
    }

    fn wrote(&self, job: &Job, tokens: &[u32], rows: usize, dims: usize) {
        if self.audience.is_empty() {
            return;
        }
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.audience.newest(
            &Key::Tokens,
            &TokensSoFar {
                robot_id: self.robot_id(),
                observation_sequence: job.observation.sequence,
                tokens: tokens.to_vec(),
                rows: count(rows),
                dims: count(dims),
            },
        );
    }

    fn answer(&self, job: &Job, acted: &Acted) -> Option<u64> {
        let mut live = lock(&self.live);
        let chunk = live.chunk(job, acted, self.limits.max_chunk_age, Instant::now());
        match chunk {
            Ok((chunk, is_first)) => {
                let chunk_id = chunk.chunk_id;
                if let Err(error) = chunk.validate() {
                    drop(live);
                    self.metrics.chunk_dropped("invalid");
                    self.tell_problem("bad_chunk", &format!("a chunk was not sent: {error}"));
                    return None;
                }
                // Still under the lock of `live`: no stop can come between the check and the mailbox.
                let taken = lock(&self.mailbox).put(ToRobot::Chunk(chunk));
                drop(live);
                if is_first {
                    self.publish_status();
                }
                if taken {
                    self.metrics.chunks.inc();
                    return Some(chunk_id);
                }
                self.metrics.chunk_dropped("connection_closed");
                None
            }
            Err(reason) => {
                drop(live);
                self.metrics.chunk_dropped(reason.code());
                if reason == super::live::NoChunk::TooOld {
                    self.tell_problem(
                        "chunk_too_old",
                        &format!(
                            "the chunk was ready {:.1} s after its picture, and those older than {:.1} s are not sent; \
                             use a faster device, or a faster network",
                            job.arrived_at.elapsed().as_secs_f32(),
                            self.limits.max_chunk_age.as_secs_f32()
                        ),
                    );
                }
                None
            }
        }
    }

    fn explain(&self, job: &Job, chunk: Explained, acted: Acted) {
        if self.audience.is_empty() {
            return;
        }
        let (action_tokens, tokens_origin) = chunk.tokens;
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        let trace = Trace {
            robot_id: self.robot_id(),
            chunk_id: chunk.id,
            observation_sequence: job.observation.sequence,
            instruction: job.instruction.clone(),
            mode: job.mode,
            prompt: acted.prompt,
            prompt_tokens: count(acted.prompt_tokens),
            action_tokens,
            tokens_origin,
            rows: count(acted.rows),
            dims: count(acted.dims),
            chunk_normalised: acted.chunk_normalised,
            actions: acted.actions,
            stages: acted.stages,
            latency_micros: chunk.latency.as_micros().try_into().unwrap_or(u64::MAX),
            committed_rows: count(chunk.committed_rows),
            depth: acted.depth.map(|depth| {
                let tag = self.inference.info().and_then(|info| info.tag(&job.tag));
                let camera = tag.and_then(|tag| tag.cameras.first().cloned());
                Box::new(super::depth::told(depth, camera.unwrap_or_default()))
            }),
        };
        self.audience.lossy(&trace);
    }

    fn failed(&self, _job: &Job, error: &ActorError) {
        self.tell_problem("inference_failed", &error.reason);
    }
}
