"""Token ids of the published tokenizer for everything that a scorer writes around a video.

Usage: python generate_ids.py    (numpy, tokenizers 0.22, tiktoken, and dashscope, which carries the ranks)

The published `tokenizer.json` is not redistributed here. Its ranks are in the `dashscope` package; they are turned into
merges, and the ids below are what the tokenizers library and, independently, tiktoken make of the texts. Kept are the ids
and, for each, its text, from which a test can build a tokenizer that has no other words. Writes ids.json.
"""

import json
from pathlib import Path

import dashscope
import numpy as np
import tiktoken
from tiktoken.load import load_tiktoken_bpe
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers

SPLIT = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+"
    r"|\s+(?!\S)|\s+"
)
# In the order of their ids, from 151643 on.
SPECIAL = [
    "<|endoftext|>", "<|im_start|>", "<|im_end|>", "<|object_ref_start|>", "<|object_ref_end|>", "<|box_start|>",
    "<|box_end|>", "<|quad_start|>", "<|quad_end|>", "<|vision_start|>", "<|vision_end|>", "<|vision_pad|>",
    "<|image_pad|>", "<|video_pad|>",
]  # fmt: skip
CLAIM = "The above video shows a robot manipulation trajectory that completes the following task: "
DESCRIBED = (
    " Therefore given the above description and the video, the video shows a robot manipulation trajectory that"
    " **completes** the following instruction: "
)
QUESTION = " Decide whether the above statement is True or not. The answer is:"
ANSWER_TURN = "<|im_end|>\n<|im_start|>assistant\n"
INSTRUCTIONS = ["open the drawer", "Put the cup away.", "Öffne die Schublade, bitte 2×"]
FPS = [5.0, 15.0, 20.0, 30.0]


def letters():
    """Byte to the letter that stands for it in a vocabulary."""
    printable = [*range(33, 127), *range(161, 173), *range(174, 256)]
    table = {byte: chr(byte) for byte in printable}
    spare = 256
    for byte in range(256):
        if byte not in table:
            table[byte] = chr(spare)
            spare += 1
    return table


def build(ranks):
    table = letters()
    name = {token: "".join(table[byte] for byte in token) for token in ranks}
    merges = []
    for token, rank in ranks.items():
        for cut in range(1, len(token)):
            left, right = token[:cut], token[cut:]
            if left in ranks and right in ranks:
                merges.append((rank, ranks[left], ranks[right], (name[left], name[right])))
    merges.sort(key=lambda merge: merge[:3])
    made = Tokenizer(models.BPE(vocab={name[token]: rank for token, rank in ranks.items()}, merges=[merge[3] for merge in merges]))
    made.normalizer = normalizers.NFC()
    made.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(SPLIT), behavior="isolated"),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
    ])
    made.decoder = decoders.ByteLevel()
    made.add_special_tokens([AddedToken(token, special=True, normalized=False) for token in SPECIAL])
    return made


def schedule(frames, fps):
    """`QwenClient._aligned_video_indices`."""
    positions = np.arange(0.0, float(frames), max(fps / 2.0, 1.0), dtype=np.float64)
    indices = np.clip(np.round(positions).astype(int), 0, frames - 1)
    return list(dict.fromkeys(indices.tolist()))


def blocks(frames, fps):
    """The texts before each block of a video; transformers' `_calculate_timestamps`, merge size 2."""
    indices = schedule(frames, fps)
    indices += [indices[-1]] * (len(indices) % 2)
    seconds = [index / fps for index in indices]
    means = [(seconds[i] + seconds[i + 1]) / 2 for i in range(0, len(seconds), 2)]
    return [f"<{mean:.1f} seconds><|vision_start|>" for mean in means]


def main():
    ranks = load_tiktoken_bpe(str(Path(dashscope.__file__).parent / "resources/qwen.tiktoken"))
    words = build(ranks)
    other = tiktoken.Encoding(
        "qwen", pat_str=SPLIT, mergeable_ranks=ranks,
        special_tokens={token: len(ranks) + index for index, token in enumerate(SPECIAL)})
    used = {}

    def ids(text):
        found = words.encode(text, add_special_tokens=False).ids
        assert found == other.encode(text, allowed_special="all"), text
        for token in found:
            used[token] = words.id_to_token(token)
        return found

    cases = dict(header=ids("<|im_start|>user\n"), questions=[], blocks=[])
    for instruction in INSTRUCTIONS:
        question = f"{CLAIM}{instruction}{QUESTION}"
        description = "The arm lifts a cup."
        cases["questions"].append(dict(
            instruction=instruction,
            without=ids(f"{question} True"),
            without_false=ids(f"{question} False"),
            with_template=ids(f"{question}{ANSWER_TURN}True"),
            description=description,
            described=ids(f"{description}{DESCRIBED}{instruction}{QUESTION} True"),
        ))
    cases["describe"] = ids(f"Describe the robot manipulation trajectory in this video:{ANSWER_TURN}")
    for fps in FPS:
        frames = int(12.5 * fps)
        before = blocks(frames, fps)
        whole = "<|im_start|>user\n" + "".join(f"{text}<|video_pad|><|vision_end|>" for text in before)
        cases["blocks"].append(dict(fps=fps, frames=frames, ids=ids(whole)))
    cases["special"] = {token: len(ranks) + index for index, token in enumerate(SPECIAL)}
    cases["pieces"] = {str(token): text for token, text in sorted(used.items())}
    # The two published facts that everything hangs on.
    assert ids(" True") == [3007] and ids(" False") == [3557] and ids("True") == [2514]
    file = Path(__file__).parent / "ids.json"
    file.write_text(json.dumps(cases, ensure_ascii=False, separators=(",", ":")) + "\n")
    print(file.name, file.stat().st_size, "bytes,", len(used), "tokens used")
    print(cases["questions"][0]["without"])


if __name__ == "__main__":
    main()
