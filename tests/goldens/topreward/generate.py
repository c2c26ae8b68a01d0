"""Goldens for models/topreward: what the reference code computes, over many random and degenerate inputs.

    python tests/goldens/topreward/generate.py --reference CHECKOUT

CHECKOUT is a checkout of the TOPReward repository (head of April 2026, commit b90490c). Beside it: numpy 2.2.6,
scipy, torch and lerobot 0.6.1. Modules of theirs that only read data sets or run networks are not needed and
stand empty while the arithmetic is imported. Writes cases.json beside this file; everything is seeded.
"""

import argparse
import importlib.abc
import importlib.machinery
import json
import math
import sys
import types
from pathlib import Path

import numpy as np
from scipy.stats import rankdata, spearmanr

EMPTY = (
    "google", "loguru", "omegaconf", "hydra", "qwen_vl_utils", "dotenv", "pyarrow", "datasets", "transformers",
    "lerobot.datasets", "lerobot.lerobot_types", "lerobot.rewards.topreward.configuration_topreward",
    "lerobot.rewards.topreward.modeling_topreward", "lerobot.rewards.topreward.processor_topreward",
)  # fmt: skip


class Anything(types.ModuleType):
    """A module whose every name is a class of that name; a subclassed one does nothing."""

    def __getattr__(self, name):
        if name.startswith("__"):
            raise AttributeError(name)
        made = type(name, (), {"__getattr__": lambda self, _: lambda *a, **k: None})
        value = made() if name[0].islower() else made
        setattr(self, name, value)
        return value


class Empty(importlib.abc.MetaPathFinder, importlib.abc.Loader):
    def find_spec(self, name, path=None, target=None):
        wanted = any(name == empty or name.startswith(empty + ".") for empty in EMPTY)
        return importlib.machinery.ModuleSpec(name, self, is_package=True) if wanted else None

    def create_module(self, spec):
        return Anything(spec.name)

    def exec_module(self, module):
        pass


def package_without_init(name):
    """The package `name`, its `__init__` not run: it would import what is not needed here."""
    spec = importlib.machinery.PathFinder.find_spec(name.split(".")[0])
    base = Path(list(spec.submodule_search_locations)[0])
    module = types.ModuleType(name)
    module.__path__ = [str(base.joinpath(*name.split(".")[1:]))]
    sys.modules[name] = module


def plain(value):
    """JSON has no NaN: null. Numbers of NumPy become Python's."""
    if isinstance(value, dict):
        return {key: plain(entry) for key, entry in value.items()}
    if isinstance(value, (list, tuple, np.ndarray)):
        return [plain(entry) for entry in value]
    if isinstance(value, (bool, np.bool_)):
        return bool(value)
    if isinstance(value, np.integer):
        return int(value)
    if isinstance(value, (float, np.floating)):
        return None if math.isnan(value) else float(value)
    return value


def series(rng):
    """Random and degenerate series of raw log-probabilities."""
    yield from ([-1.5], [-2.0, -2.0], [-2.0, -1.0], [0.0, 0.0, 0.0], [-18.75, -6.375, -6.375, -18.75])
    yield [-1.0, -1.0 - 1e-7, -1.0]  # not equal, and constant to the reference once it is not normalised
    yield [0.0, 1e-9, 0.0]
    for length in (2, 3, 5, 15, 15, 15, 60, 257):
        base = -20.0 + 18.0 * np.sort(rng.random(length)) + rng.normal(0, 1.0, length)
        yield base.tolist()
        yield (np.round(base * 8) / 8).tolist()  # ties, as bfloat16 makes them
        yield (np.round(base / 8) * 8).tolist()
        yield rng.permutation(base).tolist()
        yield base.astype(np.float32).tolist()
    yield [-3.0] * 15
    yield [-3.0] * 14 + [-2.0]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--reference", required=True, type=Path)
    args = parser.parse_args()
    sys.meta_path.insert(0, Empty())
    sys.path.insert(0, str(args.reference))

    for name in ("lerobot", "lerobot.rewards", "lerobot.rewards.topreward", "lerobot.rewards.sarm"):
        package_without_init(name)
    from lerobot.rewards.sarm.rabc import RABCWeights
    from lerobot.rewards.topreward import compute_rabc_weights as lerobot_progress

    from topreward.clients.base import BaseModelClient
    from topreward.clients.qwen import QwenClient
    from topreward.data_loaders.base import BaseDataLoader
    from topreward.mapper.regex_mapper import RegexMapper
    from topreward.metrics.voc import value_order_correlation
    from topreward.results.prediction import InstructionRewardRecord
    from topreward.scripts.annotate_values import compute_values, impute_rewards
    from topreward.utils.errors import PercentagesNormalizationError

    rng = np.random.default_rng(20261124)
    cases = {}

    # Which frames, which prefixes.
    cases["aligned"] = [
        {"frames": frames, "fps": fps, "indices": QwenClient._aligned_video_indices(frames, fps)}
        for fps in (1.0, 2.0, 3.0, 5.0, 7.5, 10.0, 14.985, 15.0, 20.0, 24.0, 25.0, 29.97, 30.0, 60.0, 0.5)
        for frames in (1, 2, 3, 8, 14, 15, 16, 31, 100, 257, 984)
    ]
    cases["legacy"] = [legacy(frames) for frames in (1, 2, 3, 4, 5, 23, 24, 47, 48, 49, 50, 97, 200, 984, 12001)]
    cases["prefixes"] = [
        {"frames": frames, "count": count, "topreward": reference_prefixes(frames, count), "lerobot": lerobot_prefixes(frames, count)}
        for frames in (1, 2, 3, 4, 7, 14, 15, 16, 17, 31, 100, 256, 984)
        for count in (0, 1, 2, 3, 5, 15, 60)
    ]  # fmt: skip
    cases["seconds"] = [
        {"fps": fps, "indices": indices, "seconds": block_seconds(indices, fps)}
        for fps, indices in ((5.0, [0, 2, 5, 8, 10, 12]), (30.0, [0, 15, 30]), (20.0, [7]), (29.97, [0, 15, 30, 45]))
    ]

    # Curves and ranks.
    cases["curves"] = []
    for values in series(rng):
        normalised = QwenClient.normalize_rewards(values)
        again = lerobot_progress.normalize_rewards(values)
        frames = len(values) + int(rng.integers(0, 40))
        lengths = np.unique(np.linspace(1, frames, len(values)).round().astype(np.int64))
        order = np.arange(len(values))
        labels = [round(100 * index / max(len(values) - 1, 1)) for index in range(len(values))]
        other = rng.permutation(np.asarray(values)) + rng.normal(0, 1e-3, len(values))
        cases["curves"].append(
            {
                "log_probs": values,
                "progress": normalised,
                "progress_f32": again,
                "ranks": rankdata(values),
                "voc": value_order_correlation(normalised, order),
                "voc_raw": value_order_correlation(values, order),
                "voc_against_labels": value_order_correlation(normalised, labels),
                "other": other,
                "spearman": value_order_correlation(values, other),
                "scipy": scipy_spearman(values, other),
                "success_score": float(np.mean(values[-3:])),
                "frames": frames,
                "prefix_lengths": lengths,
                # What LeRobot does after scoring, in its own words: np.interp of the normalised values.
                "every_frame": np.interp(
                    np.arange(1, frames + 1, dtype=np.float64),
                    lengths.astype(np.float64),
                    again.astype(np.float64),
                ).astype(np.float32),
                "increments": np.clip(2.0 * np.exp(np.diff(normalised)), 0, 2.0),
                "gamma": 0.99,
                "values": compute_values(values, 0.99),
            }
        )
    cases["auc"] = []
    for _ in range(60):
        count = int(rng.integers(2, 40))
        levels = int(rng.integers(1, 12))
        scores = rng.integers(0, levels, count).astype(float) - 10
        outcomes = rng.random(count) < 0.5
        outcomes[0], outcomes[1] = True, False
        pairs = scores[outcomes][:, None] - scores[~outcomes][None, :]
        auc = float(np.mean((pairs > 0) + 0.5 * (pairs == 0)))
        cases["auc"].append({"scores": scores, "outcomes": outcomes, "auc": auc})

    # Training weights.
    cases["rabc"] = []
    for episodes, chunk, missing in ((1, 50, 0.0), (4, 5, 0.0), (4, 5, 0.2), (3, 50, 0.0), (2, 3, 1.0), (6, 8, 0.05)):
        data = []
        for _ in range(episodes):
            curve = np.clip(np.cumsum(rng.normal(0.01, 0.02, int(rng.integers(1, 60)))), 0, 1).astype(np.float32)
            curve[rng.random(len(curve)) < missing] = np.nan
            if rng.random() < 0.3:
                curve[:] = curve[0]
            data.append(curve)
        cases["rabc"].append(rabc(RABCWeights, data, chunk))
    cases["impute"] = []
    for _ in range(20):
        frames = int(rng.integers(3, 60))
        indices = np.sort(rng.choice(frames, int(rng.integers(1, min(frames, 12))), replace=False)).tolist()
        rewards = rng.normal(-9, 4, len(indices)).tolist()
        cases["impute"].append(
            {"frames": frames, "indices": indices, "rewards": rewards}
            | {how: impute_rewards(rewards, indices, frames, how) for how in ("zero", "interpolate", "duplicate")}
        )

    # The baseline.
    cases["random"] = [
        {
            "seed": seed,
            "permutations": [np.random.default_rng(seed).permutation(count) for count in (1, 2, 3, 15, 100)],
            "choices": choices(seed),
        }
        for seed in (0, 1, 42, 43, 1000, 2**32 - 1, 2**32, 2**40 + 7)
    ]
    cases["gvl"] = gvl(BaseDataLoader, BaseModelClient)
    cases["percentages"] = []
    for text in answers(rng):
        try:
            found = RegexMapper().extract_percentages(text)
        except PercentagesNormalizationError:
            found = None
        cases["percentages"].append({"answer": text, "percentages": found})

    record = InstructionRewardRecord(
        index=3, dataset="austin_buds_dataset", episode_index=7, instruction="Öffne die Schublade.", reward=-6.375,
        reduction="mean", token_count=1, num_frames=5, trajectory_description=None, normalized_log_probs=[0.0, 1.0],
        voc=1.0, original_frames_indices=[0, 4], original_frames_task_completion_rates=[0, 100], prefix_lengths=[1, 5],
        prefix_rewards=[-18.75, -6.375], false_reward=-7.5, prefix_false_rewards=[-19.0, -7.5],
    )  # fmt: skip
    cases["record"] = record.to_dict()

    out = Path(__file__).parent / "cases.json"
    out.write_text(json.dumps(plain(cases), ensure_ascii=False, separators=(",", ":")) + "\n")
    print(out.name, out.stat().st_size, {key: len(value) for key, value in cases.items()})


def reference_prefixes(frames, count):
    """The lines of `QwenClient.compute_instruction_rewards_for_prefixes` that choose lengths; it also scores."""
    if count <= 0:
        return list(range(1, frames + 1))
    if frames > 2:
        return sorted({int(x) for x in np.linspace(1, frames, min(count, frames), dtype=int)})
    return [frames]


def lerobot_prefixes(frames, count):
    """The same of LeRobot, where no number means every length."""
    if count == 0 or count >= frames:
        return list(range(1, frames + 1))
    return np.unique(np.linspace(1, frames, count).round().astype(np.int64))


def legacy(frames):
    """The sampling of transformers 4.57.1's video processor without metadata, on frames padded to an even number."""
    total = frames + frames % 2
    count = min(max(int(total / 24 * 2), 4), 768, total)
    indices = np.linspace(0, total - 1, count).round().astype(int)
    return {"frames": frames, "indices": np.minimum(indices, frames - 1), "seconds": indices / 24}


def block_seconds(indices, fps):
    """`_calculate_timestamps` of transformers' processor, merge size 2."""
    indices = list(indices) + [indices[-1]] * (len(indices) % 2)
    seconds = [index / fps for index in indices]
    return [(seconds[i] + seconds[i + 1]) / 2 for i in range(0, len(seconds), 2)]


def scipy_spearman(values, other):
    if len(values) < 2 or len(set(values)) == 1:
        return float("nan")
    return float(spearmanr(values, other).statistic)


def rabc(weights_class, data, chunk):
    """A loaded `RABCWeights`, its look-ups filled as its constructor fills them from the file."""
    import torch

    made = weights_class.__new__(weights_class)
    made.chunk_size, made.head_mode, made.kappa, made.epsilon, made.fallback_weight = chunk, "sparse", 0.01, 1e-6, 1.0
    made.device = torch.device("cpu")
    made.progress_lookup, made.episode_lookup, made.episode_boundaries = {}, {}, {}
    start = 0
    for episode, curve in enumerate(data):
        made.episode_boundaries[episode] = {"start": start, "end": start + len(curve)}
        for frame, value in enumerate(curve):
            made.episode_lookup[start + frame] = episode
            if not np.isnan(value):
                made.progress_lookup[start + frame] = float(value)
        start += len(curve)
    made._compute_global_stats()
    deltas = np.array([made._compute_delta(index) for index in range(start)])
    raw = made._compute_weights(deltas.astype(np.float32))
    batch, _ = made.compute_batch_weights({"index": list(range(start))})
    return {
        "progress": data,
        "chunk": chunk,
        "mean": made.delta_mean,
        "deviation": made.delta_std,
        "deltas": deltas,
        "weights": raw,
        "batch": batch.numpy(),
    }


def choices(seed):
    rng = np.random.default_rng(seed)
    out = []
    for population, size in ((5, 5), (99, 15), (20, 1), (983, 15), (12000, 10), (12000, 700)):
        drawn = rng.choice(range(1, population + 1), size, replace=False) - 1
        out.append({"population": population, "size": size, "drawn": drawn})
    return out


def gvl(loader_class, client_class):
    class Loader(loader_class):
        def load_fewshot_input(self, episode_index=None):
            raise NotImplementedError

    class Client(client_class):
        def _generate_from_events(self, events, temperature):
            raise NotImplementedError

    phrases = {
        "initial_scene_label": "Initial robot scene:",
        "initial_scene_completion": "In the initial robot scene, the task completion percentage is 0%.",
        "context_frame_label_template": "Frame {i}:",
        "context_frame_completion_template": "Task Completion Percentage: {p}%",
        "eval_frame_label_template": "Frame {i}:",
        "eval_task_completion_instruction": [
            "Now, for the task of {instruction}, output the task completion percentage for the following frames that are presented in random order. For each frame, format your response as follow: Frame {{i}}: Task Completion Percentages:{{}}%",
            "Be rigorous and precise; percentage reflects task completion.",
            "Remember: frames are in random order.",
        ],
    }
    template = (
        "You are an expert roboticist tasked to predict task completion percentages for frames of a robot for the task of {instruction}.\n"
        "The task completion percentages are between 0 and 100, where 100 corresponds to full task completion.\n"
        "We provide several examples of the robot performing the task at various stages and their corresponding task completion percentages.\n"
        "Note that the frames may be in random order, so please pay attention to the individual frames when reasoning about task completion percentage.\n"
    )
    loader = Loader(num_frames=15, shuffle=True, seed=42, sampling_method="random")
    cases = []
    for episode, total in ((0, 100), (1, 15), (2, 2), (3, 400), (17, 16), (4, 984)):
        frames = [np.full((1, 1, 3), index) for index in range(total)]
        built = loader._build_episode(frames=frames, instruction="open the drawer", episode_index=episode)
        events = Client()._iter_prompt_events(
            template.format(instruction=built.instruction), built, [], prompt_phrases=phrases
        )
        question = [
            event.text if hasattr(event, "text") else int(event.image[0, 0, 0]) for event in events
        ]
        cases.append(
            {
                "episode": episode,
                "total": total,
                "chronological": built.original_frames_indices,
                "shuffled": built.shuffled_frames_indices,
                "completion": built.original_frames_task_completion_rates,
                "question": question,
            }
        )
    return cases


def answers(rng):
    yield from (
        "", "no numbers", "Frame 1: 10%, Frame 2: 20 %", "Frame 1: Task Completion Percentages:40%", "-5% 105% 100% 0%",
        "12.5% 50% 37.5%", "0.0% 0.0%", "0.5%", "1.2.5%", "12 12%", "--7% -0%", "99.999 %\n0.001%", "100.5%", "3 .5%",
        "33.3% 33.3% 33.3%", "0.0% 0%", "7\t%8\u00a0%9\u2003%", "1,5%", "5.%", ".5%", "50%%", "a50%b",
    )  # fmt: skip
    for _ in range(40):
        count = int(rng.integers(1, 16))
        digits = int(rng.integers(0, 3))
        values = rng.random(count) * 120 - 10
        yield " ".join(f"Frame {i + 1}: {v:.{digits}f}{' ' * int(rng.integers(0, 2))}%" for i, v in enumerate(values))


if __name__ == "__main__":
    main()
