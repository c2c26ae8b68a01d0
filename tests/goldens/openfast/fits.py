"""The tokenizers of the goldens: all fitted by the reference, saved in every layout that FAST tokenizers come in.

Published files cannot be redistributed here, so the layouts are reproduced: the files are fitted to data of the
published range and written in the published form, and what is known of the originals is checked as it is written.
"""

import json
import shutil
import sys
from types import SimpleNamespace

import numpy as np
from scipy.fft import dct, idct
from transformers import PreTrainedTokenizerFast
from transformers.processing_utils import ProcessorMixin

from reference import HERE, Processor, walk

AUTO_MAP = {"AutoProcessor": "processing_action_tokenizer.UniversalActionProcessor"}


def fresh(name):
    folder = HERE / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    return folder


def fit(name, seed, count, horizon, dims, amplitude, scale, vocab_size, declare_shape):
    """`fit` and `save_pretrained`, nothing else."""
    rng = np.random.default_rng(seed)
    chunks = [walk(rng, horizon, dims, amplitude) for _ in range(count)]
    shape = dict(time_horizon=horizon, action_dim=dims) if declare_shape else {}
    fitted = Processor.fit(chunks, scale=scale, vocab_size=vocab_size, **shape)
    folder = fresh(name)
    fitted.save_pretrained(folder)
    # What the tests use is what was saved, not what is in memory.
    return Processor.from_pretrained_local(str(folder))


def fast_plus(name):
    """Physical Intelligence's FAST and FAST+: scale 10, min_token -354, 2048 ids, for any robot.

    Written as `tokenizers` before 0.20 wrote: merges as "a b", no `ignore_merges`; beside it what transformers 4
    wrote and `auto_map`.
    """
    rng = np.random.default_rng(4)
    chunks = []
    for horizon, dims in [(50, 14), (15, 8), (10, 7), (5, 7), (20, 6), (50, 32)]:
        for _ in range(120 if dims < 32 else 20):
            # Standard scores rather than quantiles: they leave -1..=1.
            chunks.append((walk(rng, horizon, dims, 0.8) * rng.uniform(0.5, 4)).astype(np.float32))
    for extreme in (-354, 311):
        coefficients = np.zeros((50, 14))
        coefficients[0, 0] = extreme
        chunks.append(idct(coefficients / 10, axis=0, norm="ortho").astype(np.float32))
    fitted = Processor.fit(chunks, scale=10, vocab_size=2048)
    assert fitted.min_token == -354 and len(fitted.tokenizer) == 2048

    file = json.loads(fitted.tokenizer.backend_tokenizer.to_str())
    merges = file["model"]["merges"]
    # Spaces are written as another symbol, so none can stand in a merge.
    assert not any(" " in part for pair in merges for part in pair)
    file["model"]["merges"] = [" ".join(pair) for pair in merges]
    del file["model"]["ignore_merges"]
    assert file["post_processor"]["type"] == "ByteLevel"
    folder = fresh(name)
    config = dict(
        action_dim=None, auto_map=AUTO_MAP, min_token=-354, processor_class="UniversalActionProcessor",
        scale=10, time_horizon=None, vocab_size=2048,
    )  # fmt: skip
    tokenizer_config = dict(
        added_tokens_decoder={}, auto_map=AUTO_MAP, clean_up_tokenization_spaces=False, extra_special_tokens={},
        model_max_length=1000000000000000019884624838656, processor_class="UniversalActionProcessor",
        tokenizer_class="PreTrainedTokenizerFast",
    )  # fmt: skip
    # Characters above 127 unescaped, as `tokenizers` writes them.
    (folder / "tokenizer.json").write_text(json.dumps(file, indent=2, ensure_ascii=False))
    (folder / "processor_config.json").write_text(json.dumps(config, indent=2) + "\n")
    (folder / "special_tokens_map.json").write_text("{}\n")
    (folder / "tokenizer_config.json").write_text(json.dumps(tokenizer_config, indent=2) + "\n")
    return Processor.from_pretrained_local(str(folder))


class PublishedProcessor(Processor):
    """The class that is published beside FAST+ calls its tokenizer `bpe_tokenizer`; transformers 5 takes that from
    the signature and saves the tokenizer in a folder of that name."""

    def __init__(
        self, bpe_tokenizer, scale=10, vocab_size=1024, min_token=0, *, action_dim=None, time_horizon=None
    ):  # fmt: skip
        self.scale = scale
        self.vocab_size = vocab_size
        self.min_token = min_token
        self.time_horizon = self.called_time_horizon = time_horizon
        self.action_dim = self.called_action_dim = action_dim
        ProcessorMixin.__init__(self, bpe_tokenizer)
        self.tokenizer = self.bpe_tokenizer


PublishedProcessor.__name__ = "UniversalActionProcessor"


def lerobot(name, published):
    """`lerobot-train-tokenizer`: LeRobot's own functions, on data that needs no download.

    With `published`, the processor class is the one that the trainer fetches; otherwise the reference's.
    """
    from lerobot.configs import NormalizationMode

    # Its data set reader is not used, and needs packages that nothing else here does.
    sys.modules.setdefault("lerobot.datasets", SimpleNamespace(LeRobotDataset=None))
    from lerobot.scripts import lerobot_train_tokenizer as trainer

    rng = np.random.default_rng(6)
    raw = np.stack([30 * walk(rng, 20, 8, 0.6) + 12 for _ in range(150)])
    flat = raw.reshape(-1, 8)
    stats = dict(q01=np.quantile(flat, 0.01, 0), q99=np.quantile(flat, 0.99, 0))
    chunks = trainer.apply_normalization(raw, stats, NormalizationMode.QUANTILES).astype(np.float32)

    processor_class = PublishedProcessor if published else Processor

    class Offline:
        from_pretrained = staticmethod(lambda *_, **__: processor_class)

    downloads, trainer.AutoProcessor = trainer.AutoProcessor, Offline
    fitted = trainer.train_fast_tokenizer(chunks, vocab_size=320, scale=10.0)
    trainer.AutoProcessor = downloads
    compression = trainer.compute_compression_stats(fitted, chunks)
    folder = fresh(name)
    fitted.save_pretrained(folder)
    metadata = dict(
        repo_id="example/arm", vocab_size=320, scale=10.0, encoded_dims="0:8", encoded_dim_ranges=[(0, 8)],
        total_encoded_dims=8, relative_dims=None, relative_dim_list=None, use_relative_transform=False,
        state_key="observation.state", normalization_mode="QUANTILES", action_horizon=20,
        num_training_chunks=len(chunks), compression_stats=compression,
    )  # fmt: skip
    (folder / "metadata.json").write_text(json.dumps(metadata, indent=2))
    if not published:
        return Processor.from_pretrained_local(str(folder))
    assert not (folder / "tokenizer.json").exists()
    config = json.loads((folder / "processor_config.json").read_text())
    tokenizer = PreTrainedTokenizerFast.from_pretrained(str(folder / "bpe_tokenizer"))
    keys = ("scale", "vocab_size", "min_token", "action_dim", "time_horizon")
    return PublishedProcessor(tokenizer, **{key: config[key] for key in keys})


def molmoact2(name):
    """The released MolmoAct2 tokenizer's facts: 1005 ids where 2048 are declared, min_token -55, raw alphabet
    0..=121, and seven control characters without a symbol, so that seven coefficients cannot be written."""
    holes = [3, 9, 12, 14, 19, 22, 27]
    forbidden = np.asarray(holes) - 55
    rng = np.random.default_rng(5)
    chunks = []
    for _ in range(700):
        horizon, dims = [(30, 6), (30, 14), (15, 8), (10, 7), (5, 7), (3, 7)][int(rng.integers(6))]
        coefficients = np.around(dct(walk(rng, horizon, dims, 0.6), axis=0, norm="ortho") * 10)
        coefficients = np.clip(coefficients, -55, 66)
        # One to the right of each hole there is none.
        coefficients[np.isin(coefficients, forbidden)] += 1
        chunks.append(coefficients)
    # Every other character below 33 occurs, and both ends of the range.
    others = [c - 55 for c in range(33) if c not in holes] + [66]
    extra = np.zeros((30, 14))
    extra.flat[: len(others)] = others
    chunks += [extra, extra]
    actions = [idct(c / 10, axis=0, norm="ortho").astype(np.float32) for c in chunks]
    # BPE picks merges one by one, so asking for fewer ids cuts the same list short.
    fitted = Processor.fit(actions, scale=10, vocab_size=1005)
    fitted.vocab_size = 2048

    vocabulary = fitted.tokenizer.get_vocab()
    by_id = {index: token for token, index in vocabulary.items()}
    assert fitted.min_token == -55 and len(vocabulary) == 1005
    assert [by_id[index] for index in range(122)] == [chr(c) for c in range(122)]
    assert all(0x100 <= ord(by_id[index]) <= 0x120 for index in range(122, 148)), "26 symbols"
    assert len(by_id[148]) == 2 and by_id[148] == "77"
    for c in range(122):
        ids = fitted.tokenizer(chr(c))["input_ids"]
        assert (ids == []) == (c in holes), c
    folder = fresh(name)
    fitted.save_pretrained(folder)
    return Processor.from_pretrained_local(str(folder))


def all_tokenizers():
    return {
        # The nano policy's shape; every char is one byte.
        "nano": fit("nano", 1, 400, 16, 6, 0.6, 10, 384, True),
        # A fine scale: coefficients reach past char 127, so UTF-8 takes two bytes and BPE may split them.
        "fine": fit("fine", 2, 300, 30, 7, 0.6, 40, 1024, False),
        # Few chunks with a wide spread: control chars that never occurred are holes in the vocabulary.
        "holes": fit("holes", 3, 12, 10, 7, 1.5, 20, 512, False),
        # The smallest and the largest scale and vocabulary, and a scale that is no whole number.
        "one": fit("one", 7, 200, 50, 14, 0.6, 1, 256, False),
        "four": fit("four", 8, 200, 30, 14, 0.6, 4, 384, True),
        "fraction": fit("fraction", 9, 200, 15, 7, 0.6, 7.3, 512, True),
        "twenty_five": fit("twenty_five", 10, 200, 15, 7, 0.6, 25, 1024, False),
        "hundred": fit("hundred", 11, 150, 50, 14, 0.6, 100, 2048, False),
        # Layouts.
        "fast_plus": fast_plus("fast_plus"),
        "lerobot": lerobot("lerobot", published=False),
        "lerobot_subfolder": lerobot("lerobot_subfolder", published=True),
        "molmoact2": molmoact2("molmoact2"),
    }
