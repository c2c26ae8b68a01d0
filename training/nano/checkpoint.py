"""Writes and reads a checkpoint folder in the published layout."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file

from . import config as sizes
from . import tokenizer as prompt_tokenizer
from .network import MolmoAct2


def write(folder: Path, network: MolmoAct2, config: dict, tokenizer, stats: dict, openfast: Path) -> None:
    """Writes every file but the model card. `stats` holds `state_stats` and `action_stats`; `openfast` is copied."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    tensors = {name: value.detach().float().contiguous().clone() for name, value in network.state_dict().items()}
    save_file(tensors, str(folder / "model.safetensors"), metadata={"format": "pt"})
    prompt_tokenizer.save(tokenizer, folder)
    entry = {
        "action_key": "action",
        "state_keys": ["observation.state"],
        "camera_keys": ["observation.images.overview", "observation.images.wrist"],
        "normalize_gripper": True,
        "action_dim": config["max_action_dim"],
        "action_horizon": sizes.HORIZON,
        "n_action_steps": sizes.STEPS_TO_RUN,
        "setup_type": sizes.SETUP,
        "control_mode": sizes.CONTROL,
        **stats,
    }
    payload = {
        "format": "molmoact2_norm_stats.v1",
        "norm_mode": "q01_q99",
        "metadata_by_tag": {sizes.TAG: entry},
    }
    (folder / "norm_stats.json").write_text(json.dumps(payload, indent=2) + "\n")
    size = {"height": sizes.IMAGE_SIZE, "width": sizes.IMAGE_SIZE}
    image_processor = {
        "image_processor_type": "MolmoAct2ImageProcessor",
        "crop_mode": "resize",
        "size": size,
        "patch_size": sizes.PATCH,
        "pooling_size": [2, 2],
        "resample": 2,
        "image_mean": [0.5, 0.5, 0.5],
        "image_std": [0.5, 0.5, 0.5],
        "do_convert_rgb": True,
        "max_crops": 8,
        "overlap_margins": [4, 4],
    }
    processor = {
        "processor_class": "MolmoAct2Processor",
        "image_use_col_tokens": True,
        "use_single_crop_col_tokens": False,
        "use_single_crop_start_token": True,
        "use_frame_special_tokens": True,
        "video_use_col_tokens": False,
        "image_processor": image_processor,
        "video_processor": {},
    }
    (folder / "processor_config.json").write_text(json.dumps(processor, indent=2) + "\n")
    ids = {key: config[key] for key in ("bos_token_id", "eos_token_id", "pad_token_id")}
    (folder / "generation_config.json").write_text(json.dumps(ids, indent=2) + "\n")
    if (folder / "openfast").resolve() != openfast.resolve():
        (folder / "openfast").mkdir(exist_ok=True)
        for name in ("tokenizer.json", "tokenizer_config.json", "processor_config.json"):
            shutil.copy(openfast / name, folder / "openfast" / name)


def read(folder: Path) -> MolmoAct2:
    """The network of a folder, with its weights."""
    network = MolmoAct2(json.loads((folder / "config.json").read_text()))
    network.load_state_dict(load_file(str(folder / "model.safetensors")))
    return network.eval()


def seeded(network: MolmoAct2, seed: int, scale: float) -> MolmoAct2:
    """Overwrites every parameter with random values, so that a comparison cannot pass on zeros."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.named_parameters():
            noise = torch.randn(value.shape, generator=generator)
            norm = name.endswith("norm.weight") or name.endswith("ln_f.weight")
            value.copy_(1.0 + 0.1 * noise if norm else scale * noise)
    return network
