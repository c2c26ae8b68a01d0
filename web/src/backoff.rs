//! The wire to the studio: whether it is alive, and when to dial again. Time comes from outside.

/// First pause.
const FIRST_MILLIS: u32 = 500;
/// Longest pause: somebody who restarts the studio should not wait long for the page.
const LONGEST_MILLIS: u32 = 5_000;
/// Pause while a stop waits to be sent.
const URGENT_MILLIS: f64 = 250.0;
/// The studio sends a heartbeat every 500 ms. After this long without a word the page says that nothing comes.
const SILENT_MILLIS: f64 = 1_000.0;
/// After this long without a word the socket is given up.
const DEAD_MILLIS: f64 = 2_000.0;
/// A page that was not run for this long has messages waiting that it has not read yet.
const SLEPT_MILLIS: f64 = 700.0;
/// How long the first attempt may take from dialling to the studio's welcome; each further one twice as long.
const OPEN_MILLIS: f64 = 2_000.0;
/// The longest that an attempt may take.
const OPEN_LONGEST_MILLIS: f64 = 5_000.0;
/// After so many attempts whose socket did not open, the page asks whether plain HTTP reaches the studio.
const PROBE_FROM: u32 = 3;
/// So many attempts in a row did not open although plain HTTP got an answer after each: not the studio's absence.
const BLOCKED_FROM: u32 = 2;

/// The page's wire to the studio.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Connection {
    /// First attempt under way.
    #[default]
    Connecting,
    /// Open, and the studio is heard.
    Live,
    /// Open as far as the browser knows, but nothing is heard.
    Silent,
    /// Lost or never made; the next attempt comes by itself.
    Waiting {
        /// Which attempt comes next, from 1.
        attempt: u32,
        /// Pause before it in milliseconds.
        pause_millis: u32,
    },
    /// Page and studio speak different versions of the protocol: the one case in which trying again helps nobody.
    Refused,
}

impl Connection {
    /// For `data-state` and styles.
    pub fn state(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Silent => "silent",
            Self::Waiting { .. } => "waiting",
            Self::Refused => "refused",
        }
    }

    /// In words.
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

    /// Whether what is sent may arrive. Only a stop is sent into silence: everything else would arrive late.
    pub fn may_carry(self) -> bool {
        matches!(self, Self::Live | Self::Silent)
    }

    /// The state after the wire broke; a refusal stays.
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

/// What is to be done with the socket now.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LinkAction {
    /// Nothing.
    Wait,
    /// Give up the socket, if there is one.
    Close,
    /// Give up the socket, if there is one, and open another.
    Connect,
}

/// Follows the wire from dialling to its end.
#[derive(Debug, Clone, PartialEq)]
pub struct Link {
    connection: Connection,
    /// When the attempt at hand began; none while the next one is waited for.
    connecting_since: Option<f64>,
    /// The socket of the attempt at hand opened.
    is_open: bool,
    /// When the last attempt ended, and when the next one begins.
    ended_at: f64,
    retry_at: f64,
    last_message_at: f64,
    /// When this was last asked, to know a page that slept.
    polled_at: f64,
    /// The page slept, and its messages were waited for once.
    waited_for_backlog: bool,
    /// Attempts in a row whose socket did not open.
    unopened: u32,
    /// Up to which of them plain HTTP was tried, and how often in a row it was answered.
    probed: u32,
    answered: u32,
}

impl Link {
    /// A link that dials at once.
    pub fn new(now_millis: f64) -> Self {
        Self {
            connection: Connection::Connecting,
            connecting_since: None,
            is_open: false,
            ended_at: now_millis,
            retry_at: now_millis,
            last_message_at: now_millis,
            polled_at: now_millis,
            waited_for_backlog: false,
            unopened: 0,
            probed: 0,
            answered: 0,
        }
    }

    /// What a person is shown.
    pub fn connection(&self) -> Connection {
        self.connection
    }

    /// What to do now. To be asked a few times a second. `urgent`: a stop waits to be sent.
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
    }

    /// Dials as soon as possible: somebody looks at the page again, or the network came back.
    pub fn retry_now(&mut self, now_millis: f64) {
        self.retry_at = self.retry_at.min(now_millis);
    }

    /// The socket opened; the studio has still to say hello.
    pub fn opened(&mut self) {
        self.is_open = true;
        self.unopened = 0;
        self.probed = 0;
        self.answered = 0;
    }

    /// The studio said hello.
    pub fn welcomed(&mut self, now_millis: f64) {
        self.connection = Connection::Live;
        self.message_received(now_millis);
    }

    /// The studio said anything.
    pub fn message_received(&mut self, now_millis: f64) {
        self.last_message_at = now_millis;
        self.waited_for_backlog = false;
        if self.connection == Connection::Silent {
            self.connection = Connection::Live;
        }
    }

    /// The socket closed, or could not be made.
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

    /// Page and studio speak different versions.
    pub fn refuse(&mut self) {
        self.connection = Connection::Refused;
    }

    /// Whether it is time to see if plain HTTP reaches the studio; the number is for [`Link::probed`].
    pub fn wants_probe(&self) -> Option<u32> {
        (self.unopened >= PROBE_FROM && self.probed < self.unopened).then_some(self.unopened)
    }

    /// Whether plain HTTP reached the studio.
    pub fn probed(&mut self, number: u32, answered: bool) {
        // A socket that opened in the meantime has answered the question.
        if number <= self.unopened {
            self.probed = number;
            self.answered = if answered { self.answered + 1 } else { 0 };
        }
    }

    /// Plain HTTP reaches the studio and a WebSocket does not.
    pub fn upgrade_is_blocked(&self) -> bool {
        self.answered >= BLOCKED_FROM
    }
}

#[cfg(test)]
mod tests;
