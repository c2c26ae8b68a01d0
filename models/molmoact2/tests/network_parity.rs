//! Every stage of the network against the reference, one golden checkpoint at a time.
//!
//! Each stage is fed the reference's own input, so an error belongs to the stage that shows it;
//! `act_parity.rs` runs the stages one after the other. The goldens are made by
//! `tests/goldens/molmoact2/generate.py` from PyPI `lerobot` 0.6.1 in fp32.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod common;

use burn::tensor::Tensor;
use common::{CASES, Golden, Table, values};
use layers::{Checkpoint, KvCache};
use molmoact2::{Config, Network, PoolPlan, Until, integrate, prefill_bias, visible_tokens};

struct Setup {
    golden: Golden,
    config: Config,
    network: Network,
    table: Table,
}

fn open(case: &str) -> Setup {
    let golden = Golden::open(case);
    let folder = golden.checkpoint();
    let config = Config::parse(&std::fs::read(folder.join("config.json")).unwrap()).unwrap();
    let checkpoint = Checkpoint::open_dir(&folder).unwrap();
    let network = Network::load(&checkpoint, &config, &golden.device).unwrap();
    Setup {
        table: Table::new(case),
        golden,
        config,
        network,
    }
}

fn ids(golden: &Golden, name: &str) -> Vec<u32> {
    golden.ints(name).iter().map(|&id| id as u32).collect()
}

fn image_flags(golden: &Golden) -> Vec<bool> {
    golden
        .ints("token_type_ids")
        .iter()
        .map(|&t| t == 1)
        .collect()
}

/// The cache as the reference left it after the prompt.
fn golden_cache(golden: &Golden, layers: usize) -> KvCache {
    let mut cache = KvCache::new();
    for layer in 0..layers {
        cache.extend(
            layer,
            golden.tensor(&format!("keys.{layer}")),
            golden.tensor(&format!("values.{layer}")),
        );
    }
    cache
}

#[test]
fn vision_equals_the_reference() {
    for case in CASES {
        let Setup {
            golden,
            network,
            mut table,
            ..
        } = open(case);
        let features = network.vit().forward(golden.tensor("patches_requantised"));
        table.relative(
            "vit features",
            &values(features),
            &golden.floats("vit_features"),
            1e-4,
        );

        let [.., width] = golden.shape("vit_features")[..] else {
            panic!()
        };
        let features = golden.tensor::<3>("vit_features");
        let [images, patches, _] = features.dims();
        let features = features.reshape([images * patches, width]);
        let [_, window] = golden.shape("pool_indices")[..] else {
            panic!()
        };
        let plan = PoolPlan::new(golden.ints("pool_indices"), window);
        let pooled = network.connector().pool(features.clone(), &plan);
        table.relative(
            "pooled",
            &values(pooled),
            &golden.floats("pooled_features"),
            1e-4,
        );
        let projected = network.connector().forward(features, &plan);
        table.relative(
            "projected",
            &values(projected),
            &golden.floats("projected_features"),
            1e-4,
        );
        table.finish();
    }
}

#[test]
fn the_prompt_pass_equals_the_reference() {
    for case in CASES {
        let Setup {
            golden,
            network,
            config,
            mut table,
        } = open(case);
        let prompt = ids(&golden, "input_ids");
        let features = golden.tensor("projected_features");
        let embedded = network.embed_prompt(&prompt, config.image_patch_id, Some(features));
        table.relative(
            "embeddings",
            &values(embedded),
            &golden.floats("inputs_embeds"),
            1e-5,
        );

        let bias = prefill_bias(&image_flags(&golden), &golden.device);
        let mut cache = network.new_cache();
        let hidden = network
            .text()
            .forward(
                golden.tensor("inputs_embeds"),
                Some(&bias),
                &mut cache,
                Until::EveryToken,
            )
            .unwrap();
        for (layer, (key, value)) in cache.layers().iter().enumerate() {
            let expected = golden.floats(&format!("keys.{layer}"));
            table.relative(
                &format!("keys {layer}"),
                &values(key.clone()),
                &expected,
                1e-4,
            );
            let expected = golden.floats(&format!("values.{layer}"));
            table.relative(
                &format!("values {layer}"),
                &values(value.clone()),
                &expected,
                1e-4,
            );
        }
        assert_eq!(cache.layers().len(), config.text.num_hidden_layers);
        let expected = golden.floats("last_hidden");
        table.relative("last hidden", &values(hidden.clone()), &expected, 1e-4);
        let logits = values(network.text().logits(hidden));
        table.relative("logits", &logits, &golden.floats("logits"), 1e-4);

        // What continuous mode leaves out must not change what it keeps.
        let mut short = network.new_cache();
        let none = network.text().forward(
            golden.tensor("inputs_embeds"),
            Some(&bias),
            &mut short,
            Until::KeysAndValues,
        );
        assert!(none.is_none());
        for ((key, value), (full_key, full_value)) in short.layers().iter().zip(cache.layers()) {
            let (key, full_key) = (values(key.clone()), values(full_key.clone()));
            table.relative("keys, short pass", &key, &full_key, 1e-6);
            let (value, full_value) = (values(value.clone()), values(full_value.clone()));
            table.relative("values, short pass", &value, &full_value, 1e-6);
        }
        table.finish();
    }
}

#[test]
fn the_flow_equals_the_reference() {
    for case in CASES {
        let Setup {
            golden,
            network,
            config,
            mut table,
        } = open(case);
        let visible = visible(&config, &ids(&golden, "input_ids"));
        let expected: Vec<bool> = golden.ints("cross_mask").iter().map(|&m| m == 1).collect();
        assert_eq!(visible, expected, "{case}: cross mask");

        let expert = network.expert().unwrap();
        let cache = golden_cache(&golden, config.text.num_hidden_layers);
        let context = expert.context(&cache, &visible);
        compare_context(&mut table, &golden, &context, &visible);

        let [steps, rows, padded] = golden.shape("velocity")[..] else {
            panic!()
        };
        let [_, dims] = golden.shape("chunk_normalised")[..] else {
            panic!()
        };
        let modulations = expert.modulations(steps);
        let trajectory = golden.tensor::<3>("trajectory");
        // All dimensions, the padding too, although sampling leaves it out.
        let chunk_expert = expert.for_chunk(rows, padded);
        let velocities: Vec<Tensor<2>> = (0..steps)
            .map(|step| {
                let actions = trajectory
                    .clone()
                    .narrow(0, step, 1)
                    .reshape([rows, padded]);
                chunk_expert.velocity(actions, &modulations[step], &context)
            })
            .collect();
        let found = values(Tensor::cat(velocities, 0));
        table.relative(
            "velocity, every step",
            &found,
            &golden.floats("velocity"),
            1e-4,
        );

        let noise = golden.tensor::<2>("noise").narrow(1, 0, dims);
        let flow = integrate(
            &expert.for_chunk(rows, dims),
            &context,
            &modulations,
            noise,
            None,
            true,
        );
        assert_eq!(flow.velocities.len(), steps);
        let expected = golden.floats("chunk_normalised");
        table.absolute("chunk, from noise", &values(flow.chunk), &expected, 1e-4);
        table.finish();
    }
}

fn visible(config: &Config, prompt: &[u32]) -> Vec<bool> {
    visible_tokens(
        prompt,
        config.action_mode == molmoact2::ActionMode::Both,
        config.eos_token_id,
        config.action_start_token_id,
        config.action_end_token_id,
    )
}

/// Ours holds visible tokens only, heads first and keys scaled; the reference all tokens.
fn compare_context(
    table: &mut Table,
    golden: &Golden,
    context: &molmoact2::ExpertContext,
    visible: &[bool],
) {
    for (layer, (key, value)) in context.layers().iter().enumerate() {
        let [_, heads, head_dim] = golden.shape(&format!("context_keys.{layer}"))[..] else {
            panic!()
        };
        let seen = |name: &str, scale: f32| -> Vec<f32> {
            golden
                .floats(&format!("{name}.{layer}"))
                .chunks(heads * head_dim)
                .zip(visible)
                .filter(|(_, visible)| **visible)
                .flat_map(|(row, _)| row.iter().map(move |x| x * scale))
                .collect()
        };
        let scale = (head_dim as f32).sqrt().recip();
        let found = values(key.clone().swap_dims(0, 1));
        table.relative(
            &format!("context keys {layer}"),
            &found,
            &seen("context_keys", scale),
            1e-4,
        );
        let found = values(value.clone().swap_dims(0, 1));
        table.relative(
            &format!("context values {layer}"),
            &found,
            &seen("context_values", 1.0),
            1e-4,
        );
    }
}

#[test]
fn answering_in_tokens_equals_the_reference_with_and_without_cache() {
    let mut tried = 0;
    for case in CASES {
        let Setup {
            golden,
            network,
            config: _,
            mut table,
        } = open(case);
        if !golden.has("forced_ids") {
            continue;
        }
        tried += 1;
        let forced = ids(&golden, "forced_ids");
        let text = network.text();
        let prompt: Tensor<2> = golden.tensor("inputs_embeds");
        let mut flags = image_flags(&golden);
        let prompt_len = flags.len();

        // One pass over prompt and answer.
        flags.extend(std::iter::repeat_n(false, forced.len()));
        let bias = prefill_bias(&flags, &golden.device);
        let all = Tensor::cat(vec![prompt.clone(), text.embed(&forced)], 0);
        let mut cache = network.new_cache();
        let hidden = text
            .forward(all, Some(&bias), &mut cache, Until::EveryToken)
            .unwrap();
        let rows = hidden.narrow(0, prompt_len - 1, forced.len() + 1);
        let teacher = values(text.logits(rows));
        table.relative(
            "teacher-forced logits",
            &teacher,
            &golden.floats("teacher_logits"),
            1e-4,
        );

        // The same, token by token.
        let bias = prefill_bias(&flags[..prompt_len], &golden.device);
        let mut cache = network.new_cache();
        let mut hidden = text
            .forward(prompt, Some(&bias), &mut cache, Until::LastToken)
            .unwrap();
        let mut decoded = values(text.logits(hidden));
        for (index, &id) in forced.iter().enumerate() {
            assert_eq!(cache.len(), prompt_len + index);
            hidden = text
                .forward(text.embed(&[id]), None, &mut cache, Until::LastToken)
                .unwrap();
            decoded.extend(values(text.logits(hidden)));
        }
        table.relative(
            "cached-decode logits",
            &decoded,
            &golden.floats("decode_logits"),
            1e-4,
        );
        table.relative("cached against full pass", &decoded, &teacher, 1e-4);
        table.finish();
    }
    assert_eq!(tried, 3);
}
