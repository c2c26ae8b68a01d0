//! The questions of several robots, asked together: prepared, answered, explained, each for itself.
//!
//! What goes wrong with one robot's question (a policy that fails or panics on it) costs that robot one chunk and
//! nobody else anything: after a panic in a batch those that have no answer yet are asked again one by one.

use super::{
    decoding::Decoded,
    job::{ChunkTrace, Job, JobEvent, Step, unknown_tag},
};
use crate::{health::Work, metrics::Metrics, panics::caught};
use policies::chunking::committed::Committed;
use policies::policy::{
    ActRequest, Policy, PolicyError, PolicyEvent, PolicyOutput, TagInfo, tokens_of,
};
use protocol::viewer::TokensOrigin;
use std::time::{Duration, Instant};

/// Tokens of a chunk that is being written are told at most this often: 30 times a second. A chunk that is
/// done sooner is told only when it is.
const TOKENS_PERIOD: Duration = Duration::from_millis(33);

/// One robot's question, with everything that the policy wants to know.
struct Prepared {
    queued: Decoded,
    committed: Option<Committed>,
    rows: usize,
    dims: usize,
    /// When its tokens were last told.
    told_at: Option<Instant>,
    is_done: bool,
    /// What was sent, until it is explained.
    sent: Option<Sent>,
}

struct Sent {
    chunk_id: u64,
    latency: Duration,
    committed_rows: usize,
    acted: PolicyOutput,
}

/// Answers what is still wanted of `waiting`.
pub(super) fn answer(
    actor: &mut dyn Policy,
    waiting: Vec<Decoded>,
    metrics: &Metrics,
    work: &Work,
) {
    let mut ready: Vec<Prepared> = waiting
        .into_iter()
        .filter_map(|queued| prepare(actor, queued, metrics))
        .collect();
    if ready.is_empty() {
        return;
    }
    metrics.observe_batch(ready.len());
    if let Err(panic) = ask(actor, &mut ready, metrics, work) {
        let alone = ready.len() == 1;
        for one in ready.iter_mut().filter(|prepared| !prepared.is_done) {
            let panic = if alone {
                Some(panic.clone())
            } else {
                ask(actor, std::slice::from_mut(one), metrics, work).err()
            };
            if let Some(panic) = panic {
                one.fail(&panic, metrics);
            }
        }
    }
    for mut prepared in ready {
        if !prepared.is_done {
            prepared.fail(&PolicyError::new("the policy gave no answer"), metrics);
        }
        prepared.explain(actor);
    }
}

/// Prepares a request for the policy; `None` when the session no longer wants the answer, or was told what is
/// wrong with the request.
fn prepare(actor: &dyn Policy, queued: Decoded, metrics: &Metrics) -> Option<Prepared> {
    let begun = told_session(|| queued.asker.begin(&queued.job, Step::Inference))?;
    let committed = begun.ok()?;
    let read = caught(|| {
        let tag = tag_of(actor, &queued.job)?;
        Ok((tag.horizon, tag.action.len()))
    });
    match read.unwrap_or_else(|words| Err(panicked(&words))) {
        Ok((rows, dims)) => Some(Prepared {
            committed,
            queued,
            rows,
            dims,
            told_at: None,
            is_done: false,
            sent: None,
        }),
        Err(error) => {
            metrics.inference_failures.inc();
            told_session(|| queued.asker.event(&queued.job, JobEvent::Failed(&error)));
            None
        }
    }
}

fn tag_of<'a>(actor: &'a dyn Policy, job: &Job) -> Result<&'a TagInfo, PolicyError> {
    let info = actor.info();
    info.tag(&job.tag)
        .ok_or_else(|| PolicyError::new(unknown_tag(&job.tag, info)))
}

/// Asks the policy; the error is its panic.
fn ask(
    actor: &mut dyn Policy,
    ready: &mut [Prepared],
    metrics: &Metrics,
    work: &Work,
) -> Result<(), PolicyError> {
    let started = Instant::now();
    // What the answers change lies apart from what the requests borrow.
    let (mut states, questions): (Vec<State<'_>>, Vec<Question<'_>>) =
        ready.iter_mut().map(Prepared::split).unzip();
    let requests: Vec<ActRequest<'_>> = questions.iter().map(Question::request).collect();
    // The policy is a value of its own: whatever a panic leaves half done in it is not seen by anyone else, and
    // it is asked again from the start.
    caught(|| {
        actor.act_batch(&requests, &mut |place, news| {
            work.beat();
            if let (Some(question), Some(state)) = (questions.get(place), states.get_mut(place)) {
                match news {
                    PolicyEvent::Wrote(tokens) => question.wrote(state, tokens),
                    PolicyEvent::Done(acted) => question.done(state, acted, started, metrics),
                }
            }
        });
    })
    .map_err(|words| panicked(&words))
}

/// The part of a [`Prepared`] that stays as it is while the policy computes.
struct Question<'a> {
    queued: &'a Decoded,
    committed: Option<&'a Committed>,
    rows: usize,
    dims: usize,
}

/// The part that changes.
struct State<'a> {
    told_at: &'a mut Option<Instant>,
    is_done: &'a mut bool,
    sent: &'a mut Option<Sent>,
}

impl Prepared {
    fn split(&mut self) -> (State<'_>, Question<'_>) {
        let state = State {
            told_at: &mut self.told_at,
            is_done: &mut self.is_done,
            sent: &mut self.sent,
        };
        let question = Question {
            queued: &self.queued,
            committed: self.committed.as_ref(),
            rows: self.rows,
            dims: self.dims,
        };
        (state, question)
    }

    fn fail(&mut self, error: &PolicyError, metrics: &Metrics) {
        self.is_done = true;
        metrics.inference_failures.inc();
        told_session(|| {
            self.queued
                .asker
                .event(&self.queued.job, JobEvent::Failed(error));
        });
    }

    /// Tells those who watch about the chunk that was sent, now that no robot waits.
    fn explain(self, actor: &mut dyn Policy) {
        let Decoded { job, asker, .. } = &self.queued;
        let Some(sent) = self.sent else {
            return;
        };
        let tokens = caught(|| tokens_of(actor, job.mode, &sent.acted))
            .unwrap_or((Vec::new(), TokensOrigin::Encoded));
        let chunk = ChunkTrace {
            id: sent.chunk_id,
            tokens,
            committed_rows: sent.committed_rows,
            latency: sent.latency,
        };
        told_session(|| asker.event(job, JobEvent::Trace(chunk, Box::new(sent.acted))));
    }
}

impl Question<'_> {
    fn request(&self) -> ActRequest<'_> {
        let Decoded {
            robot, job, images, ..
        } = self.queued;
        ActRequest {
            robot: *robot,
            tag: &job.tag,
            images,
            state: &job.observation.state,
            instruction: &job.instruction,
            mode: job.mode,
            // Fresh noise for every chunk: a fixed one would let the same small error point the same way each
            // time.
            seed: job
                .epoch
                .wrapping_mul(1 << 32)
                .wrapping_add(job.observation.sequence),
            continuation: self.committed.map(Committed::continuation),
        }
    }

    fn wrote(&self, state: &mut State<'_>, tokens: &[u32]) {
        let now = Instant::now();
        // The clock starts with the first token, so that what is quick is not told twice.
        let told = *state.told_at.get_or_insert(now);
        if now.saturating_duration_since(told) >= TOKENS_PERIOD {
            *state.told_at = Some(now);
            let Decoded { job, asker, .. } = self.queued;
            let (rows, dims) = (self.rows, self.dims);
            told_session(|| asker.event(job, JobEvent::Tokens { tokens, rows, dims }));
        }
    }

    fn done(
        &self,
        state: &mut State<'_>,
        acted: Result<PolicyOutput, PolicyError>,
        started: Instant,
        metrics: &Metrics,
    ) {
        if std::mem::replace(state.is_done, true) {
            return;
        }
        let Decoded { job, asker, .. } = self.queued;
        match acted.and_then(|acted| check(acted, self.rows, self.dims)) {
            Ok(mut acted) => {
                metrics.observe_inference(started.elapsed(), &acted.stages);
                let committed_rows = self.committed.map_or(0, |rows| rows.freeze(&mut acted));
                if let Some(chunk_id) = told_session(|| asker.deliver(job, &acted)).flatten() {
                    let latency = job.arrived_at.elapsed();
                    metrics.observe_latency(latency);
                    if self.committed.is_some() {
                        metrics.observe_committed(committed_rows);
                    }
                    *state.sent = Some(Sent {
                        chunk_id,
                        latency,
                        committed_rows,
                        acted,
                    });
                }
            }
            Err(error) => {
                metrics.inference_failures.inc();
                told_session(|| asker.event(job, JobEvent::Failed(&error)));
            }
        }
    }
}

/// Nothing that is not a number, and nothing of another size, leaves towards a robot.
fn check(
    acted: PolicyOutput,
    want_rows: usize,
    want_dims: usize,
) -> Result<PolicyOutput, PolicyError> {
    let values = acted.rows * acted.dims;
    if acted.rows == 0
        || acted.rows > want_rows
        || acted.dims != want_dims
        || acted.actions.len() != values
    {
        return Err(PolicyError::new(format!(
            "the policy returned {} values as {}x{}, expected up to {want_rows} rows of {want_dims}; \
             the chunk was not sent",
            acted.actions.len(),
            acted.rows,
            acted.dims
        )));
    }
    match acted.actions.iter().position(|value| !value.is_finite()) {
        Some(at) => Err(PolicyError::new(format!(
            "value {} of row {} of the policy's chunk is not a finite number; the chunk was not sent",
            at % acted.dims,
            at / acted.dims
        ))),
        None => Ok(acted),
    }
}

fn panicked(words: &str) -> PolicyError {
    PolicyError::new(format!("the policy crashed on this observation: {words}"))
}

/// Tells a session something. A crash there is no fault of the policy and costs nobody else anything.
fn told_session<T>(tell: impl FnOnce() -> T) -> Option<T> {
    caught(tell)
        .inspect_err(|words| tracing::error!("the state of a robot crashed: {words}"))
        .ok()
}
