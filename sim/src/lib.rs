//! The built-in simulated robot: a table, some cubes, a tray, and a six-joint arm with two cameras.
//!
//! * [`World`] holds a scene and advances it one control tick at a time (`world`). Its physics (`physics`) is
//!   rapier's; the arm (`arm`) is position controlled and enforces its own limits. A seed determines the layout
//!   (`scene`) of cubes and tray (`objects`): the same seed with the same targets gives the same episode bit for bit.
//! * [`render()`] draws the image of a [`Camera`] with a small software rasterizer (`raster`, `mesh`, `meshes`,
//!   `shadow`), with depth for the overview camera. No GPU is used, so images are identical on all machines.
//! * [`Task`] is a family with a cube and, for a push, a [`Direction`] (`task`, `direction`). It is phrased as an
//!   instruction (`phrase_instruction`), parsed from one (`parse_instruction`), and [`TaskMonitor`] reads its success
//!   from the physics (`monitor`).
//! * [`TaskProgress`] measures a task's progress (`progress`), and a [`Demonstration`] is an episode that succeeds or
//!   fails on purpose (`demonstration`).
//! * [`Expert`] solves every task by state feedback and produces action chunks for training (`expert`).
//!
//! Units: meters, degrees for the first five joints and percent (0 closed, 100 open) for the gripper,
//! 30 ticks per second. Frames: the table frame has its origin under the arm's pan axis, x away from the
//! robot, y to the robot's left, z up. Left, right, forward and back in tasks are those of the image of the
//! overview camera, which faces the robot: see [`Direction`].
//!
//! The crate has no sockets, threads, clocks or files, and compiles for wasm.

mod arm;
mod camera;
mod demonstration;
mod direction;
mod expert;
mod mesh;
mod meshes;
mod monitor;
mod objects;
mod parse_instruction;
mod phrase_instruction;
mod physics;
mod progress;
mod raster;
mod render;
mod scene;
mod shadow;
mod task;
mod trig;
mod world;

pub use arm::{JOINTS, JointInfo};
pub use camera::{Camera, HEIGHT_PIXELS, WIDTH_PIXELS};
pub use demonstration::{Behavior, Demonstration};
pub use direction::Direction;
pub use expert::Expert;
pub use monitor::{
    DWELL_TICKS, PICK_HEIGHT, PUSH_DISTANCE, REACH_DISTANCE, REACH_DISTURBANCE, Status, TaskMonitor,
};
pub use objects::{CUBE_HALF, Color, Tray};
pub use parse_instruction::ParseError;
pub use progress::TaskProgress;
pub use render::{Rendered, render};
pub use task::{Task, TaskFamily};
pub use world::{Object, StepReport, World};

/// Control ticks per second.
pub const CONTROL_RATE_HZ: u32 = 30;
/// Number of values in a [`JointVector`].
pub const DOF: usize = 6;
/// One value per joint, in the order of [`JOINTS`]: shoulder_pan, shoulder_lift, elbow_flex, wrist_flex,
/// wrist_roll (degrees), gripper (percent, 0 closed, 100 open).
pub type JointVector = [f32; DOF];
