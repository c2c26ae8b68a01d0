//! Calibration between the joint angles of a robot and those that its checkpoint was trained on.
//!
//! The SO-100 and SO-101 checkpoints were trained in the joint convention LeRobot had before its calibration
//! changed. A robot that was calibrated since has another sign and zero of the shoulder lift, so its state is
//! converted before normalization and the actions are converted back. The conversion is given by two lists, the
//! `joint_signs` and `joint_offsets` of LeRobot.

use layers::ConfigError;
use serde::Deserialize;

use crate::error::LoadError;

/// Signs and offsets of the first joints: `model = sign * robot + offset`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Calibration {
    /// 1 or -1 for each joint.
    pub joint_signs: Vec<f32>,
    /// Zero offset of each joint, in the checkpoint's units.
    pub joint_offsets: Vec<f32>,
    /// The tag that it applies to; all tags of a checkpoint when absent.
    #[serde(default)]
    pub tag: Option<String>,
}

impl Calibration {
    /// Reads a JSON object with `joint_signs`, `joint_offsets` and perhaps `tag`. `file` names it in errors.
    ///
    /// # Errors
    /// [`ConfigError::BadFile`] for lists of different lengths, a sign that is neither 1 nor -1, or an offset that is not
    /// finite.
    pub fn parse(bytes: &[u8], file: &str) -> Result<Self, LoadError> {
        let read: Self = crate::error::parse_json(file, bytes)?;
        read.check(file)?;
        Ok(read)
    }

    /// A calibration from its two lists, of which both or neither are given.
    pub(crate) fn from_lists(
        signs: Option<Vec<f32>>,
        offsets: Option<Vec<f32>>,
        file: &str,
    ) -> Result<Option<Self>, LoadError> {
        let (joint_signs, joint_offsets) = match (signs, offsets) {
            (None, None) => return Ok(None),
            (signs, offsets) => (signs.unwrap_or_default(), offsets.unwrap_or_default()),
        };
        let read = Self {
            joint_signs,
            joint_offsets,
            tag: None,
        };
        read.check(file)?;
        Ok(Some(read))
    }

    fn check(&self, file: &str) -> Result<(), LoadError> {
        let bad = |reason: String| {
            Err(LoadError::Config(ConfigError::BadFile {
                file: file.to_owned(),
                place: String::new(),
                reason,
            }))
        };
        let (signs, offsets) = (self.joint_signs.len(), self.joint_offsets.len());
        if signs != offsets || signs == 0 {
            return bad(format!(
                "joint_signs has {signs} values and joint_offsets {offsets}; both must have one per joint"
            ));
        }
        // The inverse is exact only for these.
        if let Some(sign) = self.joint_signs.iter().find(|sign| sign.abs() != 1.0) {
            return bad(format!(
                "joint_signs contains {sign}; only 1 and -1 are signs"
            ));
        }
        if self.joint_offsets.iter().any(|offset| !offset.is_finite()) {
            return bad("joint_offsets contains a value that is not finite".to_owned());
        }
        Ok(())
    }

    /// Number of joints that it covers.
    #[must_use]
    pub fn joints(&self) -> usize {
        self.joint_signs.len()
    }

    /// A measured state in the checkpoint's convention.
    #[must_use]
    pub fn to_model(&self, state: &[f32]) -> Vec<f32> {
        let mut turned = state.to_vec();
        for (value, (sign, offset)) in turned.iter_mut().zip(self.pairs()) {
            *value = sign * *value + offset;
        }
        turned
    }

    /// Rows of actions (`[rows, dims]`) in the robot's convention.
    #[must_use]
    pub fn to_robot(&self, actions: &[f32], dims: usize) -> Vec<f32> {
        let mut turned = actions.to_vec();
        for row in turned.chunks_mut(dims.max(1)) {
            for (value, (sign, offset)) in row.iter_mut().zip(self.pairs()) {
                *value = sign * (*value - offset);
            }
        }
        turned
    }

    fn pairs(&self) -> impl Iterator<Item = (f32, f32)> {
        let offsets = self.joint_offsets.iter().copied();
        self.joint_signs.iter().copied().zip(offsets)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

    use super::Calibration;

    const SO101: &[u8] = br#"{"joint_signs": [1, -1, 1], "joint_offsets": [0, 90, 90]}"#;

    #[test]
    fn the_way_there_and_back_is_the_identity_and_the_gripper_is_left_alone() {
        let calibration = Calibration::parse(SO101, "so101.json").unwrap();
        let state = [10.0, -99.0, 91.0, 4.0];
        let model = calibration.to_model(&state);
        assert_eq!(model, [10.0, 189.0, 181.0, 4.0]);
        assert_eq!(calibration.to_robot(&model.repeat(2), 4), state.repeat(2));
    }

    #[test]
    fn what_cannot_be_undone_is_refused_with_the_file() {
        for (text, named) in [
            (
                r#"{"joint_signs": [1], "joint_offsets": [0, 1]}"#,
                "joint_offsets",
            ),
            (r#"{"joint_signs": [], "joint_offsets": []}"#, "joint_signs"),
            (
                r#"{"joint_signs": [2], "joint_offsets": [0]}"#,
                "joint_signs",
            ),
            (
                r#"{"joint_signs": [1], "joint_offsets": [1e39]}"#,
                "joint_offsets",
            ),
            (
                r#"{"joint_signs": [1], "joint_offsets": [0], "degrees": true}"#,
                "degrees",
            ),
            ("[]", "so101.json"),
        ] {
            let error = Calibration::parse(text.as_bytes(), "so101.json")
                .unwrap_err()
                .to_string();
            assert!(
                error.contains("so101.json") && error.contains(named),
                "{error}"
            );
        }
    }
}
