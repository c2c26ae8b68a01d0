//! Recent work of one part, and the rule that distinguishes a stalled part from a slow one.
//!
//! A plain value without clocks, so that tests need not wait. Silence counts from the last report of the current work, not
//! from its beginning: a model that generates an answer for a minute reports with every token. An idle part is never silent.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

/// Silence up to this is never reported.
const GRACE: Duration = Duration::from_millis(1250);
/// Longest unreported silence of a part that is usually quick. Together with the period of the watchdog and of heartbeats, a
/// hang is reported everywhere within two seconds.
const QUICK_CAP: Duration = Duration::from_millis(1750);
/// Multiple of the usual silence beyond which a quick part is reported, up to [`QUICK_CAP`].
const QUICK_SLOWNESS: u32 = 5;
/// Multiple of the usual silence beyond which a slow part is reported, without a cap.
const SLOW_SLOWNESS: u32 = 3;
/// Pieces of work whose longest silence is remembered.
const REMEMBERED: usize = 10;

/// State of a part that works without reporting progress.
pub(super) const BUSY: &str = "busy";
/// State of a part whose thread has ended.
pub(super) const CRASHED: &str = "crashed";

/// Rule for the report of a silence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rule {
    /// A silence is reported when it is much longer than usual. The usual silence is the second longest of the last pieces
    /// of work, or that of the only one, so that a single delay does not count. If it is at most 0.58 s, a hang is reported
    /// within two seconds. On a slow device long work is normal: if the usual silence is longer, a hang is reported after
    /// three times that (a policy with chunks of 3 s: after 9 s), because earlier it cannot be distinguished from work.
    /// Before the first piece of work has ended, the usual silence is unknown, and the message says so.
    Learned,
    /// Every silence is reported: the part always reports often.
    Fixed,
}

/// Work in progress.
#[derive(Debug)]
struct Work {
    id: u64,
    activity: &'static str,
    reported_at: Instant,
    /// Longest silence so far.
    longest: Duration,
}

impl Work {
    fn report(&mut self, now: Instant) {
        let silent = now.saturating_duration_since(self.reported_at);
        self.longest = self.longest.max(silent);
        self.reported_at = now;
    }
}

/// Problem of a part, without its name.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Finding {
    pub(super) state: &'static str,
    pub(super) message: String,
    pub(super) silent: Duration,
    pub(super) episode: u64,
}

/// Recent work of one part.
#[derive(Debug)]
pub(super) struct Track {
    rule: Rule,
    current: Vec<Work>,
    /// Longest silence of each of the last pieces of work.
    silences: VecDeque<Duration>,
    crashed_at: Option<Instant>,
}

impl Track {
    pub(super) fn new(rule: Rule) -> Self {
        Self {
            rule,
            current: Vec::new(),
            silences: VecDeque::new(),
            crashed_at: None,
        }
    }

    pub(super) fn begin(&mut self, id: u64, activity: &'static str, now: Instant) {
        self.current.push(Work {
            id,
            activity,
            reported_at: now,
            longest: Duration::ZERO,
        });
    }

    pub(super) fn beat(&mut self, id: u64, now: Instant) {
        if let Some(work) = self.current.iter_mut().find(|work| work.id == id) {
            work.report(now);
        }
    }

    pub(super) fn end(&mut self, id: u64, now: Instant) {
        let Some(index) = self.current.iter().position(|work| work.id == id) else {
            return;
        };
        let mut work = self.current.swap_remove(index);
        work.report(now);
        if self.silences.len() == REMEMBERED {
            self.silences.pop_front();
        }
        self.silences.push_back(work.longest);
    }

    /// Records the end of the part's thread.
    pub(super) fn crashed(&mut self, now: Instant) {
        self.crashed_at.get_or_insert(now);
    }

    /// Problem at a given time, if there is one. `name` is the subject of the sentence.
    pub(super) fn problem(&self, name: &str, now: Instant) -> Option<Finding> {
        if let Some(crashed_at) = self.crashed_at {
            return Some(Finding {
                state: CRASHED,
                message: format!(
                    "{name} crashed and does not answer any more; the log says where; restart the studio"
                ),
                silent: now.saturating_duration_since(crashed_at),
                episode: u64::MAX,
            });
        }
        let work = self.current.iter().min_by_key(|work| work.reported_at)?;
        let silent = now.saturating_duration_since(work.reported_at);
        if silent <= GRACE {
            return None;
        }
        let activity = work.activity;
        let secs = silent.as_secs_f64();
        let message = match (self.rule, self.usual(work)) {
            (Rule::Fixed, _) => format!("{name} has been {activity} for {secs:.1} s"),
            (Rule::Learned, None) => format!(
                "{name} has been {activity} for {secs:.1} s; it is the first time, so the usual time here is not known yet"
            ),
            (Rule::Learned, Some(usual)) if silent > limit_for(usual) => {
                format!(
                    "{name} has been {activity} for {secs:.1} s without a sign of life; usually that takes at most {:.1} s",
                    usual.as_secs_f64()
                )
            }
            (Rule::Learned, Some(_)) => return None,
        };
        Some(Finding {
            state: BUSY,
            message,
            silent,
            episode: work.id,
        })
    }
}

impl Track {
    /// Usual silence for this work, if it is known.
    fn usual(&self, work: &Work) -> Option<Duration> {
        let mut longest: Vec<Duration> = self.silences.iter().copied().collect();
        longest.sort_unstable();
        let of_earlier_work = longest.iter().rev().nth(1).or(longest.last()).copied();
        // The silences of this work count too: a long answer has its own pace.
        of_earlier_work.max((work.longest > Duration::ZERO).then_some(work.longest))
    }
}

/// Longest silence that is not reported.
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

        fn message(&self, millis: u64) -> Option<String> {
            let finding = self.track.problem("the policy", self.at(millis));
            finding.map(|finding| finding.message)
        }
    }

    #[test]
    fn a_hang_of_a_quick_part_is_reported_within_two_seconds() {
        let mut policy = Clocked::new(Rule::Learned);
        policy.begin(1, 0);
        policy.end(1, 20);
        assert_eq!(policy.message(100_000), None, "it has nothing to do");
        policy.begin(2, 100_000);
        assert_eq!(policy.message(101_000), None);
        let message = policy.message(101_500).unwrap();
        assert!(
            message.starts_with("the policy has been computing a chunk for 1.5 s"),
            "{message}"
        );
        assert!(
            message.contains("usually that takes at most 0.0 s"),
            "{message}"
        );
        policy.end(2, 102_000);
        assert_eq!(policy.message(102_000), None);
    }

    #[test]
    fn before_the_first_answer_the_message_says_that_the_usual_time_is_unknown() {
        let mut policy = Clocked::new(Rule::Learned);
        policy.begin(1, 0);
        assert_eq!(policy.message(1200), None);
        let message = policy.message(12_000).unwrap();
        assert!(
            message.contains("for 12.0 s; it is the first time"),
            "{message}"
        );
    }

    #[test]
    fn a_model_that_always_takes_minutes_is_slow_and_not_hung() {
        let mut policy = Clocked::new(Rule::Learned);
        policy.begin(1, 0);
        policy.end(1, 94_000);
        policy.begin(2, 100_000);
        assert_eq!(policy.message(100_000 + 280_000), None);
        assert!(policy.message(100_000 + 283_000).is_some());
    }

    #[test]
    fn a_policy_that_takes_three_seconds_for_each_chunk_raises_no_alarm() {
        let mut policy = Clocked::new(Rule::Learned);
        for id in 0..20 {
            policy.begin(id, 10_000 * id);
            if id > 0 {
                assert_eq!(policy.message(10_000 * id + 2900), None, "{id}");
            }
            policy.end(id, 10_000 * id + 3000);
        }
        policy.begin(20, 200_000);
        assert_eq!(policy.message(208_900), None);
        assert!(policy.message(209_100).is_some());
    }

    #[test]
    fn after_one_slow_work_a_hang_of_a_quick_part_is_reported_within_two_seconds() {
        let mut policy = Clocked::new(Rule::Learned);
        for (id, took) in [(0, 1000), (1, 20), (2, 300), (3, 5000), (4, 20)] {
            policy.begin(id, 10_000 * id);
            policy.end(id, 10_000 * id + took);
        }
        // Two of these took a second or more, so a second is usual until they are forgotten; 5 s are not.
        policy.begin(5, 50_000);
        assert_eq!(policy.message(52_900), None);
        assert!(policy.message(53_100).is_some());
        policy.end(5, 53_200);
        for id in 6..16 {
            policy.begin(id, 10_000 * id);
            policy.end(id, 10_000 * id + if id == 12 { 5000 } else { 400 });
        }
        policy.begin(16, 200_000);
        assert_eq!(policy.message(201_700), None);
        assert!(policy.message(201_800).is_some());
    }

    #[test]
    fn a_single_delay_does_not_count_after_the_next_work() {
        let mut policy = Clocked::new(Rule::Learned);
        policy.begin(0, 0);
        policy.end(0, 60_000);
        policy.begin(1, 100_000);
        policy.end(1, 100_020);
        policy.begin(2, 200_000);
        assert_eq!(policy.message(201_200), None);
        assert!(policy.message(201_300).is_some());
    }

    #[test]
    fn an_answer_that_is_being_generated_has_its_own_pace() {
        let mut model = Clocked::new(Rule::Learned);
        model.begin(1, 0);
        for token in 1..=100 {
            model.beat(1, 1000 * token);
        }
        assert_eq!(model.message(102_900), None);
        assert!(model.message(103_001).is_some(), "three times its pace");
    }

    #[test]
    fn a_part_with_the_fixed_rule_is_reported_whatever_it_did_before() {
        let mut runtime = Clocked::new(Rule::Fixed);
        runtime.begin(1, 0);
        runtime.beat(1, 60_000);
        assert_eq!(runtime.message(61_000), None);
        assert!(runtime.message(61_500).is_some());
    }

    #[test]
    fn of_several_pieces_of_work_the_one_with_the_longest_silence_counts() {
        let mut decoding = Clocked::new(Rule::Learned);
        decoding.begin(1, 0);
        decoding.begin(2, 1000);
        decoding.end(2, 1010);
        assert!(
            decoding.message(1500).is_some(),
            "the first one still hangs"
        );
        decoding.end(1, 1600);
        assert_eq!(decoding.message(10_000), None);
    }
}
