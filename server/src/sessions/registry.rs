//! All robots and all viewers of one studio.

use super::{
    connection::Connection,
    places::{Full, gives_way},
    presses::Presses,
    session::{Services, Session, refusal},
    viewers::{ViewerPlace, Viewers},
};
use crate::{
    data::{
        events::Events,
        latches::{Change, Latches},
    },
    health::Health,
    inference::thread::Inference,
    limits::Limits,
    metrics::Metrics,
    peer_log::{ConnectionLog, Kind, PeerLogs},
    queues::{
        mailbox::Mailbox,
        outbox::{Key, Outbox},
    },
    scene_questions::SceneQuestions,
    wire::Heard,
};
use protocol::{
    ErrorMessage,
    robot::RobotHello,
    viewer::{PolicyDescription, RobotList},
};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::sync::Notify;

/// Robots that left are still listed, so that a page can say so; the oldest are forgotten beyond this.
const MAX_KNOWN_ROBOTS: usize = 128;

/// A connection whose robot is alive is heard again within this time: it is pinged twice a second.
const PROVES_ALIVE_WITHIN: Duration = Duration::from_millis(1200);
/// Viewers are told of robots that come, go and change at most this often.
const ROBOTS_PERIOD: Duration = Duration::from_millis(100);

/// The shared state behind every handler.
#[derive(Debug)]
pub(crate) struct Registry {
    pub(crate) inference: Arc<Inference>,
    pub(crate) asking: Arc<SceneQuestions>,
    pub(crate) metrics: Arc<Metrics>,
    pub(crate) latches: Arc<Latches>,
    pub(crate) events: Events,
    pub(crate) health: Arc<Health>,
    pub(crate) limits: Limits,
    pub(crate) logs: Arc<PeerLogs>,
    next_connection: AtomicU64,
    inner: Mutex<Inner>,
    robots_changed: Notify,
}

#[derive(Debug, Default)]
struct Inner {
    robots: Vec<Arc<Session>>,
    viewers: Viewers,
    presses: Presses,
    next_key: u64,
}

/// Why a robot did not get its place at once.
enum NoPlace {
    Full(Full),
    /// Another connection has it.
    Taken(Arc<Session>),
}

impl Registry {
    pub(crate) fn new(
        inference: Arc<Inference>,
        asking: Arc<SceneQuestions>,
        metrics: Arc<Metrics>,
        latches: Arc<Latches>,
        events: Events,
        health: Arc<Health>,
        limits: Limits,
    ) -> Self {
        Self {
            inference,
            asking,
            metrics,
            latches,
            events,
            health,
            limits,
            logs: Arc::default(),
            next_connection: AtomicU64::new(1),
            inner: Mutex::default(),
            robots_changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A robot dialled in. Its name becomes its id, and its connection the one that the studio drives.
    ///
    /// Where another connection of that name is open, the token of its welcome takes the place over at once. Without the
    /// token the other one is listened for: it was pinged all along, so one that says nothing for
    /// [`PROVES_ALIVE_WITHIN`] is dead and not yet noticed, and is cut; one that is alive keeps the place, and the
    /// newcomer is refused. A second place beside it would be a robot without the stop of the first.
    ///
    /// # Errors
    /// The refusal to send, fatal.
    pub(crate) async fn connect(
        &self,
        hello: RobotHello,
        mailbox: &Arc<Mailbox>,
        heard: &Arc<Heard>,
        log: &ConnectionLog,
    ) -> Result<(Arc<Session>, Connection), ErrorMessage> {
        let number = self.next_connection.fetch_add(1, Ordering::Relaxed);
        let connection = Connection::new(number, mailbox.clone(), heard.clone(), log.clone());
        let fatal = |code: &str, message: String| ErrorMessage {
            fatal: true,
            ..refusal(code, message)
        };
        let other = match self.claim(&hello, &connection, None) {
            Ok(session) => return Ok((session, connection)),
            Err(NoPlace::Full(full)) => return Err(fatal("full", full.to_string())),
            Err(NoPlace::Taken(other)) => other,
        };
        let old = other.connection();
        if !old.heard.again_within(PROVES_ALIVE_WITHIN).await {
            log.say(
                Kind::Warning,
                &format!(
                    "{}: the old connection is dead and is cut for a new one",
                    other.robot_id()
                ),
            );
            match self.claim(&hello, &connection, Some(old.number)) {
                Ok(session) => return Ok((session, connection)),
                Err(NoPlace::Full(full)) => return Err(fatal("full", full.to_string())),
                Err(NoPlace::Taken(_)) => {}
            }
        }
        Err(fatal(
            "name_taken",
            format!(
                "a robot named {:?} is connected and alive; give this one another name, or send the resume_token of \
                 its last welcome to take its place",
                hello.name
            ),
        ))
    }

    /// Takes the place of the robot's name, if it is free, resumed by its token, or that of the connection `dead`.
    fn claim(
        &self,
        hello: &RobotHello,
        connection: &Connection,
        dead: Option<u64>,
    ) -> Result<Arc<Session>, NoPlace> {
        let (session, is_further) = {
            let mut inner = self.lock();
            let robot_id = id_of(&hello.name);
            let known = inner
                .robots
                .iter()
                .find(|robot| robot.robot_id() == robot_id)
                .cloned();
            let connected = known.as_ref().filter(|robot| robot.is_connected());
            if let Some(robot) = connected {
                let old = robot.connection();
                if !old.is_resumed_by(hello.resume_token.as_deref()) && dead != Some(old.number) {
                    return Err(NoPlace::Taken(robot.clone()));
                }
            }
            let is_further = connected.is_none();
            let is_full = || {
                (self.latches.is_full() && !self.latches.is_latched(&robot_id))
                    || !self.make_place(&inner.robots, connection)
            };
            if is_further && is_full() {
                return Err(NoPlace::Full(Full {
                    limit: self.limits.max_robots,
                    what: "robots",
                }));
            }
            let session = match known {
                Some(session) => {
                    session.reconnect(hello.clone(), connection.clone());
                    session
                }
                None => self.add(&mut inner, robot_id, hello, connection),
            };
            (session, is_further)
        };
        if is_further {
            self.metrics.robots.inc();
        }
        self.broadcast_robots();
        Ok(session)
    }

    /// Whether there is a place for one more robot. One that has sent nothing since its hello gives its own.
    fn make_place(&self, robots: &[Arc<Session>], newcomer: &Connection) -> bool {
        let connected: Vec<_> = robots.iter().filter(|r| r.is_connected()).collect();
        if connected.len() < self.limits.max_robots {
            return true;
        }
        let connections: Vec<_> = connected.iter().map(|robot| robot.connection()).collect();
        let now = Instant::now();
        let standings: Vec<_> = connections.iter().map(|one| one.standing(now)).collect();
        let first_use_within = self.limits.hello_within;
        let goes = gives_way(&standings, newcomer.log.address(), first_use_within);
        let Some(goes) = goes else {
            return false;
        };
        let (Some(robot), Some(old)) = (connected.get(goes), connections.get(goes)) else {
            return false;
        };
        old.give_way();
        if robot.disconnect(old.number) {
            self.metrics.robots.dec();
        }
        true
    }

    fn add(
        &self,
        inner: &mut Inner,
        robot_id: String,
        hello: &RobotHello,
        connection: &Connection,
    ) -> Arc<Session> {
        inner.next_key += 1;
        let session = Arc::new(Session::new(
            inner.next_key,
            robot_id,
            hello.clone(),
            connection.clone(),
            Services {
                inference: self.inference.clone(),
                metrics: self.metrics.clone(),
                latches: self.latches.clone(),
                limits: self.limits,
            },
        ));
        inner.robots.push(session.clone());
        if inner.robots.len() > MAX_KNOWN_ROBOTS
            && let Some(oldest) = inner.robots.iter().position(|r| !r.is_connected())
        {
            inner.robots.remove(oldest);
        }
        session
    }

    /// A robot's connection ended.
    pub(crate) fn disconnect(&self, session: &Session, connection_number: u64) {
        if session.disconnect(connection_number) {
            self.metrics.robots.dec();
            self.broadcast_robots();
        }
    }

    /// Stops one robot or, without a robot, all of them. The robots, and the change of the table of latches to wait for;
    /// a press that was carried out before changes nothing.
    pub(crate) fn stop(
        &self,
        robots: &[Arc<Session>],
        press_id: u64,
        reason: &str,
    ) -> Option<Change> {
        let is_new = self.lock().presses.is_new(press_id);
        if !is_new {
            return None;
        }
        robots.iter().filter_map(|robot| robot.stop(reason)).max()
    }

    /// A viewer is gone or silent: what it set off ends, unless it may run unattended.
    pub(crate) fn operator_gone(&self, viewer: u64, name: &str) {
        for robot in self.robots() {
            if robot.operator_gone(viewer) {
                let robot_id = robot.robot_id();
                self.events.note("operator_gone", &robot_id, name, "", "");
            }
        }
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
        for viewer in self.lock().viewers.outboxes() {
            viewer.put_newest(Key::Robots, frame.clone());
        }
    }

    /// A viewer arrived. Another one may have to give way to it.
    pub(crate) fn add_viewer(&self, viewer: &Arc<ViewerPlace>) -> Result<(), Full> {
        let mut inner = self.lock();
        let Inner {
            robots, viewers, ..
        } = &mut *inner;
        let operators = || {
            robots
                .iter()
                .filter_map(|robot| robot.operator())
                .collect::<Vec<_>>()
        };
        viewers.add(viewer, &self.limits, operators)?;
        self.count_viewers(&inner);
        Ok(())
    }

    /// A viewer left.
    pub(crate) fn remove_viewer(&self, outbox: &Arc<Outbox>) {
        let mut inner = self.lock();
        inner.viewers.remove(outbox);
        self.count_viewers(&inner);
    }

    fn count_viewers(&self, inner: &Inner) {
        let count = i64::try_from(inner.viewers.count()).unwrap_or(i64::MAX);
        self.metrics.viewers.set(count);
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
            policies::policy::PolicyInfo::describe,
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
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;
    use crate::peer_address::PeerAddress;
    use protocol::JointDescription;

    fn registry(limits: Limits) -> Registry {
        let metrics = Arc::new(Metrics::new());
        let health = Health::new();
        let (inference, _) =
            Inference::start(Err("none".to_owned()), metrics.clone(), 1, &health).unwrap();
        let (asking, _) = SceneQuestions::start(Err("nobody".to_owned()), &health).unwrap();
        let latches = Arc::new(Latches::open(None).unwrap());
        let events = Events::open(None).unwrap();
        Registry::new(inference, asking, metrics, latches, events, health, limits)
    }

    impl Registry {
        fn log(&self) -> ConnectionLog {
            ConnectionLog::new(PeerAddress::UNKNOWN, self.logs.clone())
        }
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

    async fn connect(
        registry: &Registry,
        hello: RobotHello,
    ) -> (Arc<Session>, Connection, Arc<Heard>) {
        let heard = Arc::<Heard>::default();
        let (session, connection) = registry
            .connect(hello, &Arc::default(), &heard, &registry.log())
            .await
            .unwrap();
        (session, connection, heard)
    }

    #[tokio::test]
    async fn a_name_whose_robot_is_alive_is_refused_and_the_robot_keeps_its_place() {
        let registry = registry(Limits::default());
        let (first, connection, heard) = connect(&registry, hello("Arm A")).await;
        assert_eq!(first.robot_id(), "arm-a");
        tokio::spawn(async move {
            loop {
                heard.note();
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        });
        let refused = registry
            .connect(
                hello("Arm A"),
                &Arc::default(),
                &Arc::default(),
                &registry.log(),
            )
            .await
            .unwrap_err();
        assert_eq!((refused.code.as_str(), refused.fatal), ("name_taken", true));
        assert!(first.is_connected() && !connection.cut.is_cancelled());
    }

    #[tokio::test]
    async fn a_dead_connection_is_cut_for_a_new_one_which_inherits_the_stop() {
        let registry = registry(Limits::default());
        let (first, old, _) = connect(&registry, hello("arm")).await;
        let _ = first.stop("test");
        let mailbox = Arc::<Mailbox>::default();
        let (again, new) = registry
            .connect(hello("arm"), &mailbox, &Arc::default(), &registry.log())
            .await
            .unwrap();
        assert!(Arc::ptr_eq(&first, &again) && old.cut.is_cancelled());
        assert!(matches!(mailbox.take(), Some(protocol::ToRobot::Stop(_))));
        // The end of the old connection is not the end of the robot.
        registry.disconnect(&first, old.number);
        assert!(again.is_connected());
        registry.disconnect(&again, new.number);
        assert!(!again.is_connected());
    }

    #[tokio::test]
    async fn the_token_of_its_welcome_takes_the_place_over_at_once() {
        let registry = registry(Limits::default());
        let (first, old, heard) = connect(&registry, hello("arm")).await;
        heard.note();
        let mut resuming = hello("arm");
        resuming.resume_token = Some(old.resume_token.clone());
        let (again, _, _) = connect(&registry, resuming).await;
        assert!(Arc::ptr_eq(&first, &again) && old.cut.is_cancelled());
        assert_eq!(registry.metrics.robots.get(), 1);
    }

    #[tokio::test]
    async fn a_stop_is_remembered_behind_ten_thousand_other_robots() {
        let registry = registry(Limits::default());
        let (arm, connection, _) = connect(&registry, hello("arm")).await;
        let _ = arm.stop("test");
        registry.disconnect(&arm, connection.number);
        for number in 0..10_000 {
            let (other, connection, _) = connect(&registry, hello(&format!("r{number}"))).await;
            registry.disconnect(&other, connection.number);
        }
        assert!(registry.robot("arm").is_none(), "only its latch is kept");
        let mailbox = Arc::<Mailbox>::default();
        let (again, _) = registry
            .connect(hello("arm"), &mailbox, &Arc::default(), &registry.log())
            .await
            .unwrap();
        assert!(matches!(mailbox.take(), Some(protocol::ToRobot::Stop(_))));
        assert_eq!(
            again
                .command("go", protocol::Mode::Continuous, 1)
                .unwrap_err()
                .code,
            "stopped"
        );
        again.release();
        assert!(
            again
                .command("go", protocol::Mode::Continuous, 1)
                .is_err_and(|e| e.code == "no_policy")
        );
    }

    #[tokio::test]
    async fn a_robot_that_sends_nothing_gives_its_place_and_one_that_works_does_not() {
        let registry = registry(Limits {
            max_robots: 1,
            hello_within: Duration::ZERO,
            ..Limits::default()
        });
        let (idle, old, _) = connect(&registry, hello("idle")).await;
        let (working, connection, _) = connect(&registry, hello("working")).await;
        assert!(old.gave_way() && old.cut.is_cancelled() && !idle.is_connected());
        registry.disconnect(&idle, old.number);
        assert_eq!(registry.metrics.robots.get(), 1);
        connection.used();
        let refused = registry
            .connect(
                hello("third"),
                &Arc::default(),
                &Arc::default(),
                &registry.log(),
            )
            .await
            .unwrap_err();
        assert_eq!(refused.code, "full");
        assert!(working.is_connected() && !connection.cut.is_cancelled());
    }

    #[tokio::test]
    async fn a_full_studio_says_so() {
        let registry = registry(Limits {
            max_robots: 1,
            ..Limits::default()
        });
        let _first = connect(&registry, hello("a")).await;
        let refused = registry
            .connect(
                hello("b"),
                &Arc::default(),
                &Arc::default(),
                &registry.log(),
            )
            .await
            .unwrap_err();
        assert!(refused.message.contains("at most 1 robots"));
    }
}
