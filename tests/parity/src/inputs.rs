//! What the network is given: token ids, patches, windows. None of it is a matter of tolerance.

use anyhow::Result;
use molmoact2::config::{Config, FILE as CONFIG};
use molmoact2::images::ImagePreprocessor;
use molmoact2::norm_stats::NormStats;
use molmoact2::processor_config::ProcessorConfig;
use molmoact2::{Files, prompt};

use crate::findings::Findings;
use crate::golden::Golden;

/// The readers of a checkpoint's small files.
#[derive(Debug)]
pub struct Inputs {
    /// `config.json`.
    pub config: Config,
    images: ImagePreprocessor,
    prompts: prompt::PromptWriter,
    stats: NormStats,
}

impl Inputs {
    /// Reads them.
    ///
    /// # Errors
    /// The loader's.
    pub fn read(files: &Files) -> Result<Self> {
        let config = Config::parse(&files.read(CONFIG)?)?;
        let processor = ProcessorConfig::read(files, &config)?;
        let images = ImagePreprocessor::new(&processor, &config)?;
        let prompts = prompt::PromptWriter::new(
            &files.read(prompt::TOKENIZER_FILE)?,
            files.find(prompt::TOKENIZER_CONFIG_FILE)?.as_deref(),
            &config,
            &images,
        )?;
        let stats = NormStats::parse(&files.read(&config.norm_stats_filename)?)?;
        Ok(Self {
            config,
            images,
            prompts,
            stats,
        })
    }
}

/// Ids, flags, normalised state, patches and windows of the case's question.
///
/// # Errors
/// If the golden or the question is not whole.
pub fn compare(findings: &mut Findings, golden: &Golden<'_>, inputs: &Inputs) -> Result<()> {
    let scene = golden.scene()?;
    let batch = inputs.images.prepare(&scene.images)?;
    let patches = golden.floats("patches_requantised")?;
    findings.exact("patches", &batch.values, &patches);
    let windows = golden.ints("pool_indices")?;
    findings.exact("pooling windows", &batch.pool_indices, &windows);
    let tag = inputs.stats.tag(&scene.tag)?;
    let state = tag.normalize_state(&scene.state)?;
    findings.exact("state", &state, &golden.floats("state_normalised")?);
    let prompt = inputs.prompts.write(&prompt::PromptContent {
        instruction: &scene.task,
        normalize_instruction: true,
        state_normalized: &state,
        tag,
        images: scene.images.len(),
        style: prompt::Style::Action,
    })?;
    findings.exact("token ids", &prompt.ids, &golden.ids("input_ids")?);
    let flags = golden.flags("token_type_ids")?;
    findings.exact("image tokens", &prompt.image_type, &flags);
    Ok(())
}
