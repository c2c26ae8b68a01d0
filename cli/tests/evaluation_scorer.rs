//! Tests of the evaluation of a scorer: the same episodes give the same figures with any number of threads, random weights
//! are distinguished from the true progress, and invalid settings are refused.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

use evaluation::{
    progress::{Plan, ScorerEvaluationError, episode::Episode, evaluate},
    success::FIRST_UNSEEN_SEED,
};
use layers::ModelFiles;
use qwen3vl::{LoadOptions, Qwen3Vl};
use serde_json::Value;
use sim::{Behavior, TaskFamily};
use std::{
    path::PathBuf,
    process::{Command, Output},
    sync::{Arc, Mutex},
};
use topreward::{
    Profile,
    scorer::{FrameSource as _, ReadPlan as Shown, Scorer, ScorerOptions},
};

/// A checkpoint with random weights.
fn checkpoint() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../tests/goldens/qwen3vl/tied/checkpoint")
}

fn scorers(count: usize) -> Vec<Scorer> {
    let files = ModelFiles::open_dir(&checkpoint()).unwrap();
    let model = Qwen3Vl::load(&files, &layers::device::cpu(), &LoadOptions::default()).unwrap();
    let model = Arc::new(model);
    (0..count)
        .map(|_| Scorer::new(Arc::clone(&model), ScorerOptions::new(Profile::Aligned)))
        .collect()
}

fn plan(episodes: u64) -> Plan {
    Plan {
        families: vec![TaskFamily::Reach, TaskFamily::PickUp],
        episodes,
        seed: FIRST_UNSEEN_SEED,
        fps: 30,
    }
}

#[test]
fn every_scored_frame_was_recorded_at_any_rate() {
    let options = ScorerOptions::new(Profile::Aligned);
    for fps in [30, 15, 10, 2] {
        for behaviour in Behavior::ALL {
            let episode = Episode {
                family: TaskFamily::Push,
                behaviour,
                seed: FIRST_UNSEEN_SEED + 3,
            };
            let film = episode.film(fps, &options).unwrap();
            let frames = film.clip.frames();
            assert_eq!(film.truth.len(), frames);
            assert!(frames as u32 > fps, "an episode takes more than a second");
            assert!(film.truth.iter().all(|value| (0.0..=1.0).contains(value)));
            let lengths: Vec<usize> = (1..=frames).collect();
            let shown = Shown::new(Profile::Aligned, &film.clip, &lengths).unwrap();
            for index in shown.shown_frames() {
                let picture = film.frame(index).unwrap();
                assert_eq!((picture.width(), picture.height()), (244, 244));
            }
            assert_ne!(film.instruction, film.wrong_instruction);
            // An arm that stops or leaves late has already succeeded.
            match behaviour {
                Behavior::Solve => assert!(film.succeeded),
                Behavior::DoAnother | Behavior::StandStill => assert!(!film.succeeded),
                Behavior::Stall | Behavior::Leave => {}
            }
        }
    }
}

#[test]
fn the_true_progress_rises_only_if_the_task_is_solved() {
    let options = ScorerOptions::new(Profile::Aligned);
    for family in TaskFamily::all() {
        let film = |behaviour| {
            let seed = FIRST_UNSEEN_SEED + 1;
            let episode = Episode {
                family,
                behaviour,
                seed,
            };
            episode.film(30, &options).unwrap()
        };
        let solved = film(Behavior::Solve);
        let (first, last) = (solved.truth[0], solved.truth[solved.truth.len() - 1]);
        assert!(last > 0.95 && first < 0.7, "{family:?}: {first} to {last}");
        let still = film(Behavior::StandStill).truth;
        let (least, most) = still
            .iter()
            .fold((1.0_f64, 0.0_f64), |(least, most), value| {
                (least.min(*value), most.max(*value))
            });
        assert!(most - least < 0.02, "{family:?}: {least} to {most}");
    }
}

#[test]
fn the_figures_do_not_depend_on_the_number_of_threads() {
    let progress = Mutex::new(Vec::new());
    let one = evaluate(&plan(2), &scorers(1), &|done| {
        progress.lock().unwrap().push(done);
    })
    .unwrap();
    let two = evaluate(&plan(2), &scorers(2), &|_| {}).unwrap();
    assert_eq!(one, two);
    assert_eq!(progress.into_inner().unwrap(), [1, 2, 3, 4]);
    // Two of the expert, and one arm that stopped after its success.
    assert_eq!((one.all.episodes, one.all.successes), (4, 3));
    assert_eq!(
        one.families.keys().collect::<Vec<_>>(),
        [&"pick_up", &"reach"]
    );
    assert_eq!(
        one.behaviours.keys().collect::<Vec<_>>(),
        [&"solve", &"stall"]
    );
    // The true progress has the direction of an episode; random weights do not.
    assert!(one.all.truth_voc.unwrap() > 0.8, "{one}");
    assert!(one.all.agreement.unwrap() < 0.8, "{one}");
    assert!(one.all.success_auc.is_some() && one.behaviours["solve"].success_auc.is_none());
}

#[test]
fn an_unsupported_frame_rate_is_refused() {
    for fps in [0, 7, 60] {
        let plan = Plan { fps, ..plan(1) };
        let error = evaluate(&plan, &scorers(1), &|_| {}).unwrap_err();
        assert!(matches!(error, ScorerEvaluationError::Rate { .. }));
        assert!(error.to_string().contains(&fps.to_string()), "{error}");
    }
}

fn eval(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_policy-studio"))
        .args(["eval", "--device", "cpu", "--scorer"])
        .arg(checkpoint())
        .args(arguments)
        .output()
        .unwrap()
}

#[test]
fn the_command_prints_figures_per_family_and_behaviour() {
    let output = eval(&[
        "--episodes",
        "2",
        "--families",
        "reach",
        "--fps",
        "10",
        "--json",
    ]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{said}");
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["fps"], 10);
    assert_eq!(report["profile"], "aligned");
    assert_eq!(report["families"]["reach"]["episodes"], 2);
    for figure in ["voc", "truth_voc", "static_voc", "wrong_gap", "wrong_below"] {
        assert!(report["all"][figure].is_number(), "{figure}: {report}");
    }
    let wrong = eval(&["--chunking", "plain"]);
    assert_eq!(wrong.status.code(), Some(2));
    let missing = Command::new(env!("CARGO_BIN_EXE_policy-studio"))
        .args(["eval", "--device", "cpu", "--scorer", "/does/not/exist"])
        .output()
        .unwrap();
    assert_eq!(missing.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&missing.stderr).contains("/does/not/exist"));
}
