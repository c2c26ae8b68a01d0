"""A small tokenizer of Qwen's kind: bytes, some merges, the same normaliser, splitting and special tokens."""

import transformers
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

# In the order of their ids, which follow the others.
SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
]
SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
TEXT = [
    "<0.2 seconds><1.2 seconds> user assistant The above video shows a robot manipulation trajectory that completes "
    "the following task: open the drawer. Decide whether the above statement is True or not. The answer is: True False"
] * 4


def tokenizer():
    made = Tokenizer(models.BPE())
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    made.decoder = decoders.ByteLevel()
    made.train_from_iterator(
        TEXT, trainers.BpeTrainer(vocab_size=376, initial_alphabet=pre_tokenizers.ByteLevel.alphabet(), show_progress=False))
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    # transformers 4 asks for the class by name; that of transformers 5 would put its own splitting in.
    old = transformers.__version__.startswith("4.")
    kind = transformers.Qwen2TokenizerFast if old else transformers.PreTrainedTokenizerFast
    return kind(tokenizer_object=made, pad_token="<|endoftext|>", eos_token="<|im_end|>")
