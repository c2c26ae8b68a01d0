//! The part `policy`: every mode of a policy, with and without depth where it reasons about it.

use crate::measure::policy::{self, InferencePlan, InferenceTimes};
use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressStyle};
use policies::{Policy, molmoact2_policy::MolmoAct2Policy};
use protocol::depth::DepthMode;
use server::sim_robot::TAG;
use std::collections::BTreeMap;

/// A way of reasoning about depth: what is written after the mode's name, and whether the robot is remembered.
type Thought = (&'static str, DepthMode, bool);

/// Without depth, with every cell written and with every cell kept: what a robot gets lies between the last two.
const THOUGHTS: [Thought; 3] = [
    ("", DepthMode::Off, false),
    (", depth full", DepthMode::Full, false),
    (", depth kept", DepthMode::Adaptive, true),
];

/// The tag that was named, the built-in robot's, or the first there is.
pub(super) fn tag(hosted: &MolmoAct2Policy, named: Option<&str>) -> anyhow::Result<String> {
    let info = hosted.info();
    let wanted = named.unwrap_or(TAG);
    if info.tag(wanted).is_some() {
        return Ok(wanted.to_owned());
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
    hosted: &mut MolmoAct2Policy,
    tag: &str,
    repeats: usize,
    batches: &[usize],
) -> anyhow::Result<BTreeMap<String, InferenceTimes>> {
    let thinks = hosted.info().depth.is_some();
    let thoughts = THOUGHTS
        .iter()
        .filter(|(_, mode, _)| thinks || *mode == DepthMode::Off);
    let (mut all, mut failed) = (BTreeMap::new(), Vec::new());
    for mode in hosted.info().modes.clone() {
        for (suffix, depth, remembered) in thoughts.clone() {
            hosted.set_depth(*depth);
            let plan = InferencePlan {
                tag,
                mode,
                remembered: *remembered,
                repeats,
                batches,
            };
            let name = format!("{}{suffix}", super::name(mode));
            // Untrained weights may write depth maps without an end; the other modes are worth knowing all the same.
            match one(hosted, &plan, &name) {
                Ok(times) => {
                    all.insert(name, times);
                }
                Err(error) => failed.push(format!("{name}: {error:#}")),
            }
        }
    }
    for why in &failed {
        eprintln!("not measured: {why}");
    }
    if all.is_empty() {
        bail!("no mode of the policy could be measured");
    }
    Ok(all)
}

fn one(
    hosted: &mut MolmoAct2Policy,
    plan: &InferencePlan<'_>,
    name: &str,
) -> anyhow::Result<InferenceTimes> {
    let rounds = 1 + plan.batches.len() as u64;
    let bar = ProgressBar::new((plan.repeats as u64 + 2) * rounds)
        .with_style(ProgressStyle::with_template(
            "{msg} {wide_bar} {pos}/{len}",
        )?)
        .with_message(name.to_owned());
    let times = policy::measure(hosted, plan, &|| bar.inc(1))?;
    bar.finish_and_clear();
    Ok(times)
}
