"""From collected frames and sentences to everything a run needs beside weights: tokenizers, statistics, config.

    python prepare.py --data DIR [DIR ...] --sentences sentences.json --out RUN

Writes RUN/start: a complete checkpoint folder with initial weights.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np
import torch

from nano import checkpoint, config as sizes, initial, openfast, prompt, tokenizer as prompt_tokenizer
from nano.data import Frames
from nano.network import MolmoAct2

JOINTS = ["shoulder_pan", "shoulder_lift", "elbow_flex", "wrist_flex", "wrist_roll", "gripper"]


def statistics(values: np.ndarray) -> dict:
    """The published keys, from `[n, joints]`."""
    quantile = {f"q{q:02d}": np.quantile(values, q / 100, axis=0) for q in (1, 10, 90, 99)}
    rest = {"min": values.min(0), "max": values.max(0), "mean": values.mean(0), "std": values.std(0)}
    numbers = {key: [round(float(v), 5) for v in value] for key, value in {**quantile, **rest}.items()}
    return {**numbers, "mask": [True] * values.shape[1], "names": JOINTS}


def coefficients(fast, count: int) -> np.ndarray:
    """Per action token the one coefficient it stands for, NaN where it stands for a run of them."""
    texts = [fast.bpe_tokenizer.decode([i]) for i in range(len(fast.bpe_tokenizer))]
    values = [ord(text) + fast.min_token if len(text) == 1 else np.nan for text in texts]
    return np.array(values + [np.nan] * (count - len(values)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--sentences", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--scale", type=float, default=10.0)
    parser.add_argument("--vocab", type=int, default=512)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()

    frames = Frames(options.data)
    chunks = frames.chunks.reshape(-1, sizes.HORIZON, sizes.DOF)
    stats = {"state_stats": statistics(frames.state), "action_stats": statistics(chunks.reshape(-1, sizes.DOF))}
    normalised = prompt.normalise(chunks, stats["action_stats"])
    rng = np.random.default_rng(options.seed)
    some = normalised[rng.permutation(len(normalised))[:8000]]
    fast = openfast.fit(some, options.out / "openfast", options.scale, options.vocab)
    lengths = np.array([len(t) for t in fast(some[:400])])
    back = fast.decode(fast(some[:400]), time_horizon=sizes.HORIZON, action_dim=sizes.DOF)
    off = np.abs(back - some[:400])
    print(f"openfast: {lengths.mean():.1f} tokens per chunk (95 %: {np.quantile(lengths, 0.95):.0f}), "
          f"min_token {fast.min_token}, alphabet {len(fast.bpe_tokenizer)}, "
          f"mean error {off.mean():.4f}, largest {off.max():.3f}")  # fmt: skip

    sentences = [w for task in json.loads(options.sentences.read_text()) for w in task["wordings"]]
    tokens, vocab_size = prompt_tokenizer.build(sentences, options.vocab)
    config = sizes.nano_config(prompt_tokenizer.special_ids(tokens), vocab_size, options.vocab)
    torch.manual_seed(options.seed)
    network = MolmoAct2(config)
    initial.initialise(network, config, coefficients(fast, options.vocab))
    checkpoint.write(options.out / "start", network, config, tokens, stats, options.out / "openfast")
    prompts = prompt.Prompts(tokens)
    tails = [len(prompts.suffix(s)[0]) for s in sentences]
    print(f"prompt: {len(prompts.prefix)} ids over the pictures, then {min(tails)} to {max(tails)}; vocabulary {vocab_size}")
    print(f"parameters: {sum(p.numel() for p in network.parameters()):,}")
    print("action q01", stats["action_stats"]["q01"], "q99", stats["action_stats"]["q99"])
    print("state  q01", stats["state_stats"]["q01"], "q99", stats["state_stats"]["q99"])


if __name__ == "__main__":
    main()
