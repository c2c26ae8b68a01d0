//! Chunks of the policy on their way to the robot, and their traces for subscribers.

use super::{Session, lock};
use crate::{
    inference::job::{ChunkSink, ChunkTrace, Job, JobEvent, NotCurrent, Step},
    queues::outbox::Key,
    sessions::{depth, rules::DropReason},
};
use policies::{
    chunking::{Chunking, committed::Committed},
    policy::PolicyOutput,
};
use protocol::{
    Message as _, Mode, ToRobot,
    viewer::{TokensSoFar, Trace},
};
use std::time::Instant;

impl ChunkSink for Session {
    fn begin(&self, job: &Job, step: Step) -> Result<Option<Committed>, NotCurrent> {
        let now = Instant::now();
        let mut state = lock(&self.state);
        let checked = state.check(job, self.services.limits.max_chunk_age, now);
        if let Err(reason) = checked.and_then(|()| self.check_reads()) {
            drop(state);
            self.services.metrics.chunk_dropped(reason.code());
            if reason == DropReason::Unread {
                self.report_unread();
            }
            return Err(NotCurrent);
        }
        if step == Step::Decoding {
            return Ok(None);
        }
        let committed = state.begin(job, now);
        drop(state);
        // The discrete head has no flow to steer.
        Ok(committed.filter(|_| {
            self.services.limits.chunking == Chunking::RealTime && job.mode == Mode::Continuous
        }))
    }

    fn deliver(&self, job: &Job, output: &PolicyOutput) -> Option<u64> {
        let mut state = lock(&self.state);
        let chunk = self.check_reads().and_then(|()| {
            let max_age = self.services.limits.max_chunk_age;
            state.chunk(job, output, max_age, Instant::now())
        });
        match chunk {
            Ok((chunk, is_first)) => {
                let chunk_id = chunk.chunk_id;
                if let Err(error) = chunk.validate() {
                    drop(state);
                    self.services.metrics.chunk_dropped("invalid");
                    self.report_problem("bad_chunk", &format!("a chunk was not sent: {error}"));
                    return None;
                }
                // Still under the lock of `state`, so that no stop can come between the check and the mailbox.
                let is_taken = lock(&self.connection).mailbox.put(ToRobot::Chunk(chunk));
                drop(state);
                if is_first {
                    self.publish_status();
                }
                if is_taken {
                    self.services.metrics.chunks.inc();
                    return Some(chunk_id);
                }
                self.services.metrics.chunk_dropped("connection_closed");
                None
            }
            Err(reason) => {
                drop(state);
                self.services.metrics.chunk_dropped(reason.code());
                if reason == DropReason::Unread {
                    self.report_unread();
                }
                if reason == DropReason::TooOld {
                    self.report_problem(
                        "chunk_too_old",
                        &format!(
                            "the chunk was ready {:.1} s after its image, and chunks older than {:.1} s are not sent; \
                             use a faster device, or a faster network",
                            job.arrived_at.elapsed().as_secs_f32(),
                            self.services.limits.max_chunk_age.as_secs_f32()
                        ),
                    );
                }
                None
            }
        }
    }

    fn event(&self, job: &Job, event: JobEvent<'_>) {
        match event {
            JobEvent::Tokens { tokens, rows, dims } => self.publish_tokens(job, tokens, rows, dims),
            JobEvent::Trace(chunk, output) => self.publish_trace(job, chunk, *output),
            JobEvent::Failed(error) => self.report_problem("inference_failed", &error.reason),
        }
    }
}

impl Session {
    /// Records that a chunk was taken out of the mailbox again because the robot is behind with reading.
    pub(crate) fn chunk_kept_back(&self) {
        lock(&self.state).chunk_kept_back();
        self.services
            .metrics
            .chunk_dropped(DropReason::Unread.code());
        self.report_unread();
    }

    /// Checks that the robot is not behind with reading.
    fn check_reads(&self) -> Result<(), DropReason> {
        let is_behind = lock(&self.connection)
            .heard
            .pings()
            .is_behind(tokio::time::Instant::now());
        if is_behind {
            return Err(DropReason::Unread);
        }
        Ok(())
    }

    fn report_unread(&self) {
        self.report_problem(
            "chunk_unread",
            "the robot has not read its connection for more than a second; it gets no chunks until it has read, and a \
             stop is still sent; let its program read more often, or use a faster network",
        );
    }

    /// Publishes the action tokens so far.
    fn publish_tokens(&self, job: &Job, tokens: &[u32], rows: usize, dims: usize) {
        if self.subscribers.is_empty() {
            return;
        }
        let count = |n: usize| u32::try_from(n).unwrap_or(u32::MAX);
        self.subscribers.newest(
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

    /// Publishes the trace of a chunk that was sent.
    fn publish_trace(&self, job: &Job, chunk: ChunkTrace, output: PolicyOutput) {
        if self.subscribers.is_empty() {
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
            prompt: output.prompt,
            prompt_tokens: count(output.prompt_tokens),
            action_tokens,
            tokens_origin,
            rows: count(output.rows),
            dims: count(output.dims),
            chunk_normalised: output.chunk_normalised,
            actions: output.actions,
            stages: output.stages,
            latency_micros: chunk.latency.as_micros().try_into().unwrap_or(u64::MAX),
            committed_rows: count(chunk.committed_rows),
            depth: output.depth.map(|depth| {
                let tag = self
                    .services
                    .inference
                    .info()
                    .and_then(|info| info.tag(&job.tag));
                let camera = tag.and_then(|tag| tag.cameras.first().cloned());
                Box::new(depth::reasoning(depth, camera.unwrap_or_default()))
            }),
        };
        self.subscribers.lossy(&trace);
    }
}
