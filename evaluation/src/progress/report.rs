//! Figures of an evaluated scorer, as JSON and as tables.

use super::{Plan, episode::Episode, outcome::Outcome};
use serde::Serialize;
use sim::{Behavior, TaskFamily};
use std::{collections::BTreeMap, fmt};
use topreward::{Error, roc_auc, scorer::Scorer};

/// Figures over a set of episodes. A figure is absent where no episode has it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Figures {
    /// Episodes scored.
    pub episodes: usize,
    /// Number of successful episodes, by the simulator.
    pub successes: usize,
    /// Mean VOC of the successful ones.
    pub voc: Option<f64>,
    /// The same with the simulator's own progress as the curve: the result of a perfect scorer.
    pub truth_voc: Option<f64>,
    /// Mean rank correlation of the curve with the true progress, over all episodes in which the progress changes.
    pub agreement: Option<f64>,
    /// Mean VOC on the frozen first frame; about 0 is correct.
    pub static_voc: Option<f64>,
    /// Mean rise of ln p(True) from the first to the last prefix on the frozen first frame.
    pub static_rise: Option<f64>,
    /// Area under the ROC curve of the success score, successes against failures.
    pub success_auc: Option<f64>,
    /// Mean success score of the successful episodes.
    pub success_score: Option<f64>,
    /// Mean success score of the failed ones.
    pub failure_score: Option<f64>,
    /// Mean difference between the scores of the true and a wrong instruction, over the successful episodes.
    pub wrong_gap: Option<f64>,
    /// Share of the successful episodes in which the wrong instruction scores lower.
    pub wrong_below: Option<f64>,
    /// As `wrong_gap`, for the instruction's negation.
    pub negation_gap: Option<f64>,
    /// As `wrong_below`, for the instruction's negation.
    pub negation_below: Option<f64>,
    /// Mean rise of ln p(True) at the end of an episode, while the true progress is constant.
    pub plateau_rise: Option<f64>,
}

impl Figures {
    fn of<'a>(outcomes: impl Iterator<Item = &'a Outcome>) -> Result<Self, Error> {
        let all: Vec<&Outcome> = outcomes.collect();
        let (successes, failures): (Vec<&Outcome>, Vec<&Outcome>) =
            all.iter().copied().partition(|outcome| outcome.succeeded);
        let scores: Vec<f64> = all.iter().map(|outcome| outcome.success_score).collect();
        let succeeded: Vec<bool> = all.iter().map(|outcome| outcome.succeeded).collect();
        let success_auc = match roc_auc(&scores, &succeeded) {
            Err(Error::OneClass { .. }) => None,
            auc => Some(auc?),
        };
        let below = |gap: fn(&Outcome) -> f64| {
            mean(&successes, |outcome| {
                Some(f64::from(u8::from(gap(outcome) > 0.0)))
            })
        };
        Ok(Self {
            episodes: all.len(),
            successes: successes.len(),
            // A flat curve on a success counts as 0.
            voc: mean(&successes, |outcome| Some(outcome.voc.unwrap_or(0.0))),
            truth_voc: mean(&successes, |outcome| Some(outcome.truth_voc.unwrap_or(0.0))),
            agreement: mean(&all, |outcome| outcome.agreement),
            static_voc: mean(&all, |outcome| Some(outcome.static_voc)),
            static_rise: mean(&all, |outcome| Some(outcome.static_rise)),
            success_auc,
            success_score: mean(&successes, |outcome| Some(outcome.success_score)),
            failure_score: mean(&failures, |outcome| Some(outcome.success_score)),
            wrong_gap: mean(&successes, |outcome| Some(outcome.wrong_gap)),
            wrong_below: below(|outcome| outcome.wrong_gap),
            negation_gap: mean(&successes, |outcome| Some(outcome.negation_gap)),
            negation_below: below(|outcome| outcome.negation_gap),
            plateau_rise: mean(&all, |outcome| outcome.plateau_rise),
        })
    }
}

/// Mean of the values that are present.
fn mean(outcomes: &[&Outcome], value: impl Fn(&Outcome) -> Option<f64>) -> Option<f64> {
    let values: Vec<f64> = outcomes
        .iter()
        .filter_map(|outcome| value(outcome))
        .collect();
    (!values.is_empty()).then(|| values.iter().sum::<f64>() / values.len() as f64)
}

/// Results of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Name of the checkpoint's folder.
    pub scorer: String,
    /// Profile that selects the frames.
    pub profile: &'static str,
    /// Frames per second of the videos.
    pub fps: u32,
    /// Seed of the first scene.
    pub seed: u64,
    /// Figures over all episodes.
    pub all: Figures,
    /// Figures by family of tasks.
    pub families: BTreeMap<&'static str, Figures>,
    /// Figures by the behavior of the arm.
    pub behaviours: BTreeMap<&'static str, Figures>,
}

impl Report {
    pub(super) fn new(
        plan: &Plan,
        scorer: &Scorer,
        outcomes: &[(Episode, Outcome)],
    ) -> Result<Self, Error> {
        let over = |selects: &dyn Fn(&Episode) -> bool| {
            Figures::of(
                outcomes
                    .iter()
                    .filter(|(episode, _)| selects(episode))
                    .map(|(_, outcome)| outcome),
            )
        };
        let mut families = BTreeMap::new();
        for family in TaskFamily::all() {
            if plan.families.contains(&family) {
                families.insert(family.name(), over(&|episode| episode.family == family)?);
            }
        }
        let mut behaviours = BTreeMap::new();
        for behaviour in Behavior::ALL {
            let figures = over(&|episode| episode.behaviour == behaviour)?;
            if figures.episodes > 0 {
                behaviours.insert(behaviour.name(), figures);
            }
        }
        Ok(Self {
            scorer: scorer.model().info().name.clone(),
            profile: scorer.options().profile.name(),
            fps: plan.fps,
            seed: plan.seed,
            all: over(&|_| true)?,
            families,
            behaviours,
        })
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "scorer {}, profile {}, {} episodes at {} frames per second from seed {}, {} of them successful",
            self.scorer, self.profile, self.all.episodes, self.fps, self.seed, self.all.successes
        )?;
        writeln!(
            f,
            "\n{:10}{:>9}{:>12}{:>12}{:>9}{:>12}{:>13}{:>14}",
            "family",
            "VOC",
            "VOC, truth",
            "VOC, frozen",
            "AUC",
            "gap, wrong",
            "wrong below",
            "negated below"
        )?;
        let rows = self.families.iter().map(|(name, figures)| (*name, figures));
        for (name, figures) in rows.chain([("all", &self.all)]) {
            writeln!(
                f,
                "{name:10}{:>9}{:>12}{:>12}{:>9}{:>12}{:>13}{:>14}",
                number(figures.voc),
                number(figures.truth_voc),
                number(figures.static_voc),
                number(figures.success_auc),
                number(figures.wrong_gap),
                share(figures.wrong_below),
                share(figures.negation_below),
            )?;
        }
        writeln!(
            f,
            "\n{:12}{:>10}{:>12}{:>16}{:>18}{:>28}",
            "the arm",
            "episodes",
            "successful",
            "ln p(True), end",
            "agrees with truth",
            "rise while nothing changes"
        )?;
        for (name, figures) in &self.behaviours {
            let (won, lost) = (
                figures.successes as f64,
                figures.episodes - figures.successes,
            );
            let total = figures.success_score.unwrap_or(0.0) * won
                + figures.failure_score.unwrap_or(0.0) * lost as f64;
            writeln!(
                f,
                "{name:12}{:>10}{:>12}{:>16}{:>18}{:>28}",
                figures.episodes,
                figures.successes,
                number(Some(total / figures.episodes.max(1) as f64)),
                number(figures.agreement),
                number(figures.plateau_rise),
            )?;
        }
        Ok(())
    }
}

fn number(value: Option<f64>) -> String {
    value.map_or_else(|| "none".to_owned(), |value| format!("{value:.3}"))
}

fn share(value: Option<f64>) -> String {
    value.map_or_else(
        || "none".to_owned(),
        |value| format!("{:.0} %", value * 100.0),
    )
}
