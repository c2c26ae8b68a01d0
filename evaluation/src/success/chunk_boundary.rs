//! Jumps of the target at the boundary between two chunks.

use serde::Serialize;
use sim::{CONTROL_RATE_HZ, DOF, JointVector};

/// Sums of squares and largest magnitudes, per joint.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Sizes {
    squares: [f64; DOF],
    largest: [f64; DOF],
    count: u64,
}

impl Sizes {
    fn add(&mut self, values: impl IntoIterator<Item = f64>) {
        for ((square, largest), value) in self.squares.iter_mut().zip(&mut self.largest).zip(values)
        {
            *square += value * value;
            *largest = largest.max(value.abs());
        }
        self.count += 1;
    }

    fn join(&mut self, other: &Self) {
        for (own, added) in self.squares.iter_mut().zip(other.squares) {
            *own += added;
        }
        for (own, added) in self.largest.iter_mut().zip(other.largest) {
            *own = own.max(added);
        }
        self.count += other.count;
    }

    fn rms(&self, joint: usize) -> f64 {
        let square = self.squares.get(joint).copied().unwrap_or_default();
        (square / self.count.max(1) as f64).sqrt()
    }

    fn max(&self, joint: usize) -> f64 {
        self.largest.get(joint).copied().unwrap_or_default()
    }
}

/// Statistics of the targets of one or many episodes at chunk boundaries (seams) and inside chunks.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Seams {
    jumps: Sizes,
    seam_turns: Sizes,
    other_turns: Sizes,
    /// The last two targets, the newer one last; `None` before the first target and after a hold.
    last: [Option<JointVector>; 2],
    /// True if the last step led into another chunk. The next step then turns back from the jump and is not counted.
    after_seam: bool,
}

impl Seams {
    /// Adds a commanded target. `before` is the previous chunk's target for the same tick, if a new chunk has just
    /// taken over.
    pub(super) fn commanded(&mut self, target: &JointVector, before: Option<&JointVector>) {
        if let Some(before) = before {
            let jump = target.iter().zip(before);
            self.jumps.add(jump.map(|(new, old)| f64::from(new - old)));
        }
        let [older, newer] = self.last;
        if let (Some(older), Some(newer)) = (older, newer) {
            let turns = target
                .iter()
                .zip(newer)
                .zip(older)
                .map(|((now, newer), older)| {
                    f64::from((now - newer) - (newer - older)) * f64::from(CONTROL_RATE_HZ)
                });
            match before {
                Some(_) => self.seam_turns.add(turns),
                None if self.after_seam => {}
                None => self.other_turns.add(turns),
            }
        }
        self.after_seam = before.is_some();
        self.last = [newer, Some(*target)];
    }

    /// Records a tick without a target.
    pub(super) fn held(&mut self) {
        self.last = [None, None];
        self.after_seam = false;
    }

    /// Adds the statistics of another episode.
    pub(super) fn join(&mut self, other: &Self) {
        self.jumps.join(&other.jumps);
        self.seam_turns.join(&other.seam_turns);
        self.other_turns.join(&other.other_turns);
    }

    /// Figures per joint.
    pub(super) fn report(&self, names: &[String]) -> SeamReport {
        let joints = (0..DOF).map(|joint| JointSeam {
            name: names.get(joint).cloned().unwrap_or_default(),
            jump_rms: self.jumps.rms(joint),
            jump_max: self.jumps.max(joint),
            velocity_jump_rms: self.seam_turns.rms(joint),
            velocity_jump_max: self.seam_turns.max(joint),
            inside_velocity_jump_rms: self.other_turns.rms(joint),
            inside_velocity_jump_max: self.other_turns.max(joint),
        });
        SeamReport {
            seams: self.jumps.count,
            joints: joints.collect(),
        }
    }
}

/// Seams of all episodes of one mode.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SeamReport {
    /// Number of times that a chunk took over from one that still had rows.
    pub seams: u64,
    /// Every joint of the robot.
    pub joints: Vec<JointSeam>,
}

/// Figures of one joint, in degrees and degrees per second; for the gripper in percent and percent per second.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct JointSeam {
    /// Name of the joint.
    pub name: String,
    /// Difference between the targets of the new and the old chunk for the same tick, root mean square.
    pub jump_rms: f64,
    /// Largest magnitude of the same.
    pub jump_max: f64,
    /// Change of the commanded velocity from the last step of the old chunk to the step into the new one, root mean
    /// square.
    pub velocity_jump_rms: f64,
    /// Largest magnitude of the same.
    pub velocity_jump_max: f64,
    /// Change of the commanded velocity between two steps inside a chunk, for comparison, root mean square.
    pub inside_velocity_jump_rms: f64,
    /// Largest magnitude of the same.
    pub inside_velocity_jump_max: f64,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_and_velocity_changes_count_at_the_seam() {
        let at = |value: f32| {
            let mut joints = [0.0; DOF];
            joints[0] = value;
            joints
        };
        let mut seams = Seams::default();
        for value in [0.0, 1.0, 2.0] {
            seams.commanded(&at(value), None);
        }
        // The old chunk would have gone on to 3; the new one turns back.
        seams.commanded(&at(1.0), Some(&at(3.0)));
        // The step after the jump is not counted.
        seams.commanded(&at(1.0), None);
        seams.commanded(&at(1.0), None);
        let mut all = Seams::default();
        all.join(&seams);
        let report = all.report(&["pan".to_owned()]);
        assert_eq!(report.seams, 1);
        let pan = &report.joints[0];
        assert_eq!(
            (pan.name.as_str(), pan.jump_rms, pan.jump_max),
            ("pan", 2.0, 2.0)
        );
        assert_eq!(pan.velocity_jump_max, 2.0 * f64::from(CONTROL_RATE_HZ));
        assert_eq!(pan.inside_velocity_jump_max, 0.0);
        assert_eq!(report.joints[1].jump_max, 0.0);
    }

    #[test]
    fn a_hold_is_not_a_change_of_velocity() {
        let mut seams = Seams::default();
        let zero = [0.0; DOF];
        seams.commanded(&zero, None);
        seams.held();
        seams.commanded(&[9.0; DOF], None);
        seams.commanded(&[9.0; DOF], None);
        assert_eq!(seams.report(&[]).joints[0].inside_velocity_jump_max, 0.0);
    }
}
