//! The scorer: the one that the studio serves, and its state in this tab.

mod served;

pub use served::{ServedScorer, error_text};

use protocol::worker::{ComputeKind, ScorerState};

use crate::compute::kind_phrase;
use crate::format;

/// Device that computes the scores.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub enum ScoreLocation {
    /// This tab's worker: no frame leaves the browser.
    #[default]
    Tab,
    /// The studio's device: frames are sent there.
    Studio,
}

impl ScoreLocation {
    /// Stable name for tests.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Tab => "tab",
            Self::Studio => "studio",
        }
    }
}

/// State of the scorer in this tab.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct TabScorer {
    state: Option<ScorerState>,
    /// Requested precision of the language model's matrices, once the scorer was requested.
    requested: Option<Option<String>>,
    is_requested: bool,
    cancelling: bool,
    forgetting: Forgetting,
}

/// State of deleting the cached files.
#[derive(Debug, Clone, Default, PartialEq)]
enum Forgetting {
    #[default]
    Idle,
    Requested,
    Done,
    Failed(String),
}

impl TabScorer {
    /// Requests the scorer, in this precision or its default.
    pub fn request(&mut self, precision: Option<String>) {
        *self = Self {
            requested: Some(precision),
            ..Self::default()
        };
    }

    /// The precision to request from the worker, once.
    pub fn take_request(&mut self) -> Option<Option<String>> {
        if self.is_requested {
            return None;
        }
        let precision = self.requested.clone()?;
        self.is_requested = true;
        Some(precision)
    }

    /// Applies the worker's report.
    pub fn apply(&mut self, state: ScorerState) {
        // The report is of a cancelled load.
        if self.requested.is_none() {
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
            self.requested = None;
            self.is_requested = false;
        }
        self.state = Some(state);
    }

    /// Follows a restart of the worker; a requested scorer is requested again.
    pub fn restarted(&mut self) {
        self.state = None;
        self.is_requested = false;
        self.cancelling = false;
    }

    /// Resets the state, because the studio serves another scorer.
    pub fn drop_all(&mut self) {
        *self = Self::default();
    }

    /// Cancels the load.
    pub fn cancel(&mut self) {
        self.cancelling = self.is_requested;
        if !self.is_requested {
            self.requested = None;
            self.state = Some(ScorerState::Cancelled);
        }
    }

    /// Records that the cached files are being deleted.
    pub fn forget(&mut self) {
        self.forgetting = Forgetting::Requested;
    }

    /// Records the outcome of the deletion: a problem, or none.
    pub fn forgotten(&mut self, problem: Option<String>) {
        self.forgetting = problem.map_or(Forgetting::Done, Forgetting::Failed);
    }

    /// True if the cached files were deleted.
    #[must_use]
    pub fn is_forgotten(&self) -> bool {
        self.forgetting == Forgetting::Done
    }

    /// True if it can score.
    #[must_use]
    pub fn is_ready(&self) -> bool {
        matches!(self.state, Some(ScorerState::Ready(_)))
    }

    /// True if it is being loaded.
    #[must_use]
    pub fn is_loading(&self) -> bool {
        self.requested.is_some() && !self.is_ready()
    }

    /// The reason that loading failed.
    #[must_use]
    pub fn failure(&self) -> Option<&str> {
        match &self.state {
            Some(ScorerState::Refused { reason } | ScorerState::Failed { reason }) => Some(reason),
            _ => None,
        }
    }

    /// Stable name for styles and tests.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match &self.state {
            _ if self.cancelling => "cancelling",
            None if self.requested.is_some() => "waiting",
            None => "absent",
            Some(ScorerState::Refused { .. }) => "refused",
            Some(ScorerState::Fetching { .. }) => "fetching",
            Some(ScorerState::Loading { .. }) => "loading",
            Some(ScorerState::Ready(_)) => "ready",
            Some(ScorerState::Cancelled) => "cancelled",
            Some(ScorerState::Failed { .. }) => "failed",
        }
    }

    /// Completed share of loading, if it is known.
    #[must_use]
    pub fn share(&self) -> Option<f64> {
        let (part, whole) = match self.state {
            Some(ScorerState::Fetching { received, of, .. }) => (received, of),
            Some(ScorerState::Loading { read, of }) => (read, of),
            _ => return None,
        };
        (whole > 0).then(|| (part as f64 / whole as f64).min(1.0))
    }

    /// The device of a scorer that is ready.
    #[must_use]
    pub fn computed_on(&self) -> Option<ComputeKind> {
        match &self.state {
            Some(ScorerState::Ready(ready)) => Some(ready.computed_on),
            _ => None,
        }
    }

    /// Bytes downloaded for a scorer that is ready.
    #[must_use]
    pub fn fetched_bytes(&self) -> Option<u64> {
        match &self.state {
            Some(ScorerState::Ready(ready)) => Some(ready.fetched_bytes),
            _ => None,
        }
    }

    /// State as text.
    #[must_use]
    pub fn text(&self) -> String {
        match &self.forgetting {
            Forgetting::Requested => return "Deleting the cached files…".to_owned(),
            Forgetting::Failed(problem) => return format::capitalized(problem),
            Forgetting::Idle | Forgetting::Done => {}
        }
        match &self.state {
            _ if self.cancelling => "Stopping…".to_owned(),
            None if self.requested.is_some() => {
                "Waiting for this tab's worker and its self-test…".to_owned()
            }
            None if self.is_forgotten() => {
                "No files are cached. The next load downloads every file.".to_owned()
            }
            None => "Not loaded in this tab yet.".to_owned(),
            Some(ScorerState::Refused { reason }) => {
                format!("It does not fit here, and nothing was downloaded: {reason}")
            }
            Some(ScorerState::Fetching { received, of, kept }) => {
                let from_before = if *kept > 0 {
                    format!(", {} of it cached", format::bytes(*kept))
                } else {
                    String::new()
                };
                format!(
                    "Downloading: {} of {}{from_before}",
                    format::bytes(*received),
                    format::bytes(*of)
                )
            }
            Some(ScorerState::Loading { read, of }) => format!(
                "Loading weights onto the device: {} of {}",
                format::bytes(*read),
                format::bytes(*of)
            ),
            Some(ScorerState::Ready(ready)) => {
                let fetched = match (ready.fetched_bytes, ready.is_kept) {
                    (0, _) => "from cached files".to_owned(),
                    (bytes, true) => {
                        format!(
                            "{} downloaded and cached for the next visit",
                            format::bytes(bytes)
                        )
                    }
                    (bytes, false) => format!(
                        "{} downloaded; this browser does not cache them",
                        format::bytes(bytes)
                    ),
                };
                let forgotten = if self.is_forgotten() {
                    " Its cached files were deleted."
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
                "Stopped, and the downloaded part was deleted.".to_owned()
            }
            Some(ScorerState::Cancelled) => {
                "Stopped. The downloaded part is cached, and the next load continues from there."
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
    fn the_scorer_is_requested_once_and_again_after_a_restart() {
        let mut tab_scorer = TabScorer::default();
        assert_eq!(
            (tab_scorer.take_request(), tab_scorer.name()),
            (None, "absent")
        );
        tab_scorer.request(Some("int8".to_owned()));
        assert_eq!(tab_scorer.name(), "waiting");
        assert_eq!(tab_scorer.take_request(), Some(Some("int8".to_owned())));
        assert_eq!(tab_scorer.take_request(), None);
        tab_scorer.apply(ScorerState::Fetching {
            received: 5_000_000,
            of: 10_000_000,
            kept: 2_000_000,
        });
        assert_eq!(tab_scorer.share(), Some(0.5));
        assert_eq!(
            tab_scorer.text(),
            "Downloading: 5.0 MB of 10.0 MB, 2.0 MB of it cached"
        );
        tab_scorer.apply(ready(8_000_000));
        assert!(tab_scorer.is_ready() && !tab_scorer.is_loading());
        assert!(
            tab_scorer.text().contains("8.0 MB downloaded and cached"),
            "{}",
            tab_scorer.text()
        );
        tab_scorer.restarted();
        assert!(tab_scorer.is_loading());
        assert_eq!(tab_scorer.take_request(), Some(Some("int8".to_owned())));
        tab_scorer.apply(ready(0));
        assert!(tab_scorer.text().contains("from cached files"));
        assert_eq!(tab_scorer.fetched_bytes(), Some(0));
    }

    #[test]
    fn a_refusal_and_a_cancel_end_the_request() {
        let mut tab_scorer = TabScorer::default();
        tab_scorer.request(None);
        tab_scorer.take_request();
        tab_scorer.apply(ScorerState::Refused {
            reason: "it needs 9 GB".to_owned(),
        });
        assert_eq!(tab_scorer.failure(), Some("it needs 9 GB"));
        assert!(tab_scorer.text().contains("nothing was downloaded"));
        assert!(!tab_scorer.is_loading());
        tab_scorer.restarted();
        assert_eq!(tab_scorer.take_request(), None);

        tab_scorer.request(None);
        tab_scorer.take_request();
        tab_scorer.cancel();
        assert_eq!(tab_scorer.name(), "cancelling");
        // A report that was in transit.
        tab_scorer.apply(ScorerState::Loading { read: 1, of: 2 });
        assert_eq!(tab_scorer.name(), "cancelling");
        tab_scorer.apply(ScorerState::Cancelled);
        assert_eq!(tab_scorer.name(), "cancelled");
        assert!(tab_scorer.text().contains("continues from there"));
        tab_scorer.forget();
        assert!(tab_scorer.text().contains("Deleting"));
        tab_scorer.forgotten(Some("another tab has one open".to_owned()));
        assert_eq!(tab_scorer.text(), "Another tab has one open");
        assert!(!tab_scorer.is_forgotten());
        tab_scorer.forget();
        tab_scorer.forgotten(None);
        assert!(tab_scorer.is_forgotten() && tab_scorer.text().contains("deleted"));
        // A late report of the cancelled load.
        tab_scorer.apply(ready(1));
        assert_eq!(tab_scorer.name(), "cancelled");

        // Cancelled before the worker received the request.
        tab_scorer.request(None);
        tab_scorer.cancel();
        assert_eq!(
            (tab_scorer.name(), tab_scorer.take_request()),
            ("cancelled", None)
        );
    }
}
