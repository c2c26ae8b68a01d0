//! Jobs of several robots, answered by the policy in one batch.
//!
//! A job on which the policy fails or panics costs its robot one chunk and affects no other robot: after a panic in a
//! batch, the jobs without an answer are tried again one by one.

use super::job::{ChunkTrace, JobEvent, QueuedJob, Step, unknown_tag};
use crate::{health::Work, metrics::Metrics, panics::caught};
use policies::chunking::committed::Committed;
use policies::policy::{ActRequest, Policy, PolicyError, PolicyEvent, PolicyOutput, tokens_of};
use protocol::viewer::TokensOrigin;
use std::time::{Duration, Instant};

/// Minimum interval between token updates (30 Hz). A chunk that is done sooner is shown once, when it is done.
const TOKENS_PERIOD: Duration = Duration::from_millis(33);

/// Answer to one job. Its index is that of the job in the batch.
#[derive(Default)]
struct Answer {
    /// Rows of the running chunk that the new one begins with.
    committed: Option<Committed>,
    /// Rows of a complete chunk.
    horizon: usize,
    /// Values per row.
    dims: usize,
    /// Time of the last token update.
    tokens_shown_at: Option<Instant>,
    is_done: bool,
    /// The chunk that was sent, until its trace is published.
    sent: Option<(ChunkTrace, PolicyOutput)>,
}

/// Answers the jobs in `waiting` that are still current.
pub(super) fn answer(
    policy: &mut dyn Policy,
    waiting: Vec<QueuedJob>,
    metrics: &Metrics,
    work: &Work,
) {
    let mut jobs = Vec::with_capacity(waiting.len());
    let mut answers = Vec::with_capacity(waiting.len());
    for queued in waiting {
        if let Some(answer) = begin(policy, &queued, metrics) {
            jobs.push(queued);
            answers.push(answer);
        }
    }
    if jobs.is_empty() {
        return;
    }
    metrics.observe_batch(jobs.len());
    if let Err(panic) = act(policy, &jobs, &mut answers, metrics, work) {
        let is_single = jobs.len() == 1;
        for (job, answer) in jobs.iter().zip(&mut answers) {
            if answer.is_done {
                continue;
            }
            let (job, answer) = (std::slice::from_ref(job), std::slice::from_mut(answer));
            let again = match is_single {
                true => Err(panic.clone()),
                false => act(policy, job, answer, metrics, work),
            };
            if let (Err(panic), [job], [answer]) = (again, job, answer) {
                answer.fail(job, &panic, metrics);
            }
        }
    }
    for (job, mut answer) in jobs.iter().zip(answers) {
        if !answer.is_done {
            answer.fail(job, &PolicyError::new("the policy gave no answer"), metrics);
        }
        publish_trace(policy, job, answer);
    }
}

/// Begins a job; `None` when its chunk is no longer current, or when the policy does not know the robot's tag.
fn begin(policy: &dyn Policy, queued: &QueuedJob, metrics: &Metrics) -> Option<Answer> {
    let begun = in_session(|| queued.sink.begin(&queued.job, Step::Inference))?;
    let committed = begun.ok()?;
    let shape = caught(|| {
        let info = policy.info();
        let tag = info.tag(&queued.job.tag);
        tag.map(|tag| (tag.horizon, tag.action.len()))
            .ok_or_else(|| PolicyError::new(unknown_tag(&queued.job.tag, info)))
    });
    let mut answer = Answer {
        committed,
        ..Answer::default()
    };
    match shape.unwrap_or_else(|message| Err(panicked(&message))) {
        Ok((horizon, dims)) => {
            (answer.horizon, answer.dims) = (horizon, dims);
            Some(answer)
        }
        Err(error) => {
            answer.fail(queued, &error, metrics);
            None
        }
    }
}

/// Runs the policy on `jobs`.
///
/// # Errors
/// The policy panicked; the error has the message of its panic.
fn act(
    policy: &mut dyn Policy,
    jobs: &[QueuedJob],
    answers: &mut [Answer],
    metrics: &Metrics,
    work: &Work,
) -> Result<(), PolicyError> {
    let started = Instant::now();
    let continuations: Vec<_> = answers
        .iter()
        .map(|answer| {
            answer
                .committed
                .as_ref()
                .map(|rows| rows.continuation().clone())
        })
        .collect();
    let requests: Vec<ActRequest<'_>> = jobs
        .iter()
        .zip(&continuations)
        .map(
            |(
                QueuedJob {
                    robot, job, images, ..
                },
                continuation,
            )| ActRequest {
                robot: *robot,
                tag: &job.tag,
                images,
                state: &job.observation.state,
                instruction: &job.instruction,
                mode: job.mode,
                // Fresh noise for every chunk: with a fixed one the same small error would point the same way each time.
                seed: job
                    .epoch
                    .wrapping_mul(1 << 32)
                    .wrapping_add(job.observation.sequence),
                continuation: continuation.as_ref(),
            },
        )
        .collect();
    // After a panic the next call starts from the beginning; no half-finished state of the policy is visible elsewhere.
    caught(|| {
        policy.act_batch(&requests, &mut |index, event| {
            work.beat();
            if let (Some(job), Some(answer)) = (jobs.get(index), answers.get_mut(index)) {
                match event {
                    PolicyEvent::Tokens(tokens) => answer.show_tokens(job, tokens),
                    PolicyEvent::Done(output) => answer.finish(job, output, started, metrics),
                }
            }
        });
    })
    .map_err(|message| panicked(&message))
}

/// Publishes the trace of the chunk that was sent, now that no robot waits for one.
fn publish_trace(policy: &mut dyn Policy, QueuedJob { job, sink, .. }: &QueuedJob, answer: Answer) {
    let Some((mut trace, output)) = answer.sent else {
        return;
    };
    trace.tokens = caught(|| tokens_of(policy, job.mode, &output)).unwrap_or(trace.tokens);
    in_session(|| sink.event(job, JobEvent::Trace(trace, Box::new(output))));
}

impl Answer {
    fn fail(&mut self, queued: &QueuedJob, error: &PolicyError, metrics: &Metrics) {
        self.is_done = true;
        metrics.inference_failures.inc();
        in_session(|| queued.fail(error));
    }

    fn show_tokens(&mut self, QueuedJob { job, sink, .. }: &QueuedJob, tokens: &[u32]) {
        let now = Instant::now();
        // The period starts with the first token, so that a fast chunk is shown only once.
        let shown_at = *self.tokens_shown_at.get_or_insert(now);
        if now.saturating_duration_since(shown_at) >= TOKENS_PERIOD {
            self.tokens_shown_at = Some(now);
            let (rows, dims) = (self.horizon, self.dims);
            in_session(|| sink.event(job, JobEvent::Tokens { tokens, rows, dims }));
        }
    }

    fn finish(
        &mut self,
        queued: &QueuedJob,
        output: Result<PolicyOutput, PolicyError>,
        started: Instant,
        metrics: &Metrics,
    ) {
        if std::mem::replace(&mut self.is_done, true) {
            return;
        }
        let QueuedJob { job, sink, .. } = queued;
        let mut output = match output.and_then(|output| check(output, self.horizon, self.dims)) {
            Ok(output) => output,
            Err(error) => return self.fail(queued, &error, metrics),
        };
        metrics.observe_inference(started.elapsed(), &output.stages);
        let committed = self.committed.as_ref();
        let committed_rows = committed.map_or(0, |rows| rows.freeze(&mut output));
        if let Some(id) = in_session(|| sink.deliver(job, &output)).flatten() {
            let latency = job.arrived_at.elapsed();
            metrics.observe_latency(latency);
            if committed.is_some() {
                metrics.observe_committed(committed_rows);
            }
            let trace = ChunkTrace {
                id,
                tokens: (Vec::new(), TokensOrigin::Encoded),
                committed_rows,
                latency,
            };
            self.sent = Some((trace, output));
        }
    }
}

/// Refuses chunks with values that are not finite, and chunks of another size.
fn check(output: PolicyOutput, max_rows: usize, dims: usize) -> Result<PolicyOutput, PolicyError> {
    let values = output.rows * output.dims;
    if output.rows == 0
        || output.rows > max_rows
        || output.dims != dims
        || output.actions.len() != values
    {
        return Err(PolicyError::new(format!(
            "the policy returned {} values as {}x{}, expected up to {max_rows} rows of {dims}; \
             the chunk was not sent",
            output.actions.len(),
            output.rows,
            output.dims
        )));
    }
    match output.actions.iter().position(|value| !value.is_finite()) {
        Some(index) => Err(PolicyError::new(format!(
            "value {} of row {} of the policy's chunk is not a finite number; the chunk was not sent",
            index % output.dims,
            index / output.dims
        ))),
        None => Ok(output),
    }
}

fn panicked(message: &str) -> PolicyError {
    PolicyError::new(format!("the policy crashed on this observation: {message}"))
}

/// Calls into a session. A panic there is not an error of the policy and affects no other robot.
fn in_session<T>(call: impl FnOnce() -> T) -> Option<T> {
    caught(call)
        .inspect_err(|message| tracing::error!("the session of a robot crashed: {message}"))
        .ok()
}
