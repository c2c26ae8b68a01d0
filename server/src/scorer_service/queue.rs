//! The desk at which videos are handed in: one line for all pages, and one thread that scores.
//!
//! How many jobs there can be at once, those whose frames still arrive among them, is bounded, and so is the memory of
//! each ([`intake`](super::upload)). Whoever leaves takes the job along; a job that fails or crashes fails alone.

use super::{
    Scorer, Scoring, ScoringBackend,
    uploads::{Held, Upload, Uploads},
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

/// Lines that wait for a page that does not read, at most: more than any video has. A job whose page takes none of them
/// is stopped.
const MAX_LINES: usize = 1 << 15;

/// Why a job is not taken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Closed {
    /// There is no scorer; why, in words.
    NoScorer(String),
    /// There is one, and pages score with it themselves.
    FilesOnly,
    /// Everybody who can be served is.
    Full {
        /// How many that are.
        jobs: usize,
    },
    /// Many are sending videos, all of them quickly.
    Uploading,
}

/// A place among the jobs, until it is dropped.
pub(crate) type Place = OwnedSemaphorePermit;

struct Job {
    clip: ClipJob,
    to: mpsc::Sender<Bytes>,
    /// Given back when the job is over, however it ends.
    _place: Place,
    _held: Held,
}

impl Job {
    /// Whether somebody still listens.
    fn tell(&self, event: &ScoreEvent) -> bool {
        tell(&self.to, event)
    }
}

fn tell(to: &mpsc::Sender<Bytes>, event: &ScoreEvent) -> bool {
    match serde_json::to_vec(event) {
        Ok(mut line) => {
            line.push(b'\n');
            to.try_send(line.into()).is_ok()
        }
        Err(error) => {
            tracing::error!("an event of scoring cannot be written: {error}");
            false
        }
    }
}

impl Queued for Job {
    fn is_unwanted(&self) -> bool {
        self.to.is_closed()
    }

    fn moved_up(&self, ahead: usize) {
        if ahead > 0 {
            self.tell(&ScoreEvent::Waiting {
                job: self.clip.request().job,
                ahead: u32::try_from(ahead).unwrap_or(u32::MAX),
            });
        }
    }
}

/// What all requests share.
pub(crate) struct ScoringQueue {
    scoring: Scoring,
    line: FifoQueue<Job>,
    places: Arc<Semaphore>,
    max_jobs: usize,
    uploads: Arc<Uploads>,
    next: AtomicU64,
    closing: AtomicBool,
}

impl std::fmt::Debug for ScoringQueue {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Desk")
            .field("scoring", &self.scoring)
            .finish_non_exhaustive()
    }
}

impl ScoringQueue {
    /// Starts the thread, if somebody scores here.
    pub(crate) fn open(
        scoring: Scoring,
        max_jobs: usize,
        health: &Health,
    ) -> std::io::Result<(Arc<Self>, Option<JoinHandle<()>>)> {
        let desk = Arc::new(Self {
            scoring,
            line: FifoQueue::new(),
            places: Arc::new(Semaphore::new(max_jobs)),
            max_jobs,
            uploads: Arc::default(),
            next: AtomicU64::default(),
            closing: AtomicBool::default(),
        });
        let judge = desk.scorer().ok().and_then(|scorer| scorer.judge.clone());
        let Some(judge) = judge else {
            return Ok((desk, None));
        };
        let part = health.part("the scorer", Rule::Learned);
        let thread = std::thread::Builder::new()
            .name("scorer".to_owned())
            .spawn({
                let desk = desk.clone();
                move || {
                    let _alive = part.thread();
                    while let Some(job) = desk.line.next() {
                        let work = part.work("scoring a video");
                        // Nothing that a video does ends the thread.
                        if let Err(words) = caught(|| desk.serve(judge.as_ref(), job, &work)) {
                            tracing::error!("a video was lost to a crash: {words}");
                        }
                    }
                }
            })?;
        Ok((desk, Some(thread)))
    }

    /// The hosted scorer.
    ///
    /// # Errors
    /// Why there is none, in words.
    pub(crate) fn scorer(&self) -> Result<&Scorer, &str> {
        self.scoring.as_ref().map_err(String::as_str)
    }

    /// Lets a video come in, of which some must come in each `window`. It has no place in the line yet.
    ///
    /// # Errors
    /// [`Closed`].
    pub(crate) fn upload(&self, window: Duration) -> Result<Upload, Closed> {
        // Who would find no place now is spared the sending.
        drop(self.place()?);
        self.uploads.begin(window).ok_or(Closed::Uploading)
    }

    /// A place for a job that is whole.
    ///
    /// # Errors
    /// [`Closed`].
    pub(crate) fn place(&self) -> Result<Place, Closed> {
        let scorer = self
            .scorer()
            .map_err(|reason| Closed::NoScorer(reason.to_owned()))?;
        if scorer.judge.is_none() {
            return Err(Closed::FilesOnly);
        }
        match self.places.clone().try_acquire_owned() {
            Ok(place) => Ok(place),
            Err(_) => Err(Closed::Full {
                jobs: self.max_jobs,
            }),
        }
    }

    /// Puts a job at the end of the line. Dropping what is given back takes it out, or stops it after its next point.
    pub(crate) fn join(self: &Arc<Self>, place: Place, clip: ClipJob, held: Held) -> Events {
        let (to, lines) = mpsc::channel(MAX_LINES);
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let job = Job {
            clip,
            to,
            _place: place,
            _held: held,
        };
        // No two jobs have one number, so what is given back is this job: the studio stops.
        drop(self.line.join(number, job));
        Events {
            lines,
            number,
            desk: self.clone(),
        }
    }

    fn serve(&self, judge: &dyn ScoringBackend, job: Job, work: &Work) {
        let Job {
            clip,
            to,
            _place,
            _held,
        } = job;
        if to.is_closed() {
            return;
        }
        let number = clip.request().job;
        let frames = clip.request().frames;
        let started = Instant::now();
        let judged = caught(|| {
            judge.judge(clip, &mut |event| {
                work.beat();
                if self.closing.load(Ordering::Acquire) || !tell(&to, &event) {
                    ControlFlow::Break(())
                } else {
                    ControlFlow::Continue(())
                }
            })
        });
        let outcome = judged.unwrap_or_else(|_| ScoreOutcome::Failed {
            reason: "the scorer crashed on this video; the studio's log says where".to_owned(),
        });
        let how = match &outcome {
            ScoreOutcome::Scored(_) => "scored",
            ScoreOutcome::Stopped => "stopped",
            ScoreOutcome::Failed { reason } => reason,
        };
        tracing::info!(
            "a video of {} frames: {how}, {:.1} s",
            frames.unwrap_or_default(),
            started.elapsed().as_secs_f64()
        );
        tell(
            &to,
            &ScoreEvent::Ended {
                job: number,
                outcome,
            },
        );
    }

    /// Takes no more jobs; the one that is being scored ends after its next point.
    pub(crate) fn close(&self) {
        self.closing.store(true, Ordering::Release);
        self.line.close();
    }
}

/// The events of a job, a line each.
pub(crate) struct Events {
    lines: mpsc::Receiver<Bytes>,
    number: u64,
    desk: Arc<ScoringQueue>,
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
        drop(self.desk.line.leave(self.number));
    }
}
