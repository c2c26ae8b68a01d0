//! Every tensor a checkpoint in the published layout has, by its configuration: name, shape, the part of the network it
//! belongs to, and what it is kept in once loaded. For those who look at a checkpoint without loading it or make one, and
//! for the loader, which holds a checkpoint against this table before it reads; what it then reads, it names itself, and a
//! test holds the two together.

use layers::Precision;

use crate::checkpoint::config::{ActionExpertConfig, Config};

/// A part of the network.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// Both embedding tables.
    Embeddings,
    /// The language model's blocks and its last norm.
    LanguageModel,
    /// The vision tower.
    Vision,
    /// The attention pooling of image features.
    Pooling,
    /// The projection of pooled features to the language model's width.
    Projector,
    /// The action expert, the gate over depth tokens included.
    Expert,
    /// The language model's output head.
    Head,
}

/// What a tensor is kept in once loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kept {
    /// `f32`.
    Exact,
    /// The precision asked for, eight bits at least.
    Delicate,
    /// The precision asked for.
    Main,
}

/// One tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its name without any prefix.
    pub name: String,
    /// Its shape in the file.
    pub shape: Vec<usize>,
    /// Where it belongs.
    pub part: Part,
    /// What it is kept in.
    pub kept: Kept,
}

impl Entry {
    /// Number of values.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        self.shape.iter().map(|&n| n as u64).product()
    }

    /// Bytes it takes once loaded.
    #[must_use]
    pub fn loaded_bytes(&self, precision: Precision) -> u64 {
        let precision = match self.kept {
            Kept::Exact => Precision::F32,
            Kept::Delicate => precision.delicate(),
            Kept::Main => precision,
        };
        match self.shape.as_slice() {
            [outputs, inputs] => precision.matrix_bytes(*outputs as u64, *inputs as u64),
            _ => 4 * self.parameters(),
        }
    }
}

/// The tensors of a checkpoint with this configuration, in the order of the network.
#[must_use]
pub fn tensors(config: &Config) -> Vec<Entry> {
    let mut list = List::default();
    embeddings(&mut list, config);
    vision(&mut list, config);
    connector(&mut list, config);
    text(&mut list, config);
    if let Some(sizes) = &config.action_expert {
        expert(&mut list, config, sizes);
        depth_gate(&mut list, config, sizes);
    }
    list.part = Part::Head;
    list.matrix(
        "lm_head.weight",
        config.text.vocab_size,
        config.text.hidden_size,
        Kept::Delicate,
    );
    list.entries
}

struct List {
    entries: Vec<Entry>,
    part: Part,
}

impl Default for List {
    fn default() -> Self {
        Self {
            entries: Vec::new(),
            part: Part::Embeddings,
        }
    }
}

impl List {
    fn push(&mut self, name: String, shape: Vec<usize>, kept: Kept) {
        self.entries.push(Entry {
            name,
            shape,
            part: self.part,
            kept,
        });
    }

    fn matrix(&mut self, name: &str, outputs: usize, inputs: usize, kept: Kept) {
        self.push(name.to_owned(), vec![outputs, inputs], kept);
    }

    fn vector(&mut self, name: &str, len: usize) {
        self.push(name.to_owned(), vec![len], Kept::Exact);
    }

    fn linear(&mut self, name: &str, outputs: usize, inputs: usize, bias: bool, kept: Kept) {
        self.matrix(&format!("{name}.weight"), outputs, inputs, kept);
        if bias {
            self.vector(&format!("{name}.bias"), outputs);
        }
    }

    fn layer_norm(&mut self, name: &str, width: usize) {
        self.vector(&format!("{name}.weight"), width);
        self.vector(&format!("{name}.bias"), width);
    }
}

fn embeddings(list: &mut List, config: &Config) {
    let text = &config.text;
    for (name, rows) in [
        ("embedding", text.vocab_size),
        ("new_embedding", text.additional_vocab_size),
    ] {
        let name = format!("model.transformer.wte.{name}");
        list.matrix(&name, rows, text.hidden_size, Kept::Delicate);
    }
}

fn vision(list: &mut List, config: &Config) {
    const VIT: &str = "model.vision_backbone.image_vit";
    list.part = Part::Vision;
    let vit = &config.vit;
    let hidden = vit.hidden_size;
    let patch = vit.image_patch_size * vit.image_patch_size * 3;
    list.linear(
        &format!("{VIT}.patch_embedding"),
        hidden,
        patch,
        true,
        Kept::Delicate,
    );
    list.push(
        format!("{VIT}.positional_embedding"),
        vec![vit.image_num_pos, hidden],
        Kept::Exact,
    );
    for block in 0..vit_blocks(config) {
        let name = |part: &str| format!("{VIT}.transformer.resblocks.{block}.{part}");
        list.layer_norm(&name("attention_norm"), hidden);
        let heads = vit.num_attention_heads * vit.head_dim;
        let kv_heads = vit.num_key_value_heads * vit.head_dim;
        for (part, outputs, inputs) in [
            ("attention.wq", heads, hidden),
            ("attention.wk", kv_heads, hidden),
            ("attention.wv", kv_heads, hidden),
            ("attention.wo", hidden, heads),
        ] {
            list.linear(&name(part), outputs, inputs, true, Kept::Delicate);
        }
        list.layer_norm(&name("ffn_norm"), hidden);
        let inner = vit.intermediate_size;
        list.linear(
            &name("feed_forward.w1"),
            inner,
            hidden,
            true,
            Kept::Delicate,
        );
        list.linear(
            &name("feed_forward.w2"),
            hidden,
            inner,
            true,
            Kept::Delicate,
        );
    }
}

/// Blocks up to the last one whose output is used.
pub(crate) fn vit_blocks(config: &Config) -> usize {
    let blocks = config.vit.num_hidden_layers;
    let from_front = config.adapter.vit_layers.iter().map(|&layer| {
        let layer = if layer < 0 {
            layer + blocks as i64
        } else {
            layer
        };
        usize::try_from(layer + 1).unwrap_or(0)
    });
    from_front.max().unwrap_or(0)
}

fn connector(list: &mut List, config: &Config) {
    const BACKBONE: &str = "model.vision_backbone";
    let adapter = &config.adapter;
    let features = config.vit.hidden_size * adapter.vit_layers.len();
    let heads = adapter.num_attention_heads * adapter.head_dim;
    let kv_heads = adapter.num_key_value_heads * adapter.head_dim;
    list.part = Part::Pooling;
    for (part, outputs, inputs) in [
        ("wq", heads, features),
        ("wk", kv_heads, features),
        ("wv", kv_heads, features),
        ("wo", adapter.hidden_size, heads),
    ] {
        let name = format!("{BACKBONE}.image_pooling_2d.{part}");
        list.linear(&name, outputs, inputs, true, Kept::Exact);
    }
    list.part = Part::Projector;
    let inner = adapter.intermediate_size;
    for (part, outputs, inputs) in [
        ("w1", inner, adapter.hidden_size),
        ("w3", inner, adapter.hidden_size),
        ("w2", adapter.text_hidden_size, inner),
    ] {
        let name = format!("{BACKBONE}.image_projector.{part}");
        list.linear(&name, outputs, inputs, false, Kept::Main);
    }
}

fn text(list: &mut List, config: &Config) {
    const TRANSFORMER: &str = "model.transformer";
    list.part = Part::LanguageModel;
    let text = &config.text;
    let hidden = text.hidden_size;
    let heads = text.num_attention_heads * text.head_dim;
    let fused = heads + 2 * text.num_key_value_heads * text.head_dim;
    for block in 0..text.num_hidden_layers {
        let name = |part: &str| format!("{TRANSFORMER}.blocks.{block}.{part}");
        list.vector(&name("attn_norm.weight"), hidden);
        list.linear(
            &name("self_attn.att_proj"),
            fused,
            hidden,
            text.qkv_bias,
            Kept::Main,
        );
        list.linear(
            &name("self_attn.attn_out"),
            hidden,
            heads,
            false,
            Kept::Main,
        );
        if text.use_qk_norm {
            list.vector(&name("self_attn.q_norm.weight"), text.head_dim);
            list.vector(&name("self_attn.k_norm.weight"), text.head_dim);
        }
        list.vector(&name("ff_norm.weight"), hidden);
        let inner = text.intermediate_size;
        list.linear(&name("mlp.ff_proj"), 2 * inner, hidden, false, Kept::Main);
        list.linear(&name("mlp.ff_out"), hidden, inner, false, Kept::Main);
    }
    list.vector(&format!("{TRANSFORMER}.ln_f.weight"), hidden);
}

fn expert(list: &mut List, config: &Config, sizes: &ActionExpertConfig) {
    list.part = Part::Expert;
    let hidden = sizes.hidden_size;
    let inner = sizes.inner_width();
    let context = config.text.num_key_value_heads * config.text.head_dim;
    let dims = config.max_action_dim;
    let name = |part: &str| format!("model.action_expert.{part}");
    let (exact, delicate) = (Kept::Exact, Kept::Delicate);
    list.linear(
        &name("time_embed.1"),
        hidden,
        sizes.timestep_embed_dim,
        true,
        exact,
    );
    list.linear(&name("time_embed.3"), hidden, hidden, true, exact);
    list.linear(&name("action_embed"), hidden, dims, true, exact);
    list.linear(&name("context_k_proj"), hidden, context, false, delicate);
    list.linear(&name("context_v_proj"), hidden, context, false, delicate);
    for block in 0..sizes.num_layers {
        for (part, outputs, inputs) in [
            ("self_attn.qkv", 3 * hidden, hidden),
            ("self_attn.out_proj", hidden, hidden),
            ("cross_attn.q_proj", hidden, hidden),
            ("cross_attn.out_proj", hidden, hidden),
            ("mlp.gate_proj", inner, hidden),
            ("mlp.up_proj", inner, hidden),
            ("mlp.down_proj", hidden, inner),
            ("modulation.linear", 9 * hidden, hidden),
        ] {
            let name = name(&format!("blocks.{block}.{part}"));
            list.linear(&name, outputs, inputs, true, delicate);
        }
    }
    list.linear(
        &name("final_layer.modulation.linear"),
        2 * hidden,
        hidden,
        true,
        delicate,
    );
    list.linear(&name("final_layer.linear"), dims, hidden, true, exact);
}

/// The gate over depth tokens: one for all layers, or one for each.
fn depth_gate(list: &mut List, config: &Config, sizes: &ActionExpertConfig) {
    const GATE: &str = "model.action_expert_depth_gate";
    if !config.action_expert_depth_gate {
        return;
    }
    let width = config.text.num_key_value_heads * config.text.head_dim;
    if !config.action_expert_depth_gate_per_layer {
        list.linear(GATE, 1, width, true, Kept::Exact);
        return;
    }
    for layer in 0..sizes.num_layers {
        list.linear(&format!("{GATE}.{layer}"), 1, width, true, Kept::Exact);
    }
}
