//! Success rates per condition and family, as JSON and as a table.

use super::{
    Condition, ModeName, Plan,
    chunk_boundary::{SeamReport, Seams},
    episode::{Episode, Outcome},
};
use policies::{PolicyInfo, chunking::Chunking};
use serde::Serialize;
use std::{collections::BTreeMap, fmt};

/// Success rate of one family under one condition.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize)]
pub struct Rate {
    /// Share of episodes in which the scene's task succeeded.
    pub success_rate: f64,
    /// Number of episodes.
    pub episodes: u64,
    /// Mean simulated seconds until success, over the successful ones.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mean_secs: Option<f64>,
    /// Share of episodes in which the task of the policy's instruction succeeded (wrong-instruction control only).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub told_task_rate: Option<f64>,
}

/// Rates by family name.
pub type ByFamily = BTreeMap<&'static str, Rate>;

/// Rates of the controls.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Controls {
    /// The policy with the instruction of another task.
    pub wrong_instruction: ByFamily,
    /// The mean action, repeated.
    pub mean_action: ByFamily,
}

/// Results of an evaluation.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Report {
    /// Policy name.
    pub policy: String,
    /// Device of the policy.
    pub device: String,
    /// Rates of the flow-matching head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub continuous: Option<ByFamily>,
    /// Rates of the action-token head.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub discrete: Option<ByFamily>,
    /// The controls, if they were run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub controls: Option<Controls>,
    /// Mean success rate over families and modes.
    pub mean: f64,
    /// Mean success rate over families, by mode.
    pub mean_by_mode: BTreeMap<&'static str, f64>,
    /// Blending of successive chunks.
    pub chunking: Chunking,
    /// Simulated time from an observation to its chunk (ms).
    pub latency_millis: u64,
    /// Jumps of the target at chunk boundaries, by mode.
    pub seams: BTreeMap<&'static str, SeamReport>,
    /// Seed of the first scene.
    pub seed: u64,
    /// Episodes per family and condition.
    pub episodes: u64,
    /// Simulated seconds after which an episode counts as failed.
    pub max_secs: f64,
}

impl Report {
    pub(super) fn new(plan: &Plan, info: &PolicyInfo, outcomes: &[(Episode, Outcome)]) -> Self {
        let under = |condition| by_family(plan, outcomes, condition);
        let of_mode = |mode| {
            plan.modes
                .contains(&mode)
                .then(|| under(Condition::Policy(mode)))
        };
        let (continuous, discrete) = (of_mode(ModeName::Continuous), of_mode(ModeName::Discrete));
        let mean_by_mode: BTreeMap<_, _> = [("continuous", &continuous), ("discrete", &discrete)]
            .into_iter()
            .filter_map(|(name, rates)| Some((name, mean(rates.as_ref()?))))
            .collect();
        let seams = plan.modes.iter().map(|mode| {
            let mut seams = Seams::default();
            for (episode, outcome) in outcomes {
                if episode.condition == Condition::Policy(*mode) {
                    seams.join(&outcome.seams);
                }
            }
            let name = match mode {
                ModeName::Continuous => "continuous",
                ModeName::Discrete => "discrete",
            };
            (name, seams.report(&joint_names(plan, info)))
        });
        Self {
            chunking: plan.chunking,
            latency_millis: plan.latency.as_millis().try_into().unwrap_or(u64::MAX),
            seams: seams.collect(),
            policy: info.name.clone(),
            device: info.device.clone(),
            continuous,
            discrete,
            controls: plan.controls.then(|| Controls {
                wrong_instruction: under(Condition::WrongInstruction),
                mean_action: under(Condition::MeanAction),
            }),
            mean: mean_by_mode.values().sum::<f64>() / mean_by_mode.len().max(1) as f64,
            mean_by_mode,
            seed: plan.seed,
            episodes: plan.episodes,
            max_secs: plan.max_secs,
        }
    }
}

fn joint_names(plan: &Plan, info: &PolicyInfo) -> Vec<String> {
    let joints = info.tag(&plan.tag).map(|tag| tag.action.as_slice());
    let joints = joints.unwrap_or_default().iter();
    joints.map(|joint| joint.name.clone()).collect()
}

fn mean(rates: &ByFamily) -> f64 {
    rates.values().map(|rate| rate.success_rate).sum::<f64>() / rates.len().max(1) as f64
}

fn by_family(plan: &Plan, outcomes: &[(Episode, Outcome)], condition: Condition) -> ByFamily {
    plan.families
        .iter()
        .map(|family| {
            let matching: Vec<&Outcome> = outcomes
                .iter()
                .filter(|(episode, _)| episode.condition == condition && episode.family == *family)
                .map(|(_, outcome)| outcome)
                .collect();
            let share = |count: usize| count as f64 / matching.len().max(1) as f64;
            let succeeded = matching.iter().filter(|outcome| outcome.succeeded).count();
            let secs: f64 = matching.iter().map(|outcome| outcome.secs).sum();
            let instructed = matching
                .iter()
                .filter(|outcome| outcome.told_succeeded)
                .count();
            let rate = Rate {
                success_rate: share(succeeded),
                episodes: matching.len() as u64,
                mean_secs: (succeeded > 0).then(|| secs / succeeded as f64),
                told_task_rate: (condition == Condition::WrongInstruction)
                    .then(|| share(instructed)),
            };
            (family.name(), rate)
        })
        .collect()
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "policy {} on {}, {} episodes each from seed {}, at most {} s",
            self.policy, self.device, self.episodes, self.seed, self.max_secs
        )?;
        let empty = ByFamily::new();
        let controls = self.controls.as_ref();
        let columns: Vec<(&str, &ByFamily)> = [
            ("continuous", self.continuous.as_ref()),
            ("discrete", self.discrete.as_ref()),
            ("wrong instruction", controls.map(|c| &c.wrong_instruction)),
            ("mean action", controls.map(|c| &c.mean_action)),
        ]
        .into_iter()
        .filter_map(|(name, rates)| Some((name, rates?)))
        .collect();
        write!(f, "{:10}", "family")?;
        for (name, _) in &columns {
            write!(f, "{name:>20}")?;
        }
        writeln!(f)?;
        let families = columns.first().map_or(&empty, |(_, rates)| rates);
        for family in families.keys() {
            write!(f, "{family:10}")?;
            for (_, rates) in &columns {
                let rate = rates.get(family).copied().unwrap_or_default();
                let mut cell = format!("{:.0} %", rate.success_rate * 100.0);
                if let Some(secs) = rate.mean_secs {
                    cell += &format!(", {secs:.1} s");
                }
                if let Some(told) = rate.told_task_rate {
                    cell += &format!(" (told {:.0} %)", told * 100.0);
                }
                write!(f, "{cell:>20}")?;
            }
            writeln!(f)?;
        }
        for (mode, mean) in &self.mean_by_mode {
            writeln!(f, "mean {mode}: {:.1} %", mean * 100.0)?;
        }
        let (chunking, latency) = (self.chunking, self.latency_millis);
        for (mode, report) in &self.seams {
            writeln!(
                f,
                "\n{} seams in {mode} mode, {chunking} chunking, {latency} ms latency (rms / largest; gripper in percent)",
                report.seams
            )?;
            writeln!(
                f,
                "{:16}{:>20}{:>24}{:>24}",
                "joint", "jump deg", "velocity jump deg/s", "inside a chunk deg/s"
            )?;
            for joint in &report.joints {
                let pair = |rms: f64, max: f64| format!("{rms:.2} / {max:.2}");
                writeln!(
                    f,
                    "{:16}{:>20}{:>24}{:>24}",
                    joint.name,
                    pair(joint.jump_rms, joint.jump_max),
                    pair(joint.velocity_jump_rms, joint.velocity_jump_max),
                    pair(
                        joint.inside_velocity_jump_rms,
                        joint.inside_velocity_jump_max
                    )
                )?;
            }
        }
        Ok(())
    }
}
