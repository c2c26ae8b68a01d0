//! Disturbances of the executed motion, so that the data also covers states off the expert's path.

use rand::{Rng, RngExt as _};
use sim::{DOF, JointVector, World};

/// Correlated noise on the joint targets, with occasional detours to a random nearby pose.
#[derive(Debug)]
pub(crate) struct Disturbance {
    drift: JointVector,
    strength_deg: f32,
    detour: Option<(JointVector, u32)>,
    detour_chance: f32,
}

impl Disturbance {
    /// Draws the strength of an episode's disturbance.
    pub(crate) fn new(rng: &mut impl Rng) -> Self {
        let strength_deg = match rng.random_range(0..4u32) {
            0 => 0.0,
            1 => 0.4,
            2 => 1.0,
            _ => 2.2,
        };
        let detour_chance = if rng.random_bool(0.5) { 0.012 } else { 0.0 };
        Self {
            drift: [0.0; DOF],
            strength_deg,
            detour: None,
            detour_chance,
        }
    }

    /// Begins with a detour, so that tasks start from many poses.
    pub(crate) fn start_elsewhere(&mut self, world: &World, rng: &mut impl Rng) {
        self.detour = Some((Self::elsewhere(world, 1.0, rng), rng.random_range(10..30)));
    }

    fn elsewhere(world: &World, scale: f32, rng: &mut impl Rng) -> JointVector {
        let mut pose = world.state();
        for (value, reach) in pose.iter_mut().zip([22.0f32, 16.0, 16.0, 12.0, 15.0, 45.0]) {
            *value += scale * rng.random_range(-reach..reach);
        }
        pose
    }

    /// Disturbed joint target to execute in place of `target`.
    pub(crate) fn apply(
        &mut self,
        target: &JointVector,
        world: &World,
        rng: &mut impl Rng,
    ) -> JointVector {
        if let Some((pose, ticks)) = self.detour.take()
            && ticks > 0
        {
            self.detour = Some((pose, ticks - 1));
            return pose;
        }
        if rng.random_range(0.0f32..1.0) < self.detour_chance {
            let scale = rng.random_range(0.15f32..0.8);
            self.detour = Some((Self::elsewhere(world, scale, rng), rng.random_range(3..14)));
        }
        let mut executed = *target;
        for (index, (value, drift)) in executed.iter_mut().zip(&mut self.drift).enumerate() {
            let kick: f32 = (0..3).map(|_| rng.random_range(-1.0f32..1.0)).sum();
            *drift = 0.9 * *drift + 0.44 * kick;
            let unit = if index + 1 == DOF { 2.0 } else { 1.0 };
            *value += self.strength_deg * unit * *drift;
        }
        executed
    }
}
