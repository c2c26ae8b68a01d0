//! Depth reasoning against the reference: regenerated cells, their logits, the gates, the cache that the expert
//! attends to, and the chunk, for every golden checkpoint made by `tests/goldens/molmoact2/generate_think.py`.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod common;

use common::scene::Scene;
use common::{Golden, Table, values};
use molmoact2::{
    ActError, ActOptions, Action, Decoding, Depth, DepthCache, Files, Mode, Policy, visible_tokens,
};
use vision::RgbImage;

const CASES: [&str; 4] = [
    "think_per_layer",
    "think_shared",
    "think_three_cameras",
    "think_ungated",
];

struct Setup {
    golden: Golden,
    policy: Policy,
    scene: Scene,
    table: Table,
}

fn open(case: &str) -> Setup {
    let golden = Golden::open(case);
    let files = Files::open_dir(&golden.checkpoint()).unwrap();
    Setup {
        policy: Policy::load(&files, &golden.device).unwrap(),
        scene: Scene::of(&golden),
        table: Table::new(case),
        golden,
    }
}

impl Setup {
    fn ids(&self, name: &str) -> Vec<u32> {
        let ints = self.golden.ints(name);
        ints.iter().map(|&id| u32::try_from(id).unwrap()).collect()
    }

    fn flags(&self, name: &str) -> Vec<bool> {
        self.golden.ints(name).iter().map(|&x| x == 1).collect()
    }

    /// The images of the second call: only the first camera's differs.
    fn see_second_frame(&mut self) {
        let [height, width, 3] = self.golden.shape("second.image.0")[..] else {
            panic!()
        };
        let bytes = self.golden.bytes("second.image.0");
        self.scene.images[0] = RgbImage::new(width, height, bytes).unwrap();
    }

    fn act(&self, depth: Depth) -> Action {
        let options = ActOptions {
            noise: Some(self.golden.floats("noise")),
            depth,
            dumps: true,
            ..ActOptions::default()
        };
        self.policy
            .act(&self.scene.observation(), &options)
            .unwrap()
    }

    /// Everything the golden's run `name` holds.
    fn compare(&mut self, name: &str, action: &Action) {
        let has = |part: &str| self.golden.has(&format!("{name}.{part}"));
        let floats = |part: &str| self.golden.floats(&format!("{name}.{part}"));
        let stage = |part: &str| format!("{name} {part}");
        assert_eq!(action.prompt_ids, self.ids(&format!("{name}.input_ids")));
        if has("depth_ids") {
            let depth = action.depth.as_ref().unwrap();
            assert_eq!(
                depth.tokens,
                self.ids(&format!("{name}.depth_ids")),
                "{name}"
            );
            assert_eq!(depth.codes, self.ids(&format!("{name}.depth_codes")));
            assert_eq!(depth.cache.codes, depth.codes);
            assert_eq!(depth.codes.len(), depth.regenerated.len());
            if has("cell_logits") {
                let found = depth.logits.as_ref().unwrap().concat();
                self.table
                    .relative(&stage("scores"), &found, &floats("cell_logits"), 1e-4);
            }
            assert_eq!(depth.gates.is_some(), has("gates"));
            if let Some(gates) = &depth.gates {
                self.table
                    .relative(&stage("gates"), gates, &floats("gates"), 1e-5);
            }
        } else {
            assert!(action.depth.is_none());
        }
        if has("generated_ids") {
            assert_eq!(
                action.generated_ids,
                self.ids(&format!("{name}.generated_ids"))
            );
        } else {
            assert!(action.generated_ids.is_empty());
        }
        let logits = action.prompt_logits.as_ref().unwrap();
        self.table.relative(
            &stage("prompt scores"),
            logits,
            &floats("prompt_logits"),
            1e-4,
        );
        if let Some(velocities) = &action.velocities {
            self.table.relative(
                &stage("velocity"),
                &velocities.concat(),
                &floats("velocity"),
                1e-4,
            );
            self.table.absolute(
                &stage("chunk"),
                &action.chunk_normalized,
                &floats("chunk_normalised"),
                1e-4,
            );
        }
        self.table
            .relative(&stage("actions"), &action.actions, &floats("actions"), 1e-4);
    }
}

/// Calls of one robot: the first without a cache, then with a changed image, then with the same image again.
#[test]
fn a_robot_that_thinks_equals_the_reference_call_by_call() {
    for case in CASES {
        let mut setup = open(case);
        let cells = setup.policy.info().depth_cells.unwrap();
        let first = setup.act(Depth::Adaptive { cache: None });
        setup.compare("full", &first);
        let trace = first.depth.unwrap();
        assert_eq!(trace.similarity, None);
        assert_eq!(trace.regenerated, vec![true; cells]);
        // One pass per cell and the end; <depth_start> is read with the prompt.
        assert_eq!(trace.forwards, cells + 1);

        setup.see_second_frame();
        let cache = Some(trace.cache);
        let second = setup.act(Depth::Adaptive { cache });
        setup.compare("moved", &second);
        let trace = second.depth.unwrap();
        assert_eq!(trace.regenerated, setup.flags("moved.regenerated"));
        // The same arithmetic in the same order: equal to the bit.
        assert_eq!(
            trace.similarity.unwrap(),
            setup.golden.floats("moved.similarity")
        );
        assert!(trace.forwards < cells);

        let cache = Some(trace.cache);
        let third = setup.act(Depth::Adaptive { cache });
        setup.compare("still", &third);
        let trace = third.depth.unwrap();
        assert_eq!(trace.regenerated, vec![false; cells]);
        assert_eq!(
            trace.similarity.unwrap(),
            setup.golden.floats("still.similarity")
        );
        // Every cell was known in advance.
        assert_eq!(trace.forwards, 1);
        setup.table.finish();
    }
}

#[test]
fn full_free_and_no_depth_equal_the_reference() {
    for case in CASES {
        let mut setup = open(case);
        let full = setup.act(Depth::Full);
        setup.compare("full", &full);
        let free = setup.act(Depth::Free);
        setup.compare("free", &free);
        // The model wrote fewer codes than there are cells, so the cache cannot be used.
        let cache = free.depth.map(|trace| trace.cache);
        let again = setup.act(Depth::Adaptive { cache });
        setup.compare("wrong_cache", &again);
        assert_eq!(again.actions, full.actions);
        let off = setup.act(Depth::Off);
        setup.compare("off", &off);
        setup.table.finish();
    }
}

#[test]
fn tokens_of_the_action_follow_the_depth_map() {
    let mut tried = 0;
    for case in CASES {
        let mut setup = open(case);
        if !setup.golden.has("discrete.actions") {
            continue;
        }
        tried += 1;
        let options = |decoding| ActOptions {
            mode: Mode::Discrete,
            decoding,
            depth: Depth::Full,
            dumps: true,
            ..ActOptions::default()
        };
        let scene = setup.scene.observation();
        let strict = setup
            .policy
            .act(&scene, &options(Decoding::Strict))
            .unwrap();
        let masked = setup
            .policy
            .act(&scene, &options(Decoding::Masked))
            .unwrap();
        // Where the unrestricted stream is valid, the grammar changes nothing.
        assert_eq!(masked.generated_ids, strict.generated_ids);
        assert_eq!(masked.actions, strict.actions);
        setup.compare("discrete", &strict);
        setup.compare("discrete", &masked);
        setup.table.finish();
    }
    assert_eq!(tried, 3);
}

/// The effect of the gate on the cache, which `act` does not return.
#[test]
fn gated_keys_and_values_equal_the_reference() {
    for case in ["think_per_layer", "think_shared", "think_three_cameras"] {
        let Setup {
            golden,
            policy,
            mut table,
            scene: _,
        } = open(case);
        let config = std::fs::read(golden.checkpoint().join("config.json")).unwrap();
        let config = molmoact2::Config::parse(&config).unwrap();
        let ids: Vec<u32> = [golden.ints("full.input_ids"), golden.ints("full.depth_ids")]
            .concat()
            .iter()
            .map(|&id| id as u32)
            .collect();
        let visible = visible_tokens(
            &ids,
            config.action_mode == molmoact2::ActionMode::Both,
            config.eos_token_id,
            config.action_start_token_id,
            config.action_end_token_id,
        );
        let mask: Vec<bool> = golden
            .ints("full.cross_mask")
            .iter()
            .map(|&x| x == 1)
            .collect();
        assert_eq!(visible, mask, "{case}: cross mask");
        // Divide the gate out of the reference's cache, and let ours put it back.
        let gated_mask = golden.ints("full.gated_mask");
        let gates = golden.floats("full.gates");
        let kv_heads = config.text.num_key_value_heads;
        let head_dim = config.text.head_dim;
        let mut cache = layers::KvCache::new();
        let tensor = |name: &str, gate: f32| {
            let mut rows = golden.floats(name);
            for (row, &gated) in rows.chunks_mut(kv_heads * head_dim).zip(&gated_mask) {
                if gated == 1 {
                    row.iter_mut().for_each(|x| *x /= gate);
                }
            }
            let data = burn_tensor::TensorData::new(rows, [ids.len(), kv_heads, head_dim]);
            burn_tensor::Tensor::<3>::from_data(data, &golden.device).swap_dims(0, 1)
        };
        for layer in 0..config.text.num_hidden_layers {
            let gate = gates[layer.min(gates.len() - 1)];
            let key = tensor(&format!("full.gated_keys.{layer}"), gate);
            let value = tensor(&format!("full.gated_values.{layer}"), gate);
            cache.extend(layer, key, value);
        }
        let found = policy
            .network()
            .depth_gate()
            .unwrap()
            .apply(&cache, &ids, &visible);
        let found_gates: Vec<f32> = found.gates.into_iter().flat_map(values).collect();
        table.relative("gates", &found_gates, &gates, 1e-5);
        for (layer, (key, value)) in found.cache.layers().iter().enumerate() {
            for (name, tensor) in [("keys", key), ("values", value)] {
                let expected = golden.floats(&format!("full.gated_{name}.{layer}"));
                let tensor = values(tensor.clone().swap_dims(0, 1));
                table.relative(&format!("gated {name} {layer}"), &tensor, &expected, 1e-5);
            }
        }
        table.finish();
    }
}

#[test]
fn bad_caches_and_maps_without_an_end_are_refused_in_words() {
    let setup = open("think_per_layer");
    let ask = |depth: Depth, state: &[f32]| {
        let options = ActOptions {
            depth,
            ..ActOptions::default()
        };
        let observation = molmoact2::Observation {
            state,
            ..setup.scene.observation()
        };
        setup.policy.act(&observation, &options)
    };
    let cells = setup.policy.info().depth_cells.unwrap();
    let cache = DepthCache {
        image: setup.scene.images[0].clone(),
        codes: vec![23; cells - 1].into_iter().chain([24]).collect(),
    };
    let error = ask(Depth::Adaptive { cache: Some(cache) }, &setup.scene.state).unwrap_err();
    assert!(
        matches!(
            error,
            ActError::BadDepthCode {
                code: 24,
                codes: 24,
                ..
            }
        ),
        "{error}"
    );
    // Codes that the model would never have written: after some of them it does not end the map.
    let lost = (0..24).find_map(|code| {
        let cache = DepthCache {
            image: setup.scene.images[0].clone(),
            codes: vec![code; cells],
        };
        ask(Depth::Adaptive { cache: Some(cache) }, &setup.scene.state).err()
    });
    // Eight tokens, or the number of rows of the longest chunk.
    assert!(
        matches!(lost, Some(ActError::NoDepthEnd { limit: 8 })),
        "{lost:?}"
    );

    let golden = Golden::open("one_camera");
    let files = Files::open_dir(&golden.checkpoint()).unwrap();
    let policy = Policy::load(&files, &golden.device).unwrap();
    assert_eq!(policy.info().depth_cells, None);
    let options = ActOptions {
        depth: Depth::Full,
        ..ActOptions::default()
    };
    let error = policy
        .act(&Scene::of(&golden).observation(), &options)
        .unwrap_err();
    assert!(matches!(error, ActError::DepthUnavailable), "{error}");
}
