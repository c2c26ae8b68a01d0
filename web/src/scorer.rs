//! Which scorer there is, and how far this tab is with it.

mod served;

pub use served::{ServedScorer, error_text};

use protocol::worker::{ComputeKind, ScorerState};

use crate::compute::kind_phrase;
use crate::format;

/// Where scores are computed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ScoreLocation {
    /// In this tab's worker: no picture leaves the browser.
    #[default]
    Tab,
    /// On the studio's device: pictures are sent there.
    Studio,
}

impl ScoreLocation {
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
pub struct TabScorer {
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

impl TabScorer {
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
    pub fn text(&self) -> String {
        match &self.forgetting {
            Forgetting::Asked => return "Forgetting the kept files…".to_owned(),
            Forgetting::Failed(problem) => return format::capitalized(problem),
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
                    kind_phrase(ready.computed_on),
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
            Some(ScorerState::Failed { reason }) => format::capitalized(reason),
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
        let mut tab_scorer = TabScorer::default();
        assert_eq!((tab_scorer.ask(), tab_scorer.name()), (None, "absent"));
        tab_scorer.want(Some("int8".to_owned()));
        assert_eq!(tab_scorer.name(), "waiting");
        assert_eq!(tab_scorer.ask(), Some(Some("int8".to_owned())));
        assert_eq!(tab_scorer.ask(), None);
        tab_scorer.apply(ScorerState::Fetching {
            received: 5_000_000,
            of: 10_000_000,
            kept: 2_000_000,
        });
        assert_eq!(tab_scorer.share(), Some(0.5));
        assert_eq!(
            tab_scorer.text(),
            "Fetching: 5.0 MB of 10.0 MB, 2.0 MB of it kept from before"
        );
        tab_scorer.apply(ready(8_000_000));
        assert!(tab_scorer.is_ready() && !tab_scorer.is_loading());
        assert!(
            tab_scorer.text().contains("8.0 MB fetched and kept"),
            "{}",
            tab_scorer.text()
        );
        tab_scorer.restarted();
        assert!(tab_scorer.is_loading());
        assert_eq!(tab_scorer.ask(), Some(Some("int8".to_owned())));
        tab_scorer.apply(ready(0));
        assert!(tab_scorer.text().contains("from files kept here"));
        assert_eq!(tab_scorer.fetched_bytes(), Some(0));
    }

    #[test]
    fn a_refusal_and_a_cancel_end_the_wish() {
        let mut tab_scorer = TabScorer::default();
        tab_scorer.want(None);
        tab_scorer.ask();
        tab_scorer.apply(ScorerState::Refused {
            reason: "it needs 9 GB".to_owned(),
        });
        assert_eq!(tab_scorer.failure(), Some("it needs 9 GB"));
        assert!(tab_scorer.text().contains("nothing was downloaded"));
        assert!(!tab_scorer.is_loading());
        tab_scorer.restarted();
        assert_eq!(tab_scorer.ask(), None);

        tab_scorer.want(None);
        tab_scorer.ask();
        tab_scorer.cancel();
        assert_eq!(tab_scorer.name(), "cancelling");
        // News that were on their way.
        tab_scorer.apply(ScorerState::Loading { read: 1, of: 2 });
        assert_eq!(tab_scorer.name(), "cancelling");
        tab_scorer.apply(ScorerState::Cancelled);
        assert_eq!(tab_scorer.name(), "cancelled");
        assert!(tab_scorer.text().contains("goes on from there"));
        tab_scorer.forget();
        assert!(tab_scorer.text().contains("Forgetting"));
        tab_scorer.forgotten(Some("another tab has one open".to_owned()));
        assert_eq!(tab_scorer.text(), "Another tab has one open");
        assert!(!tab_scorer.is_forgotten());
        tab_scorer.forget();
        tab_scorer.forgotten(None);
        assert!(tab_scorer.is_forgotten() && tab_scorer.text().contains("forgotten"));
        // Late news of the load that was cancelled.
        tab_scorer.apply(ready(1));
        assert_eq!(tab_scorer.name(), "cancelled");

        // Before the worker was even asked.
        tab_scorer.want(None);
        tab_scorer.cancel();
        assert_eq!((tab_scorer.name(), tab_scorer.ask()), ("cancelled", None));
    }
}
