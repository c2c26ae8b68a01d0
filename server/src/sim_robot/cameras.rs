//! Camera views of a snapshot of the world, rendered and encoded away from the control loop.

use protocol::{View, ViewEncoding, robot::Observation};
use sim::{Camera, Rendered, World};
use std::{
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::JoinHandle,
};
use tokio::sync::mpsc::Sender;

/// The world at one tick, to become an observation.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) world: World,
    pub(super) sequence: u64,
    pub(super) captured_at_micros: u64,
    pub(super) commanded: Vec<f32>,
}

/// Starts the thread. It ends when the last sender of snapshots is dropped. One snapshot may wait while another is
/// rendered; the sender drops further ones.
pub(super) fn spawn(
    frames: Sender<Vec<u8>>,
) -> std::io::Result<(JoinHandle<()>, SyncSender<Snapshot>)> {
    let (snapshots, queued) = sync_channel(1);
    let thread = std::thread::Builder::new()
        .name("sim-cameras".to_owned())
        .spawn(move || run(&queued, &frames))?;
    Ok((thread, snapshots))
}

fn run(queued: &Receiver<Snapshot>, frames: &Sender<Vec<u8>>) {
    while let Ok(snapshot) = queued.recv() {
        match protocol::encode(&observe(snapshot)) {
            // A network that cannot keep up loses observations, never control ticks.
            Ok(frame) => {
                frames.try_send(frame).ok();
            }
            Err(error) => tracing::error!("an observation was dropped: {error}"),
        }
    }
}

fn observe(snapshot: Snapshot) -> Observation {
    let Snapshot {
        world,
        sequence,
        captured_at_micros,
        commanded,
    } = snapshot;
    let mut colour = Vec::new();
    let mut depth = Vec::new();
    for camera in Camera::ALL {
        let Rendered {
            width,
            height,
            rgb,
            depth_mm,
        } = sim::render(&world, camera);
        let side = |pixels: usize| u32::try_from(pixels).unwrap_or(u32::MAX);
        let view = |name: String, encoding, data| View {
            name,
            encoding,
            width: side(width),
            height: side(height),
            data,
        };
        colour.push(view(camera.name().to_owned(), ViewEncoding::Rgb8, rgb));
        if let Some(depth_mm) = depth_mm {
            let bytes = depth_mm.iter().flat_map(|mm| mm.to_le_bytes()).collect();
            let name = format!("{}.depth", camera.name());
            depth.push(view(name, ViewEncoding::DepthMillimetresU16, bytes));
        }
    }
    colour.append(&mut depth);
    Observation {
        sequence,
        captured_at_micros,
        state: world.state().to_vec(),
        commanded,
        views: colour,
    }
}
