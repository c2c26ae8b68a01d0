"""Trains the prompt tokenizer: a byte-level BPE of the Qwen2 kind over the sentences the robot is told.

Two things keep prompts short, which is what a small network pays for: every word of the corpus becomes one
token, and the pieces of the prompt that never change are single tokens too, because the splitting pattern
lists them before the general word rule. Any other text still splits into bytes, so every sentence encodes.
"""

from __future__ import annotations

import json
import re
from pathlib import Path

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, pre_tokenizers, trainers

from .config import CONTROL, SETUP

FIXED_PIECES = [
    "Image 1",
    "Image 2",
    "user\nThe task is to",
    ". The setup is ",
    SETUP,
    ". The current state of the robot is ",
    ". The expected control mode is ",
    CONTROL,
    ". Given these, what action should the robot take to complete the task?",
    "assistant\n",
]
WORD_RULE = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
NUM_STATE_TOKENS = 256
IMAGE_TOKENS = [
    "<im_start>", "<im_end>", "<im_patch>", "<im_col>", "<low_res_im_start>", "<|image|>", "<im_low>",
    "<frame_start>", "<frame_end>", "<|video|>",
]  # fmt: skip


def build(sentences: list[str], num_action_tokens: int) -> tuple[Tokenizer, int]:
    """A tokenizer over `sentences` and its `vocab_size` (the id of the first image token)."""
    pattern = "|".join([re.escape(p).replace("\\ ", " ").replace("\\\n", "\\n") for p in FIXED_PIECES] + [WORD_RULE])
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(pattern), behavior="isolated", invert=False),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=4096,
        min_frequency=1,
        show_progress=False,
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
    )
    corpus = [f" {sentence}" for sentence in sentences] + FIXED_PIECES
    tokenizer.train_from_iterator(corpus, trainer)

    specials = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    specials += ["<setup_start>", "<setup_end>", "<control_start>", "<control_end>", "<state_start>", "<state_end>"]
    specials += [f"<state_{i}>" for i in range(NUM_STATE_TOKENS)]
    specials += ["<action_output>", "<action_start>", "<action_end>"]
    specials += [f"<action_{i}>" for i in range(num_action_tokens)]
    filler = -(tokenizer.get_vocab_size() + len(specials)) % 16
    specials += [f"<extra_{i}>" for i in range(filler)]
    vocab_size = tokenizer.get_vocab_size() + len(specials)
    tokenizer.add_special_tokens(
        [AddedToken(token, normalized=False, special=True) for token in specials + IMAGE_TOKENS]
    )
    return tokenizer, vocab_size


def special_ids(tokenizer: Tokenizer) -> dict[str, int]:
    """Ids of every added token by name."""
    return {token.content: index for index, token in tokenizer.get_added_tokens_decoder().items()}


def save(tokenizer: Tokenizer, folder: Path) -> None:
    """Writes `tokenizer.json` and `tokenizer_config.json`."""
    tokenizer.save(str(folder / "tokenizer.json"))
    config = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "bos_token": "<|im_end|>",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "padding_side": "left",
        "clean_up_tokenization_spaces": False,
        "model_max_length": 512,
    }
    (folder / "tokenizer_config.json").write_text(json.dumps(config, indent=2) + "\n")
