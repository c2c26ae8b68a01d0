//! Frames of one decision, without a socket: a robot and a studio exchange them over channels.
//!
//! Run `cargo run -p protocol --example quickstart`. `robot.rs` in this folder is a robot for a running studio.

use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

use protocol::common::JointDescription;
use protocol::robot::{ActionChunk, Observation, RobotHello, RobotWelcome};
use protocol::{FromRobot, Message, ToRobot};

type AnyError = Box<dyn std::error::Error + Send + Sync>;

/// Sends a message as a frame, which on a WebSocket is one binary message.
fn send<M: Message>(to: &SyncSender<Vec<u8>>, message: &M) -> Result<(), AnyError> {
    let frame = protocol::encode(message)?;
    println!(
        "{:>14} kind {:#04x}, {} bytes",
        M::NAME,
        M::KIND,
        frame.len()
    );
    to.send(frame)?;
    Ok(())
}

fn robot(studio: &SyncSender<Vec<u8>>, frames: &Receiver<Vec<u8>>) -> Result<(), AnyError> {
    let joint = |name: &str, unit: &str, min: f32, max: f32| JointDescription {
        name: name.to_owned(),
        unit: unit.to_owned(),
        min,
        max,
    };
    send(
        studio,
        &RobotHello {
            name: "two-joints".to_owned(),
            tag: "my_robot".to_owned(),
            joints: vec![
                joint("pan", "deg", -90.0, 90.0),
                joint("gripper", "percent", 0.0, 100.0),
            ],
            cameras: Vec::new(),
            control_rate_hz: 30.0,
            example_instructions: Vec::new(),
            simulated: true,
            resume_token: None,
        },
    )?;
    send(
        studio,
        &Observation {
            sequence: 1,
            captured_at_micros: 33_333,
            state: vec![10.0, 50.0],
            commanded: vec![10.0, 50.0],
            views: Vec::new(),
        },
    )?;
    for frame in frames {
        match ToRobot::decode(&frame)? {
            ToRobot::Welcome(welcome) => println!("the robot's id is {:?}", welcome.robot_id),
            ToRobot::Chunk(chunk) => {
                for (row, targets) in chunk.actions.chunks_exact(chunk.dims as usize).enumerate() {
                    let at_micros = chunk.starts_at_micros + row as u64 * 1_000_000 / 30;
                    println!("at {at_micros} us: {targets:?}");
                }
                return Ok(());
            }
            other => return Err(format!("unexpected message: {other:?}").into()),
        }
    }
    Err("the studio left".into())
}

fn studio(robot: &SyncSender<Vec<u8>>, frames: &Receiver<Vec<u8>>) -> Result<(), AnyError> {
    for frame in frames {
        match FromRobot::decode(&frame)? {
            FromRobot::Hello(hello) => send(
                robot,
                &RobotWelcome {
                    robot_id: hello.name,
                    policy: "a ramp".to_owned(),
                    studio_version: env!("CARGO_PKG_VERSION").to_owned(),
                    resume_token: String::new(),
                },
            )?,
            FromRobot::Observation(observation) => {
                let dims = observation.state.len();
                let ramp =
                    (1..=4).flat_map(|row| observation.state.iter().map(move |at| at + row as f32));
                send(
                    robot,
                    &ActionChunk {
                        chunk_id: 1,
                        observation_sequence: observation.sequence,
                        starts_at_micros: observation.captured_at_micros,
                        valid_until_micros: observation.captured_at_micros + 133_333,
                        rows: 4,
                        dims: dims as u32,
                        actions: ramp.collect(),
                    },
                )?;
            }
            other => return Err(format!("unexpected message: {other:?}").into()),
        }
    }
    Ok(())
}

fn main() -> Result<(), AnyError> {
    let (to_studio, from_robot) = sync_channel(4);
    let (to_robot, from_studio) = sync_channel(4);
    let serving = std::thread::spawn(move || studio(&to_robot, &from_robot));
    robot(&to_studio, &from_studio)?;
    // Closes the connection.
    drop(to_studio);
    serving.join().map_err(|_| "the studio's thread panicked")?
}
