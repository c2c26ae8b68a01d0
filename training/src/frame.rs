//! One observation as the network will see it, with what a teacher knows about it.

use sim::{Camera, Colour, Expert, JointVector, Task, World};

use crate::sentences::code;

/// Values of [`facts`]: tool centre point (3), tray (2), then per colour present, x, y, z, held, sine and
/// cosine of four times the yaw.
pub(crate) const FACTS: usize = 5 + 4 * 7;

/// Both pictures resized to `side` x `side`, overview then wrist, RGB rows from the top.
pub(crate) fn pictures(world: &World, side: usize) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(Camera::ALL.len() * side * side * 3);
    for camera in Camera::ALL {
        let picture = world.render(camera);
        resize(
            &picture.rgb,
            sim::WIDTH_PIXELS,
            sim::HEIGHT_PIXELS,
            side,
            &mut bytes,
        );
    }
    bytes
}

/// Bilinear resize of 8-bit RGB with half-pixel centres and without antialiasing, rounded to even.
fn resize(rgb: &[u8], width: usize, height: usize, side: usize, out: &mut Vec<u8>) {
    let taps = |size: usize, index: usize| {
        let scale = size as f32 / side as f32;
        let at = ((index as f32 + 0.5) * scale - 0.5).max(0.0);
        let low = (at as usize).min(size - 1);
        (low, (low + 1).min(size - 1), at - low as f32)
    };
    let pixel = |x: usize, y: usize, c: usize| {
        f32::from(rgb.get((y * width + x) * 3 + c).copied().unwrap_or(0))
    };
    for row in 0..side {
        let (y0, y1, fy) = taps(height, row);
        for column in 0..side {
            let (x0, x1, fx) = taps(width, column);
            for c in 0..3 {
                let top = pixel(x0, y0, c) * (1.0 - fx) + pixel(x1, y0, c) * fx;
                let bottom = pixel(x0, y1, c) * (1.0 - fx) + pixel(x1, y1, c) * fx;
                let value = top * (1.0 - fy) + bottom * fy;
                out.push(value.round_ties_even().clamp(0.0, 255.0) as u8);
            }
        }
    }
}

/// What a teacher knows: see [`FACTS`]. Metres, table frame.
pub(crate) fn facts(world: &World) -> Vec<f32> {
    let mut facts = world.tool_centre_point().to_vec();
    let tray = world.tray();
    facts.extend([tray.x, tray.y]);
    for colour in Colour::ALL {
        match world.object(colour) {
            Some(object) => {
                let [x, y, z] = object.position;
                let [qx, qy, qz, qw] = object.rotation;
                // The heading of whichever body axis lies in the plane; a cube looks the same every quarter turn.
                let yaw = (2.0 * (qw * qz + qx * qy)).atan2(1.0 - 2.0 * (qy * qy + qz * qz));
                let (sine, cosine) = (4.0 * yaw).sin_cos();
                facts.extend([1.0, x, y, z, f32::from(u8::from(object.held)), sine, cosine]);
            }
            None => facts.extend([0.0; 7]),
        }
    }
    facts
}

/// The expert's chunk for a task, flattened `[horizon, joints]`; `None` if it has no answer.
pub(crate) fn label(world: &World, task: &Task, horizon: usize) -> Option<(usize, Vec<f32>)> {
    let chunk: Vec<JointVector> = Expert::new().chunk(world, task, horizon);
    (chunk.len() == horizon).then_some(())?;
    Some((code(task)?, chunk.into_iter().flatten().collect()))
}
