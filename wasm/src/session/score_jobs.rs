//! The session's jobs of scoring.
//!
//! A job is collected (its frames arrive), then computed between other messages: after every point the event loop runs,
//! so that a job can be stopped and the page's other questions are answered.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::poll_fn;
use std::ops::ControlFlow;
use std::rc::Rc;
use std::task::{Poll, Waker};

use protocol::score::{ScoreEvent, ScoreFrame, ScoreOutcome, ScoreRequest};
use protocol::worker::FromWorker;
use scoring::{ClipJob, JobError, Next, watch};
use wasm_bindgen_futures::spawn_local;

use super::Shared;
use crate::worker_scope::{post, yield_to_event_loop};

const NO_SCORER: &str = "no scorer is loaded in this tab; load one first";
/// Frames of a watched robot that wait, at most: at two per second half a minute, then the device is too slow for it.
const WAITING_FRAMES: usize = 64;

/// What is known of a job.
pub(super) enum Job {
    /// Its frames arrive.
    Collecting(Box<ClipJob>),
    /// It is computed.
    Running(Rc<Line>),
}

/// What a running job has not taken yet.
#[derive(Default)]
pub(super) struct Line {
    waiting: RefCell<Waiting>,
}

#[derive(Default)]
struct Waiting {
    frames: VecDeque<ScoreFrame>,
    is_closed: bool,
    is_cancelled: bool,
    waker: Option<Waker>,
}

impl Line {
    fn change(&self, change: impl FnOnce(&mut Waiting)) {
        let mut waiting = self.waiting.borrow_mut();
        change(&mut waiting);
        if let Some(waker) = waiting.waker.take() {
            waker.wake();
        }
    }

    fn flow(&self) -> ControlFlow<()> {
        if self.waiting.borrow().is_cancelled {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    async fn next(&self) -> Next {
        poll_fn(|context| {
            let mut waiting = self.waiting.borrow_mut();
            if waiting.is_cancelled {
                return Poll::Ready(Next::Cancelled);
            }
            if let Some(frame) = waiting.frames.pop_front() {
                return Poll::Ready(Next::Frame(frame));
            }
            if waiting.is_closed {
                return Poll::Ready(Next::Closed);
            }
            waiting.waker = Some(context.waker().clone());
            Poll::Pending
        })
        .await
    }
}

/// Begins a job.
pub(super) fn open(session: &Shared, request: ScoreRequest) {
    let job = request.job;
    if request.frames.is_some() {
        match ClipJob::open(request) {
            Ok(clip) => insert(session, job, Job::Collecting(Box::new(clip))),
            Err(error) => fail(job, &error),
        }
        return;
    }
    let Some(held) = session.borrow().scorer.clone() else {
        return end(job, failed(NO_SCORER));
    };
    let line = Rc::new(Line::default());
    insert(session, job, Job::Running(line.clone()));
    let session = session.clone();
    spawn_local(async move {
        let outcome = watch(
            &request,
            &held.model,
            &held.name,
            &held.device,
            &mut async || line.next().await,
            &mut async |event| told(&line, event).await,
        )
        .await;
        finish(&session, job, outcome);
    });
}

/// Gives a job its next frame.
pub(super) fn take(session: &Shared, frame: ScoreFrame) {
    let job = frame.job;
    let result = match session.borrow_mut().jobs.get_mut(&job) {
        // It has ended, and the page will hear so.
        None => Ok(()),
        Some(Job::Collecting(clip)) => clip.take(frame),
        Some(Job::Running(line)) => {
            if line.waiting.borrow().frames.len() < WAITING_FRAMES {
                line.change(|waiting| waiting.frames.push_back(frame));
            } else {
                // What has been scored is worth more than what this device would never reach.
                line.change(|waiting| waiting.is_closed = true);
            }
            Ok(())
        }
    };
    if let Err(error) = result {
        session.borrow_mut().jobs.remove(&job);
        fail(job, &error);
    }
}

/// No more frames of a job come.
pub(super) fn close(session: &Shared, job: u64) {
    let running = match session.borrow().jobs.get(&job) {
        None => return,
        Some(Job::Running(line)) => Some(line.clone()),
        Some(Job::Collecting(_)) => None,
    };
    if let Some(line) = running {
        return line.change(|waiting| waiting.is_closed = true);
    }
    let Some(Job::Collecting(clip)) = session.borrow_mut().jobs.remove(&job) else {
        return;
    };
    let Some(held) = session.borrow().scorer.clone() else {
        return end(job, failed(NO_SCORER));
    };
    let line = Rc::new(Line::default());
    insert(session, job, Job::Running(line.clone()));
    let session = session.clone();
    spawn_local(async move {
        let outcome = clip
            .score(&held.model, &held.name, &held.device, &mut async |event| {
                told(&line, event).await
            })
            .await;
        finish(&session, job, outcome);
    });
}

/// Stops a job.
pub(super) fn cancel(session: &Shared, job: u64) {
    let running = match session.borrow().jobs.get(&job) {
        None => return,
        Some(Job::Collecting(_)) => None,
        Some(Job::Running(line)) => Some(line.clone()),
    };
    match running {
        Some(line) => line.change(|waiting| waiting.is_cancelled = true),
        None => finish(session, job, ScoreOutcome::Stopped),
    }
}

/// Posts an event and lets the page's messages in.
async fn told(line: &Line, event: ScoreEvent) -> ControlFlow<()> {
    post(&FromWorker::Score(event));
    yield_to_event_loop().await;
    line.flow()
}

fn insert(session: &Shared, number: u64, job: Job) {
    session.borrow_mut().jobs.insert(number, job);
}

fn finish(session: &Shared, job: u64, outcome: ScoreOutcome) {
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
