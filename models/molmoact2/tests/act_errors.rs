//! Requests that a policy must refuse with a message, and stay usable after.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::Golden;
use common::scene::Scene;
use layers::{CheckpointError, ConfigError};
use molmoact2::{ActError, ActOptions, Files, LoadError, Mode, Policy};
use vision::RgbImage;

fn open(case: &str) -> (Golden, Policy, Scene) {
    let golden = Golden::open(case);
    let files = Files::open_dir(&golden.checkpoint()).unwrap();
    let policy = Policy::load(&files, &golden.device).unwrap();
    let scene = Scene::of(&golden);
    (golden, policy, scene)
}

#[test]
fn bad_questions_are_named_and_the_next_good_one_is_answered() {
    let (golden, policy, good) = open("two_cameras");
    let options = ActOptions::default();
    let refuse = |change: &dyn Fn(&mut Scene, &mut ActOptions)| -> ActError {
        let mut scene = Scene::of(&golden);
        let mut options = ActOptions::default();
        change(&mut scene, &mut options);
        let error = policy.act(&scene.observation(), &options).unwrap_err();
        println!("{error}");
        error
    };
    let before = policy.act(&good.observation(), &options).unwrap();

    let error = refuse(&|scene, _| scene.tag = "nobody".to_owned());
    assert!(matches!(&error, ActError::UnknownTag { known, .. } if known == &["other", "pair"]));
    let error = refuse(&|scene, _| {
        scene.images.pop();
    });
    assert!(matches!(error, ActError::WrongImages { got: 1, .. }));
    let error = refuse(&|scene, _| scene.images.clear());
    assert!(matches!(error, ActError::WrongImages { got: 0, .. }));
    let error = refuse(&|scene, _| scene.state.push(0.0));
    assert!(matches!(
        error,
        ActError::WrongState {
            got: 8,
            want: 7,
            ..
        }
    ));
    let error = refuse(&|_, options| options.noise = Some(vec![0.0; 7]));
    assert!(matches!(error, ActError::BadNoise { got: 7, want: 160 }));
    let error = refuse(&|_, options| options.noise = Some(vec![f32::NAN; 160]));
    assert!(matches!(error, ActError::NotFinite { .. }));
    let error = refuse(&|_, options| options.flow_steps = usize::MAX);
    assert!(matches!(error, ActError::TooManySteps { .. }));
    let error = refuse(&|scene, _| scene.instruction = "push ".repeat(600));
    assert!(matches!(error, ActError::TooLong { max: 512, .. }));
    let error = refuse(&|scene, _| scene.instruction = "look at <im_patch>".to_owned());
    assert!(matches!(error, ActError::ImageTokenInInstruction { .. }));

    let after = policy.act(&good.observation(), &options).unwrap();
    assert_eq!(before.actions, after.actions);
}

#[test]
fn a_state_that_is_no_number_and_a_frame_of_one_pixel_are_answered_with_finite_actions() {
    let (_, policy, mut scene) = open("two_cameras");
    scene.state = vec![
        f32::NAN,
        f32::INFINITY,
        f32::NEG_INFINITY,
        1e30,
        0.0,
        0.0,
        0.0,
    ];
    let pixel = RgbImage::new(1, 1, vec![1, 2, 3]).unwrap();
    scene.images = vec![pixel.clone(), pixel];
    let action = policy
        .act(&scene.observation(), &ActOptions::default())
        .unwrap();
    assert!(action.actions.iter().all(|value| value.is_finite()));
}

#[test]
fn the_seed_decides_the_noise() {
    let (_, policy, scene) = open("one_camera");
    let act = |seed| {
        let options = ActOptions {
            seed,
            ..ActOptions::default()
        };
        policy.act(&scene.observation(), &options).unwrap().actions
    };
    assert_eq!(act(3), act(3));
    assert_ne!(act(3), act(4));
}

#[test]
fn a_checkpoint_trained_without_the_token_head_does_not_answer_in_tokens() {
    let (_, policy, scene) = open("three_cameras_odd_grid");
    assert_eq!(policy.info().modes, [Mode::Continuous]);
    let options = ActOptions {
        mode: Mode::Discrete,
        ..ActOptions::default()
    };
    let error = policy.act(&scene.observation(), &options).unwrap_err();
    assert!(matches!(
        error,
        ActError::ModeUnavailable {
            mode: Mode::Discrete,
            ..
        }
    ));
}

/// The files of a golden checkpoint in memory, `config.json` changed by `change`.
fn with_config(case: &str, change: impl Fn(&mut serde_json::Value)) -> Files {
    let folder = Golden::open(case).checkpoint();
    let names = [
        "config.json",
        "model.safetensors",
        "norm_stats.json",
        "processor_config.json",
        "tokenizer.json",
        "tokenizer_config.json",
        "generation_config.json",
    ];
    Files::from_memory(names.map(|name| {
        let mut bytes = std::fs::read(folder.join(name)).unwrap();
        if name == "config.json" {
            let mut config = serde_json::from_slice(&bytes).unwrap();
            change(&mut config);
            bytes = serde_json::to_vec(&config).unwrap();
        }
        (name.to_owned(), bytes.into())
    }))
}

#[test]
fn what_the_network_would_compute_wrongly_is_refused_at_load() {
    let device = layers::device::cpu();
    let load = |change: &dyn Fn(&mut serde_json::Value)| {
        Policy::load(&with_config("one_camera", change), &device)
    };
    let policy = load(&|_| {}).unwrap();
    assert_eq!(
        policy.info().modes,
        [Mode::Continuous],
        "no openfast folder, no tokens"
    );
    for (section, key, value) in [
        ("text_config", "norm_after", serde_json::json!(true)),
        ("text_config", "qk_norm_type", serde_json::json!("olmo")),
        ("text_config", "hidden_act", serde_json::json!("gelu")),
        ("vit_config", "hidden_act", serde_json::json!("quick_gelu")),
    ] {
        let error = load(&|config| config[section][key] = value.clone()).unwrap_err();
        println!("{error}");
        assert!(
            matches!(error, LoadError::Config(ConfigError::Unsupported { .. })),
            "{key}"
        );
        assert!(error.to_string().contains(key), "{error}");
    }
}

#[test]
fn a_depth_map_without_its_ids_codes_or_gate_is_refused_at_load() {
    let device = layers::device::cpu();
    let load = |change: &dyn Fn(&mut serde_json::Value)| {
        Policy::load(&with_config("one_camera", change), &device)
            .unwrap_err()
            .to_string()
    };
    for (key, value) in [
        ("depth_start_token_id", serde_json::Value::Null),
        ("depth_end_token_id", 100_000.into()),
        ("depth_token_start_id", 7.into()),
        ("num_depth_tokens", 0.into()),
        ("num_depth_codes", 0.into()),
    ] {
        let error = load(&|config| {
            config["enable_depth_reasoning"] = true.into();
            config[key] = value.clone();
        });
        assert!(error.contains(key), "{error}");
    }
    for (per_layer, name) in [(true, "depth_gate.0.weight"), (false, "depth_gate.weight")] {
        let error = load(&|config| {
            config["action_expert_depth_gate"] = true.into();
            config["action_expert_depth_gate_per_layer"] = per_layer.into();
        });
        assert!(error.contains(name), "{error}");
    }
}

#[test]
fn weights_that_contradict_the_configuration_are_named_with_both_shapes() {
    let device = layers::device::cpu();
    let files = with_config("one_camera", |config| {
        config["text_config"]["intermediate_size"] = 50.into();
    });
    let error = Policy::load(&files, &device).unwrap_err();
    let LoadError::Checkpoint(CheckpointError::Shape {
        name,
        expected,
        found,
        ..
    }) = error
    else {
        panic!("{error}");
    };
    assert_eq!(name, "model.transformer.blocks.0.mlp.ff_proj.weight");
    assert_eq!((expected, found), (vec![100, 32], vec![96, 32]));

    let files = with_config("one_camera", |config| {
        config["text_config"]["num_hidden_layers"] = 1.into();
        config["action_expert_config"]["num_layers"] = 1.into();
    });
    let error = Policy::load(&files, &device).unwrap_err();
    assert!(
        matches!(
            error,
            LoadError::Checkpoint(CheckpointError::LeftOver { .. })
        ),
        "{error}"
    );
}

/// The same with the checkpoint's action tokenizer.
fn with_tokens(case: &str, change: impl Fn(&mut serde_json::Value)) -> Files {
    let folder = Golden::open(case).checkpoint().join("openfast");
    let [tokenizer, config] = ["tokenizer.json", "processor_config.json"]
        .map(|name| std::fs::read(folder.join(name)).unwrap());
    with_config(case, change).with_action_tokenizer(tokenizer.into(), config.into())
}

#[test]
fn the_end_of_text_may_be_named_by_the_generation_config_alone() {
    let device = layers::device::cpu();
    let (golden, whole, scene) = open("one_camera");
    let files = with_tokens("one_camera", |config| {
        config["eos_token_id"] = serde_json::Value::Null;
    });
    let policy = Policy::load(&files, &device).unwrap();
    assert_eq!(policy.info().modes, [Mode::Continuous, Mode::Discrete]);
    let options = ActOptions {
        mode: Mode::Discrete,
        ..ActOptions::default()
    };
    let generated = |policy: &Policy| {
        let action = policy.act(&scene.observation(), &options).unwrap();
        action.generated_ids
    };
    assert_eq!(generated(&policy), generated(&whole));
    let end = golden.ints("forced_ids").last().copied().unwrap();
    assert_eq!(generated(&policy).last().copied(), u32::try_from(end).ok());
}

#[test]
fn a_tokenizer_of_another_model_takes_only_the_discrete_mode_away() {
    let files = with_tokens("one_camera", |config| {
        config["num_action_tokens"] = 20.into();
    });
    let policy = Policy::load(&files, &layers::device::cpu()).unwrap();
    assert_eq!(policy.info().modes, [Mode::Continuous]);
    let scene = Scene::of(&Golden::open("one_camera"));
    let options = ActOptions {
        mode: Mode::Discrete,
        ..ActOptions::default()
    };
    let error = policy.act(&scene.observation(), &options).unwrap_err();
    assert!(
        error.to_string().contains("num_action_tokens is 20"),
        "{error}"
    );
    let found = molmoact2::inspect::inspect(&files).unwrap();
    assert_eq!(found.modes, [Mode::Continuous]);
    assert!(found.no_discrete.unwrap().contains("num_action_tokens"));
}
