"""Small LeRobot data sets in every layout that `datasets/src/lerobot` reads, and what LeRobot makes of them.

Run from the repository root, with Python 3.12 and `pip install "lerobot[molmoact2,dataset]==0.6.1"`:

    OMP_NUM_THREADS=1 python tests/goldens/lerobot/generate.py

It rewrites beside it:

    v3/                written by LeRobot itself (`LeRobotDataset.create`): several episodes per file
    v21/               the same episodes in layout v2.1: one file and one line of statistics per episode
    kinds/             one episode each, as other writers store it: plain lists, float16 (in dictionaries), float64, one
                       dimension as a plain number, several row groups, and every compression that pyarrow offers to data sets
    bad/               columns that must be refused
    expected.json      chunks that LeRobot's tokenizer trainer cuts from v3/ (`process_episode`), selects and
                       normalises (`apply_normalization`): their number, first values and FNV-1a hash as float32
"""

import json
import shutil
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from lerobot.configs import NormalizationMode
from lerobot.datasets import LeRobotDataset
from lerobot.scripts import lerobot_train_tokenizer as trainer

HERE = Path(__file__).parent
FRAMES = [30, 12, 45, 8, 21]  # the fourth is shorter than a chunk of 10
DIMS = 7
NAMES = [f"joint_{i}_deg" for i in range(6)] + ["gripper_percent"]


def episodes():
    """Joint angles in degrees as targets, and where the arm was when they were given."""
    rng = np.random.default_rng(3)
    for frames in FRAMES:
        steps = rng.normal(0, 2.0, (frames, DIMS))
        actions = (np.cumsum(steps, 0) + rng.uniform(-60, 60, (1, DIMS))).astype(np.float32)
        # A wrist that nobody moved.
        actions[:, 3] = 12.5
        states = (actions + rng.normal(0, 0.5, (frames, DIMS))).astype(np.float32)
        yield actions, states


def v3(folder):
    vector = dict(dtype="float32", shape=(DIMS,), names=NAMES)
    data_set = LeRobotDataset.create(
        "example/arm", fps=30, root=folder, features={"action": vector, "observation.state": vector}, use_videos=False
    )
    for actions, states in episodes():
        for action, state in zip(actions, states, strict=True):
            data_set.add_frame({"action": action, "observation.state": state, "task": "move the arm"})
        data_set.save_episode()
    data_set.finalize()


def table(index, actions, states, fixed=True, kind=pa.float32()):
    def lists(values):
        flat = pa.array(values.ravel(), kind)
        if fixed:
            return pa.FixedSizeListArray.from_arrays(flat, values.shape[1])
        offsets = np.arange(0, values.size + 1, values.shape[1], dtype=np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), flat)

    frames = len(actions)
    return pa.table({
        "action": lists(actions),
        "observation.state": lists(states),
        "timestamp": pa.array(np.arange(frames) / 30, pa.float32()),
        "frame_index": pa.array(np.arange(frames), pa.int64()),
        "episode_index": pa.array([index] * frames, pa.int64()),
        "index": pa.array(np.arange(frames), pa.int64()),
        "task_index": pa.array([0] * frames, pa.int64()),
    })  # fmt: skip


def info(folder, version, episodes, frames):
    feature = dict(dtype="float32", shape=[DIMS], names=NAMES)
    content = dict(codebase_version=version, fps=30, total_episodes=episodes, total_frames=frames)
    content["features"] = {"action": feature, "observation.state": feature}
    (folder / "meta").mkdir(parents=True)
    (folder / "meta/info.json").write_text(json.dumps(content, indent=2) + "\n")


def v21(folder):
    info(folder, "v2.1", len(FRAMES), sum(FRAMES))
    (folder / "data/chunk-000").mkdir(parents=True)
    lines = []
    for index, (actions, states) in enumerate(episodes()):
        pq.write_table(table(index, actions, states), folder / f"data/chunk-000/episode_{index:06d}.parquet")
        stats = {}
        for key, values in [("action", actions), ("observation.state", states)]:
            values = values.astype(np.float64)
            figures = dict(min=values.min(0), max=values.max(0), mean=values.mean(0), std=values.std(0))
            stats[key] = {name: figure.tolist() for name, figure in figures.items()} | {"count": [len(values)]}
        lines.append(json.dumps(dict(episode_index=index, stats=stats)))
    (folder / "meta/episodes_stats.jsonl").write_text("\n".join(lines) + "\n")


def one(folder, table, **options):
    info(folder, "v2.0", 1, table.num_rows)
    (folder / "data/chunk-000").mkdir(parents=True)
    pq.write_table(table, folder / "data/chunk-000/episode_000000.parquet", **options)


def kinds(folder):
    actions, states = next(episodes())
    one(folder / "list", table(0, actions, states, fixed=False))
    one(folder / "float64", table(0, actions.astype(np.float64), states.astype(np.float64), kind=pa.float64()))
    one(folder / "row_groups", table(0, actions, states), row_group_size=7, data_page_size=64)
    for name in ("none", "snappy", "gzip", "zstd", "lz4", "brotli"):
        one(folder / name, table(0, actions, states), compression=name)
    half = (values.astype(np.float16) for values in (actions, states))
    one(folder / "float16", table(0, *half, kind=pa.float16()))
    one(folder / "page_v2", table(0, actions, states), data_page_version="2.0", use_dictionary=False)
    plain = table(0, actions, states)
    for key, values in (("action", actions), ("observation.state", states)):
        plain = plain.set_column(plain.schema.get_field_index(key), key, pa.array(values[:, 0]))
    one(folder / "scalar", plain)


def bad(folder):
    actions, states = next(episodes())
    good = table(0, actions, states)

    def replaced(key, column):
        return good.set_column(good.schema.get_field_index(key), key, column)

    rows = actions.tolist()
    one(folder / "null_row", replaced("action", pa.array([*rows[:4], None, *rows[5:]], pa.list_(pa.float32()))))
    rows[4] = rows[4][:3]
    one(folder / "short_row", replaced("action", pa.array(rows, pa.list_(pa.float32()))))
    rows[4] = []
    one(folder / "empty_row", replaced("action", pa.array(rows, pa.list_(pa.float32()))))
    nested = [[row.tolist()] for row in actions]
    one(folder / "nested", replaced("action", pa.array(nested, pa.list_(pa.list_(pa.float32())))))
    one(folder / "text", replaced("action", pa.array(["up"] * len(actions))))
    gap = np.delete(np.arange(len(actions) + 1), 17)
    one(folder / "gap", replaced("frame_index", pa.array(gap, pa.int64())))
    broken = actions.copy()
    broken[6, 2] = np.nan
    one(folder / "nan", table(0, broken, states))
    one(folder / "no_action", good.drop_columns(["action"]))


def fnv1a(data):
    value = 0x811C9DC5
    for byte in data:
        value = ((value ^ byte) * 0x01000193) & 0xFFFFFFFF
    return value


def expected(folder):
    data_set = LeRobotDataset("example/arm", root=folder)
    stats = data_set.meta.stats["action"]
    cases = []
    for horizon, dims, relative, mode in [
        (10, list(range(DIMS)), None, "QUANTILES"),
        (10, [0, 1, 2, 4, 5, 6], None, "MIN_MAX"),
        (16, [0, 1, 2, 3], None, "MEAN_STD"),
        (10, list(range(DIMS)), [0, 1, 5], "IDENTITY"),
        (5, [4, 5, 6], [4, 5], "QUANTILES"),
    ]:
        chunks = []
        for episode in range(data_set.num_episodes):
            arguments = (data_set, episode, horizon, relative, 1.0, "observation.state", relative is not None)
            cut = trainer.process_episode(arguments)
            if cut is not None:
                chunks.append(cut)
        chunks = np.concatenate(chunks)[:, :, dims]
        selected = {name: np.array(figure)[dims] for name, figure in stats.items() if len(figure) > max(dims)}
        chunks = trainer.apply_normalization(chunks, selected, NormalizationMode(mode), eps=1e-8).astype(np.float32)
        case = dict(horizon=horizon, dims=dims, relative_dims=relative or [], mode=mode, chunks=len(chunks))
        case.update(first=chunks.ravel()[:8].tolist(), fnv1a=fnv1a(chunks.astype("<f4").tobytes()))
        cases.append(case)
    lines = ",\n".join(json.dumps(case) for case in cases)
    (HERE / "expected.json").write_text("[\n" + lines + "\n]\n")


def main():
    for name, write in [("v3", v3), ("v21", v21), ("kinds", kinds), ("bad", bad)]:
        shutil.rmtree(HERE / name, ignore_errors=True)
        write(HERE / name)
    expected(HERE / "v3")


if __name__ == "__main__":
    main()
