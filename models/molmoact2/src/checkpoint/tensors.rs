//! The tensors of a checkpoint in the published layout, derived from its configuration: name, shape, part of the
//! network, and precision once loaded. Inspection and synthesis of checkpoints use this list, and the loader checks
//! a checkpoint against it before reading. The loader has its own names for the tensors that it reads; a test
//! compares the two.

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

/// Rule for the precision of a tensor once loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum PrecisionClass {
    /// Always `f32`.
    Exact,
    /// The requested precision, but at least eight bits.
    Delicate,
    /// The requested precision.
    Main,
}

/// One tensor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TensorSpec {
    /// Name without a prefix.
    pub name: String,
    /// Shape in the file.
    pub shape: Vec<usize>,
    /// Part of the network.
    pub part: Part,
    /// Rule for its precision.
    pub precision_class: PrecisionClass,
}

impl TensorSpec {
    /// Number of values.
    #[must_use]
    pub fn parameters(&self) -> u64 {
        self.shape.iter().map(|&n| n as u64).product()
    }

    /// Bytes once loaded.
    #[must_use]
    pub fn loaded_bytes(&self, precision: Precision) -> u64 {
        let precision = match self.precision_class {
            PrecisionClass::Exact => Precision::F32,
            PrecisionClass::Delicate => precision.delicate(),
            PrecisionClass::Main => precision,
        };
        match self.shape.as_slice() {
            [outputs, inputs] => precision.matrix_bytes(*outputs as u64, *inputs as u64),
            _ => 4 * self.parameters(),
        }
    }
}

/// The tensors of a checkpoint with this configuration, in the order of the network.
#[must_use]
pub fn expected(config: &Config) -> Vec<TensorSpec> {
    let mut list = SpecList::default();
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
        PrecisionClass::Delicate,
    );
    list.specs
}

struct SpecList {
    specs: Vec<TensorSpec>,
    part: Part,
}

impl Default for SpecList {
    fn default() -> Self {
        Self {
            specs: Vec::new(),
            part: Part::Embeddings,
        }
    }
}

impl SpecList {
    fn push(&mut self, name: String, shape: Vec<usize>, precision_class: PrecisionClass) {
        self.specs.push(TensorSpec {
            name,
            shape,
            part: self.part,
            precision_class,
        });
    }

    fn matrix(
        &mut self,
        name: &str,
        outputs: usize,
        inputs: usize,
        precision_class: PrecisionClass,
    ) {
        self.push(name.to_owned(), vec![outputs, inputs], precision_class);
    }

    fn vector(&mut self, name: &str, len: usize) {
        self.push(name.to_owned(), vec![len], PrecisionClass::Exact);
    }

    fn linear(
        &mut self,
        name: &str,
        outputs: usize,
        inputs: usize,
        bias: bool,
        precision_class: PrecisionClass,
    ) {
        self.matrix(&format!("{name}.weight"), outputs, inputs, precision_class);
        if bias {
            self.vector(&format!("{name}.bias"), outputs);
        }
    }

    fn layer_norm(&mut self, name: &str, width: usize) {
        self.vector(&format!("{name}.weight"), width);
        self.vector(&format!("{name}.bias"), width);
    }
}

fn embeddings(list: &mut SpecList, config: &Config) {
    let text = &config.text;
    for (name, rows) in [
        ("embedding", text.vocab_size),
        ("new_embedding", text.additional_vocab_size),
    ] {
        let name = format!("model.transformer.wte.{name}");
        list.matrix(&name, rows, text.hidden_size, PrecisionClass::Delicate);
    }
}

fn vision(list: &mut SpecList, config: &Config) {
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
        PrecisionClass::Delicate,
    );
    list.push(
        format!("{VIT}.positional_embedding"),
        vec![vit.image_num_pos, hidden],
        PrecisionClass::Exact,
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
            list.linear(&name(part), outputs, inputs, true, PrecisionClass::Delicate);
        }
        list.layer_norm(&name("ffn_norm"), hidden);
        let inner = vit.intermediate_size;
        list.linear(
            &name("feed_forward.w1"),
            inner,
            hidden,
            true,
            PrecisionClass::Delicate,
        );
        list.linear(
            &name("feed_forward.w2"),
            hidden,
            inner,
            true,
            PrecisionClass::Delicate,
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

fn connector(list: &mut SpecList, config: &Config) {
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
        list.linear(&name, outputs, inputs, true, PrecisionClass::Exact);
    }
    list.part = Part::Projector;
    let inner = adapter.intermediate_size;
    for (part, outputs, inputs) in [
        ("w1", inner, adapter.hidden_size),
        ("w3", inner, adapter.hidden_size),
        ("w2", adapter.text_hidden_size, inner),
    ] {
        let name = format!("{BACKBONE}.image_projector.{part}");
        list.linear(&name, outputs, inputs, false, PrecisionClass::Main);
    }
}

fn text(list: &mut SpecList, config: &Config) {
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
            PrecisionClass::Main,
        );
        list.linear(
            &name("self_attn.attn_out"),
            hidden,
            heads,
            false,
            PrecisionClass::Main,
        );
        if text.use_qk_norm {
            list.vector(&name("self_attn.q_norm.weight"), text.head_dim);
            list.vector(&name("self_attn.k_norm.weight"), text.head_dim);
        }
        list.vector(&name("ff_norm.weight"), hidden);
        let inner = text.intermediate_size;
        list.linear(
            &name("mlp.ff_proj"),
            2 * inner,
            hidden,
            false,
            PrecisionClass::Main,
        );
        list.linear(
            &name("mlp.ff_out"),
            hidden,
            inner,
            false,
            PrecisionClass::Main,
        );
    }
    list.vector(&format!("{TRANSFORMER}.ln_f.weight"), hidden);
}

fn expert(list: &mut SpecList, config: &Config, sizes: &ActionExpertConfig) {
    list.part = Part::Expert;
    let hidden = sizes.hidden_size;
    let inner = sizes.inner_width();
    let context = config.text.num_key_value_heads * config.text.head_dim;
    let dims = config.max_action_dim;
    let name = |part: &str| format!("model.action_expert.{part}");
    let (exact, delicate) = (PrecisionClass::Exact, PrecisionClass::Delicate);
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
fn depth_gate(list: &mut SpecList, config: &Config, sizes: &ActionExpertConfig) {
    const GATE: &str = "model.action_expert_depth_gate";
    if !config.action_expert_depth_gate {
        return;
    }
    let width = config.text.num_key_value_heads * config.text.head_dim;
    if !config.action_expert_depth_gate_per_layer {
        list.linear(GATE, 1, width, true, PrecisionClass::Exact);
        return;
    }
    for layer in 0..sizes.num_layers {
        list.linear(
            &format!("{GATE}.{layer}"),
            1,
            width,
            true,
            PrecisionClass::Exact,
        );
    }
}
