//! All robots and all viewers of one studio.

use super::{live::Live, session::Session};
use crate::{
    chunking::Chunking,
    mailbox::Mailbox,
    metrics::Metrics,
    policies::inference::Inference,
    scene::Asking,
    viewers::outbox::{Key, Outbox},
};
use protocol::{
    robot::RobotHello,
    viewer::{PolicyDescription, RobotList},
};
use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tokio::sync::Notify;

/// What a studio accepts, how long it waits, and how it drives.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// Robots connected at once.
    pub max_robots: usize,
    /// Viewers connected at once.
    pub max_viewers: usize,
    /// A chunk whose observation arrived longer ago than this is not sent.
    pub max_chunk_age: Duration,
    /// The first message must come within this time.
    pub hello_within: Duration,
    /// A ping is sent this often.
    pub ping_every: Duration,
    /// A connection without any traffic for this long is dropped.
    pub silence: Duration,
    /// Bytes of pictures, states and traces that may wait for one viewer.
    pub max_lossy_bytes: usize,
    /// How the next chunk of a robot meets the running one.
    pub chunking: Chunking,
    /// Robots whose questions the policy is asked in one batch, at most.
    pub max_batch: usize,
    /// Videos that are being scored on the studio or wait for that, at most.
    pub max_scorings: usize,
    /// Connections of any kind that are open at once.
    pub max_connections: usize,
    /// WebSockets that have not said hello; beyond this the oldest goes.
    pub max_ungreeted: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_robots: 64,
            max_viewers: 256,
            max_chunk_age: Duration::from_secs(1),
            hello_within: Duration::from_secs(5),
            ping_every: Duration::from_secs(5),
            silence: Duration::from_secs(15),
            max_lossy_bytes: 4 << 20,
            chunking: Chunking::default(),
            max_batch: 8,
            max_scorings: 8,
            max_connections: 1024,
            max_ungreeted: 64,
        }
    }
}

/// Robots that left are still listed, so that a page can say so; the oldest are forgotten beyond this.
const MAX_KNOWN_ROBOTS: usize = 128;

/// Viewers are told of robots that come, go and change at most this often.
const ROBOTS_PERIOD: Duration = Duration::from_millis(100);

/// The studio is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this studio serves at most {limit} {what} at once; disconnect one or raise the limit")]
pub(crate) struct Full {
    limit: usize,
    what: &'static str,
}

/// The shared state behind every handler.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) inference: Arc<Inference>,
    pub(crate) asking: Arc<Asking>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) limits: Limits,
    inner: Mutex<Inner>,
    robots_changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    robots: Vec<Arc<Session>>,
    viewers: Vec<Arc<Outbox>>,
    next_key: u64,
}

impl Registry {
    pub(crate) fn new(
        inference: Arc<Inference>,
        asking: Arc<Asking>,
        metrics: Arc<Metrics>,
        limits: Limits,
    ) -> Self {
        Self {
            inference,
            asking,
            metrics,
            limits,
            inner: Mutex::default(),
            robots_changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A robot dialled in. Its name becomes its id; a second robot of the same name gets a number behind it,
    /// and one that had left under that name takes its old place.
    pub(crate) fn connect(
        &self,
        mut hello: RobotHello,
        mailbox: &Arc<Mailbox>,
    ) -> Result<Arc<Session>, Full> {
        let session = {
            let mut inner = self.lock();
            let connected = inner.robots.iter().filter(|robot| robot.is_connected());
            if connected.count() >= self.limits.max_robots {
                return Err(Full {
                    limit: self.limits.max_robots,
                    what: "robots",
                });
            }
            let wanted = id_of(&hello.name);
            let mut robot_id = wanted.clone();
            let mut number = 1;
            let known = loop {
                let known = inner
                    .robots
                    .iter()
                    .find(|robot| robot.robot_id() == robot_id);
                match known {
                    Some(robot) if robot.is_connected() => {
                        number += 1;
                        robot_id = format!("{wanted}-{number}");
                    }
                    other => break other.cloned(),
                }
            };
            if number > 1 {
                hello.name = format!("{} {number}", hello.name);
            }
            if let Some(session) = known {
                session.reconnect(hello, mailbox.clone());
                session
            } else {
                inner.next_key += 1;
                let session = Arc::new(Session::new(
                    inner.next_key,
                    Live::new(robot_id, hello),
                    mailbox.clone(),
                    self.inference.clone(),
                    self.metrics.clone(),
                    self.limits,
                ));
                inner.robots.push(session.clone());
                if inner.robots.len() > MAX_KNOWN_ROBOTS
                    && let Some(oldest) = inner.robots.iter().position(|r| !r.is_connected())
                {
                    inner.robots.remove(oldest);
                }
                session
            }
        };
        self.metrics.robots.inc();
        self.broadcast_robots();
        Ok(session)
    }

    /// A robot's connection ended.
    pub(crate) fn disconnect(&self, session: &Session) {
        session.disconnect();
        self.metrics.robots.dec();
        self.broadcast_robots();
    }

    /// The robot of that id, if it was ever here.
    pub(crate) fn robot(&self, robot_id: &str) -> Option<Arc<Session>> {
        self.lock()
            .robots
            .iter()
            .find(|robot| robot.robot_id() == robot_id)
            .cloned()
    }

    /// Every robot, in order of arrival.
    pub(crate) fn robots(&self) -> Vec<Arc<Session>> {
        self.lock().robots.clone()
    }

    pub(crate) fn robot_list(&self) -> RobotList {
        RobotList {
            robots: self.robots().iter().map(|robot| robot.summary()).collect(),
        }
    }

    /// Every viewer is to be told who is there.
    pub(crate) fn broadcast_robots(&self) {
        self.robots_changed.notify_one();
    }

    /// Tells it at once, but not more often than ten times a second: the list can be long, and robots that come and go
    /// quickly would keep everybody busy with it.
    pub(crate) async fn keep_viewers_told(&self) {
        loop {
            self.robots_changed.notified().await;
            self.send_robots();
            tokio::time::sleep(ROBOTS_PERIOD).await;
        }
    }

    fn send_robots(&self) {
        let frame = match protocol::encode(&self.robot_list()) {
            Ok(frame) => bytes::Bytes::from(frame),
            Err(error) => {
                self.metrics.error("encode");
                tracing::warn!("the robot list was not sent: {error}");
                return;
            }
        };
        for viewer in &self.lock().viewers {
            viewer.put_newest(Key::Robots, frame.clone());
        }
    }

    /// A viewer arrived.
    pub(crate) fn add_viewer(&self, outbox: &Arc<Outbox>) -> Result<(), Full> {
        let mut inner = self.lock();
        if inner.viewers.len() >= self.limits.max_viewers {
            return Err(Full {
                limit: self.limits.max_viewers,
                what: "viewers",
            });
        }
        inner.viewers.push(outbox.clone());
        self.metrics.viewers.inc();
        Ok(())
    }

    /// A viewer left.
    pub(crate) fn remove_viewer(&self, outbox: &Arc<Outbox>) {
        let mut inner = self.lock();
        let before = inner.viewers.len();
        inner.viewers.retain(|other| !Arc::ptr_eq(other, outbox));
        if inner.viewers.len() < before {
            self.metrics.viewers.dec();
        }
    }

    /// The hosted policy, or that there is none.
    pub(crate) fn policy(&self) -> PolicyDescription {
        self.inference.info().map_or_else(
            || PolicyDescription {
                name: "no policy".to_owned(),
                parameters: 0,
                device: "none".to_owned(),
                horizon: 0,
                modes: Vec::new(),
                action: Vec::new(),
                has_tokenizer: false,
                depth: None,
            },
            crate::policies::actor::ActorInfo::describe,
        )
    }
}

/// Letters, digits, `-` and `_` of a name, lower case: fit for a URL.
fn id_of(name: &str) -> String {
    let id: String = name
        .trim()
        .chars()
        .take(64)
        .map(|c| match c {
            c if c.is_ascii_alphanumeric() || c == '_' => c.to_ascii_lowercase(),
            _ => '-',
        })
        .collect();
    if id.is_empty() {
        "robot".to_owned()
    } else {
        id
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use protocol::JointDescription;

    fn registry(limits: Limits) -> Registry {
        let metrics = Arc::new(Metrics::new());
        let (inference, _) = Inference::start(Err("none".to_owned()), metrics.clone(), 1).unwrap();
        let (asking, _) = Asking::start(Err("nobody".to_owned())).unwrap();
        Registry::new(inference, asking, metrics, limits)
    }

    fn hello(name: &str) -> RobotHello {
        RobotHello {
            name: name.to_owned(),
            tag: "tag".to_owned(),
            joints: vec![JointDescription {
                name: "pan".to_owned(),
                unit: "deg".to_owned(),
                min: -1.0,
                max: 1.0,
            }],
            cameras: Vec::new(),
            control_rate_hz: 30.0,
            example_instructions: Vec::new(),
            simulated: false,
            resume_token: None,
        }
    }

    #[test]
    fn a_second_robot_of_the_same_name_gets_a_number() {
        let registry = registry(Limits::default());
        let first = registry.connect(hello("Arm A"), &Arc::default()).unwrap();
        let second = registry.connect(hello("Arm A"), &Arc::default()).unwrap();
        assert_eq!(first.robot_id(), "arm-a");
        assert_eq!(second.robot_id(), "arm-a-2");
        assert_eq!(second.summary().name, "Arm A 2");
    }

    #[test]
    fn a_robot_that_comes_back_takes_its_old_place_and_stays_stopped() {
        let registry = registry(Limits::default());
        let first = registry.connect(hello("arm"), &Arc::default()).unwrap();
        first.stop("test".to_owned());
        registry.disconnect(&first);
        let mailbox = Arc::<Mailbox>::default();
        let again = registry.connect(hello("arm"), &mailbox).unwrap();
        assert!(Arc::ptr_eq(&first, &again));
        assert!(matches!(mailbox.take(), Some(protocol::ToRobot::Stop(_))));
        assert_eq!(registry.robot_list().robots.len(), 1);
    }

    #[test]
    fn a_full_studio_says_so() {
        let registry = registry(Limits {
            max_robots: 1,
            ..Limits::default()
        });
        let _first = registry.connect(hello("a"), &Arc::default()).unwrap();
        let refused = registry.connect(hello("b"), &Arc::default()).unwrap_err();
        assert!(refused.to_string().contains("at most 1 robots"));
    }
}
