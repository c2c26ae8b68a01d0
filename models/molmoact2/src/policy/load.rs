//! Loading of a policy.

use burn_tensor::Device;

use super::Policy;
use crate::batch::model::Model;
use crate::checkpoint::config::{ActionMode, Config};
use crate::checkpoint::description::CheckpointDescription;
use crate::checkpoint::files::Files;
use crate::checkpoint::norm_stats::{self, NormStats};
use crate::error::{LoadError, bad_value};
use crate::heads::depth::DepthIds;
use crate::heads::depth::head::DepthHead;
use crate::heads::flow::ModulationCache;
use crate::info::{PolicyInfo, TagInfo};
use crate::input::preprocessing::PolicyPreprocessing;
use crate::loader::options::LoadOptions;
use crate::loader::token_head::load_token_head;
use crate::mode::Mode;
use crate::network::Network;

/// The robots that the checkpoint can act for; at least one is needed. A fine-tuned checkpoint can carry statistics
/// of robots whose chunks are longer than its own.
fn tags(stats: &NormStats, config: &Config) -> Result<Vec<TagInfo>, LoadError> {
    let (mut tags, mut refused) = (Vec::new(), None);
    for tag in stats.tags() {
        match tag.rows(config) {
            Ok(rows) => tags.push(TagInfo::new(tag, rows)),
            Err(error) => refused = Some(error),
        }
    }
    let refused = stats.unusable().next().or(refused);
    match refused {
        Some(error) if tags.is_empty() => Err(bad_value(
            norm_stats::FILE,
            "metadata_by_tag",
            format!("names no robot that fits this checkpoint: {error}"),
        )),
        _ => Ok(tags),
    }
}

impl Policy {
    /// Reads a policy and puts its weights on `device`, in `f32`.
    ///
    /// # Errors
    /// [`LoadError`], which names the file and the key or tensor.
    pub fn load(files: &Files, device: &Device) -> Result<Self, LoadError> {
        Self::load_with(files, device, &LoadOptions::default())
    }

    /// Reads a policy with `options`.
    ///
    /// # Errors
    /// As [`Policy::load`].
    pub fn load_with(
        files: &Files,
        device: &Device,
        options: &LoadOptions<'_>,
    ) -> Result<Self, LoadError> {
        let mut described = CheckpointDescription::read(files)?;
        if let Some(calibration) = &options.calibration {
            described.stats.calibrate(calibration)?;
        }
        // The files that a LeRobot folder leaves in its base.
        let small = files.base().unwrap_or(files);
        let config = &described.config;
        let PolicyPreprocessing {
            images,
            writer,
            chat,
        } = PolicyPreprocessing::read(small, config)?;
        let tags = tags(&described.stats, config)?;
        let checkpoint = files.checkpoint()?;
        let network = Network::load_as(
            &checkpoint,
            config,
            device,
            options.precision,
            options.progress,
        )?;
        let token_head = load_token_head(files, config, described.trained, &network)?;
        let depth_head =
            DepthIds::of(config).map(|ids| DepthHead::new(ids, config, network.text()));
        let mut modes = Vec::new();
        if network.expert().is_some() && described.trained != ActionMode::Discrete {
            modes.push(Mode::Continuous);
        }
        if token_head.is_ok() {
            modes.push(Mode::Discrete);
        }
        let info = PolicyInfo {
            name: files.name(),
            tags,
            modes,
            depth_cells: depth_head.as_ref().map(|head| head.ids.cells),
            depth_codes: depth_head.as_ref().map_or(0, |head| head.ids.codes),
            flow_steps: config.flow_matching_num_steps,
            parameters: checkpoint.parameters(),
            dtype: checkpoint.dtype(),
            precision: options.precision,
            weight_bytes: network.weight_bytes(),
        };
        let CheckpointDescription {
            config,
            stats,
            trained,
            normalize_language,
        } = described;
        let model = Model {
            config,
            network,
            modulations: ModulationCache::default(),
            token_head,
            depth_head,
        };
        Ok(Self {
            model,
            trained,
            normalize_language,
            stats,
            images,
            writer,
            chat,
            info,
        })
    }
}
