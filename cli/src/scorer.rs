//! The options that choose the hosted scorer, and where it scores.

use super::policy::{DeviceArgument, LoadingBar, choose};
use anyhow::bail;
use clap::Args;
use layers::Precision;
use policies::device::{Chosen, Wanted};
use qwen3vl::LoadOptions;
use server::scorer_service::{Model, Scorer, ScorerError, ScorerFiles, Scoring, ScoringBackend};
use std::{path::PathBuf, sync::Arc};

#[derive(Debug, Clone, Args)]
pub(super) struct ScorerArguments {
    /// A Qwen3-VL checkpoint that scores progress in videos, fetched by pages and asked there; the nano scorer inside this
    /// binary when absent.
    #[arg(long, value_name = "DIR")]
    scorer: Option<PathBuf>,
    /// Load the scorer here as well, so that pages can let the studio score. The nano scorer always is, and any where there
    /// is a GPU that passes the numerical self-test.
    #[arg(long, requires = "scorer")]
    score_here: bool,
    /// Where the studio scores; where the policy runs when absent, and the nano scorer on the CPU.
    #[arg(long, value_enum, value_name = "DEVICE")]
    scorer_device: Option<DeviceArgument>,
    /// What the scorer's language model is kept in here: f32, f16, bf16, int8 or int4. Pages choose for themselves.
    #[arg(long, value_name = "TYPE", default_value_t)]
    scorer_dtype: Precision,
}

impl ScorerArguments {
    pub(super) fn is_nano(&self) -> bool {
        self.scorer.is_none()
    }

    /// What the files say, without loading a weight.
    ///
    /// # Errors
    /// [`ScorerError`], with the reason.
    pub(super) fn files(&self) -> Result<ScorerFiles, ScorerError> {
        match &self.scorer {
            None => ScorerFiles::nano(),
            Some(folder) => ScorerFiles::open_dir(folder),
        }
    }

    /// A missing nano scorer is told and lived with; a checkpoint that was asked for must be one. `policy` is where the
    /// policy runs; `say` is told what becomes of it, in words.
    ///
    /// # Errors
    /// A folder that is no scorer, a device that was asked for and cannot be used, and weights that cannot be loaded
    /// where that was asked for.
    pub(super) fn host(&self, policy: &Chosen, say: &dyn Fn(&str)) -> anyhow::Result<Scoring> {
        let files = match self.files() {
            Ok(files) => files,
            Err(error) if self.scorer.is_none() => {
                say(&format!("no scorer: {error}"));
                return Ok(Err(error.to_string()));
            }
            Err(error) => bail!(error),
        };
        let manifest = files.manifest();
        say(&format!(
            "scorer: {}, {:.1} million parameters, {:.1} MB for pages that score themselves",
            manifest.name,
            manifest.parameters as f64 / 1e6,
            manifest.bytes() as f64 / 1e6
        ));
        let is_asked_for = self.score_here || self.scorer_device.is_some();
        let chosen = match self.scorer_device {
            Some(device) => choose(device.into())?,
            None if manifest.is_nano => choose(Wanted::Cpu)?,
            None => policy.clone(),
        };
        if !is_asked_for && !manifest.is_nano && chosen.kind == "cpu" {
            say(&format!(
                "scoring: in pages; with --score-here also on {}",
                chosen.words()
            ));
            return Ok(Ok(Scorer::new(files, None)));
        }
        let device = format!("{}, {}", chosen.words(), self.scorer_dtype);
        match self.load(&files, &chosen) {
            Ok(model) => {
                say(&format!("scoring: in pages and on {device}"));
                let judge: Arc<dyn ScoringBackend> = Arc::new(Model {
                    name: files.manifest().name.clone(),
                    device,
                    model: Arc::new(model),
                });
                Ok(Ok(Scorer::new(files, Some(judge))))
            }
            Err(error) if is_asked_for => Err(error.into()),
            // Nobody asked for it, and pages may have the room that this device has not.
            Err(error) => {
                say(&format!("scoring: in pages alone; on {device}: {error}"));
                Ok(Ok(Scorer::new(files, None)))
            }
        }
    }

    fn load(&self, files: &ScorerFiles, chosen: &Chosen) -> Result<qwen3vl::Qwen3Vl, ScorerError> {
        let bar = LoadingBar::default();
        let tell = |read, total| bar.tell(read, total);
        let options = LoadOptions {
            precision: self.scorer_dtype,
            progress: Some(&tell),
            ..LoadOptions::default()
        };
        files.load(&chosen.device, &options)
    }
}
