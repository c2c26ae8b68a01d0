//! All that applies to one case.

use anyhow::Result;
use layers::Device;
use molmoact2::Policy;

use crate::files::{CONTINUED, Family, GoldenFiles};
use crate::findings::Findings;
use crate::golden::Golden;
use crate::{act, ask, inputs, network, score, think};

/// Compares everything that the goldens of `case` hold with what `device` computes.
///
/// # Errors
/// If a file is missing or the network refuses; a wrong number is a finding and no error.
pub async fn compare(case: &str, files: &GoldenFiles, device: &Device) -> Result<Findings> {
    let family = Family::of(case)?;
    let golden = Golden::parse(files.get(&format!("{case}/golden.safetensors"))?)?;
    let checkpoint = files.checkpoint(case);
    let mut findings = Findings::default();
    match family {
        Family::Act => {
            let subject = inputs::Inputs::read(&checkpoint)?;
            inputs::compare(&mut findings, &golden, &subject)?;
            let policy = Policy::load(&checkpoint, device)?;
            network::compare(&mut findings, &golden, &subject.config, policy.network()).await?;
            act::continuous(&mut findings, &golden, &policy).await?;
            act::discrete(&mut findings, &golden, &subject.config, &policy).await?;
            let continued = Golden::parse(files.get(CONTINUED)?)?;
            let runs = act::runs(files.get(CONTINUED)?)?;
            act::continued(&mut findings, case, &golden, &runs, &continued, &policy).await?;
        }
        Family::Think => {
            let config = inputs::Inputs::read(&checkpoint)?.config;
            let policy = Policy::load(&checkpoint, device)?;
            think::compare(&mut findings, &golden, &config, &policy).await?;
        }
        Family::Ask => {
            let answers = files.get(&format!("{case}/answers.json"))?;
            ask::compare(&mut findings, &golden, answers, &checkpoint, device).await?;
        }
        Family::Score => {
            score::compare(&mut findings, &golden, &files.scorer(case), device).await?;
        }
    }
    Ok(findings)
}
