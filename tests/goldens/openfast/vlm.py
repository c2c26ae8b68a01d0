"""From robot units to the VLM's ids: normalise, encode, name the tokens, in the reference's order."""

import json
import re
from types import SimpleNamespace

import numpy as np
import torch
from lerobot.configs import FeatureType, NormalizationMode, PolicyFeature
from lerobot.policies.molmoact2 import processor_molmoact2 as steps
from lerobot.policies.molmoact2.molmoact2_hf_model import modeling_molmoact2 as model
from lerobot.processor.tokenizer_processor import ActionTokenizerProcessorStep
from lerobot.utils.constants import ACTION
from transformers import PreTrainedTokenizerFast

from reference import HERE, Processor, store, walk

CHECKPOINTS = HERE.parent / "molmoact2"

# Horizon, dimensions and which of them pass unnormalised: the embodiments that the released checkpoints name.
EMBODIMENTS = {
    "so101": (30, 6, [5]),
    "libero": (10, 7, [6]),
    "droid": (15, 8, [7]),
    "bimanual_yam": (30, 14, [6, 13]),
    "bridge": (5, 7, []),
    "fractal": (3, 7, [6]),
}
PADDED = 32


def normalised(raw, stats):
    """LeRobot's two steps in front of the encoder. The model's own normaliser must agree to the last bit."""
    features = {ACTION: PolicyFeature(FeatureType.ACTION, (raw.shape[1],))}
    modes = {FeatureType.ACTION: NormalizationMode.QUANTILES}
    step = steps.MolmoAct2MaskedNormalizerProcessorStep(features=features, norm_map=modes, stats={ACTION: stats})
    clamp = steps.MolmoAct2ClampNormalizedProcessorStep(normalization_masks={ACTION: stats["mask"]})
    out = clamp({"action": step._normalize_action(torch.from_numpy(raw), inverse=False)})["action"].numpy()
    own = model._FeatureNormalizer.from_stats(stats, "q01_q99").normalize(raw)
    assert out.dtype == own.dtype == np.float32
    assert (out.view(np.uint32) == own.view(np.uint32)).all()
    return out


def embodiments(tokenizers):
    rng = np.random.default_rng(31)
    cases = []
    for tag, (horizon, dims, passing) in EMBODIMENTS.items():
        low = rng.uniform(-120, 20, dims).astype(np.float32)
        high = (low + rng.uniform(0.05, 150, dims)).astype(np.float32)
        mask = [index not in passing for index in range(dims)]
        stats = dict(q01=low.tolist(), q99=high.tolist(), mask=mask)
        wander = 1.2 * walk(rng, horizon, dims, 0.5)  # 10 % beyond the quantiles: clipped
        raw = np.where(mask, low + (wander + 1) / 2 * (high - low), np.clip(wander, -1, 1)).astype(np.float32)
        chunk = normalised(raw, stats)
        padded = np.zeros((horizon, PADDED), np.float32)
        padded[:, :dims] = chunk
        for name in ("molmoact2", "fast_plus"):
            encode = tokenizers[name]
            ids = steps._tokenize_discrete_action(chunk, encode)
            assert ids == encode(chunk)[0]
            row = dict(tag=tag, tokenizer=name, horizon=horizon, dims=dims, stats=stats)
            row.update(raw=store(raw), normalised=store(chunk), ids=ids, padded_dims=PADDED)
            row["padded_ids"] = steps._tokenize_discrete_action(padded, encode)
            cases.append(row)
    return cases


def mappings():
    """What the VLM's tokenizer makes of the reference's answer text, and what the reference reads back."""
    rng = np.random.default_rng(37)
    out = []
    for folder in sorted(path for path in CHECKPOINTS.iterdir() if (path / "checkpoint/openfast").is_dir()):
        checkpoint = folder / "checkpoint"
        config = json.loads((checkpoint / "config.json").read_text())
        tokenizer = PreTrainedTokenizerFast(tokenizer_file=str(checkpoint / "tokenizer.json"))
        fast = Processor.from_pretrained_local(str(checkpoint / "openfast"))
        start, end, first = (
            config[key] for key in ("action_start_token_id", "action_end_token_id", "action_token_start_id")
        )
        assert steps._single_token_id(tokenizer, "<action_start>") == start
        assert steps._single_token_id(tokenizer, "<action_end>") == end
        bins = {first + k: k for k in range(config["num_action_tokens"])}
        chunks, answers = [], []
        for _ in range(6):
            chunk = walk(rng, 4, 5, 0.5)
            text = steps._build_discrete_action_string(chunk, fast)
            ids = [int(k) for k in re.findall(r"<action_(\d+)>", text)]
            vlm = tokenizer.encode(text, add_special_tokens=False)
            assert model._extract_discrete_token_bins(vlm, start, end, bins) == ids
            chunks.append(dict(ids=ids, vlm=vlm))
        good = chunks[0]["vlm"]
        eos = config["eos_token_id"]
        # What else may come out of a model. The reference skips what it does not know.
        spans = [
            good[1:-1], good[1:], good[:-1], good + [eos], [eos, 0, *good], [*good[:3], 0, *good[3:]], good + good,
            [], [start, end], [end, start], [first - 1], [first + config["num_action_tokens"]], [start, start, first, end],
        ]  # fmt: skip
        for vlm in spans:
            answers.append(dict(vlm=vlm, ids=model._extract_discrete_token_bins(vlm, start, end, bins)))
        out.append(dict(checkpoint=folder.name, count=config["num_action_tokens"], first=first, start=start, end=end,
                        chunks=chunks, answers=answers))  # fmt: skip
    return out


def pi0_fast():
    """π0-FAST counts down from the end of its text tokenizer: LeRobot's own line, on a text tokenizer at hand."""
    rows = []
    for skip in (0, 128):
        path = CHECKPOINTS / "one_camera/checkpoint/tokenizer.json"
        text = PreTrainedTokenizerFast(tokenizer_file=str(path))
        step = SimpleNamespace(_paligemma_tokenizer=text, fast_skip_tokens=skip)
        ids = [0, 1, 7, 200]
        vlm = ActionTokenizerProcessorStep._act_tokens_to_paligemma_tokens(step, torch.tensor(ids)).tolist()
        rows.append(dict(checkpoint="one_camera", fast_skip_tokens=skip, ids=ids, vlm=vlm))
    return rows
