//! One observation as the network reads it, with the ground truth of the scene.

use sim::{Camera, Color, Expert, JointVector, Task, World};

use vision::{RgbImage, resize_bilinear_u8};

use crate::sentences::code;

/// Number of values of [`facts`]: tool center point (3), tray (2), then per color: present, x, y, z, held, sine and
/// cosine of four times the yaw.
pub(crate) const FACTS: usize = 5 + 4 * 7;

/// Both camera images, resized to `side` x `side` as the policy resizes them: overview, then wrist; RGB rows from the
/// top.
///
/// # Errors
/// A `side` of zero.
pub(crate) fn images(world: &World, side: usize) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(Camera::ALL.len() * side * side * 3);
    for camera in Camera::ALL {
        let rendered = sim::render(world, camera);
        let image = RgbImage::new(rendered.width, rendered.height, rendered.rgb)?;
        bytes.extend(resize_bilinear_u8(&image, side, side)?.data());
    }
    Ok(bytes)
}

/// Ground truth of the scene, in the order of [`FACTS`] (m, table frame).
pub(crate) fn facts(world: &World) -> Vec<f32> {
    let mut facts = world.tool_center_point().to_vec();
    let tray = world.tray();
    facts.extend([tray.x, tray.y]);
    for colour in Color::ALL {
        match world.object(colour) {
            Some(object) => {
                let [x, y, z] = object.position;
                let [qx, qy, qz, qw] = object.rotation;
                // Heading of the body axis in the plane. A cube looks the same after every quarter turn.
                let yaw = (2.0 * (qw * qz + qx * qy)).atan2(1.0 - 2.0 * (qy * qy + qz * qz));
                let (sine, cosine) = (4.0 * yaw).sin_cos();
                facts.extend([1.0, x, y, z, f32::from(u8::from(object.held)), sine, cosine]);
            }
            None => facts.extend([0.0; 7]),
        }
    }
    facts
}

/// Code of a task and the expert's chunk for it, flattened `[horizon, joints]`; `None` if the expert has none.
pub(crate) fn label(world: &World, task: &Task, horizon: usize) -> Option<(usize, Vec<f32>)> {
    let chunk: Vec<JointVector> = Expert::new().chunk(world, task, horizon);
    (chunk.len() == horizon).then_some(())?;
    Some((code(task)?, chunk.into_iter().flatten().collect()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test fails by panicking")]
    use super::*;

    #[test]
    fn a_frame_has_the_sizes_of_the_arrays() {
        let world = World::new(11);
        assert_eq!(images(&world, 96).unwrap().len(), 2 * 96 * 96 * 3);
        assert!(images(&world, 0).is_err());
        assert_eq!(facts(&world).len(), FACTS);
        let present: f32 = (0..4).map(|colour| facts(&world)[5 + 7 * colour]).sum();
        assert_eq!(present as usize, world.colors().len());
    }

    #[test]
    fn every_task_of_the_scene_gets_a_label_under_its_own_code() {
        let world = World::new(11);
        let mut codes = Vec::new();
        for task in crate::sentences::all_tasks() {
            let labelled = label(&world, &task, 16);
            assert_eq!(
                labelled.is_some(),
                world.colors().contains(&task.object),
                "{task:?}"
            );
            if let Some((code, chunk)) = labelled {
                assert_eq!(chunk.len(), 16 * sim::DOF);
                assert!(chunk.iter().all(|value| value.is_finite()));
                codes.push(code);
            }
        }
        let count = codes.len();
        codes.dedup();
        assert_eq!(codes.len(), count);
    }
}
