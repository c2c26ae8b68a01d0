"""The nano scorer's tokenizer: of Qwen's kind, with the words of the prompts as single tokens."""

from __future__ import annotations

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from .config import SPECIAL

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
TURN = "<|im_start|>user\n"
HEAD = "The above video shows a robot manipulation trajectory that completes the following task:"
QUESTION = " Decide whether the above statement is True or not. The answer is:"
OTHERS = (
    "True\nFalse\nuser\n assistant\n system\n True False True. False. Yes No yes no <0.2 seconds> Describe the robot manipulation "
    "trajectory in this video: Therefore given the above description and the video, the video shows a robot manipulation "
    "trajectory that **completes** the following instruction: It is not the case that Do not do not never nothing "
)


def train(sentences: list[str]) -> Tokenizer:
    """Fits it to the prompts around every sentence."""
    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    made.decoder = decoders.ByteLevel()
    capital = [s[:1].upper() + s[1:] for s in sentences]
    texts = [OTHERS] * 50 + [f"{HEAD} {s}{QUESTION} True" for s in sentences + capital]
    trainer = trainers.BpeTrainer(
        vocab_size=900, min_frequency=2, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False
    )
    made.train_from_iterator(texts, trainer)
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    for word in (" True", " False", "True", "False"):
        assert len(made.encode(word).ids) == 1, word
    return made
