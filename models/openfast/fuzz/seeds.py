"""Writes the seeds of the `load` target: golden files and small ones by hand, a zero byte between the two files.

    python models/openfast/fuzz/seeds.py
"""

import json
from pathlib import Path

HERE = Path(__file__).parent
GOLDENS = HERE.parents[2] / "tests/goldens/openfast"
OUT = HERE / "corpus/load"


def write(name, file, config):
    text = json.dumps(file, ensure_ascii=False, separators=(",", ":"))
    (OUT / name).write_bytes(text.encode() + b"\0" + json.dumps(config).encode())


def small(tokens, merges, **model):
    level = dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True)
    vocab = {token: index for index, token in enumerate(tokens)}
    return dict(
        version="1.0", truncation=None, padding=None, added_tokens=[], normalizer=None, pre_tokenizer=level,
        post_processor=level, decoder=level, model=dict(type="BPE", vocab=vocab, merges=merges, **model),
    )  # fmt: skip


def main():
    OUT.mkdir(parents=True, exist_ok=True)
    golden = GOLDENS / "holes"
    config = json.loads((golden / "processor_config.json").read_text())
    file = json.loads((golden / "tokenizer.json").read_text())
    write("holes", file, config)
    config = dict(scale=10, min_token=-48)
    write("digits", small(list("0123456789") + ["77", "777"], [["7", "7"], ["77", "7"]]), config)
    write("old_merges", small(["7", "8", "78"], ["7 8"], ignore_merges=True), config | dict(time_horizon=5, action_dim=4))
    write("raw_control", small(["\x01", "7", "\u0101", "\u0120"], []), config)
    write("two_bytes", small(["\u00c3", "\u00e2", "\u00a9", "7", "7\u00c3"], [["7", "\u00c3"]]), config)
    added = small(["7", "8"], [])
    added["added_tokens"] = [dict(id=1, content="8", single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)]
    write("added", added, config)


if __name__ == "__main__":
    main()
