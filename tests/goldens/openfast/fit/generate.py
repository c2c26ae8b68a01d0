"""Goldens for `openfast::fit`, made by the reference Python.

Run from the repository root, in the environment that `tests/goldens/openfast/generate.py` names:

    OMP_NUM_THREADS=1 python tests/goldens/openfast/fit/generate.py

It takes about a minute and rewrites `cases.json` beside it: for every fit its settings, the files that
`UniversalActionProcessor.fit(...).save_pretrained(...)` wrote (as their length and FNV-1a hash), and enough of
the vocabulary to see where a difference begins. The chunks are made by integer arithmetic on both sides
(`sweep.py`, multiplied by a power of two), so they need no storage.

Every fit is done twice, in processes with different hash seeds, and must come out the same.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np

HERE = Path(__file__).parent

# horizon, dims, first chunk, chunks, gain, scale, vocab_size, declare
FITS = [
    (16, 6, 0, 300, 1.0, 10, 384, True),
    (16, 6, 5000, 300, 1.0, 10, 384, False),
    (30, 7, 100, 200, 1.0, 40, 1024, False),
    (50, 14, 9000, 60, 1.0, 10, 1024, True),
    (10, 7, 31, 500, 0.5, 20, 512, False),
    (1, 1, 0, 400, 1.0, 10, 64, False),
    (1, 6, 77, 250, 2.0, 25.5, 2048, False),
    (5, 3, 12, 1000, 0.25, 100, 2048, False),
    (8, 2, 3, 3, 1.0, 10, 256, False),
    (2, 32, 40, 150, 1.0, 10, 96, False),
    (15, 8, 1, 400, 4.0, 10, 1024, False),
    # As many coefficients apart as there are ids: the alphabet alone overflows the vocabulary.
    (12, 4, 600, 100, 1.0, 10, 0, False),
    # One chunk: no word occurs twice, few pairs do.
    (16, 6, 4242, 1, 1.0, 10, 1024, False),
]

sys.path.insert(0, str(HERE.parent))


def fnv1a(data):
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def one(index):
    from lerobot.policies.molmoact2.molmoact2_hf_model.action_tokenizer import UniversalActionProcessor
    from scipy.fft import dct

    from sweep import sweep_chunk

    horizon, dims, first, count, gain, scale, vocab_size, declare = FITS[index]
    chunks = [sweep_chunk(first + i, horizon, dims) * np.float32(gain) for i in range(count)]
    if vocab_size == 0:
        rounded = np.around(np.concatenate([dct(c, axis=0, norm="ortho").ravel() for c in chunks]) * scale)
        vocab_size = int(rounded.max()) - int(rounded.min())
    shape = dict(time_horizon=horizon, action_dim=dims) if declare else {}
    fitted = UniversalActionProcessor.fit(chunks, scale=scale, vocab_size=vocab_size, **shape)
    with tempfile.TemporaryDirectory() as folder:
        fitted.save_pretrained(folder)
        files = {path.name: path.read_bytes() for path in sorted(Path(folder).iterdir())}
    model = json.loads(files["tokenizer.json"])["model"]
    case = dict(horizon=horizon, dims=dims, first=first, chunks=count, gain=gain, scale=scale)
    case.update(vocab_size=vocab_size, declare=declare, min_token=fitted.min_token, ids=len(model["vocab"]))
    case.update(merges=len(model["merges"]), first_merges=model["merges"][:4], last_merges=model["merges"][-4:])
    case["files"] = {name: [len(content), fnv1a(content)] for name, content in files.items()}
    print(json.dumps(case), flush=True)


def main():
    cases = []
    for index in range(len(FITS)):
        runs = []
        for seed in ("0", "1"):
            command = [sys.executable, __file__, str(index)]
            env = {**__import__("os").environ, "PYTHONHASHSEED": seed}
            out = subprocess.run(command, env=env, check=True, stdout=subprocess.PIPE, text=True).stdout
            runs.append([line for line in out.splitlines() if line.startswith("{")][-1])
        if runs[0] != runs[1]:
            raise SystemExit(f"fit {index} is not reproducible:\n{runs[0]}\n{runs[1]}")
        cases.append(runs[0])
    (HERE / "cases.json").write_text("[\n" + ",\n".join(cases) + "\n]\n")
    print(f"{len(cases)} fits")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        one(int(sys.argv[1]))
    else:
        main()
