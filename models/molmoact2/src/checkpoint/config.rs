//! `config.json`, read key by key.
//!
//! Fields are named after their keys; sections lose their `_config`. Keys that do not affect inference (dropout,
//! initialization, training) are not read. No sizes are assumed: every value comes from the file, and contradictory
//! values are refused with both keys named.

use layers::{ConfigError, config_section};
use serde::Deserialize;
use serde_json::Value;

use crate::error::{LoadError, bad_value};

mod bounds;
pub(crate) mod check;
mod keys;
mod sections;

pub use sections::{ActionExpertConfig, AdapterConfig, TextConfig, TopConfig, VitConfig};

/// File name in a policy folder.
pub const FILE: &str = "config.json";

/// The trained heads.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ActionMode {
    /// The flow-matching expert alone.
    Continuous,
    /// The token head alone.
    Discrete,
    /// Both.
    Both,
}

/// Kind of a checkpoint.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A robot policy, with an action expert, action tokens, or both.
    Policy,
    /// A plain vision-language model: `model_type` "molmo2", or no expert and no action tokens. Robot keys have no
    /// meaning in such a file and can be absent.
    VisionLanguage,
}

/// The whole file.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the fields are the keys of the file")]
pub struct Config {
    /// Kind of the checkpoint.
    pub kind: Kind,
    pub vit: VitConfig,
    pub adapter: AdapterConfig,
    pub text: TextConfig,
    /// `None` when `add_action_expert` is false.
    pub action_expert: Option<ActionExpertConfig>,
    /// The keys at the top of the file.
    pub(crate) top: TopConfig,
}

impl std::ops::Deref for Config {
    type Target = TopConfig;

    fn deref(&self) -> &TopConfig {
        &self.top
    }
}

impl Config {
    /// Keys of `config.json` that are neither read nor known to be irrelevant, with their section.
    /// [`Config::parse`] accepts them only where they are off (null, false, 0 or empty) or private (`_...`).
    ///
    /// # Errors
    /// [`ConfigError::BadFile`] if it is not JSON.
    pub fn unknown_keys(bytes: &[u8]) -> Result<Vec<String>, LoadError> {
        Ok(keys::unknown(&crate::error::parse_json(FILE, bytes)?))
    }

    /// Reads the bytes of `config.json`.
    ///
    /// # Errors
    /// [`ConfigError::BadFile`] for a missing key or a value of the wrong type, [`ConfigError::BadValue`] for values
    /// that are impossible or contradict each other, [`ConfigError::Unsupported`] for kinds of model that are not
    /// supported. Each names the key.
    pub fn parse(bytes: &[u8]) -> Result<Self, LoadError> {
        let mut raw: Value = crate::error::parse_json(FILE, bytes)?;
        keys::refuse_unknown_behavior(&raw)?;
        let kind = kind(&raw)?;
        match kind {
            Kind::Policy => require(&raw)?,
            Kind::VisionLanguage => forget_robots(&mut raw),
        }
        let top: TopConfig = config_section(FILE, &raw, None)?;
        let mut text: TextConfig = config_section(FILE, &raw, Some("text_config"))?;
        resolve_rope(&mut text)?;
        let action_expert = if top.add_action_expert {
            Some(config_section(FILE, &raw, Some("action_expert_config"))?)
        } else {
            None
        };
        let config = Self {
            kind,
            vit: config_section(FILE, &raw, Some("vit_config"))?,
            adapter: config_section(FILE, &raw, Some("adapter_config"))?,
            text,
            action_expert,
            top,
        };
        check::check(&config)?;
        Ok(config)
    }
}

/// Keys at the top of the file that every policy must have.
const ROBOT_KEYS: [&str; 9] = [
    "max_action_dim",
    "max_action_horizon",
    "n_obs_steps",
    "action_mode",
    "flow_matching_num_steps",
    "state_start_token_id",
    "state_end_token_id",
    "state_token_start_id",
    "num_state_tokens",
];

fn kind(raw: &Value) -> Result<Kind, LoadError> {
    match raw.get("model_type").and_then(Value::as_str) {
        Some("molmo2") => return Ok(Kind::VisionLanguage),
        Some("molmoact2") | None => {}
        Some(found) => {
            return Err(LoadError::Config(ConfigError::Unsupported {
                what: format!("model_type = {found:?}"),
                why: "this reader takes \"molmoact2\" and \"molmo2\"".to_owned(),
            }));
        }
    }
    let no_expert = raw.get("add_action_expert").and_then(Value::as_bool) == Some(false);
    let action_tokens = raw.get("num_action_tokens").and_then(Value::as_u64);
    Ok(if no_expert && action_tokens.unwrap_or(0) == 0 {
        Kind::VisionLanguage
    } else {
        Kind::Policy
    })
}

/// Refuses a policy without one of its required keys, with the message of the JSON reader.
fn require(raw: &Value) -> Result<(), LoadError> {
    match ROBOT_KEYS.iter().find(|key| raw.get(key).is_none()) {
        Some(key) => Err(LoadError::Config(ConfigError::BadFile {
            file: FILE.to_owned(),
            place: String::new(),
            reason: format!("missing field `{key}`"),
        })),
        None => Ok(()),
    }
}

/// Removes all robot keys, some of which the file of a plain VLM holds as null or at their defaults.
fn forget_robots(raw: &mut Value) {
    let Some(keys) = raw.as_object_mut() else {
        return;
    };
    keys.retain(|key, _| {
        !(ROBOT_KEYS.contains(&key.as_str())
            || key.contains("action")
            || key.contains("depth")
            || key.contains("state_"))
    });
    keys.insert("add_action_expert".to_owned(), Value::Bool(false));
}

/// A [`ConfigError::BadValue`] of this file.
fn refuse(key: &str, problem: String) -> LoadError {
    bad_value(FILE, key, problem)
}

/// Merges the old and the new keys of the rotary settings.
fn resolve_rope(text: &mut TextConfig) -> Result<(), LoadError> {
    if let Some(parameters) = text.rope_parameters.take() {
        if let Some(theta) = parameters.get("rope_theta").and_then(Value::as_f64) {
            if text.rope_theta == 0.0 {
                text.rope_theta = theta;
            } else if text.rope_theta.to_bits() != theta.to_bits() {
                return Err(bad_value(
                    FILE,
                    "text_config.rope_theta",
                    format!(
                        "is {} but rope_parameters.rope_theta is {theta}",
                        text.rope_theta
                    ),
                ));
            }
        }
        let kind = parameters.get("rope_type").and_then(Value::as_str);
        if kind.is_some_and(|kind| kind != "default") {
            text.rope_scaling = Some(parameters);
        }
    }
    if !(text.rope_theta.is_finite() && text.rope_theta > 0.0) {
        return Err(bad_value(
            FILE,
            "text_config.rope_theta",
            format!("is {}; a number above 0 is needed", text.rope_theta),
        ));
    }
    Ok(())
}
