//! The scoring queue: one queue of jobs for all pages, and one thread that scores.
//!
//! The number of jobs is bounded, including those whose frames still arrive, and so is the memory of each
//! ([`upload`](super::upload)). A disconnect cancels the job. A failing job does not affect the others.

use super::{
    Scorer, Scoring, ScoringBackend,
    uploads::{MemoryLease, Upload, Uploads},
};
use crate::{
    health::{Health, Rule, Work},
    panics::caught,
    queues::fifo::{FifoQueue, Queued},
};
use axum::body::Bytes;
use futures_util::Stream;
use protocol::score::{ScoreEvent, ScoreOutcome};
use score_job::ClipJob;
use std::{
    convert::Infallible,
    ops::ControlFlow,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    task::{Context, Poll},
    thread::JoinHandle,
    time::{Duration, Instant},
};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// Largest number of event lines that wait for a page: more than any video produces. A job is stopped when they are full.
const MAX_LINES: usize = 1 << 15;

/// Reasons for refusing a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Unavailable {
    /// There is no scorer; the reason, for display.
    NoScorer(String),
    /// There is a scorer, but it runs in the pages only.
    FilesOnly,
    /// The queue is full.
    Full {
        /// Capacity of the queue.
        jobs: usize,
    },
    /// All upload slots are in use, by uploads that are fast enough to keep theirs.
    TooManyUploads,
}

/// A slot in the queue, held until it is dropped.
pub(crate) type JobSlot = OwnedSemaphorePermit;

struct Job {
    clip: ClipJob,
    events: mpsc::Sender<Bytes>,
    /// Returned when the job is over, however it ends.
    _slot: JobSlot,
    _memory: MemoryLease,
}

impl Job {
    /// Sends an event; `false` if the page no longer reads.
    fn send(&self, event: &ScoreEvent) -> bool {
        send(&self.events, event)
    }
}

fn send(events: &mpsc::Sender<Bytes>, event: &ScoreEvent) -> bool {
    match serde_json::to_vec(event) {
        Ok(mut line) => {
            line.push(b'\n');
            events.try_send(line.into()).is_ok()
        }
        Err(error) => {
            tracing::error!("a scoring event cannot be serialized: {error}");
            false
        }
    }
}

impl Queued for Job {
    fn is_unwanted(&self) -> bool {
        self.events.is_closed()
    }

    fn moved_up(&self, ahead: usize) {
        if ahead > 0 {
            self.send(&ScoreEvent::Waiting {
                job: self.clip.request().job,
                ahead: u32::try_from(ahead).unwrap_or(u32::MAX),
            });
        }
    }
}

/// The scoring queue, shared by all requests.
pub(crate) struct ScoringQueue {
    scoring: Scoring,
    jobs: FifoQueue<Job>,
    slots: Arc<Semaphore>,
    max_jobs: usize,
    uploads: Arc<Uploads>,
    next_key: AtomicU64,
    closing: AtomicBool,
}

impl std::fmt::Debug for ScoringQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ScoringQueue")
            .field("scoring", &self.scoring)
            .finish_non_exhaustive()
    }
}

impl ScoringQueue {
    /// Starts the thread, if there is a scoring backend.
    pub(crate) fn open(
        scoring: Scoring,
        max_jobs: usize,
        health: &Health,
    ) -> std::io::Result<(Arc<Self>, Option<JoinHandle<()>>)> {
        let queue = Arc::new(Self {
            scoring,
            jobs: FifoQueue::new(),
            slots: Arc::new(Semaphore::new(max_jobs)),
            max_jobs,
            uploads: Arc::default(),
            next_key: AtomicU64::default(),
            closing: AtomicBool::default(),
        });
        let backend = queue
            .scorer()
            .ok()
            .and_then(|scorer| scorer.backend.clone());
        let Some(backend) = backend else {
            return Ok((queue, None));
        };
        let part = health.part("the scorer", Rule::Learned);
        let thread = std::thread::Builder::new()
            .name("scorer".to_owned())
            .spawn({
                let queue = queue.clone();
                move || {
                    let _alive = part.thread();
                    while let Some(job) = queue.jobs.next() {
                        let work = part.work("scoring a video");
                        // A panic ends the job, not the thread.
                        if let Err(message) = caught(|| queue.serve(backend.as_ref(), job, &work)) {
                            tracing::error!("a scoring job crashed: {message}");
                        }
                    }
                }
            })?;
        Ok((queue, Some(thread)))
    }

    /// The hosted scorer.
    ///
    /// # Errors
    /// The reason why there is none, for display.
    pub(crate) fn scorer(&self) -> Result<&Scorer, &str> {
        self.scoring.as_ref().map_err(String::as_str)
    }

    /// Begins an upload that must make progress in every `window`. It takes no slot in the queue yet.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(crate) fn upload(&self, window: Duration) -> Result<Upload, Unavailable> {
        // A page that would be refused now need not send its video.
        drop(self.slot()?);
        self.uploads
            .begin(window)
            .ok_or(Unavailable::TooManyUploads)
    }

    /// Takes a slot for a job that has arrived completely.
    ///
    /// # Errors
    /// [`Unavailable`].
    pub(crate) fn slot(&self) -> Result<JobSlot, Unavailable> {
        let scorer = self
            .scorer()
            .map_err(|reason| Unavailable::NoScorer(reason.to_owned()))?;
        if scorer.backend.is_none() {
            return Err(Unavailable::FilesOnly);
        }
        match self.slots.clone().try_acquire_owned() {
            Ok(slot) => Ok(slot),
            Err(_) => Err(Unavailable::Full {
                jobs: self.max_jobs,
            }),
        }
    }

    /// Puts a job at the end of the queue. Dropping the returned events removes the job, or stops it after its next point.
    pub(crate) fn push(
        self: &Arc<Self>,
        slot: JobSlot,
        clip: ClipJob,
        memory: MemoryLease,
    ) -> Events {
        let (events, lines) = mpsc::channel(MAX_LINES);
        let key = self.next_key.fetch_add(1, Ordering::Relaxed);
        let job = Job {
            clip,
            events,
            _slot: slot,
            _memory: memory,
        };
        // Keys are unique, so a returned job can only be this one: the studio is stopping.
        drop(self.jobs.join(key, job));
        Events {
            lines,
            key,
            queue: self.clone(),
        }
    }

    fn serve(&self, backend: &dyn ScoringBackend, job: Job, work: &Work) {
        let Job {
            clip,
            events,
            _slot,
            _memory,
        } = job;
        if events.is_closed() {
            return;
        }
        let number = clip.request().job;
        let frames = clip.request().frames;
        let started = Instant::now();
        let scored = caught(|| {
            backend.score(clip, &mut |event| {
                work.beat();
                if self.closing.load(Ordering::Acquire) || !send(&events, &event) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
        });
        let outcome = scored.unwrap_or_else(|_| ScoreOutcome::Failed {
            reason: "the scorer crashed on this video; the studio's log says where".to_owned(),
        });
        let summary = match &outcome {
            ScoreOutcome::Scored(_) => "scored",
            ScoreOutcome::Stopped => "stopped",
            ScoreOutcome::Failed { reason } => reason,
        };
        tracing::info!(
            "a video of {} frames: {summary}, {:.1} s",
            frames.unwrap_or_default(),
            started.elapsed().as_secs_f64()
        );
        send(
            &events,
            &ScoreEvent::Ended {
                job: number,
                outcome,
            },
        );
    }

    /// Refuses further jobs; the active one ends after its next point.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.jobs.close();
    }
}

/// Events of a job, one JSON line each.
pub(crate) struct Events {
    lines: mpsc::Receiver<Bytes>,
    key: u64,
    queue: Arc<ScoringQueue>,
}

impl Stream for Events {
    type Item = Result<Bytes, Infallible>;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        self.lines.poll_recv(context).map(|line| line.map(Ok))
    }
}

impl Drop for Events {
    fn drop(&mut self) {
        self.lines.close();
        drop(self.queue.jobs.leave(self.key));
    }
}
