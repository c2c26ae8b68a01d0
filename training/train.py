"""Trains the nano weights on a CPU within a given time.

    python train.py --data DIR ... --start RUN/start --sentences sentences.json --out RUN/a --minutes 40

First the pictures alone (where is which cube), then the sentence over fixed sight (which cube is meant, and
where to go), then everything at once: flow matching for the action expert,
cross-entropy for the action tokens, and the teacher's questions. The learning rate follows the clock, so the
run ends on time however busy the machine is. RUN/a/latest is a usable checkpoint at all times (averaged weights).
"""

from __future__ import annotations

import argparse
import csv
import json
import shutil
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from tokenizers import Tokenizer

from nano import checkpoint, config as sizes
from nano.batches import Batch, Batches
from nano.data import Frames
from nano.network import MolmoAct2
from nano.optim import Optimiser
from nano.policy import Policy
from nano.teacher import Teacher


def policy_loss(network: MolmoAct2, teacher: Teacher, prefix, b: Batch, flow_times: int, token_weight: float):
    """Every loss of one step. Returns the sum and what to log."""
    rows, prompts = len(b.ids), len(b.ids) // len(b.patches)
    seen = network.see(b.patches, prefix, b.ids)
    sight, log = teacher.sight_loss(seen.image_tokens, b.facts, b.state)

    width = int(b.lengths.max())
    context = network.model.action_expert.context(seen.layers, width)
    mask = network.cross_mask(prefix, b.ids, b.lengths, width)
    # t = 0.001 + 0.999 * Beta(1, 1.5), by the inverse of its distribution function, spread evenly over the step.
    u = (torch.rand(rows, 1) + torch.arange(flow_times) / flow_times) % 1.0
    t = 0.001 + 0.999 * (1 - (1 - u) ** (1 / 1.5))
    real = b.chunks[:, None]
    noise = torch.randn(rows, flow_times, *real.shape[2:])
    at = t[..., None, None]
    noisy = F.pad((1 - at) * noise + at * real, (0, 32 - sizes.DOF))
    velocity = network.model.action_expert(noisy, t, context, mask)[..., : sizes.DOF].float()
    flow = F.mse_loss(velocity, real - noise)

    hidden = torch.gather(seen.normed, 1, b.at[..., None].expand(-1, -1, seen.normed.shape[-1]))
    kept = b.targets >= 0
    tokens = F.cross_entropy(network.lm_head(hidden[kept]).float(), b.targets[kept])

    last = [seen.hidden[depth][torch.arange(rows), b.lengths - 1] for depth in (-2, -1)]
    facts, state = (x.repeat_interleave(prompts, 0) for x in (b.facts, b.state))
    task, more = teacher.task_loss(last, facts, state, b.objects, b.chunks)
    log |= more | {"flow": flow.item(), "tokens": tokens.item()}
    return 2.0 * flow + token_weight * tokens + 0.5 * sight + 0.5 * task, log


def listening_loss(network: MolmoAct2, teacher: Teacher, prefix, b: Batch):
    """The teacher's questions about the sentence alone, over fixed sight: cheap, for the beginning."""
    rows, prompts = len(b.ids), len(b.ids) // len(b.patches)
    with torch.no_grad():
        image_tokens = network.model.vision_backbone(b.patches)
    depth = len(network.model.transformer.blocks) - 1
    seen = network.read(image_tokens, prefix, b.ids[:, : int(b.lengths.max())], depth)
    last = [seen.hidden[d][torch.arange(rows), b.lengths - 1] for d in (-2, -1)]
    facts, state = (x.repeat_interleave(prompts, 0) for x in (b.facts, b.state))
    loss, log = teacher.task_loss(last, facts, state, b.objects, b.chunks)
    nan = float("nan")
    return loss, {"sight_mm": nan, "wrist_mm": nan} | log | {"flow": nan, "tokens": nan}


class Average:
    """Exponential average of the weights."""

    def __init__(self, network: MolmoAct2):
        self.state = {k: v.detach().clone() for k, v in network.state_dict().items()}
        self.steps = 0

    @torch.no_grad()
    def update(self, network: MolmoAct2) -> None:
        self.steps += 1
        keep = min(0.997, (1 + self.steps) / (10 + self.steps))
        for name, value in network.state_dict().items():
            self.state[name].lerp_(value, 1 - keep)


def save(out: Path, start: Path, config: dict, network: MolmoAct2, average: Average, teacher: Teacher) -> None:
    """Writes the averaged weights as a whole checkpoint folder, in one move; the raw ones beside it."""
    averaged = MolmoAct2(config)
    averaged.load_state_dict(average.state)
    stats = json.loads((start / "norm_stats.json").read_text())["metadata_by_tag"][sizes.TAG]
    stats = {key: stats[key] for key in ("state_stats", "action_stats")}
    tokens = Tokenizer.from_file(str(start / "tokenizer.json"))
    fresh = out / "fresh"
    checkpoint.write(fresh, averaged, config, tokens, stats, start / "openfast")
    shutil.copy(start / "tokenizer.json", fresh / "tokenizer.json")
    old = out / "old"
    shutil.rmtree(old, ignore_errors=True)
    if (out / "latest").exists():
        (out / "latest").rename(old)
    fresh.rename(out / "latest")
    torch.save({"network": network.state_dict(), "average": average.state, "teacher": teacher.state_dict()}, out / "raw.pt")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--start", type=Path, required=True)
    parser.add_argument("--sentences", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float, required=True)
    parser.add_argument("--sight", type=float, default=0.15, help="share of the time for the pictures alone")
    parser.add_argument("--listen", type=float, default=0.2, help="share of the time for the sentence over fixed sight")
    parser.add_argument("--resume", type=Path, help="a raw.pt to go on from")
    parser.add_argument("--sight-from", type=Path, help="a raw.pt to take only the seeing parts from")
    parser.add_argument("--frames", type=int, default=32, help="pictures per step")
    parser.add_argument("--flow-times", type=int, default=4)
    parser.add_argument("--token-weight", type=float, default=0.5, help="weight of the action tokens' cross-entropy")
    parser.add_argument("--muon", type=float, default=6e-3)
    parser.add_argument("--adam", type=float, default=3e-3)
    parser.add_argument("--sight-rate", type=float, default=0.35, help="the vision tower's share of the rates")
    parser.add_argument("--floor", type=float, default=0.02, help="share of the rate that is left at the end")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seed", type=int, default=0)
    o = parser.parse_args()

    torch.set_num_threads(o.threads)
    torch.manual_seed(o.seed)
    config = json.loads((o.start / "config.json").read_text())
    network, teacher = checkpoint.read(o.start).train(), Teacher()
    batches = Batches(Frames(o.data), Policy(o.start), o.sentences, o.seed)
    average = Average(network)
    if o.resume:
        raw = torch.load(o.resume)
        network.load_state_dict(raw["network"])
        teacher.load_state_dict(raw["teacher"], strict=False)
        average.state, average.steps = raw["average"], 1000
    if o.sight_from:
        raw = torch.load(o.sight_from)
        seeing_state = {k: v for k, v in raw["average"].items() if k.startswith("model.vision_backbone.")}
        network.load_state_dict(seeing_state, strict=False)
        heads = {k: v for k, v in raw["teacher"].items() if k.startswith(("overview", "wrist"))}
        teacher.load_state_dict(heads, strict=False)
        average = Average(network)
    seeing = network.model.vision_backbone
    rest = {"text": network.model.transformer, "head": network.lm_head, "expert": network.model.action_expert}
    optimisers = [
        Optimiser({"seeing": seeing}, o.muon * o.sight_rate, o.adam * o.sight_rate),
        Optimiser(rest | {"teacher": teacher}, o.muon, o.adam),
    ]
    prefix = torch.as_tensor(batches.prompts.prefix)
    o.out.mkdir(parents=True, exist_ok=True)
    print(f"{len(batches.frames)} frames, {len(batches.tokens)} labels", flush=True)

    begun = saved = time.monotonic()
    step = rows = 0
    sums: dict[str, float] = {}
    with (o.out / "loss.csv").open("w", newline="") as file:
        table = None
        while (passed := (time.monotonic() - begun) / 60 / o.minutes) < 1:
            scale = min(1.0, (step + 1) / 60) * (o.floor + (1 - o.floor) * (1 - passed))
            if passed < o.sight:
                patches, facts, state = batches.pictures(batches.pick(2 * o.frames))
                image_tokens = network.model.vision_backbone(patches)
                loss, log = teacher.sight_loss(image_tokens, facts, state)
                log |= dict.fromkeys(("named_mm", "direct", "flow", "tokens"), float("nan"))
            elif passed < o.sight + o.listen:
                batch = batches.draw(2 * o.frames)
                loss, log = listening_loss(network, teacher, prefix, batch)
                rows += len(batch.ids)
            else:
                batch = batches.draw(o.frames)
                loss, log = policy_loss(network, teacher, prefix, batch, o.flow_times, o.token_weight)
                rows += len(batch.ids)
            loss.backward()
            for optimiser in optimisers:
                optimiser.step(scale)
            average.update(network)
            step += 1
            for key, value in {"loss": loss.item(), **log}.items():
                sums[key] = sums.get(key, 0.0) + value
            if step % 20 == 0:
                minutes = (time.monotonic() - begun) / 60
                line = {"minutes": round(minutes, 2), "step": step, "rows": rows}
                line |= {key: round(value / 20, 4) for key, value in sums.items()}
                if table is None:
                    table = csv.DictWriter(file, line.keys())
                    table.writeheader()
                table.writerow(line)
                file.flush()
                print(" ".join(f"{k} {v}" for k, v in line.items()), flush=True)
                sums = {}
            if time.monotonic() - saved > 150:
                saved = time.monotonic()
                save(o.out, o.start, config, network, average, teacher)
    save(o.out, o.start, config, network, average, teacher)
    print(f"done: {step} steps, {rows} labels", flush=True)


if __name__ == "__main__":
    main()
