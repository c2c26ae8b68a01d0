//! The link to the studio: its liveness, and the times to reconnect. The caller supplies the time.

/// First pause between two attempts.
const FIRST_MILLIS: u32 = 500;
/// Longest pause, so that the page reconnects soon after a restart of the studio.
const LONGEST_MILLIS: u32 = 5_000;
/// Pause while a stop is waiting to be sent.
const URGENT_MILLIS: f64 = 250.0;
/// Silence after which the page shows that the studio does not respond. Heartbeats come every 500 ms.
const SILENT_MILLIS: f64 = 1_000.0;
/// Silence after which the socket is replaced.
const DEAD_MILLIS: f64 = 2_000.0;
/// Gap between two polls after which messages may be waiting that the page has not read yet.
const SLEPT_MILLIS: f64 = 700.0;
/// Time limit of the first attempt, from opening the socket to the studio's welcome; doubled for each further one.
const OPEN_MILLIS: f64 = 2_000.0;
/// Upper bound of that limit.
const OPEN_LONGEST_MILLIS: f64 = 5_000.0;
/// Failed attempts in a row after which the page checks whether plain HTTP reaches the studio.
const PROBE_FROM: u32 = 3;
/// Failed attempts in a row, each with an answer over plain HTTP, that show that the studio is not the cause.
const BLOCKED_FROM: u32 = 2;

/// State of the page's connection to the studio.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Connection {
    /// The first attempt is in progress.
    #[default]
    Connecting,
    /// Open, and messages arrive.
    Live,
    /// Open as far as the browser knows, but no messages arrive.
    Silent,
    /// Closed; the next attempt follows automatically.
    Waiting {
        /// Number of the next attempt, from 1.
        attempt: u32,
        /// Pause before it in milliseconds.
        pause_millis: u32,
    },
    /// Page and studio speak different versions of the protocol: the one case in which reconnecting cannot help.
    Refused,
}

impl Connection {
    /// Stable name for `data-state` and styles.
    pub fn state(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Silent => "silent",
            Self::Waiting { .. } => "waiting",
            Self::Refused => "refused",
        }
    }

    /// Label of the connection for people.
    pub fn label(self) -> String {
        match self {
            Self::Connecting => "Connecting".to_owned(),
            Self::Live => "Connected".to_owned(),
            Self::Silent => "No answer".to_owned(),
            Self::Waiting { attempt, .. } if attempt > 1 => {
                format!("No connection, attempt {attempt}")
            }
            Self::Waiting { .. } => "No connection".to_owned(),
            Self::Refused => "Refused".to_owned(),
        }
    }

    /// True if a message may arrive. While the studio is silent only stops are sent, because everything else would be late.
    pub fn may_carry(self) -> bool {
        matches!(self, Self::Live | Self::Silent)
    }

    /// The state after the connection broke; a refusal is final.
    pub fn after_loss(self) -> Self {
        match self {
            Self::Refused => Self::Refused,
            Self::Waiting { attempt, .. } => Self::waiting(attempt + 1),
            Self::Connecting | Self::Live | Self::Silent => Self::waiting(1),
        }
    }

    fn waiting(attempt: u32) -> Self {
        let doublings = (attempt - 1).min(8);
        Self::Waiting {
            attempt,
            pause_millis: (FIRST_MILLIS << doublings).min(LONGEST_MILLIS),
        }
    }

    fn attempt(self) -> u32 {
        match self {
            Self::Waiting { attempt, .. } => attempt,
            _ => 0,
        }
    }
}

/// Action on the socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkAction {
    /// Nothing.
    Wait,
    /// Close the socket, if there is one.
    Close,
    /// Close the socket, if there is one, and open another.
    Connect,
}

/// The link from the first attempt to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    connection: Connection,
    /// Start of the attempt in progress; absent between attempts.
    connecting_since: Option<f64>,
    /// True if the socket of this attempt has opened.
    is_open: bool,
    /// End of the last attempt.
    ended_at: f64,
    retry_at: f64,
    last_message_at: f64,
    /// The newest heartbeat of this connection.
    heard_beat: Option<u64>,
    /// True if the studio of this connection does not support echoes.
    is_echo_refused: bool,
    /// Time of the last poll, to detect a page that was suspended.
    polled_at: f64,
    /// True if the link waited once for the messages of a suspended page.
    waited_for_backlog: bool,
    /// Failed attempts in a row.
    unopened: u32,
    /// Failed attempt of the last probe.
    probed: u32,
    answered: u32,
}

impl Link {
    /// A link that connects at once.
    pub fn new(now_millis: f64) -> Self {
        Self {
            connection: Connection::Connecting,
            connecting_since: None,
            is_open: false,
            ended_at: now_millis,
            retry_at: now_millis,
            last_message_at: now_millis,
            heard_beat: None,
            is_echo_refused: false,
            polled_at: now_millis,
            waited_for_backlog: false,
            unopened: 0,
            probed: 0,
            answered: 0,
        }
    }

    /// The state to show.
    pub fn connection(&self) -> Connection {
        self.connection
    }

    /// Next action; to be called a few times a second. `urgent`: a stop is waiting to be sent.
    pub fn poll(&mut self, now_millis: f64, urgent: bool) -> LinkAction {
        let slept = now_millis - self.polled_at > SLEPT_MILLIS;
        self.polled_at = now_millis;
        match self.connection {
            Connection::Refused => LinkAction::Wait,
            Connection::Live | Connection::Silent => self.poll_open(now_millis, slept),
            Connection::Connecting | Connection::Waiting { .. } => {
                self.poll_closed(now_millis, urgent)
            }
        }
    }

    fn poll_open(&mut self, now_millis: f64, slept: bool) -> LinkAction {
        let silence = now_millis - self.last_message_at;
        if silence < SILENT_MILLIS {
            return LinkAction::Wait;
        }
        if slept && !self.waited_for_backlog {
            self.waited_for_backlog = true;
            return LinkAction::Wait;
        }
        if silence < DEAD_MILLIS {
            self.connection = Connection::Silent;
            return LinkAction::Wait;
        }
        self.closed(now_millis);
        self.start_attempt(now_millis);
        LinkAction::Connect
    }

    fn poll_closed(&mut self, now_millis: f64, urgent: bool) -> LinkAction {
        if let Some(since) = self.connecting_since {
            let longer = f64::from(1_u32 << self.connection.attempt().min(4));
            if now_millis - since < (OPEN_MILLIS * longer).min(OPEN_LONGEST_MILLIS) {
                return LinkAction::Wait;
            }
            self.closed(now_millis);
            return LinkAction::Close;
        }
        let is_due =
            now_millis >= self.retry_at || (urgent && now_millis >= self.ended_at + URGENT_MILLIS);
        if !is_due {
            return LinkAction::Wait;
        }
        self.start_attempt(now_millis);
        LinkAction::Connect
    }

    fn start_attempt(&mut self, now_millis: f64) {
        self.connecting_since = Some(now_millis);
        self.is_open = false;
        self.heard_beat = None;
        self.is_echo_refused = false;
    }

    /// Reconnects as soon as possible: the page is in view again, or the network came back.
    pub fn retry_now(&mut self, now_millis: f64) {
        self.retry_at = self.retry_at.min(now_millis);
    }

    /// Records that the socket opened; the studio's welcome has yet to come.
    pub fn opened(&mut self) {
        self.is_open = true;
        self.unopened = 0;
        self.probed = 0;
        self.answered = 0;
    }

    /// Records the studio's welcome.
    pub fn welcomed(&mut self, now_millis: f64) {
        self.connection = Connection::Live;
        self.message_received(now_millis);
    }

    /// Records a message of any kind.
    pub fn message_received(&mut self, now_millis: f64) {
        self.last_message_at = now_millis;
        self.waited_for_backlog = false;
        if self.connection == Connection::Silent {
            self.connection = Connection::Live;
        }
    }

    /// Records a heartbeat of the studio.
    pub fn heartbeat(&mut self, beat: u64) {
        self.heard_beat = self.heard_beat.max(Some(beat));
    }

    /// The newest heartbeat of this connection, for messages that must not arrive late.
    pub fn heard_beat(&self) -> Option<u64> {
        self.heard_beat
    }

    /// True if heartbeats are echoed on this connection.
    pub fn echoes(&self) -> bool {
        !self.is_echo_refused
    }

    /// Records that the studio, an older one, refused an echo; `true` the first time on a connection.
    pub fn echo_refused(&mut self) -> bool {
        !std::mem::replace(&mut self.is_echo_refused, true)
    }

    /// Records that the socket closed or could not be created.
    pub fn closed(&mut self, now_millis: f64) {
        if self.connecting_since.take().is_some() && !self.is_open {
            self.unopened = self.unopened.saturating_add(1);
        }
        self.is_open = false;
        self.ended_at = now_millis;
        self.connection = self.connection.after_loss();
        if let Connection::Waiting { pause_millis, .. } = self.connection {
            self.retry_at = now_millis + f64::from(pause_millis);
        }
    }

    /// Records that page and studio speak different versions.
    pub fn refuse(&mut self) {
        self.connection = Connection::Refused;
    }

    /// The number of a probe over plain HTTP, for [`Link::probed`]; `None` while none is due.
    pub fn probe_due(&self) -> Option<u32> {
        (self.unopened >= PROBE_FROM && self.probed < self.unopened).then_some(self.unopened)
    }

    /// Records whether a probe was answered.
    pub fn probed(&mut self, number: u32, answered: bool) {
        // A socket that opened in the meantime makes the probe obsolete.
        if number <= self.unopened {
            self.probed = number;
            self.answered = if answered { self.answered + 1 } else { 0 };
        }
    }

    /// True if plain HTTP reaches the studio and a WebSocket does not.
    pub fn upgrade_is_blocked(&self) -> bool {
        self.answered >= BLOCKED_FROM
    }
}

#[cfg(test)]
mod tests;
