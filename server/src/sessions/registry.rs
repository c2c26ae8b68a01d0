//! All robots and all viewers of one studio.

use super::{
    connection::Connection,
    latched_stop::StopNumbers,
    listing::{BUILD_PERIOD, Listing},
    places::{Full, gives_way},
    presses::Presses,
    session::{Services, Session, refusal},
    viewers::{ViewerPlace, Viewers},
};
use crate::{
    connection_io::PeerActivity,
    data::{events::Events, latches::Latches},
    health::Health,
    inference::thread::Inference,
    limits::Limits,
    metrics::Metrics,
    peer_log::{ConnectionLog, Kind, PeerLogs},
    queues::{
        mailbox::Mailbox,
        outbox::{Key, Outbox},
    },
    robot_id,
    scene_questions::SceneQuestions,
};
use bytes::Bytes;
use protocol::{ErrorMessage, robot::RobotHello, viewer::PolicyDescription};
use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};
use tokio::{
    sync::Notify,
    time::{sleep, timeout},
};

/// Robots that left are still listed, so that a page can say so; the oldest are forgotten beyond this.
const MAX_KNOWN_ROBOTS: usize = 128;

/// A connection whose robot is alive is heard again within this time: it is pinged twice a second.
const PROVES_ALIVE_WITHIN: Duration = Duration::from_millis(1200);

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
    stop_numbers: Arc<StopNumbers>,
    inner: Mutex<Inner>,
    /// Locked before `inner`, and while viewers are sent something of it, so that nobody is told of robots in another order
    /// than that in which they changed.
    listing: Mutex<Listing>,
    /// Counts changes of the list.
    changes: AtomicU64,
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
    /// There is none, in words.
    Full(String),
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
            stop_numbers: Arc::default(),
            inner: Mutex::default(),
            listing: Mutex::default(),
            changes: AtomicU64::new(0),
            robots_changed: Notify::new(),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn listing(&self) -> MutexGuard<'_, Listing> {
        self.listing.lock().unwrap_or_else(PoisonError::into_inner)
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
        heard: &Arc<PeerActivity>,
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
            Err(NoPlace::Full(why)) => return Err(fatal("full", why)),
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
                Err(NoPlace::Full(why)) => return Err(fatal("full", why)),
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
            let robot_id = robot_id::of_name(&hello.name);
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
            // One that is stopped needs no room for its stop, and one that is known can be stopped wherever it is.
            if known.is_none()
                && let Some(why) = self.latches.full()
                && !self.latches.is_latched(&robot_id)
            {
                return Err(NoPlace::Full(why));
            }
            if is_further && !self.make_place(&inner.robots, connection) {
                let full = Full {
                    limit: self.limits.max_robots,
                    what: "robots",
                };
                return Err(NoPlace::Full(full.to_string()));
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
                stop_numbers: self.stop_numbers.clone(),
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

    /// Stops robots. Returns those that were not stopped before; for the others this press is the newest one, which a
    /// release has to name. A press that was carried out before changes nothing. One that finds all robots stopped is not remembered here: a viewer that presses without pause must not make
    /// the studio forget the presses of others.
    pub(crate) fn stop(
        &self,
        robots: &[Arc<Session>],
        press_id: u64,
        reason: &str,
    ) -> Vec<Arc<Session>> {
        if self.lock().presses.contains(press_id) {
            return Vec::new();
        }
        let stopped: Vec<_> = robots
            .iter()
            .filter(|robot| robot.stop(reason))
            .cloned()
            .collect();
        if !stopped.is_empty() {
            self.remember_press(press_id);
            self.broadcast_robots();
        }
        stopped
    }

    /// Remembers a press, so that it stops nothing when it is sent again.
    pub(crate) fn remember_press(&self, press_id: u64) {
        self.lock().presses.remember(press_id);
    }

    /// Lifts the stop of a robot: see [`Session::release`].
    ///
    /// # Errors
    /// Refusal of a release when the robot was stopped again since.
    pub(crate) fn release(
        &self,
        robot: &Session,
        named: Option<u64>,
        heard_at: Option<Instant>,
    ) -> Result<(), ErrorMessage> {
        robot.release(named, heard_at)?;
        self.broadcast_robots();
        Ok(())
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

    /// Something in the list or in the details of a robot changed: whoever is concerned is to be told.
    pub(crate) fn broadcast_robots(&self) {
        self.changes.fetch_add(1, Ordering::AcqRel);
        self.robots_changed.notify_one();
    }

    /// Tells viewers at once, but not more often than ten times a second: robots that come and go quickly would keep
    /// everybody busy with it.
    pub(crate) async fn keep_viewers_told(&self) {
        loop {
            let is_due_in = self.listing().is_due_in(Instant::now());
            let changed = self.robots_changed.notified();
            match is_due_in {
                Some(wait) => {
                    timeout(wait, changed).await.ok();
                }
                None => changed.await,
            }
            self.list_is_new().await;
            self.tell_viewers(Instant::now());
            sleep(BUILD_PERIOD).await;
        }
    }

    /// Sends the whole list where it is due, and details that changed.
    fn tell_viewers(&self, now: Instant) {
        {
            let mut listing = self.listing();
            if let Some(list) = listing.take_due(now) {
                for viewer in self.lock().viewers.outboxes() {
                    viewer.put_newest(Key::Robots, list.clone());
                }
            }
        }
        for robot in self.robots() {
            robot.tell_details();
        }
    }

    /// Builds the newest version of the list, and sends viewers the entries that changed.
    fn build(&self, listing: &mut Listing, now: Instant) {
        // Read before the robots: what changes meanwhile is counted again.
        let version = self.changes.load(Ordering::Acquire);
        let robots = self.robots();
        let summaries = robots.iter().map(|robot| robot.summary()).collect();
        let entries = listing.build(version, summaries, now);
        for viewer in self.lock().viewers.outboxes() {
            for (robot_id, entry) in &entries {
                viewer.put_newest(Key::Robot(robot_id.clone()), entry.clone());
            }
        }
    }

    /// Returns when the list contains everything that has happened by now, after a tenth of a second at most: however many
    /// ask, it is not built more often.
    async fn list_is_new(&self) {
        let wanted = self.changes.load(Ordering::Acquire);
        loop {
            let wait = {
                let mut listing = self.listing();
                if listing.contains(wanted) {
                    return;
                }
                let now = Instant::now();
                let wait = listing.may_be_built_in(now);
                if wait.is_zero() {
                    self.build(&mut listing, now);
                    return;
                }
                wait
            };
            sleep(wait).await;
        }
    }

    /// The list as JSON, shared by all who ask.
    pub(crate) async fn robots_json(&self) -> Bytes {
        self.list_is_new().await;
        self.listing().json()
    }

    /// A viewer arrived. It is given `welcome` and the list before anything that happens from now on. Another one may have
    /// to give way to it.
    pub(crate) async fn add_viewer(
        &self,
        viewer: &Arc<ViewerPlace>,
        welcome: Option<Bytes>,
    ) -> Result<(), Full> {
        self.list_is_new().await;
        let listing = self.listing();
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
        let outbox = viewer.outbox();
        if let Some(welcome) = welcome {
            outbox.put_control(welcome);
        }
        outbox.put_newest(Key::Robots, listing.frame());
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

#[cfg(test)]
mod tests;
