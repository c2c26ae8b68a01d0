//! Options of the hosted scorer and its device.

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
    /// A Qwen3-VL checkpoint that scores progress in videos, which pages fetch and run; the nano scorer embedded in this
    /// binary when absent.
    #[arg(long, value_name = "DIR")]
    scorer: Option<PathBuf>,
    /// Also load the scorer on the studio, so that pages can score there. The nano scorer is always loaded, and any scorer
    /// if there is a GPU that passes the numerical self-test.
    #[arg(long, requires = "scorer")]
    score_here: bool,
    /// Device of the studio's scorer; when absent the policy's device, or the CPU for the nano scorer.
    #[arg(long, value_enum, value_name = "DEVICE")]
    scorer_device: Option<DeviceArgument>,
    /// Precision of the language model of the studio's scorer: f32, f16, bf16, int8 or int4. Pages choose separately.
    #[arg(long, value_name = "TYPE", default_value_t)]
    scorer_dtype: Precision,
}

impl ScorerArguments {
    pub(super) fn is_nano(&self) -> bool {
        self.scorer.is_none()
    }

    /// Files of the scorer, without loading weights.
    ///
    /// # Errors
    /// [`ScorerError`], with the reason.
    pub(super) fn files(&self) -> Result<ScorerFiles, ScorerError> {
        match &self.scorer {
            None => ScorerFiles::nano(),
            Some(folder) => ScorerFiles::open_dir(folder),
        }
    }

    /// Opens the scorer and loads it where it scores on the studio. A missing nano scorer is reported and skipped; a named
    /// checkpoint must be valid. `policy` is the policy's device; `say` gets messages for standard error.
    ///
    /// # Errors
    /// A folder that is not a scorer, a requested device that cannot be used, or weights that cannot be loaded although
    /// that was requested.
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
            "scorer: {}, {:.1} million parameters, {:.1} MB for pages that score in the browser",
            manifest.name,
            manifest.parameters as f64 / 1e6,
            manifest.bytes() as f64 / 1e6
        ));
        let is_requested = self.score_here || self.scorer_device.is_some();
        let chosen = match self.scorer_device {
            Some(device) => choose(device.into())?,
            None if manifest.is_nano => choose(Wanted::Cpu)?,
            None => policy.clone(),
        };
        if !is_requested && !manifest.is_nano && chosen.kind == "cpu" {
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
                let backend: Arc<dyn ScoringBackend> = Arc::new(Model {
                    name: files.manifest().name.clone(),
                    device,
                    model: Arc::new(model),
                });
                Ok(Ok(Scorer::new(files, Some(backend))))
            }
            Err(error) if is_requested => Err(error.into()),
            // Scoring here was not requested, and pages may have the memory that this device lacks.
            Err(error) => {
                say(&format!("scoring: in pages only; on {device}: {error}"));
                Ok(Ok(Scorer::new(files, None)))
            }
        }
    }

    fn load(&self, files: &ScorerFiles, chosen: &Chosen) -> Result<qwen3vl::Qwen3Vl, ScorerError> {
        let bar = LoadingBar::default();
        let report = |read, total| bar.update(read, total);
        let options = LoadOptions {
            precision: self.scorer_dtype,
            progress: Some(&report),
            ..LoadOptions::default()
        };
        files.load(&chosen.device, &options)
    }
}
