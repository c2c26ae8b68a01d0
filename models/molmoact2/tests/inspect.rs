//! The report on a checkpoint without loading it, compared with the loader and with the files.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use common::{CASES, Golden};
use molmoact2::inspect::{Inspection, inspect};
use molmoact2::tensors::{self, Part};
use molmoact2::{Config, Files, Mode, Policy};

/// Checkpoints that reason about depth, with a gate per layer, one gate, and none.
const THINK: [&str; 4] = [
    "think_per_layer",
    "think_shared",
    "think_ungated",
    "think_three_cameras",
];

fn goldens() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../tests/goldens/molmoact2")
}

fn look(folder: &Path) -> Inspection {
    inspect(&Files::open_dir(folder).unwrap()).unwrap()
}

/// The tensor list and the loader have the same tensors: the loader reads every tensor of these files and refuses
/// unknown ones.
#[test]
fn the_layout_lists_what_the_loader_reads() {
    for case in CASES.iter().chain(&THINK) {
        let folder = Golden::open(case).checkpoint();
        let files = Files::open_dir(&folder).unwrap();
        let config = Config::parse(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
        let listed: BTreeSet<String> = tensors::expected(&config)
            .into_iter()
            .map(|entry| entry.name)
            .collect();
        let checkpoint = files.checkpoint().unwrap();
        // Tensors that no network has: rotary frequencies, and vision blocks after the last one used.
        let unread = checkpoint.names().filter(|name| !listed.contains(*name));
        for name in unread {
            assert!(
                name.ends_with("inv_freq") || name.contains("resblocks"),
                "{name}"
            );
        }
        assert!(listed.iter().all(|name| checkpoint.shape(name).is_some()));
        Policy::load(&files, &layers::device::cpu()).unwrap();
    }
}

#[test]
fn a_golden_checkpoint_is_described_as_it_loads() {
    for case in CASES.iter().chain(&THINK) {
        let golden = Golden::open(case);
        let found = look(&golden.checkpoint());
        println!("{case}: {}", found.summary);
        assert!(found.is_complete(), "{case}: {found:?}");
        assert_eq!(found.depth_reasoning, case.starts_with("think"), "{case}");
        let policy = Policy::load(
            &Files::open_dir(&golden.checkpoint()).unwrap(),
            &golden.device,
        )
        .unwrap();
        let info = policy.info();
        assert_eq!(found.modes, info.modes, "{case}");
        assert_eq!(found.tags.len(), info.tags.len());
        for (found, loaded) in found.tags.iter().zip(&info.tags) {
            assert_eq!(
                (
                    &found.tag,
                    &found.cameras,
                    found.state_dim,
                    found.action_dim,
                    found.horizon,
                    found.n_action_steps
                ),
                (
                    &loaded.tag,
                    &loaded.cameras,
                    loaded.state_dim,
                    loaded.action_dim,
                    loaded.horizon,
                    loaded.n_action_steps
                )
            );
        }
        assert_eq!(found.dtype, info.dtype);
        assert!(
            found.unknown_keys.is_empty(),
            "{case}: {:?}",
            found.unknown_keys
        );
    }
}

/// The figures published for MolmoAct2, from its configuration alone.
#[test]
fn the_published_sizes_have_the_published_parameters() {
    let text = include_bytes!("../src/synthesize/published.json");
    let config = Config::parse(text).unwrap();
    let mut parts = std::collections::BTreeMap::new();
    for entry in tensors::expected(&config) {
        *parts.entry(entry.part).or_insert(0) += entry.parameters();
    }
    let expected = [
        (Part::Embeddings, 396_165_120),
        (Part::LanguageModel, 3_633_511_936),
        (Part::Vision, 382_505_936),
        (Part::Pooling, 9_294_336),
        (Part::Projector, 47_316_992),
        (Part::Expert, 577_564_448),
        (Part::Head, 395_837_440),
    ];
    assert_eq!(parts, expected.into_iter().collect());
    assert_eq!(parts.values().sum::<u64>(), 5_442_196_208);
    assert!(Config::unknown_keys(text).unwrap().is_empty());
}

#[test]
fn a_lerobot_folder_is_told_from_a_published_one() {
    let folder = goldens().join("lerobot_calibrated/policy");
    let base = Files::open_dir(&goldens().join("one_camera/checkpoint")).unwrap();
    let found = inspect(&Files::open_dir(&folder).unwrap().with_base(base)).unwrap();
    assert!(found.is_complete(), "{found:?}");
    assert_eq!((found.layout, found.flow_steps), ("lerobot", 7));
    assert_eq!(found.modes, [Mode::Continuous]);
    assert!(found.tags[0].calibrated);
    assert_eq!(found.tags[0].unscaled, [5]);
    let alone = inspect(&Files::open_dir(&folder).unwrap())
        .unwrap_err()
        .to_string();
    assert!(alone.contains("as the base"), "{alone}");
}

/// One golden checkpoint in memory, its files changed by `change`.
fn changed(change: impl Fn(&str, Vec<u8>) -> Option<Vec<u8>>) -> Inspection {
    let folder = Golden::open("one_camera").checkpoint();
    let names = [
        "config.json",
        "model.safetensors",
        "norm_stats.json",
        "processor_config.json",
        "tokenizer.json",
    ];
    let files = names.iter().filter_map(|name| {
        let bytes = change(name, std::fs::read(folder.join(name)).unwrap())?;
        Some(((*name).to_owned(), bytes.into()))
    });
    inspect(&Files::from_memory(files)).unwrap()
}

#[test]
fn what_is_missing_or_wrong_is_collected() {
    let whole = changed(|_, bytes| Some(bytes));
    assert!(whole.is_complete() && !whole.action_tokenizer);
    let without = changed(|name, bytes| {
        (name != "norm_stats.json" && name != "tokenizer.json").then_some(bytes)
    });
    assert!(!without.is_complete() && without.missing.is_empty());
    assert_eq!(without.problems.len(), 2, "{:?}", without.problems);
    let other = changed(|name, bytes| {
        if name != "config.json" {
            return Some(bytes);
        }
        let mut config: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        config["text_config"]["num_hidden_layers"] = 3.into();
        config["action_expert_config"]["num_layers"] = 3.into();
        config["text_config"]["intermediate_size"] = 50.into();
        config["vit_config"]["patch_noise"] = 0.into();
        Some(serde_json::to_vec(&config).unwrap())
    });
    assert!(
        other.missing.iter().any(|name| name.contains("blocks.2.")),
        "{:?}",
        other.missing
    );
    assert!(other.misshapen.iter().any(|name| name.contains("ff_proj")));
    // Inspection reports what loading refuses.
    let unlike = changed(|name, bytes| {
        if name != "config.json" {
            return Some(bytes);
        }
        let mut config: serde_json::Value = serde_json::from_slice(&bytes).unwrap();
        config["num_state_tokens"] = 255.into();
        config["state_token_start_id"] =
            (config["state_token_start_id"].as_u64().unwrap() + 1).into();
        config["text_config"]["norm_after"] = true.into();
        Some(serde_json::to_vec(&config).unwrap())
    });
    assert!(!unlike.is_complete());
    for words in ["<state_0>", "norm_after"] {
        let told = unlike
            .problems
            .iter()
            .any(|problem| problem.contains(words));
        assert!(told, "{words}: {:?}", unlike.problems);
    }
    assert_eq!(other.unknown_keys, ["vit_config.patch_noise"]);
}

/// A fine-tuned checkpoint can carry robots whose chunks are longer than its own.
#[test]
fn a_robot_that_does_not_fit_is_told_apart_and_only_having_none_is_a_problem() {
    let longer = |tags: &[&str]| {
        let folder = Golden::open("two_cameras").checkpoint();
        let mut stats: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("norm_stats.json")).unwrap())
                .unwrap();
        for tag in tags {
            stats["metadata_by_tag"][tag]["action_horizon"] = 30.into();
        }
        let files = std::fs::read_dir(&folder).unwrap().filter_map(|file| {
            let path = file.unwrap().path();
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            let bytes = match name.as_str() {
                "norm_stats.json" => serde_json::to_vec(&stats).unwrap(),
                _ if path.is_file() => std::fs::read(&path).unwrap(),
                _ => return None,
            };
            Some((name, bytes.into()))
        });
        Files::from_memory(files.collect::<Vec<_>>())
    };
    let device = layers::device::cpu();
    let files = longer(&["other"]);
    let found = inspect(&files).unwrap();
    assert!(found.is_complete() && found.tags.len() == 1, "{found:?}");
    assert!(
        found.unusable_tags[0].contains("other") && found.unusable_tags[0].contains("30"),
        "{:?}",
        found.unusable_tags
    );
    let policy = Policy::load(&files, &device).unwrap();
    assert_eq!(policy.info().tags.len(), 1);

    let files = longer(&["other", "pair"]);
    assert!(!inspect(&files).unwrap().is_complete());
    let error = Policy::load(&files, &device).unwrap_err().to_string();
    assert!(
        error.contains("norm_stats.json") && error.contains("action_horizon"),
        "{error}"
    );
}
