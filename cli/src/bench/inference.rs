//! The part `policy`: every mode of a policy, with and without depth reasoning if it supports that.

use crate::measure::policy::{InferencePlan, InferenceTimes, measure as measure_policy};
use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use policies::{Policy, molmoact2_policy::MolmoAct2Policy};
use protocol::depth::DepthMode;
use server::sim_robot::TAG;
use std::collections::BTreeMap;

/// A depth setting: suffix of the mode's name, depth mode, and whether every call is for the same robot.
type DepthSetting = (&'static str, DepthMode, bool);

/// Without depth, with every cell generated, and with every cell reused. A real robot is between the last two.
const DEPTH_SETTINGS: [DepthSetting; 3] = [
    ("", DepthMode::Off, false),
    (", depth full", DepthMode::Full, false),
    (", depth kept", DepthMode::Adaptive, true),
];

/// The named tag, the tag of the built-in robot, or the first one.
pub(super) fn tag(policy: &MolmoAct2Policy, named: Option<&str>) -> anyhow::Result<String> {
    let info = policy.info();
    let tag = named.unwrap_or(TAG);
    if info.tag(tag).is_some() {
        return Ok(tag.to_owned());
    }
    let known: Vec<&str> = info.tags.iter().map(|tag| tag.tag.as_str()).collect();
    if let Some(named) = named {
        bail!(
            "the policy has no tag {named:?}; it knows {}",
            known.join(", ")
        );
    }
    let first = known.first().context("the policy knows no robot")?;
    Ok((*first).to_owned())
}

/// Times by mode and depth.
pub(super) fn measure(
    policy: &mut MolmoAct2Policy,
    tag: &str,
    repeats: usize,
    batches: &[usize],
) -> anyhow::Result<BTreeMap<String, InferenceTimes>> {
    let has_depth = policy.info().depth.is_some();
    let settings = DEPTH_SETTINGS
        .iter()
        .filter(|(_, mode, _)| has_depth || *mode == DepthMode::Off);
    let (mut all, mut failed) = (BTreeMap::new(), Vec::new());
    for mode in policy.info().modes.clone() {
        for (suffix, depth, same_robot) in settings.clone() {
            policy.set_depth(*depth);
            let plan = InferencePlan {
                tag,
                mode,
                same_robot: *same_robot,
                repeats,
                batches,
            };
            let name = format!("{}{suffix}", super::name(mode));
            // Untrained weights may never end a depth map; the other modes are still measured.
            match measure_mode(policy, &plan, &name) {
                Ok(times) => {
                    all.insert(name, times);
                }
                Err(error) => failed.push(format!("{name}: {error:#}")),
            }
        }
    }
    for reason in &failed {
        eprintln!("not measured: {reason}");
    }
    if all.is_empty() {
        bail!("no mode of the policy could be measured");
    }
    Ok(all)
}

fn measure_mode(
    policy: &mut MolmoAct2Policy,
    plan: &InferencePlan<'_>,
    name: &str,
) -> anyhow::Result<InferenceTimes> {
    let rounds = 1 + plan.batches.len() as u64;
    let bar = ProgressBar::new((plan.repeats as u64 + 2) * rounds)
        .with_style(ProgressStyle::with_template(
            "{msg} {wide_bar} {pos}/{len}",
        )?)
        .with_message(name.to_owned());
    let times = measure_policy(policy, plan, &|| bar.inc(1))?;
    bar.finish_and_clear();
    Ok(times)
}
