//! From a policy's files to a policy.

use std::sync::Mutex;

use burn::tensor::Device;

use crate::checkpoint::config::{self, ActionMode, Config, Kind};
use crate::checkpoint::files::Files;
use crate::checkpoint::lerobot::{self, Lerobot};
use crate::checkpoint::norm_stats::{self, NormStats};
use crate::error::{LoadError, bad_value};
use crate::heads::depth::DepthIds;
use crate::heads::depth::head::DepthHead;
use crate::info::{PolicyInfo, TagInfo};
use crate::input::preprocessing::PolicyPreprocessing;
use crate::loader::options::LoadOptions;
use crate::loader::token_head::load_token_head;
use crate::mode::Mode;
use crate::network::Network;
use crate::policy::Policy;

/// What a folder says before its weights are read, whichever layout it has.
#[derive(Debug)]
pub(crate) struct CheckpointDescription {
    pub(crate) config: Config,
    pub(crate) stats: NormStats,
    pub(crate) trained: ActionMode,
    pub(crate) normalize_language: bool,
}

impl CheckpointDescription {
    pub(crate) fn read(files: &Files) -> Result<Self, LoadError> {
        let bytes = files.read(config::FILE)?;
        if !lerobot::is_lerobot(&bytes) {
            let config = Config::parse(&bytes)?;
            if config.kind == Kind::VisionLanguage {
                return Err(LoadError::Unsupported {
                    what: "no action expert and no action tokens".to_owned(),
                    why: "it answers questions (policy-studio ask) and moves no robot".to_owned(),
                });
            }
            return Ok(Self {
                stats: NormStats::parse(&files.read(&config.norm_stats_filename)?)?,
                trained: config.action_mode,
                normalize_language: true,
                config,
            });
        }
        let Lerobot {
            config,
            stats,
            trained,
            normalize_language,
        } = lerobot::read(files, &bytes)?;
        Ok(Self {
            config,
            stats,
            trained,
            normalize_language,
        })
    }
}

/// The robots that the checkpoint can answer. A fine-tuned one may carry the statistics of others, whose chunks are longer
/// than its own; but one is needed.
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

    /// Reads a policy as `options` say.
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
        // What LeRobot leaves in the base.
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
        let (token_head, no_token_head) =
            match load_token_head(files, config, described.trained, &network)? {
                Ok(head) => (Some(head), String::new()),
                Err(why) => (None, why),
            };
        let depth = DepthIds::of(config).map(|ids| DepthHead::new(ids, config, network.text()));
        let mut modes = Vec::new();
        if network.expert().is_some() && described.trained != ActionMode::Discrete {
            modes.push(Mode::Continuous);
        }
        if token_head.is_some() {
            modes.push(Mode::Discrete);
        }
        let info = PolicyInfo {
            name: files.name(),
            tags,
            modes,
            depth_cells: depth.as_ref().map(|head| head.ids.cells),
            depth_codes: depth.as_ref().map_or(0, |head| head.ids.codes),
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
        Ok(Self {
            config,
            trained,
            normalize_language,
            stats,
            images,
            writer,
            chat,
            network,
            token_head,
            no_token_head,
            depth,
            info,
            modulations: Mutex::new(None),
        })
    }
}
