//! The simulated robot's description of itself: joints, cameras and example instructions.

use super::TAG;
use protocol::{CameraDescription, JointDescription, robot::RobotHello};
use sim::{CONTROL_RATE_HZ, Camera, Task, TaskFamily, World};

/// The robot's hello message for a scene.
pub(super) fn hello(name: &str, world: &World) -> RobotHello {
    let joints = world.joints().iter().map(|joint| JointDescription {
        name: joint.name.to_owned(),
        unit: if joint.name == "gripper" {
            "percent"
        } else {
            "deg"
        }
        .to_owned(),
        min: joint.min,
        max: joint.max,
    });
    let cameras = Camera::ALL.iter().map(|camera| CameraDescription {
        name: camera.name().to_owned(),
        width: sim::WIDTH_PIXELS as u32,
        height: sim::HEIGHT_PIXELS as u32,
        has_depth: *camera == Camera::Overview,
    });
    RobotHello {
        name: name.to_owned(),
        tag: TAG.to_owned(),
        joints: joints.collect(),
        cameras: cameras.collect(),
        control_rate_hz: CONTROL_RATE_HZ as f32,
        example_instructions: example_instructions(world),
        simulated: true,
        resume_token: None,
    }
}

/// Two instructions of every task family that the scene allows.
fn example_instructions(world: &World) -> Vec<String> {
    TaskFamily::all()
        .into_iter()
        .flat_map(|family| {
            let options = Task::options(family, world);
            let last = options.len().saturating_sub(1);
            let mut chosen: Vec<String> = [options.first(), options.get(last).filter(|_| last > 0)]
                .into_iter()
                .flatten()
                .map(Task::canonical)
                .collect();
            chosen.dedup();
            chosen
        })
        .collect()
}
