//! Description of a policy folder from its small files, in either layout.

use layers::ConfigError;

use crate::checkpoint::config::{self, ActionMode, Config, Kind};
use crate::checkpoint::files::Files;
use crate::checkpoint::lerobot::{self, Lerobot};
use crate::checkpoint::norm_stats::NormStats;
use crate::error::LoadError;

/// Configuration, statistics and trained heads of a policy, without its weights.
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
                return Err(LoadError::Config(ConfigError::Unsupported {
                    what: "no action expert and no action tokens".to_owned(),
                    why: "it answers questions (policy-studio ask) and moves no robot".to_owned(),
                }));
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
