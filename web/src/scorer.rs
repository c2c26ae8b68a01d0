//! Which scorer there is, and how far this tab is with it.

mod served;

pub use served::{Hosted, said};

use protocol::worker::{ComputeKind, ScorerState};

use crate::compute::in_sentence;
use crate::format;

/// Where scores are computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum Place {
    /// In this tab's worker: no picture leaves the browser.
    #[default]
    Tab,
    /// On the studio's device: pictures are sent there.
    Studio,
}

impl Place {
    /// A stable word for tests.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Tab => "tab",
            Self::Studio => "studio",
        }
    }
}

/// A scorer as this tab has it.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Held {
    state: Option<ScorerState>,
    /// What the language model's matrices are to be kept in, once somebody asked for the scorer.
    wanted: Option<Option<String>>,
    asked: bool,
    cancelling: bool,
    forgetting: Forgetting,
}

/// What became of the wish that kept files be forgotten.
#[derive(Debug, Clone, Default, PartialEq)]
enum Forgetting {
    #[default]
    Unasked,
    Asked,
    Done,
    Failed(String),
}

impl Held {
    /// Somebody wants it, in this precision or in the scorer's own.
    pub fn want(&mut self, precision: Option<String>) {
        *self = Self {
            wanted: Some(precision),
            ..Self::default()
        };
    }

    /// The precision to ask the worker for, once.
    pub fn ask(&mut self) -> Option<Option<String>> {
        if self.asked {
            return None;
        }
        let precision = self.wanted.clone()?;
        self.asked = true;
        Some(precision)
    }

    /// Takes in what the worker says.
    pub fn apply(&mut self, state: ScorerState) {
        // Of a load that nobody wants any more.
        if self.wanted.is_none() {
            return;
        }
        if !matches!(
            state,
            ScorerState::Fetching { .. } | ScorerState::Loading { .. }
        ) {
            self.cancelling = false;
        }
        if matches!(
            state,
            ScorerState::Refused { .. } | ScorerState::Cancelled | ScorerState::Failed { .. }
        ) {
            self.wanted = None;
            self.asked = false;
        }
        self.state = Some(state);
    }

    /// The worker began anew and holds nothing; what was wanted is asked for again.
    pub fn restarted(&mut self) {
        self.state = None;
        self.asked = false;
        self.cancelling = false;
    }

    /// The studio hosts another scorer now.
    pub fn drop_all(&mut self) {
        *self = Self::default();
    }

    /// Somebody wants the load to stop.
    pub fn cancel(&mut self) {
        self.cancelling = self.asked;
        if !self.asked {
            self.wanted = None;
            self.state = Some(ScorerState::Cancelled);
        }
    }

    /// Somebody wants the kept files forgotten.
    pub fn forget(&mut self) {
        self.forgetting = Forgetting::Asked;
    }

    /// They are, or `problem` says why not.
    pub fn forgotten(&mut self, problem: Option<String>) {
        self.forgetting = problem.map_or(Forgetting::Done, Forgetting::Failed);
    }

    /// Whether they are.
    #[must_use]
    pub fn is_forgotten(&self) -> bool {
        self.forgetting == Forgetting::Done
    }

    /// Whether it can score now.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.state, Some(ScorerState::Ready(_)))
    }

    /// Whether it is on its way.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.wanted.is_some() && !self.is_ready()
    }

    /// Why it did not come, if it did not.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        match &self.state {
            Some(ScorerState::Refused { reason } | ScorerState::Failed { reason }) => Some(reason),
            _ => None,
        }
    }

    /// A stable word for style and tests.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match &self.state {
            _ if self.cancelling => "cancelling",
            None if self.wanted.is_some() => "waiting",
            None => "absent",
            Some(ScorerState::Refused { .. }) => "refused",
            Some(ScorerState::Fetching { .. }) => "fetching",
            Some(ScorerState::Loading { .. }) => "loading",
            Some(ScorerState::Ready(_)) => "ready",
            Some(ScorerState::Cancelled) => "cancelled",
            Some(ScorerState::Failed { .. }) => "failed",
        }
    }

    /// Share of the way, while it is on its way and that is known.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        let (part, whole) = match self.state {
            Some(ScorerState::Fetching { received, of, .. }) => (received, of),
            Some(ScorerState::Loading { read, of }) => (read, of),
            _ => return None,
        };
        (whole > 0).then(|| (part as f64 / whole as f64).min(1.0))
    }

    /// The device that a scorer which is ready computes on.
    #[must_use]
    pub fn computed_on(&self) -> Option<ComputeKind> {
        match &self.state {
            Some(ScorerState::Ready(ready)) => Some(ready.computed_on),
            _ => None,
        }
    }

    /// Bytes that crossed the network for the scorer that is ready.
    #[must_use]
    pub fn fetched_bytes(&self) -> Option<u64> {
        match &self.state {
            Some(ScorerState::Ready(ready)) => Some(ready.fetched_bytes),
            _ => None,
        }
    }

    /// How it stands, in words.
    #[must_use]
    pub fn words(&self) -> String {
        match &self.forgetting {
            Forgetting::Asked => return "Forgetting the kept files…".to_owned(),
            Forgetting::Failed(problem) => return format::capitalised(problem),
            Forgetting::Unasked | Forgetting::Done => {}
        }
        match &self.state {
            _ if self.cancelling => "Stopping…".to_owned(),
            None if self.wanted.is_some() => {
                "Waiting for this tab's worker and its self-test…".to_owned()
            }
            None if self.is_forgotten() => {
                "Nothing of it is kept here. The next load fetches every file.".to_owned()
            }
            None => "Not in this tab yet.".to_owned(),
            Some(ScorerState::Refused { reason }) => {
                format!("It does not fit here, and nothing was downloaded: {reason}")
            }
            Some(ScorerState::Fetching { received, of, kept }) => {
                let from_before = if *kept > 0 {
                    format!(", {} of it kept from before", format::bytes(*kept))
                } else {
                    String::new()
                };
                format!(
                    "Fetching: {} of {}{from_before}",
                    format::bytes(*received),
                    format::bytes(*of)
                )
            }
            Some(ScorerState::Loading { read, of }) => format!(
                "Putting weights on the device: {} of {}",
                format::bytes(*read),
                format::bytes(*of)
            ),
            Some(ScorerState::Ready(ready)) => {
                let fetched = match (ready.fetched_bytes, ready.is_kept) {
                    (0, _) => "from files kept here".to_owned(),
                    (bytes, true) => {
                        format!(
                            "{} fetched and kept for the next visit",
                            format::bytes(bytes)
                        )
                    }
                    (bytes, false) => format!(
                        "{} fetched; this browser does not keep them",
                        format::bytes(bytes)
                    ),
                };
                let forgotten = if self.is_forgotten() {
                    " Its kept files are forgotten."
                } else {
                    ""
                };
                format!(
                    "In this tab, on {}: {} in {}, {fetched}. Ready after {}.{forgotten}",
                    in_sentence(ready.computed_on),
                    format::bytes(ready.weight_bytes),
                    ready.precision,
                    format::millis(ready.millis)
                )
            }
            Some(ScorerState::Cancelled) if self.is_forgotten() => {
                "Stopped, and what had arrived is forgotten.".to_owned()
            }
            Some(ScorerState::Cancelled) => {
                "Stopped. What has arrived is kept, and the next load goes on from there."
                    .to_owned()
            }
            Some(ScorerState::Failed { reason }) => format::capitalised(reason),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use protocol::worker::ScorerReady;

    fn ready(fetched_bytes: u64) -> ScorerState {
        ScorerState::Ready(ScorerReady {
            name: "nano".to_owned(),
            id: "0".to_owned(),
            computed_on: ComputeKind::Cpu,
            precision: "f32".to_owned(),
            weight_bytes: 24_000_000,
            fetched_bytes,
            is_kept: true,
            memory_bytes: 0,
            millis: 812.0,
        })
    }

    #[test]
    fn the_worker_is_asked_once_and_again_after_it_began_anew() {
        let mut held = Held::default();
        assert_eq!((held.ask(), held.name()), (None, "absent"));
        held.want(Some("int8".to_owned()));
        assert_eq!(held.name(), "waiting");
        assert_eq!(held.ask(), Some(Some("int8".to_owned())));
        assert_eq!(held.ask(), None);
        held.apply(ScorerState::Fetching {
            received: 5_000_000,
            of: 10_000_000,
            kept: 2_000_000,
        });
        assert_eq!(held.share(), Some(0.5));
        assert_eq!(
            held.words(),
            "Fetching: 5.0 MB of 10.0 MB, 2.0 MB of it kept from before"
        );
        held.apply(ready(8_000_000));
        assert!(held.is_ready() && !held.is_loading());
        assert!(
            held.words().contains("8.0 MB fetched and kept"),
            "{}",
            held.words()
        );
        held.restarted();
        assert!(held.is_loading());
        assert_eq!(held.ask(), Some(Some("int8".to_owned())));
        held.apply(ready(0));
        assert!(held.words().contains("from files kept here"));
        assert_eq!(held.fetched_bytes(), Some(0));
    }

    #[test]
    fn a_refusal_and_a_cancel_end_the_wish() {
        let mut held = Held::default();
        held.want(None);
        held.ask();
        held.apply(ScorerState::Refused {
            reason: "it needs 9 GB".to_owned(),
        });
        assert_eq!(held.failure(), Some("it needs 9 GB"));
        assert!(held.words().contains("nothing was downloaded"));
        assert!(!held.is_loading());
        held.restarted();
        assert_eq!(held.ask(), None);

        held.want(None);
        held.ask();
        held.cancel();
        assert_eq!(held.name(), "cancelling");
        // News that were on their way.
        held.apply(ScorerState::Loading { read: 1, of: 2 });
        assert_eq!(held.name(), "cancelling");
        held.apply(ScorerState::Cancelled);
        assert_eq!(held.name(), "cancelled");
        assert!(held.words().contains("goes on from there"));
        held.forget();
        assert!(held.words().contains("Forgetting"));
        held.forgotten(Some("another tab has one open".to_owned()));
        assert_eq!(held.words(), "Another tab has one open");
        assert!(!held.is_forgotten());
        held.forget();
        held.forgotten(None);
        assert!(held.is_forgotten() && held.words().contains("forgotten"));
        // Late news of the load that was cancelled.
        held.apply(ready(1));
        assert_eq!(held.name(), "cancelled");

        // Before the worker was even asked.
        held.want(None);
        held.cancel();
        assert_eq!((held.name(), held.ask()), ("cancelled", None));
    }
}
