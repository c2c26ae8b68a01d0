//! `eval --scorer`: quality of a progress scorer on episodes of the built-in robot.

use super::Eval;
use crate::policy::LoadingBar;
use anyhow::Context as _;
use evaluation::progress::{Plan, evaluate};
use layers::ModelFiles;
use qwen3vl::{LoadOptions, Qwen3Vl};
use std::{path::Path, process::ExitCode, sync::Arc};
use topreward::{
    Profile,
    scorer::{Scorer, ScorerOptions},
};

impl Eval {
    pub(super) fn run_scorer(&self, folder: &Path) -> anyhow::Result<ExitCode> {
        let chosen = self.policy.device()?;
        eprintln!("device: {}", chosen.words());
        let loading = LoadingBar::default();
        let report_loading = |read, total| loading.update(read, total);
        let options = LoadOptions {
            precision: self.policy.precision(),
            progress: Some(&report_loading),
            ..LoadOptions::default()
        };
        let model = Qwen3Vl::load(&ModelFiles::open_dir(folder)?, &chosen.device, &options)
            .with_context(|| format!("cannot load {}", folder.display()))?;
        let model = Arc::new(model);
        let scorers: Vec<Scorer> = (0..self.jobs())
            .map(|_| Scorer::new(Arc::clone(&model), ScorerOptions::new(Profile::Aligned)))
            .collect();
        let plan = Plan {
            families: self.families.clone(),
            episodes: self.episodes,
            seed: self.seed,
            fps: self.fps,
        };
        let bar = super::bar(plan.episodes().len())?;
        let report = evaluate(&plan, &scorers, &|done| bar.set_position(done as u64));
        bar.finish_and_clear();
        crate::print(&report?, self.json)?;
        Ok(ExitCode::SUCCESS)
    }
}
