//! A policy that reasons about depth, over real sockets with the simulated robot: the depth maps that viewers receive equal
//! those of `policy-studio act` for the same images.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod think {
    pub(crate) mod made;
    pub(crate) mod recorder;
}

use depth_decoder::DepthDecoder;
use policies::{
    ActRequest, Policy,
    chunking::Chunking,
    molmoact2_policy::{MolmoAct2Policy, PolicyOptions, Source},
    question_answerer::unavailable,
};
use protocol::{
    Mode, ToViewer, ViewEncoding,
    depth::{DepthMode, DepthReasoning},
    robot::ResetScene,
    viewer::{Command, ResetRobot, Trace, Watch},
};
use safetensors::SafeTensors;
use serde_json::Value;
use server::{
    Config, Limits,
    client::ViewerClient,
    serve,
    sim_robot::{self, SimConfig},
};
use std::{path::Path, process, time::Duration};
use think::{
    made::{self, Made},
    recorder::{Call, Recorder},
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

const SOON: Duration = Duration::from_secs(30);
const TAG: &str = "policy_studio_sim";

fn hosted(made: &Made, setup: &PolicyOptions) -> MolmoAct2Policy {
    let source = Source::Folder(made.folder.clone());
    MolmoAct2Policy::load(&source, setup, &layers::device::cpu(), "cpu").unwrap()
}

/// The traces up to the first one with a partly reused map, and the calls of the policy.
async fn watched(made: &Made) -> (Vec<Trace>, Vec<Call>, Vec<u8>) {
    let (recorder, calls) = Recorder::new(hosted(made, &PolicyOptions::default()));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap().to_string();
    let stop = CancellationToken::new();
    let config = Config {
        policy: Ok(Box::new(recorder)),
        question_answerer: unavailable("test"),
        scorer: server::scorer_service::unavailable("The test"),
        recordings: Default::default(),
        data: None,
        // A busy machine may take long for a depth map.
        limits: Limits {
            max_chunk_age: Duration::from_secs(20),
            // The calls of `act` below have no continuation.
            chunking: Chunking::Plain,
            ..Limits::default()
        },
    };
    let studio = tokio::spawn(serve(listener, config, stop.clone().cancelled_owned()));
    let sim = SimConfig::new(format!("http://{address}"), "sim", 1);
    let robot = tokio::spawn(sim_robot::run(sim, stop.clone()));

    let mut viewer = ViewerClient::connect(&address, "test").await.unwrap();
    let depth = viewer
        .wait_for("the welcome", SOON, |message| match message {
            ToViewer::Welcome(welcome) => Some(welcome.policy.depth),
            _ => None,
        })
        .await
        .unwrap()
        .expect("the policy says that it reasons about depth");
    assert_eq!(
        (depth.mode, depth.cells, depth.codes, depth.has_decoder),
        (DepthMode::Adaptive, 100, 128, true)
    );
    viewer
        .wait_for("the robot", SOON, |message| match message {
            ToViewer::Robots(list) => (!list.robots.is_empty()).then_some(()),
            _ => None,
        })
        .await
        .unwrap();
    let robot_id = "sim".to_owned();
    let watch = Watch {
        robot_id: robot_id.clone(),
    };
    viewer.send(&watch.into()).await.unwrap();
    let command = Command {
        robot_id: robot_id.clone(),
        text: "pick up the red cube".to_owned(),
        mode: Mode::Continuous,
        heard_beat: None,
    };
    viewer.send(&command.clone().into()).await.unwrap();
    let first = viewer
        .wait_for("the first decision", SOON, |message| match message {
            ToViewer::Trace(trace) => Some(trace),
            _ => None,
        })
        .await
        .unwrap();
    // Another scene on the same table: some cells change, however far the robot has moved.
    let scene = ResetScene { seed: Some(2) };
    let reset = ResetRobot {
        robot_id,
        scene,
        heard_beat: None,
    };
    viewer.send(&reset.into()).await.unwrap();
    viewer.send(&command.into()).await.unwrap();
    let mut traces = vec![first];
    viewer
        .wait_for("a map that is partly replayed", SOON, |message| {
            let ToViewer::Trace(trace) = message else {
                return None;
            };
            let depth = trace.depth.as_ref().expect("every trace has its map");
            let is_mixed = depth.written() > 0 && depth.written() < depth.codes.len();
            traces.push(trace);
            is_mixed.then_some(())
        })
        .await
        .unwrap();
    let decoder = made::get(&address, "/api/policy/depth_decoder.safetensors").await;
    stop.cancel();
    robot.await.unwrap().unwrap();
    studio.await.unwrap().unwrap();
    let calls = calls.lock().unwrap().clone();
    (traces, calls, decoder)
}

/// Output of `policy-studio act` for a call.
fn act(made: &Made, calls: &[Call], index: usize) -> (Vec<u8>, Value) {
    let call = &calls[index];
    let state: Vec<String> = call.state.iter().map(ToString::to_string).collect();
    let mut command = process::Command::new(env!("CARGO_BIN_EXE_policy-studio"));
    command.args(["act", "--device", "cpu", "--json", "--tag", TAG, "--policy"]);
    command.arg(&made.folder);
    command.args(["--state", &state.join(","), "--task", &call.instruction]);
    command.args(["--seed", &call.seed.to_string(), "--depth", "adaptive"]);
    for (camera, image) in call.images.iter().enumerate() {
        command.arg("--image");
        command.arg(made.image(&format!("{index}-{camera}"), image));
    }
    if let Some(before) = index.checked_sub(1).map(|before| &calls[before]) {
        command.arg("--previous-image");
        command.arg(made.image(&format!("{index}-before"), &before.images[0]));
        command.arg("--previous-depth");
        command.arg(made.codes(&format!("{index}-before"), &before.codes));
    }
    let dump = made.scratch(&format!("{index}.safetensors"));
    let picture = made.scratch(&format!("{index}.png"));
    command.arg("--dump").arg(&dump);
    command.arg("--depth-image").arg(&picture);
    let output = command.output().unwrap();
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{stderr}");
    let drawn = image::open(&picture).unwrap().into_luma8();
    assert_eq!(drawn.dimensions(), (320, 320));
    assert!(drawn.contains(&0) && drawn.contains(&255));
    let answer = serde_json::from_slice(&output.stdout).unwrap();
    (std::fs::read(dump).unwrap(), answer)
}

fn tensor(file: &[u8], name: &str) -> Vec<u8> {
    let tensors = SafeTensors::deserialize(file).unwrap();
    tensors.tensor(name).unwrap().data().to_vec()
}

fn floats(bytes: &[u8]) -> Vec<f32> {
    let (values, _) = bytes.as_chunks::<4>();
    values.iter().map(|raw| f32::from_le_bytes(*raw)).collect()
}

fn compare(made: &Made, calls: &[Call], trace: &Trace) {
    let depth: &DepthReasoning = trace.depth.as_deref().unwrap();
    let index = calls
        .iter()
        .position(|call| call.actions == trace.actions)
        .expect("a trace is about a call");
    let (dump, answer) = act(made, calls, index);
    let raw = tensor(&dump, "depth_codes");
    let codes = raw
        .as_chunks::<8>()
        .0
        .iter()
        .map(|raw| i64::from_le_bytes(*raw) as u32);
    let codes: Vec<u32> = codes.collect();
    assert_eq!(depth.codes, codes, "call {index}");
    let regenerated: Vec<u8> = depth.regenerated.iter().map(|r| u8::from(*r)).collect();
    assert_eq!(regenerated, tensor(&dump, "depth_regenerated"));
    assert_eq!(
        Some(u64::from(depth.forwards)),
        answer["depth"]["forwards"].as_u64()
    );
    assert_eq!((depth.columns, depth.camera.as_str()), (10, "overview"));
    if index == 0 {
        assert!(depth.similarity.is_empty() && depth.written() == 100);
    } else {
        assert_eq!(depth.similarity, floats(&tensor(&dump, "depth_similarity")));
        for (similarity, regenerated) in depth.similarity.iter().zip(&depth.regenerated) {
            assert_eq!(*similarity < depth.threshold, *regenerated);
        }
    }
    let frame = depth.frame.as_ref().unwrap();
    assert_eq!(
        (frame.encoding, frame.width, frame.height),
        (ViewEncoding::Jpeg, 320, 320)
    );
    let decoder = DepthDecoder::open(&made.decoder(), &layers::device::cpu()).unwrap();
    let picture = decoder.decode(&depth.codes, 10, 10).unwrap();
    for (here, there) in picture
        .values
        .iter()
        .zip(floats(&tensor(&dump, "depth_picture")))
    {
        assert!((here - there).abs() < 1e-4);
    }
    let largest = trace
        .actions
        .iter()
        .fold(1.0_f32, |most, x| most.max(x.abs()));
    let rows = answer["chunk"].as_array().unwrap().iter();
    let printed = rows.flat_map(|row| row.as_array().unwrap().iter().map(|v| v.as_f64().unwrap()));
    for (sent, printed) in trace.actions.iter().zip(printed) {
        assert!((f64::from(*sent) - printed).abs() < 1e-5 * f64::from(largest));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn viewers_receive_the_depth_map_that_act_computes() {
    let made = Made::new("served");
    let (traces, calls, decoder) = watched(&made).await;
    assert_eq!(decoder, std::fs::read(made.decoder()).unwrap());
    compare(&made, &calls, traces.first().unwrap());
    let mixed = traces.last().unwrap();
    println!(
        "{} decisions; the last one regenerated {} of 100 cells in {} passes",
        traces.len(),
        mixed.depth.as_ref().unwrap().written(),
        mixed.depth.as_ref().unwrap().forwards
    );
    compare(&made, &calls, mixed);
}

#[test]
fn the_depth_option_of_serve_is_used() {
    let made = Made::new("modes");
    let image = made::picture();
    let acted = |mode: DepthMode| {
        let setup = PolicyOptions {
            depth: Some(mode),
            ..PolicyOptions::default()
        };
        let mut hosted = hosted(&made, &setup);
        assert_eq!(hosted.info().describe().depth.unwrap().mode, mode);
        let mut ask = || {
            let request = ActRequest {
                robot: 1,
                tag: TAG,
                images: &[image.clone(), image.clone()],
                state: &[0.0; 6],
                instruction: "go",
                mode: Mode::Continuous,
                seed: 1,
                continuation: None,
            };
            hosted.act(&request).unwrap().depth
        };
        [ask(), ask()]
    };
    let written = |depth: &Option<molmoact2::DepthTrace>| {
        let depth = depth.as_ref()?;
        Some(depth.regenerated.iter().filter(|r| **r).count())
    };
    assert_eq!(acted(DepthMode::Off), [None, None]);
    let full = acted(DepthMode::Full);
    assert_eq!(full.each_ref().map(written), [Some(100), Some(100)]);
    // The same image twice: every cell is reused.
    let adaptive = acted(DepthMode::Adaptive);
    assert_eq!(adaptive.each_ref().map(written), [Some(100), Some(0)]);
    assert_eq!(
        adaptive[1].as_ref().unwrap().codes,
        full[0].as_ref().unwrap().codes
    );
}

#[test]
fn invalid_depth_options_are_refused_with_the_reason() {
    let made = Made::new("refused");
    let goldens = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/goldens");
    let refused = |source: &Source, setup: &PolicyOptions| {
        let loaded = MolmoAct2Policy::load(source, setup, &layers::device::cpu(), "cpu");
        loaded.unwrap_err().to_string()
    };
    let think = Source::Folder(made.folder.clone());
    let with_decoder = |file: &Path| PolicyOptions {
        depth_decoder: Some(file.to_owned()),
        ..PolicyOptions::default()
    };
    let message = refused(
        &think,
        &with_decoder(&goldens.join("depth_decoder/wide.decoder.safetensors")),
    );
    assert!(
        message.contains("decodes 5 codes") && message.contains("128"),
        "{message}"
    );
    let message = refused(
        &think,
        &with_decoder(&made.folder.join("nothing.safetensors")),
    );
    assert!(message.contains("nothing.safetensors"), "{message}");
    let message = refused(&think, &with_decoder(&made.folder.join("tokenizer.json")));
    assert!(message.contains("tokenizer.json"), "{message}");
    let plain = Source::Folder(goldens.join("molmoact2/one_camera/checkpoint"));
    let full = PolicyOptions {
        depth: Some(DepthMode::Full),
        ..PolicyOptions::default()
    };
    let message = refused(&plain, &full);
    assert!(message.contains("enable_depth_reasoning"), "{message}");
}

#[test]
fn a_synthetic_decoder_renders_every_code_as_its_depth() {
    let made = Made::new("decoder");
    let decoder = DepthDecoder::open(&made.decoder(), &layers::device::cpu()).unwrap();
    assert_eq!((decoder.codes(), decoder.cell_pixels()), (128, 32));
    for code in [0, 64, 127] {
        // Neighbouring cells blend, so the tested cell is surrounded by equal ones.
        let picture = decoder.decode(&[code; 9], 3, 3).unwrap();
        let value = picture.values[48 * picture.width + 48];
        assert!(
            (value - code as f32 / 127.0).abs() < 1e-3,
            "{code}: {value}"
        );
        let inside = |value: &f32| (0.0..=1.0).contains(value);
        assert!(picture.values.iter().all(inside));
    }
}
