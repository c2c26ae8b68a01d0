"""Holds our training network against the reference implementation, on every tensor it has.

Builds a nano checkpoint with random weights in all of them, loads its folder into the reference classes and
compares: prompt ids, pixel patches, logits of prompt and action tokens, velocities, and whole action chunks.
Prints one line per comparison; exits 1 if one is off.

    python check_reference.py [--folder DIR]     # DIR: check a finished checkpoint instead of a random one
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path

import numpy as np
import torch
from lerobot.policies.molmoact2.molmoact2_hf_model import modeling_molmoact2 as reference
from lerobot.policies.molmoact2.molmoact2_hf_model.action_tokenizer import UniversalActionProcessor
from lerobot.policies.molmoact2.molmoact2_hf_model.configuration_molmoact2 import MolmoAct2Config
from lerobot.policies.molmoact2.molmoact2_hf_model.image_processing_molmoact2 import MolmoAct2ImageProcessor
from lerobot.policies.molmoact2.molmoact2_hf_model.processing_molmoact2 import MolmoAct2Processor
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import PreTrainedTokenizerFast

from nano import checkpoint, config as sizes, openfast, prompt, tokenizer as prompt_tokenizer
from nano.data import patches_of
from nano.network import MolmoAct2
from nano.policy import Policy

TOLERANCE = 1e-4
SENTENCES = ["push the red cube to the left", "pick up the green block", "put the blue cube in the tray"]


def random_folder(folder: Path) -> None:
    """A complete checkpoint folder with random weights and a tokenizer fitted to random smooth chunks."""
    rng = np.random.default_rng(0)
    chunks = np.clip(rng.normal(0, 0.4, (400, 1, 6)) + np.linspace(0, 1, 16)[:, None] * rng.normal(0, 0.2, (400, 1, 6)), -1, 1)
    openfast.fit(chunks, folder / "openfast", scale=10, vocab_size=256)
    tokens, vocab_size = prompt_tokenizer.build(SENTENCES, 256)
    ids = prompt_tokenizer.special_ids(tokens)
    config = sizes.nano_config(ids, vocab_size, 256)
    low, high = np.array([-60.0, -80, -70, -60, -90, 0]), np.array([60.0, 80, 75, 90, 95, 100])
    side = {"q01": low.tolist(), "q99": high.tolist(), "mask": [True] * 6, "min": (low - 5).tolist(), "max": (high + 5).tolist()}
    network = checkpoint.seeded(MolmoAct2(config), seed=1, scale=0.15)
    checkpoint.write(folder, network, config, tokens, {"state_stats": side, "action_stats": side}, folder / "openfast")


def reference_processor(folder: Path):
    tokens = PreTrainedTokenizerFast.from_pretrained(str(folder))
    options = json.loads((folder / "processor_config.json").read_text())
    images = {k: v for k, v in options["image_processor"].items() if k != "image_processor_type"}
    flags = {k: v for k, v in options.items() if k.startswith(("use_", "image_use", "video_use"))}
    processor = MolmoAct2Processor.__new__(MolmoAct2Processor)
    # Built by hand: the mixin insists on a video processor, which robots do not use.
    processor.image_processor, processor.tokenizer = MolmoAct2ImageProcessor(**images), tokens
    processor.image_placeholder_token, processor.video_placeholder_token = "<|image|>", "<|video|>"
    for key, value in flags.items():
        setattr(processor, key, value)
    names = ["<im_patch>", "<im_col>", "<im_start>", "<low_res_im_start>", "<frame_start>", "<im_end>", "<frame_end>", "<im_low>"]
    processor.image_token_ids = [tokens.convert_tokens_to_ids(name) for name in names]

    def call(text, images, return_tensors):
        pixels = processor.image_processor(images, return_tensors="np")
        for grid in pixels["image_grids"]:
            text = text.replace("<|image|>", "".join(processor.get_image_tokens(grid)), 1)
        ids = np.array([tokens(text, add_special_tokens=False)["input_ids"]])
        ids, mask = processor.insert_bos(ids, np.ones_like(ids), tokens.bos_token_id, tokens.pad_token_id)
        kinds = np.isin(ids, processor.image_token_ids)
        out = {"input_ids": ids, "attention_mask": mask, "token_type_ids": kinds.astype(np.int64), **pixels}
        return {key: torch.as_tensor(np.asarray(value)) for key, value in out.items()}

    return call


def reference_model(folder: Path):
    config = MolmoAct2Config(**json.loads((folder / "config.json").read_text()))
    config._name_or_path = str(folder)
    for part in (config, config.text_config, config.vit_config, config.adapter_config):
        part._attn_implementation = "sdpa"
    model = reference.MolmoAct2ForConditionalGeneration(config).eval().float()
    state = load_file(str(folder / "model.safetensors"))
    missing, unexpected = model.load_state_dict(state, strict=False)
    if missing or unexpected:
        raise SystemExit(f"the reference misses {missing} and does not know {unexpected}")
    return model


class Report:
    def __init__(self):
        self.failed = False

    def close(self, name: str, ours, theirs, tolerance: float = TOLERANCE) -> None:
        ours, theirs = torch.as_tensor(ours).double(), torch.as_tensor(theirs).double()
        off = ((ours - theirs).abs().max() / theirs.abs().max().clamp_min(1e-6)).item()
        bad = ours.shape != theirs.shape or not off <= tolerance
        self.failed |= bad
        print(f"{'BAD' if bad else 'ok '} {name}: largest relative difference {off:.2e} (shape {tuple(theirs.shape)})")


@torch.no_grad()
def compare(folder: Path) -> bool:
    report = Report()
    model, processor = reference_model(folder), reference_processor(folder)
    policy = Policy(folder)
    fast = UniversalActionProcessor.from_pretrained_local(str(folder / "openfast"))
    rng = np.random.default_rng(7)
    stats = policy.stats
    for case, sentence in enumerate(SENTENCES):
        pictures = [rng.integers(0, 256, (240, 320, 3), dtype=np.uint8) for _ in range(2)]
        low, high = np.array(stats["state_stats"]["q01"]), np.array(stats["state_stats"]["q99"])
        state = (low + (high - low) * rng.uniform(-0.05, 1.05, 6)).astype(np.float32)
        normalised = prompt.normalise(state, stats["state_stats"])
        text = reference._build_robot_text(
            task=sentence,
            style="robot_action",
            discrete_state_string=reference._build_discrete_state_string(normalised, 256),
            setup_type=sizes.SETUP,
            control_mode=sizes.CONTROL,
            add_setup_tokens=True,
            add_control_tokens=True,
            num_images=2,
        )
        theirs = processor(text, pictures, "pt")
        ours = np.concatenate([policy.prompts.prefix, policy.prompts.filled(sentence, normalised)])
        report.close(f"{case} prompt ids", ours, theirs["input_ids"][0], 0.0)
        pixels = torch.round((theirs["pixel_values"] + 1) / 2 * 255).to(torch.uint8)
        small = [pixels_to_picture(p) for p in pixels]
        patches = torch.as_tensor(patches_of(np.stack(small)[None]))
        report.close(f"{case} patches", patches[0], pixels.reshape(2, -1, pixels.shape[-1]), 0.0)

        # Teacher-forced: prompt, then a chunk's action tokens; logits everywhere after the pictures.
        chunk = np.clip(np.cumsum(rng.normal(0, 0.05, (16, 6)), 0), -1, 1)
        bins = fast(chunk)[0]
        report.close(f"{case} action tokens", policy.fast.encode(chunk[None])[0], bins, 0.0)
        decoded = fast.decode([bins], time_horizon=sizes.HORIZON, action_dim=sizes.DOF)
        report.close(f"{case} decoded action tokens", policy.fast.decode([bins], sizes.HORIZON, sizes.DOF), decoded, 1e-12)
        tokens = [policy.prompts.action_0 + t for t in bins]
        tail = np.array([policy.prompts.action_start, *tokens, policy.prompts.action_end, policy.prompts.eos])
        full = torch.cat([theirs["input_ids"], torch.as_tensor(tail)[None]], 1)
        kinds = torch.cat([theirs["token_type_ids"], torch.zeros(1, len(tail), dtype=torch.long)], 1)
        inputs = {k: v for k, v in theirs.items() if k not in ("input_ids", "attention_mask", "token_type_ids")}
        out = model(input_ids=full, token_type_ids=kinds, **inputs, use_cache=True)
        split = len(policy.prompts.prefix)
        suffix = full[:, split:]
        seen = policy.network.see(patches, torch.as_tensor(policy.prompts.prefix), suffix)
        report.close(f"{case} logits", policy.network.lm_head(seen.normed), out.logits[:, split:])

        # Velocities: the expert over the cached keys and values, with action tokens masked away.
        states = model.model._extract_kv_states(out.past_key_values)
        mask = model.model._get_encoder_attention_mask(full, None)
        noisy = torch.randn(1, 3, sizes.HORIZON, 32, generator=torch.Generator().manual_seed(case))
        noisy[..., 6:] = 0
        times = torch.tensor([[0.0, 0.37, 0.9]])
        expected = [
            model.model.action_expert(noisy[:, i], times[:, i], encoder_kv_states=states, encoder_attention_mask=mask)
            for i in range(3)
        ]
        length = torch.tensor([suffix.shape[1] - len(tail)])
        width = int(length)
        context = policy.network.model.action_expert.context(seen.layers, width)
        cross = policy.network.cross_mask(torch.as_tensor(policy.prompts.prefix), suffix, length, width)
        got = policy.network.model.action_expert(noisy, times, context, cross)
        report.close(f"{case} velocities", got, torch.stack(expected, 1))

        # The whole call, in robot units, from the same noise.
        generator = torch.Generator().manual_seed(100 + case)
        want = model.predict_action(
            processor=lambda text, images, return_tensors: processor(text, images, return_tensors),
            images=pictures, task=sentence, state=state, norm_tag=sizes.TAG, n_action_steps=sizes.HORIZON,
            inference_action_mode="continuous", generator=generator, enable_cuda_graph=False,
        ).actions
        noise = torch.randn(1, sizes.HORIZON, 32, generator=torch.Generator().manual_seed(100 + case))
        got = policy.act_continuous(np.stack(small)[None], state[None], [sentence], noise=noise)
        report.close(f"{case} chunk", got, want)
    return report.failed


def pixels_to_picture(patches: torch.Tensor) -> np.ndarray:
    """[patches, patch * patch * 3] back to an RGB picture."""
    grid, patch = sizes.GRID, sizes.PATCH
    return patches.view(grid, grid, patch, patch, 3).permute(0, 2, 1, 3, 4).reshape(grid * patch, grid * patch, 3).numpy()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--folder", type=Path)
    folder = parser.parse_args().folder
    with tempfile.TemporaryDirectory() as scratch:
        if folder is None:
            folder = Path(scratch)
            random_folder(folder)
        sys.exit(compare(folder))
