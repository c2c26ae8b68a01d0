//! When to try a lost connection again.

/// First pause.
const FIRST_MILLIS: u32 = 500;
/// Longest pause: somebody who restarts the studio should not wait long for the page.
const LONGEST_MILLIS: u32 = 5_000;

/// The page's wire to the studio.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Connection {
    /// First attempt under way.
    #[default]
    Connecting,
    /// Open, and the studio said hello.
    Live,
    /// Lost or never made; the next attempt comes by itself.
    Waiting {
        /// Which attempt comes next, from 1.
        attempt: u32,
        /// Pause before it in milliseconds.
        pause_millis: u32,
    },
    /// The studio refused this page for good.
    Refused,
}

impl Connection {
    /// For `data-state` and styles.
    pub fn state(self) -> &'static str {
        match self {
            Self::Connecting => "connecting",
            Self::Live => "live",
            Self::Waiting { .. } => "waiting",
            Self::Refused => "refused",
        }
    }

    /// In words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Connecting => "Connecting",
            Self::Live => "Connected",
            Self::Waiting { .. } => "Connection lost",
            Self::Refused => "Refused",
        }
    }

    /// The state after the wire broke; a refusal stays.
    pub fn after_loss(self) -> Self {
        match self {
            Self::Refused => Self::Refused,
            Self::Waiting { attempt, .. } => Self::waiting(attempt + 1),
            Self::Connecting | Self::Live => Self::waiting(1),
        }
    }

    fn waiting(attempt: u32) -> Self {
        let doublings = (attempt - 1).min(8);
        Self::Waiting {
            attempt,
            pause_millis: (FIRST_MILLIS << doublings).min(LONGEST_MILLIS),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_limit_and_start_over_after_success() {
        let mut connection = Connection::Live;
        let mut pauses = vec![];
        for _ in 0..12 {
            connection = connection.after_loss();
            if let Connection::Waiting { pause_millis, .. } = connection {
                pauses.push(pause_millis);
            }
        }
        assert_eq!(
            pauses.get(..5),
            Some([500, 1000, 2000, 4000, 5000].as_slice())
        );
        assert_eq!(pauses.last(), Some(&5000));
        assert_eq!(
            Connection::Live.after_loss(),
            Connection::Waiting {
                attempt: 1,
                pause_millis: 500
            }
        );
    }

    #[test]
    fn a_refusal_is_final() {
        assert_eq!(Connection::Refused.after_loss(), Connection::Refused);
    }
}
