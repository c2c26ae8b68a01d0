//! Admission of robots: the connection that drives a name, and a place for it.

use super::{Inner, Registry};
use crate::{
    connection_io::PeerActivity,
    peer_log::{ConnectionLog, Kind},
    queues::mailbox::Mailbox,
    robot_id,
    sessions::{
        connection::Connection,
        places::{Full, gives_way},
        session::{Services, Session, refusal},
    },
};
use protocol::{ErrorMessage, robot::RobotHello};
use std::{
    sync::{Arc, atomic::Ordering},
    time::{Duration, Instant},
};

/// Robots in the list, connected or not. Robots that left stay listed for pages; beyond this the oldest of them go.
const MAX_KNOWN_ROBOTS: usize = 128;

/// Longest silence of a connection whose robot is alive. It is pinged twice a second.
const ALIVE_WITHIN: Duration = Duration::from_millis(1200);

/// Reason why a robot did not get its place at once.
enum NoPlace {
    /// All places are taken; the text names the limit.
    Full(String),
    /// Another connection has the robot's name.
    Taken(Arc<Session>),
}

impl Registry {
    /// Connects a robot. Its name becomes its id, and the studio drives this connection.
    ///
    /// If another connection has the same name, the resume token of its welcome takes its place over at once. Without the
    /// token, that connection is checked first. It is pinged all the time, so after [`ALIVE_WITHIN`] without an answer it
    /// is dead and is cut. If it is alive, it keeps the place and the new connection is refused. A second place under the
    /// same name would be a robot that the first one's stop does not hold.
    ///
    /// # Errors
    /// The fatal refusal to send to the robot.
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
            Err(NoPlace::Full(reason)) => return Err(fatal("full", reason)),
            Err(NoPlace::Taken(other)) => other,
        };
        let old = other.connection();
        if !old.heard.again_within(ALIVE_WITHIN).await {
            log.say(
                Kind::Warning,
                &format!(
                    "{}: the old connection is dead and is cut for a new one",
                    other.robot_id()
                ),
            );
            match self.claim(&hello, &connection, Some(old.number)) {
                Ok(session) => return Ok((session, connection)),
                Err(NoPlace::Full(reason)) => return Err(fatal("full", reason)),
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

    /// Takes the place of the robot's name if it is free, if the token resumes it, or if its connection is `dead`.
    fn claim(
        &self,
        hello: &RobotHello,
        connection: &Connection,
        dead: Option<u64>,
    ) -> Result<Arc<Session>, NoPlace> {
        let (session, is_additional) = {
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
            let is_additional = connected.is_none();
            // A new name needs room for a latched stop, unless its stop is latched already.
            if known.is_none()
                && let Some(reason) = self.latches.full()
                && !self.latches.is_latched(&robot_id)
            {
                return Err(NoPlace::Full(reason));
            }
            if is_additional && !self.make_place(&inner.robots, connection) {
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
            (session, is_additional)
        };
        if is_additional {
            self.metrics.robots.inc();
        }
        self.broadcast_robots();
        Ok(session)
    }

    /// Makes a place for one more robot, if necessary by disconnecting one that has sent nothing since its hello. Returns
    /// `false` when there is none.
    fn make_place(&self, robots: &[Arc<Session>], newcomer: &Connection) -> bool {
        let connected: Vec<_> = robots.iter().filter(|r| r.is_connected()).collect();
        if connected.len() < self.limits.max_robots {
            return true;
        }
        let connections: Vec<_> = connected.iter().map(|robot| robot.connection()).collect();
        let now = Instant::now();
        let standings: Vec<_> = connections.iter().map(|one| one.standing(now)).collect();
        let first_use_within = self.limits.hello_within;
        let index = gives_way(&standings, newcomer.log.address(), first_use_within);
        let Some(index) = index else {
            return false;
        };
        let (Some(robot), Some(old)) = (connected.get(index), connections.get(index)) else {
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
        if inner.robots.len() > MAX_KNOWN_ROBOTS {
            // A robot that is watched goes last: its viewers would stay with the session of a robot that comes back.
            let unwatched = |robot: &Arc<Session>| !robot.is_connected() && !robot.is_watched();
            let gone = inner.robots.iter().position(unwatched);
            let gone = gone.or_else(|| inner.robots.iter().position(|r| !r.is_connected()));
            if let Some(gone) = gone {
                inner.robots.remove(gone);
            }
        }
        session
    }

    /// Ends a robot's connection.
    pub(crate) fn disconnect(&self, session: &Session, connection_number: u64) {
        if session.disconnect(connection_number) {
            self.metrics.robots.dec();
            self.broadcast_robots();
        }
    }
}
