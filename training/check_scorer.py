"""Holds the scorer's training network against the reference class, on a checkpoint folder.

Every question about every prefix of a few clips is put to transformers as a prompt of its own, read from its beginning
with the positions that transformers computes; our network reads each clip once for all of them. Prints the largest
difference of a log-probability over the whole vocabulary, and of ` True`; exits 1 if it is off.

    python check_scorer.py --folder ../models/nano/qwen3vl --data ../data/e1 --sentences ../data/sentences.json
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer
from transformers import AutoTokenizer, Qwen3VLForConditionalGeneration

from scorer.clips import Clips, Maker, Questions
from scorer.config import PATCH, PATCHES, SIDE, Sizes
from scorer.episodes import Episodes, tasks_of
from scorer.network import Scorer

# Both compute in float32, in another order.
TOLERANCE = 2e-4


def ours(folder: Path) -> Scorer:
    """The training network with the folder's weights."""
    state = {name.removeprefix("model."): value.float() for name, value in load_file(folder / "model.safetensors").items()}
    layers = json.loads((folder / "config.json").read_text())["text_config"]["num_hidden_layers"]
    network = Scorer(Sizes(vocab=state["language_model.embed_tokens.weight"].shape[0], layers=layers))
    network.load_state_dict(state)
    return network.eval()


def prompt(clips: Clips, asked: Questions, clip: int, point: int, question: int) -> list[int]:
    """Ids of one question about the first `point + 1` blocks of a clip."""
    last = int(asked.last[clip * clips.blocks + point, question]) % asked.ids.shape[2]
    video = clips.ids[clip, : clips.ends[clip, point]].tolist()
    return video + asked.head_ids.tolist() + asked.ids[clip, question, : last + 1].tolist()


def pixels(clips: Clips, clip: int, points: int) -> torch.Tensor:
    """`[patches, 3 * 2 * PATCH * PATCH]`: two frames of a patch lie together, colour by colour."""
    rows = slice(clip * clips.blocks, clip * clips.blocks + points)
    pair = [frame[rows].reshape(-1, 3, PATCH * PATCH) for frame in (clips.first, clips.second)]
    return torch.stack(pair, 2).reshape(points * PATCHES, -1)


@torch.no_grad()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--data", type=Path, nargs="+", required=True, help="folders of `training episodes`")
    parser.add_argument("--sentences", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    reference = Qwen3VLForConditionalGeneration.from_pretrained(options.folder, dtype=torch.float32).eval()
    network = ours(options.folder)
    words = Tokenizer.from_file(str(options.folder / "tokenizer.json"))
    theirs = AutoTokenizer.from_pretrained(options.folder)
    text = "<|im_start|>user\n<0.2 seconds><|vision_start|><|video_pad|><|vision_end|>The above video True"
    assert words.encode(text).ids == theirs.encode(text, add_special_tokens=False), "the tokenizer reads otherwise there"
    yes = words.encode(" True").ids[0]
    maker = Maker(Episodes(options.data), tasks_of(options.sentences), words, options.seed)
    grid = SIDE // PATCH
    worst = worst_true = 0.0
    asked = 0
    for blocks in (1, 2, 3):
        clips = maker.clips(2, blocks)
        asked_of = maker.ask(clips, 2)
        found, _ = network(network.watch(clips), asked_of)
        for clip in range(2):
            for point in range(blocks):
                for question in range(2):
                    ids = torch.tensor([prompt(clips, asked_of, clip, point, question)])
                    logits = reference(
                        input_ids=ids,
                        attention_mask=torch.ones_like(ids),
                        pixel_values_videos=pixels(clips, clip, point + 1),
                        video_grid_thw=torch.tensor([[point + 1, grid, grid]]),
                        mm_token_type_ids=2 * (ids == maker.pad).int(),
                    ).logits[0, -1]
                    off = (logits.float().log_softmax(-1) - found[clip, point, question]).abs()
                    worst, worst_true = max(worst, float(off.max())), max(worst_true, float(off[yes]))
                    asked += 1
    print(f"{asked} questions: ln p off by {worst:.2e} at most over the vocabulary, that of ' True' by {worst_true:.2e}")
    sys.exit(worst > TOLERANCE)


if __name__ == "__main__":
    main()
