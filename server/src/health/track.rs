//! What one part did lately, and whether its silence is more than slowness.
//!
//! A plain value without clocks, so that the rule is tested without waiting. Silence counts from the last sign of
//! life of work under way, not from its beginning: a model that writes an answer of a minute gives one with every
//! token. A part that does nothing is never silent.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Silence up to this is never told.
const GRACE: Duration = Duration::from_millis(1250);
/// Silence beyond this is always told of a part that is usually quicker. With the time until somebody looks, what hangs is
/// known to everybody within two seconds.
const QUICK_CAP: Duration = Duration::from_millis(1750);
/// So many times the usual silence of a quick part is more than slowness, up to [`QUICK_CAP`].
const QUICK_SLOWNESS: u32 = 5;
/// The same for a slow part, for which there is no cap.
const SLOW_SLOWNESS: u32 = 3;
/// Works of which the longest silence is remembered.
const REMEMBERED: usize = 10;

/// The part works and is not heard of.
pub(super) const BUSY: &str = "busy";
/// The part is gone.
pub(super) const CRASHED: &str = "crashed";

/// When silence is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// When it lasts much longer than is usual. Usual is a silence that two of the last works had, or the only one: a
    /// single hiccup is not. Where that is up to 0.58 s, what hangs is told within two seconds. A model on a slow device may
    /// take its time: where usual is more, slow work is the normal case, and a hang is told after three times as long (a
    /// policy with chunks of 3 s: after 9 s), because nothing tells it from work before that. Until the first work is
    /// finished nobody knows what is usual, and the plain truth is told.
    Learned,
    /// Always: the part has no reason to be silent.
    Fixed,
}

/// Work under way.
#[derive(Debug)]
struct Work {
    id: u64,
    what: &'static str,
    heard_at: Instant,
    /// Longest silence so far.
    longest: Duration,
}

impl Work {
    fn hear(&mut self, now: Instant) {
        let silent = now.saturating_duration_since(self.heard_at);
        self.longest = self.longest.max(silent);
        self.heard_at = now;
    }
}

/// What is wrong.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Found {
    pub(super) state: &'static str,
    pub(super) words: String,
    pub(super) silent: Duration,
    pub(super) episode: u64,
}

/// One part.
#[derive(Debug)]
pub(super) struct Track {
    rule: Rule,
    works: Vec<Work>,
    /// Longest silence of each of the last works.
    usual: VecDeque<Duration>,
    gone_at: Option<Instant>,
}

impl Track {
    pub(super) fn new(rule: Rule) -> Self {
        Self {
            rule,
            works: Vec::new(),
            usual: VecDeque::new(),
            gone_at: None,
        }
    }

    pub(super) fn begin(&mut self, id: u64, what: &'static str, now: Instant) {
        self.works.push(Work {
            id,
            what,
            heard_at: now,
            longest: Duration::ZERO,
        });
    }

    pub(super) fn beat(&mut self, id: u64, now: Instant) {
        if let Some(work) = self.works.iter_mut().find(|work| work.id == id) {
            work.hear(now);
        }
    }

    pub(super) fn end(&mut self, id: u64, now: Instant) {
        let Some(at) = self.works.iter().position(|work| work.id == id) else {
            return;
        };
        let mut work = self.works.swap_remove(at);
        work.hear(now);
        if self.usual.len() == REMEMBERED {
            self.usual.pop_front();
        }
        self.usual.push_back(work.longest);
    }

    /// The thread that was this part is no more.
    pub(super) fn gone(&mut self, now: Instant) {
        self.gone_at.get_or_insert(now);
    }

    /// What is wrong at this time, if anything. `name` is the subject of the sentence.
    pub(super) fn problem(&self, name: &str, now: Instant) -> Option<Found> {
        if let Some(gone_at) = self.gone_at {
            return Some(Found {
                state: CRASHED,
                words: format!(
                    "{name} crashed and does not answer any more; the log says where; restart the studio"
                ),
                silent: now.saturating_duration_since(gone_at),
                episode: u64::MAX,
            });
        }
        let work = self.works.iter().min_by_key(|work| work.heard_at)?;
        let silent = now.saturating_duration_since(work.heard_at);
        if silent <= GRACE {
            return None;
        }
        let what = work.what;
        let secs = silent.as_secs_f64();
        let words = match (self.rule, self.usual(work)) {
            (Rule::Fixed, _) => format!("{name} has been {what} for {secs:.1} s"),
            (Rule::Learned, None) => format!(
                "{name} has been {what} for {secs:.1} s; it is the first time, so nobody knows how long it takes here"
            ),
            (Rule::Learned, Some(usual)) if silent > limit_for(usual) => {
                format!(
                    "{name} has been {what} for {secs:.1} s without a sign of life; usually that takes at most {:.1} s",
                    usual.as_secs_f64()
                )
            }
            (Rule::Learned, Some(_)) => return None,
        };
        Some(Found {
            state: BUSY,
            words,
            silent,
            episode: work.id,
        })
    }
}

impl Track {
    /// The silence that is usual for this work, as far as it is known.
    fn usual(&self, work: &Work) -> Option<Duration> {
        let mut longest: Vec<Duration> = self.usual.iter().copied().collect();
        longest.sort_unstable();
        let of_works = longest.iter().rev().nth(1).or(longest.last()).copied();
        // What was heard of itself is usual, too: a long answer has its own pace.
        of_works.max((work.longest > Duration::ZERO).then_some(work.longest))
    }
}

/// Silence beyond this is more than slowness.
fn limit_for(usual: Duration) -> Duration {
    let quick = usual.saturating_mul(QUICK_SLOWNESS).min(QUICK_CAP);
    quick.max(usual.saturating_mul(SLOW_SLOWNESS)).max(GRACE)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::*;

    struct Clocked {
        track: Track,
        start: Instant,
    }

    impl Clocked {
        fn new(rule: Rule) -> Self {
            Self {
                track: Track::new(rule),
                start: Instant::now(),
            }
        }

        fn at(&self, millis: u64) -> Instant {
            self.start + Duration::from_millis(millis)
        }

        fn begin(&mut self, id: u64, millis: u64) {
            let now = self.at(millis);
            self.track.begin(id, "computing a chunk", now);
        }

        fn beat(&mut self, id: u64, millis: u64) {
            let now = self.at(millis);
            self.track.beat(id, now);
        }

        fn end(&mut self, id: u64, millis: u64) {
            let now = self.at(millis);
            self.track.end(id, now);
        }

        fn words(&self, millis: u64) -> Option<String> {
            let found = self.track.problem("the policy", self.at(millis));
            found.map(|found| found.words)
        }
    }

    #[test]
    fn a_part_that_was_quick_and_hangs_is_told_within_two_seconds() {
        let mut policy = Clocked::new(Rule::Learned);
        policy.begin(1, 0);
        policy.end(1, 20);
        assert_eq!(policy.words(100_000), None, "it has nothing to do");
        policy.begin(2, 100_000);
        assert_eq!(policy.words(101_000), None);
        let words = policy.words(101_500).unwrap();
        assert!(
            words.starts_with("the policy has been computing a chunk for 1.5 s"),
            "{words}"
        );
        assert!(
            words.contains("usually that takes at most 0.0 s"),
            "{words}"
        );
        policy.end(2, 102_000);
        assert_eq!(policy.words(102_000), None);
    }

    #[test]
    fn before_the_first_answer_the_plain_truth_is_told() {
        let mut policy = Clocked::new(Rule::Learned);
        policy.begin(1, 0);
        assert_eq!(policy.words(1200), None);
        let words = policy.words(12_000).unwrap();
        assert!(
            words.contains("for 12.0 s; it is the first time"),
            "{words}"
        );
    }

    #[test]
    fn a_model_that_always_takes_minutes_is_slow_and_not_hung() {
        let mut policy = Clocked::new(Rule::Learned);
        policy.begin(1, 0);
        policy.end(1, 94_000);
        policy.begin(2, 100_000);
        assert_eq!(policy.words(100_000 + 280_000), None);
        assert!(policy.words(100_000 + 283_000).is_some());
    }

    #[test]
    fn a_policy_that_takes_three_seconds_for_each_chunk_raises_no_alarm() {
        let mut policy = Clocked::new(Rule::Learned);
        for id in 0..20 {
            policy.begin(id, 10_000 * id);
            if id > 0 {
                assert_eq!(policy.words(10_000 * id + 2900), None, "{id}");
            }
            policy.end(id, 10_000 * id + 3000);
        }
        policy.begin(20, 200_000);
        assert_eq!(policy.words(208_900), None);
        assert!(policy.words(209_100).is_some());
    }

    #[test]
    fn after_one_slow_work_a_hang_of_a_quick_part_is_told_within_two_seconds() {
        let mut policy = Clocked::new(Rule::Learned);
        for (id, took) in [(0, 1000), (1, 20), (2, 300), (3, 5000), (4, 20)] {
            policy.begin(id, 10_000 * id);
            policy.end(id, 10_000 * id + took);
        }
        // Two of these took a second or more, so that is usual until they are forgotten; the 5 s are not.
        policy.begin(5, 50_000);
        assert_eq!(policy.words(52_900), None);
        assert!(policy.words(53_100).is_some());
        policy.end(5, 53_200);
        for id in 6..16 {
            policy.begin(id, 10_000 * id);
            policy.end(id, 10_000 * id + if id == 12 { 5000 } else { 400 });
        }
        policy.begin(16, 200_000);
        assert_eq!(policy.words(201_700), None);
        assert!(policy.words(201_800).is_some());
    }

    #[test]
    fn one_hiccup_is_forgotten_with_the_next_work() {
        let mut policy = Clocked::new(Rule::Learned);
        policy.begin(0, 0);
        policy.end(0, 60_000);
        policy.begin(1, 100_000);
        policy.end(1, 100_020);
        policy.begin(2, 200_000);
        assert_eq!(policy.words(201_200), None);
        assert!(policy.words(201_300).is_some());
    }

    #[test]
    fn an_answer_that_is_being_written_gets_on_at_its_own_pace() {
        let mut model = Clocked::new(Rule::Learned);
        model.begin(1, 0);
        for token in 1..=100 {
            model.beat(1, 1000 * token);
        }
        assert_eq!(model.words(102_900), None);
        assert!(model.words(103_001).is_some(), "three times its pace");
    }

    #[test]
    fn what_has_no_reason_to_be_silent_is_told_whatever_it_did_before() {
        let mut runtime = Clocked::new(Rule::Fixed);
        runtime.begin(1, 0);
        runtime.beat(1, 60_000);
        assert_eq!(runtime.words(61_000), None);
        assert!(runtime.words(61_500).is_some());
    }

    #[test]
    fn of_several_works_the_one_that_was_not_heard_of_for_longest_counts() {
        let mut decoding = Clocked::new(Rule::Learned);
        decoding.begin(1, 0);
        decoding.begin(2, 1000);
        decoding.end(2, 1010);
        assert!(decoding.words(1500).is_some(), "the first one still hangs");
        decoding.end(1, 1600);
        assert_eq!(decoding.words(10_000), None);
    }
}
