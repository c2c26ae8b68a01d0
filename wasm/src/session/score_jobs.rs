//! The session's scoring jobs.
//!
//! A job first collects its frames and is then computed between other messages: the event loop runs after every point,
//! so that a job can be cancelled and the page's other requests are answered.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::task::{Poll, Waker};

use protocol::score::{ScoreEvent, ScoreFrame, ScoreOutcome, ScoreRequest};
use protocol::worker::FromWorker;
use score_job::{ClipJob, JobError, Next, watch};
use wasm_bindgen_futures::spawn_local;

use super::SharedSession;
use crate::worker_scope::{post, yield_to_event_loop};

const NO_SCORER: &str = "no scorer is loaded in this tab; load one first";
/// Largest number of queued frames of a live robot: half a minute at two frames per second. A device that falls further
/// behind is too slow.
const WAITING_FRAMES: usize = 64;

/// State of a job.
pub(super) enum Job {
    /// Frames are arriving.
    Collecting(Box<ClipJob>),
    /// The job is being computed.
    Running(Rc<JobQueue>),
}

/// Messages that a running job has not processed yet.
#[derive(Default)]
pub(super) struct JobQueue {
    state: RefCell<QueueState>,
}

#[derive(Default)]
struct QueueState {
    frames: VecDeque<ScoreFrame>,
    is_closed: bool,
    is_cancelled: bool,
    waker: Option<Waker>,
}

impl JobQueue {
    fn change(&self, change: impl FnOnce(&mut QueueState)) {
        let mut state = self.state.borrow_mut();
        change(&mut state);
        if let Some(waker) = state.waker.take() {
            waker.wake();
        }
    }

    fn flow(&self) -> ControlFlow<()> {
        if self.state.borrow().is_cancelled {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    async fn next(&self) -> Next {
        poll_fn(|context| {
            let mut state = self.state.borrow_mut();
            if state.is_cancelled {
                return Poll::Ready(Next::Cancelled);
            }
            if let Some(frame) = state.frames.pop_front() {
                return Poll::Ready(Next::Frame(frame));
            }
            if state.is_closed {
                return Poll::Ready(Next::Closed);
            }
            state.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// Starts a job.
pub(super) fn open(session: &SharedSession, request: ScoreRequest) {
    let job = request.job;
    if request.frames.is_some() {
        match ClipJob::open(request) {
            Ok(clip) => insert(session, job, Job::Collecting(Box::new(clip))),
            Err(error) => fail(job, &error),
        }
        return;
    }
    let Some(loaded) = session.borrow().scorer.clone() else {
        return end(job, failed(NO_SCORER));
    };
    let queue = Rc::new(JobQueue::default());
    insert(session, job, Job::Running(queue.clone()));
    let session = session.clone();
    spawn_local(async move {
        let outcome = watch(
            &request,
            &loaded.model,
            &loaded.name,
            &loaded.device,
            &mut async || queue.next().await,
            &mut async |event| emit(&queue, event).await,
        )
        .await;
        finish(&session, job, outcome);
    });
}

/// Adds a frame to a job.
pub(super) fn push_frame(session: &SharedSession, frame: ScoreFrame) {
    let job = frame.job;
    let result = match session.borrow_mut().jobs.get_mut(&job) {
        // The job has ended, and the page is about to be notified.
        None => Ok(()),
        Some(Job::Collecting(clip)) => clip.take(frame),
        Some(Job::Running(queue)) => {
            if queue.state.borrow().frames.len() < WAITING_FRAMES {
                queue.change(|state| state.frames.push_back(frame));
            } else {
                // Finishing with the frames so far is worth more than frames that this device would never reach.
                queue.change(|state| state.is_closed = true);
            }
            Ok(())
        }
    };
    if let Err(error) = result {
        session.borrow_mut().jobs.remove(&job);
        fail(job, &error);
    }
}

/// Marks a job's frames as complete.
pub(super) fn close(session: &SharedSession, job: u64) {
    let running = match session.borrow().jobs.get(&job) {
        None => return,
        Some(Job::Running(queue)) => Some(queue.clone()),
        Some(Job::Collecting(_)) => None,
    };
    if let Some(queue) = running {
        return queue.change(|state| state.is_closed = true);
    }
    let Some(Job::Collecting(clip)) = session.borrow_mut().jobs.remove(&job) else {
        return;
    };
    let Some(loaded) = session.borrow().scorer.clone() else {
        return end(job, failed(NO_SCORER));
    };
    let queue = Rc::new(JobQueue::default());
    insert(session, job, Job::Running(queue.clone()));
    let session = session.clone();
    spawn_local(async move {
        let outcome = clip
            .score(
                &loaded.model,
                &loaded.name,
                &loaded.device,
                &mut async |event| emit(&queue, event).await,
            )
            .await;
        finish(&session, job, outcome);
    });
}

/// Cancels a job.
pub(super) fn cancel(session: &SharedSession, job: u64) {
    let running = match session.borrow().jobs.get(&job) {
        None => return,
        Some(Job::Collecting(_)) => None,
        Some(Job::Running(queue)) => Some(queue.clone()),
    };
    match running {
        Some(queue) => queue.change(|state| state.is_cancelled = true),
        None => finish(session, job, ScoreOutcome::Stopped),
    }
}

/// Posts an event and lets the event loop process the page's messages.
async fn emit(queue: &JobQueue, event: ScoreEvent) -> ControlFlow<()> {
    post(&FromWorker::Score(event));
    yield_to_event_loop().await;
    queue.flow()
}

fn insert(session: &SharedSession, number: u64, job: Job) {
    session.borrow_mut().jobs.insert(number, job);
}

fn finish(session: &SharedSession, job: u64, outcome: ScoreOutcome) {
    session.borrow_mut().jobs.remove(&job);
    end(job, outcome);
}

fn fail(job: u64, error: &JobError) {
    end(job, failed(&error.to_string()));
}

fn failed(reason: &str) -> ScoreOutcome {
    ScoreOutcome::Failed {
        reason: reason.to_owned(),
    }
}

fn end(job: u64, outcome: ScoreOutcome) {
    post(&FromWorker::Score(ScoreEvent::Ended { job, outcome }));
}
