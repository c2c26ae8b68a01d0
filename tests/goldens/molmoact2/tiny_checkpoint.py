"""Tiny random MolmoAct2 checkpoints in the published folder layout.

Every weight is drawn from a seed, the zero-initialised ones too: a zero modulation or a zero final layer
would let a wrong network pass. Sizes, token counts and options differ between the cases so that nothing
can be right by a hard-coded number.
"""

import json
import math
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from tokenizers import Regex
from transformers import Qwen2Tokenizer
from transformers.models.qwen2.tokenization_qwen2 import PRETOKENIZE_REGEX

from lerobot.policies.molmoact2.molmoact2_hf_model.action_tokenizer import UniversalActionProcessor
from lerobot.policies.molmoact2.molmoact2_hf_model.configuration_molmoact2 import MolmoAct2Config
from lerobot.policies.molmoact2.molmoact2_hf_model.modeling_molmoact2 import (
    MolmoAct2ForConditionalGeneration,
)

CORPUS = [
    "The task is to push the red cube to the left. The setup is a robotic arm. ",
    "The current state of the robot is known. The expected control mode is absolute joint pose. ",
    "Given these, what action should the robot take to complete the task? ",
    "Given these, first predict the depth map of the main image and then predict the action "
    "the robot should take to complete the task? ",
    "Image 1 Image 2 Image 3 user assistant user\n assistant\n delta end-effector pose ",
    "pick up the green ball and place it in the tray; reach for the blue block ",
]

# Order of the added tokens in the published tokenizers; filler follows, then the image tokens.
BEFORE_FILLER = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
IMAGE_TOKENS = [
    "<im_start>",
    "<im_end>",
    "<im_patch>",
    "<im_col>",
    "<low_res_im_start>",
    "<|image|>",
    "<im_low>",
    "<frame_start>",
    "<frame_end>",
    "<|video|>",
]


def train_bpe(vocab_size):
    """A byte-level BPE with real merges, split by the same regular expression as the published one."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(PRETOKENIZE_REGEX), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocab_size,
        min_frequency=1,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        special_tokens=[],
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    model = json.loads(tokenizer.to_str())["model"]
    return model["vocab"], [tuple(pair) for pair in model["merges"]]


def write_tokenizer(folder, case):
    """Writes tokenizer.json and tokenizer_config.json; returns (ids by name, vocab_size)."""
    vocab, merges = train_bpe(case["bpe_vocab"])
    added = list(BEFORE_FILLER)
    added += ["<setup_start>", "<setup_end>", "<control_start>", "<control_end>"]
    added += ["<state_start>", "<state_end>"]
    added += [f"<state_{i}>" for i in range(case["num_state_tokens"])]
    added += ["<action_output>", "<action_start>", "<action_end>"]
    added += [f"<action_{i}>" for i in range(case["num_action_tokens"])]
    added += ["<depth_output>", "<depth_start>", "<depth_end>"]
    added += [f"<depth_{i}>" for i in range(case["num_depth_tokens"])]
    vocab_size = math.ceil((len(vocab) + len(added)) / 16) * 16
    added += [f"<extra_{i}>" for i in range(vocab_size - len(vocab) - len(added))]
    added += IMAGE_TOKENS
    tokenizer = Qwen2Tokenizer(
        vocab=vocab,
        merges=merges,
        unk_token=None,
        bos_token=None,
        eos_token=None,
        pad_token=None,
    )
    tokenizer.add_tokens([AddedToken(token, special=True, normalized=False) for token in added])
    tokenizer.bos_token = "<|im_end|>"
    tokenizer.eos_token = "<|im_end|>"
    tokenizer.pad_token = "<|endoftext|>"
    tokenizer.padding_side = "left"
    tokenizer.save_pretrained(folder)
    # Written compactly: the indented form is three times the size.
    path = folder / "tokenizer.json"
    path.write_text(json.dumps(json.loads(path.read_text()), ensure_ascii=False, separators=(",", ":")))
    ids = {token: tokenizer.convert_tokens_to_ids(token) for token in added}
    assert ids["<im_start>"] == vocab_size, (ids["<im_start>"], vocab_size)
    assert len(set(ids.values())) == len(added)
    return ids, vocab_size


def build_config(case, ids, vocab_size):
    text, vit, adapter, expert = case["text"], case["vit"], case["adapter"], case["expert"]
    return MolmoAct2Config(
        vit_config=dict(attn_implementation="sdpa", **vit),
        adapter_config=dict(
            attn_implementation="sdpa", text_hidden_size=text["hidden_size"], hidden_act="silu", **adapter
        ),
        text_config=dict(
            attn_implementation="sdpa",
            vocab_size=vocab_size,
            additional_vocab_size=16,
            qkv_bias=False,
            use_qk_norm=True,
            qk_norm_type="qwen3",
            layer_norm_eps=1e-6,
            norm_after=False,
            hidden_act="silu",
            tie_word_embeddings=False,
            max_position_embeddings=512,
            **text,
        ),
        action_expert_config=dict(num_layers=text["num_hidden_layers"], **expert),
        image_start_token_id=ids["<im_start>"],
        low_res_image_start_token_id=ids["<low_res_im_start>"],
        image_end_token_id=ids["<im_end>"],
        image_low_res_id=ids["<im_low>"],
        image_patch_id=ids["<im_patch>"],
        image_col_id=ids["<im_col>"],
        frame_start_token_id=ids["<frame_start>"],
        frame_end_token_id=ids["<frame_end>"],
        max_action_dim=case["max_action_dim"],
        max_action_horizon=case["max_action_horizon"],
        n_obs_steps=case["n_obs_steps"],
        action_mode=case["action_mode"],
        flow_matching_num_steps=case["flow_steps"],
        mask_action_dim_padding=case["mask_padding"],
        action_output_token_id=ids["<action_output>"],
        action_start_token_id=ids["<action_start>"],
        action_end_token_id=ids["<action_end>"],
        action_token_start_id=ids["<action_0>"],
        num_action_tokens=case["num_action_tokens"],
        depth_output_token_id=ids["<depth_output>"],
        depth_start_token_id=ids["<depth_start>"],
        depth_end_token_id=ids["<depth_end>"],
        depth_token_start_id=ids["<depth_0>"],
        num_depth_tokens=case["num_depth_tokens"],
        num_depth_codes=case["num_depth_codes"] or case["num_depth_tokens"],
        enable_depth_reasoning=case["num_depth_codes"] > 0,
        action_expert_depth_gate=case["depth_gate"] is not None,
        action_expert_depth_gate_per_layer=case["depth_gate"] == "per layer",
        state_start_token_id=ids["<state_start>"],
        state_end_token_id=ids["<state_end>"],
        state_token_start_id=ids["<state_0>"],
        num_state_tokens=case["num_state_tokens"],
        add_setup_tokens=case["add_setup_tokens"],
        add_control_tokens=case["add_control_tokens"],
        bos_token_id=ids["<|im_end|>"],
        eos_token_id=ids["<|im_end|>"],
        pad_token_id=ids["<|endoftext|>"],
        tie_word_embeddings=False,
        architectures=["MolmoAct2ForConditionalGeneration"],
        dtype="float32",
    )


def write_config(folder, config, case):
    raw = json.loads(config.to_json_string())
    if not case["rope_parameters"]:
        # The published files carry the older spelling; transformers 5 writes `rope_parameters` beside it.
        del raw["text_config"]["rope_parameters"]
        raw["text_config"]["rope_scaling"] = None
    (folder / "config.json").write_text(json.dumps(raw, indent=1) + "\n")


def random_weights(model, seed):
    """Seeded values for every tensor: matrices keep the scale of their input, norms stay near one."""
    rng = np.random.default_rng(seed)
    state = {}
    for name, value in model.state_dict().items():
        if name.endswith("inv_freq"):
            state[name] = value.clone()
            continue
        shape = tuple(value.shape)
        draw = rng.standard_normal(shape)
        if "norm" in name.rsplit(".", 2)[-2] or ".ln_f." in name:
            draw = (1.0 if name.endswith("weight") else 0.0) + 0.2 * draw
        elif name.endswith("bias"):
            draw = 0.1 * draw
        elif "embedding" in name.rsplit(".", 1)[-1]:
            draw = 0.5 * draw
        else:
            draw = draw / math.sqrt(shape[-1])
        state[name] = torch.from_numpy(draw.astype(np.float32)).reshape(shape)
    return state


def write_weights(folder, state, shards):
    names = sorted(state)
    if shards == 1:
        save_file({name: state[name].contiguous() for name in names}, folder / "model.safetensors",
                  metadata={"format": "pt"})
        return
    weight_map, total = {}, 0
    # Round robin: neighbouring tensors lie in different shards, so a reader must follow the index.
    for shard in range(shards):
        file_name = f"model-{shard + 1:05d}-of-{shards:05d}.safetensors"
        part = {name: state[name].contiguous() for name in names[shard::shards]}
        save_file(part, folder / file_name, metadata={"format": "pt"})
        weight_map.update({name: file_name for name in part})
        total += sum(value.numel() * value.element_size() for value in part.values())
    index = {"metadata": {"total_size": total}, "weight_map": dict(sorted(weight_map.items()))}
    (folder / "model.safetensors.index.json").write_text(json.dumps(index, indent=1) + "\n")


def feature_stats(rng, dims, names, masked, degenerate):
    """Statistics of a made-up feature whose quantiles are ordered as real ones are."""
    centre, spread = rng.uniform(-60, 60, dims), rng.uniform(5, 50, dims)
    levels = {"min": -1.3, "q01": -1.0, "q10": -0.7, "q90": 0.8, "q99": 1.1, "max": 1.4}
    stats = {key: centre + level * spread for key, level in levels.items()}
    stats["mean"], stats["std"] = centre + 0.03 * spread, 0.4 * spread
    for dim in masked:
        for key, level in {"min": 0.0, "q01": 0.0, "q10": 0.1, "q90": 0.9, "q99": 1.0, "max": 1.0}.items():
            stats[key][dim] = level
        stats["mean"][dim], stats["std"][dim] = 0.5, 0.3
    for dim in degenerate:
        for key in (*levels, "mean"):
            stats[key][dim] = 12.5
        stats["std"][dim] = 0.0
    out = {key: [float(x) for x in value] for key, value in stats.items()}
    out["mask"] = [dim not in masked for dim in range(dims)]
    out["names"] = names
    return out


def write_norm_stats(folder, case, rng):
    metadata = {}
    for tag, info in case["tags"].items():
        masked = info.get("masked", [])
        metadata[tag] = {
            "action_key": "action",
            "state_keys": ["observation.state"],
            "camera_keys": [f"observation.images.{name}" for name in info["cameras"]],
            "normalize_gripper": not masked,
            "action_dim": case["max_action_dim"],
            "action_horizon": info["horizon"],
            "n_action_steps": info["n_action_steps"],
            "setup_type": info["setup_type"],
            "control_mode": info["control_mode"],
            "action_stats": feature_stats(
                rng, info["action_dim"], [f"joint_{i}" for i in range(info["action_dim"])], masked, []
            ),
            "state_stats": feature_stats(
                rng, info["state_dim"], [f"joint_{i}" for i in range(info["state_dim"])], masked,
                info.get("degenerate", []),
            ),
        }
    payload = {
        "format": "molmoact2_norm_stats.v1",
        "norm_mode": case["norm_mode"],
        "metadata_by_tag": metadata,
    }
    (folder / "norm_stats.json").write_text(json.dumps(payload, indent=1) + "\n")


def write_processor_config(folder, case):
    size = case["vit"]["image_default_input_size"]
    payload = {
        "auto_map": {"AutoProcessor": "processing_molmoact2.MolmoAct2Processor"},
        "processor_class": "MolmoAct2Processor",
        "image_processor": {
            "image_processor_type": "MolmoAct2ImageProcessor",
            "crop_mode": "resize",
            "size": {"height": size[0], "width": size[1]},
            "resample": 2,
            "image_mean": [0.5, 0.5, 0.5],
            "image_std": [0.5, 0.5, 0.5],
            "do_convert_rgb": True,
            "max_crops": 8,
            "overlap_margins": [4, 4],
            "patch_size": case["vit"]["image_patch_size"],
            "pooling_size": case["pooling_size"],
        },
        "video_processor": {},
        "image_use_col_tokens": True,
        "use_single_crop_col_tokens": case["column_tokens"],
        "use_single_crop_start_token": True,
        "video_use_col_tokens": False,
        "use_frame_special_tokens": True,
    }
    (folder / "processor_config.json").write_text(json.dumps(payload, indent=1) + "\n")


def write_action_tokenizer(folder, case, rng):
    """An OpenFAST tokenizer fitted on smooth random chunks; its vocabulary fits the reserved action tokens."""
    tag = case["tags"][case["tag"]]
    horizon, dims = tag["horizon"], tag["action_dim"]
    start, end = rng.uniform(-1, 1, (200, 1, dims)), rng.uniform(-1, 1, (200, 1, dims))
    along = np.linspace(0, 1, horizon)[None, :, None]
    chunks = np.clip(start + (end - start) * along + 0.05 * rng.standard_normal((200, horizon, dims)), -1, 1)
    processor = UniversalActionProcessor.fit(list(chunks), scale=10, vocab_size=case["num_action_tokens"])
    out = folder / "openfast"
    out.mkdir(exist_ok=True)
    raw = json.loads(processor.tokenizer.backend_tokenizer.to_str())
    (out / "tokenizer.json").write_text(json.dumps(raw, ensure_ascii=False, separators=(",", ":")))
    (out / "processor_config.json").write_text(
        json.dumps(
            {
                "processor_class": "UniversalActionProcessor",
                "scale": 10,
                "vocab_size": case["num_action_tokens"],
                "min_token": processor.min_token,
                "action_dim": None,
                "time_horizon": None,
            },
            indent=1,
        )
        + "\n"
    )
    return chunks


def write_checkpoint(folder, case):
    """Writes the whole folder; returns smooth chunks in the range of the action tokenizer, if it has one."""
    folder = Path(folder)
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(case["seed"] + 1)
    ids, vocab_size = write_tokenizer(folder, case)
    config = build_config(case, ids, vocab_size)
    model = MolmoAct2ForConditionalGeneration(config)
    write_weights(folder, random_weights(model, case["seed"]), case["shards"])
    write_config(folder, config, case)
    write_norm_stats(folder, case, rng)
    write_processor_config(folder, case)
    special = {"bos_token_id": ids["<|im_end|>"], "eos_token_id": ids["<|im_end|>"],
               "pad_token_id": ids["<|endoftext|>"]}
    (folder / "generation_config.json").write_text(json.dumps(special, indent=1) + "\n")
    return write_action_tokenizer(folder, case, rng) if case["action_mode"] == "both" else None
