"""Trains the nano scorer within a given number of minutes and writes it in the published layout."""

from __future__ import annotations

import argparse
import json
import random
import time
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from tokenizers import Tokenizer
from torch import Tensor, nn

from nano.optim import Optimiser
from scorer.clips import Maker, Questions
from scorer.config import TOKENS, Sizes, config_json, preprocessor_json
from scorer.episodes import Episodes, tasks_of
from scorer.features import Features
from scorer.network import Scorer
from scorer.successor import Successor
from scorer.tokenizer import train as train_tokenizer

# ln p(True) - ln p(False) of a task that has not begun, and of one that is done.
BOTTOM, TOP = -5.0, 2.0


class Teacher(nn.Module):
    """Must say from one block's tokens where everything is: of the hand and of every colour, which token shows it and what
    that token says. Every token is read alike, so what is learnt in one place of the table is known in all. Thrown away
    afterwards."""

    def __init__(self, hidden: int):
        super().__init__()
        self.look = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, 5))
        self.say = nn.Sequential(nn.LayerNorm(hidden), nn.Linear(hidden, 192), nn.GELU(), nn.Linear(192, 5 + 4 * 5))

    def forward(self, merged: Tensor, facts: Tensor) -> dict[str, Tensor]:
        look, said = self.look(merged).softmax(1), self.say(merged)
        hand = (look[..., :1] * said[..., :5]).sum(1)
        cubes = (look[..., 1:, None] * said[..., 5:].unflatten(-1, (4, 5))).sum(1)
        truth = facts[:, 5:].view(-1, 4, 7)
        there = truth[:, :, 0]
        loss = F.smooth_l1_loss(hand, facts[:, :5] * 10, beta=0.03)
        loss = loss + 0.3 * F.binary_cross_entropy_with_logits(cubes[:, :, 0], there)
        where = F.smooth_l1_loss(cubes[:, :, 1:4], truth[:, :, 1:4] * 10, beta=0.03, reduction="none").mean(-1)
        held = F.binary_cross_entropy_with_logits(cubes[:, :, 4], truth[:, :, 4], reduction="none")
        count = there.sum().clamp(min=1)
        off = (cubes[:, :, 1:3].detach() / 10 - truth[:, :, 1:3]).norm(dim=-1)
        return {"sight": loss + ((where + 0.3 * held) * there).sum() / count, "off_mm": 1e3 * (off * there).sum() / count}


class Witness(nn.Module):
    """Must say in the language model, where a block ends: after two layers where every cube is, and after three how far it
    is from where it was in the first block. That is what pushing is about, and the questions alone teach it slowly. Thrown
    away afterwards."""

    def __init__(self, hidden: int):
        super().__init__()
        # Where a block ends, most of a state is the same whatever is seen. Normalised by itself, nothing else would be left.
        head = lambda outputs: nn.Sequential(  # noqa: E731
            nn.BatchNorm1d(hidden, affine=False), nn.Linear(hidden, 192), nn.GELU(), nn.Linear(192, outputs)
        )
        self.place, self.way = head(12), head(8)

    def forward(self, early: Tensor, middle: Tensor, facts: Tensor, moved: Tensor) -> dict[str, Tensor]:
        here = facts[:, 5:].view(*moved.shape[:-1], 7)
        there, truth = moved[..., 2], here[..., 1:4] * 10
        place = F.smooth_l1_loss(self.place(early.flatten(0, 1)).view_as(truth), truth, beta=0.03, reduction="none").mean(-1)
        way = moved[..., :2] * 10
        off = F.smooth_l1_loss(self.way(middle.flatten(0, 1)).view_as(way), way, beta=0.03, reduction="none").mean(-1)
        # Few cubes move; as many of the loss's parts are about them as about the others.
        moves = there * (moved[..., :2].norm(dim=-1) > 0.003)
        rests = there - moves
        share = lambda loss, mask: (loss * mask).sum() / mask.sum().clamp(min=1)  # noqa: E731
        return {"place": share(place, here[..., 0]), "moved": 0.5 * (share(off, moves) + share(off, rests))}


class Listener(nn.Module):
    """Must say where a question ends, before the last layer, what its answer needs to know of the cube that it names. One
    number per question teaches slowly what of all that is seen is meant. It only adds up, so that the network has to have
    found it out by itself. Thrown away afterwards."""

    def __init__(self, hidden: int):
        super().__init__()
        self.say = nn.Sequential(nn.BatchNorm1d(hidden, affine=False), nn.Linear(hidden, 9))

    def forward(self, late: Tensor, asked: Questions) -> dict[str, Tensor]:
        said = self.say(late.flatten(0, 2)).view_as(asked.named)
        off = F.smooth_l1_loss(said, asked.named * 10, beta=0.03, reduction="none")
        there, is_push = asked.is_named.float().unbind(-1)
        is_push = there * is_push
        moves = is_push * has_moved(asked)
        share = lambda loss, mask: (loss.mean(-1) * mask).sum() / mask.sum().clamp(min=1)  # noqa: E731
        along = off[..., 7:]
        # Few of the named cubes have moved; they count as much as the others together.
        return {"named": share(off[..., :7], there), "along": share(along, moves) + share(along, is_push - moves)}


def has_moved(asked: Questions) -> Tensor:
    """Whether the named cube is not where it was, `[clips, points, questions]`."""
    return (asked.named[..., :2].norm(dim=-1) > 0.006).float()


def losses(log_probs: Tensor, asked: Questions, is_static: Tensor, yes: int, no: int) -> dict[str, Tensor]:
    """`log_probs` `[clips, points, questions, vocab]`."""
    progress = asked.progress
    # Pushes that have begun are rare and the hardest to judge.
    weight = 1 + 2 * asked.is_named[..., 1] * has_moved(asked)
    weight = weight / weight.mean()
    target = torch.sigmoid(BOTTOM + (TOP - BOTTOM) * progress)
    true, false = log_probs[..., yes], log_probs[..., no]
    entropy = -(target * target.clamp(1e-6).log() + (1 - target) * (1 - target).clamp(1e-6).log())
    cross = -(target * true + (1 - target) * false) - entropy
    # The reward is ln p(True): at the bottom, where cross entropy hardly sees it, it is asked for itself.
    wanted = target.log()
    level = (weight * F.smooth_l1_loss(true, wanted, beta=0.3, reduction="none")).mean()
    found = {"cross": (weight * cross).mean(), "level": level}
    still = true[is_static]
    if still.shape[0] > 0 and still.shape[1] > 2:
        steps = torch.arange(still.shape[1]).float()
        steps = (steps - steps.mean()) / steps.std()
        spread = still - still.mean(1, keepdim=True)
        slope = (spread * steps[None, :, None]).mean(1)  # [clips, questions]
        # Rank correlation does not care how small a drift is, so neither may this; upwards for one family and downwards for
        # another is none the better.
        rises = slope / (spread.square().mean(1) + 1e-6).sqrt()
        families = asked.families[is_static]
        of = [rises[families == family].mean().square() for family in families.unique().tolist()]
        found["drift"] = torch.stack(of).mean()
        found["spread"] = spread.square().mean()
    return found


def write(folder: Path, network: Scorer, tokenizer: Tokenizer) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    ids = {token: tokenizer.token_to_id(token) for token in tokenizer.get_vocab(with_added_tokens=True)}
    (folder / "config.json").write_text(json.dumps(config_json(network.s, ids), indent=2) + "\n")
    (folder / "video_preprocessor_config.json").write_text(json.dumps(preprocessor_json("video"), indent=2) + "\n")
    (folder / "preprocessor_config.json").write_text(json.dumps(preprocessor_json("image"), indent=2) + "\n")
    settings = {"eos_token": "<|im_end|>", "pad_token": "<|endoftext|>", "tokenizer_class": "Qwen2TokenizerFast"}
    (folder / "tokenizer_config.json").write_text(json.dumps(settings, indent=2) + "\n")
    tokenizer.save(str(folder / "tokenizer.json"))
    state = {f"model.{name}": value.to(torch.bfloat16).contiguous() for name, value in network.state_dict().items()}
    save_file(state, folder / "model.safetensors", {"format": "pt"})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, nargs="+", required=True)
    parser.add_argument("--sentences", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--resume", type=Path, help="`raw.pt` of a run, or a checkpoint folder")
    parser.add_argument("--minutes", type=float, default=45)
    parser.add_argument("--layers", type=int, default=Sizes.layers, help="of the language model; more than the resumed ones "
                        "begin as layers that change nothing, before the last")
    parser.add_argument("--new-tower", action="store_true", help="the tower begins anew, the language model does not")
    parser.add_argument("--like", type=Path, help="a checkpoint folder: its language model is taken, and the tower, which then "
                        "learns alone, learns to say what that checkpoint's tower says as well")
    parser.add_argument("--hold-tower", action="store_true", help="the tower learns no more; what it says is computed once")
    parser.add_argument("--sight", type=float, default=0.2, help="share of the time for the tower alone")
    parser.add_argument("--sight-rate", type=float, default=0.4, help="the tower's rates, as a share of the others")
    parser.add_argument("--muon", type=float, default=4e-3)
    parser.add_argument("--adam", type=float, default=2e-3)
    parser.add_argument("--constant", type=float, default=0.5, help="share of the time after which the rates begin to fall")
    parser.add_argument("--drift", type=float, default=0.05, help="weight of each family's mean slope on frozen clips")
    parser.add_argument("--moved", type=float, default=0.5, help="weight of saying where the cubes are and how far the cubes are from where they were")
    parser.add_argument("--named", type=float, default=1.0, help="weight of saying of the cube that a question names what matters")
    parser.add_argument("--jumps", type=float, default=0.4, help="share of steps about clips that jump to another episode")
    parser.add_argument("--back", type=float, default=0.2, help="weight of a head's attention to where the first block ends")
    parser.add_argument("--push", type=float, default=0.0, help="share of further questions that are about pushing")
    parser.add_argument("--features", type=Path, help="keeps what the tower says for the next run on the same data and tower")
    parser.add_argument("--clips", type=int, default=10)
    parser.add_argument("--questions", type=int, default=6)
    parser.add_argument("--points", type=int, help="blocks of a clip after which questions are asked; after all if not given")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=2)
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    torch.manual_seed(options.seed)
    rng = random.Random(options.seed)
    tasks = tasks_of(options.sentences)
    options.out.mkdir(parents=True, exist_ok=True)
    if options.like or options.resume:
        folder = options.like or options.resume
        folder = folder if folder.is_dir() else folder.parent / "latest"
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    else:
        tokenizer = train_tokenizer([words for task in tasks for words in task.wordings])
    vocab = tokenizer.get_vocab_size(with_added_tokens=True)
    network = Scorer(Sizes(vocab=vocab, layers=options.layers))
    episodes = Episodes(options.data)
    teachers = nn.ModuleDict({
        "sight": Teacher(network.s.hidden), "sight_tap": Teacher(network.s.hidden), "moved": Witness(network.s.hidden),
        "named": Listener(network.s.hidden),
    })
    if options.resume and options.resume.is_dir():
        read(options.resume, network)
    elif options.resume:
        held = torch.load(options.resume)
        network.load_state_dict(deepened(held["network"], network))
        teachers.load_state_dict(fitting(held["teachers"], teachers), strict=False)
    if options.new_tower:
        network.visual = Scorer(Sizes(vocab=vocab)).visual
    successor = None
    if options.like:
        old = Scorer(network.s)
        read(options.like, old)
        network.language_model = old.language_model
        successor, options.sight = Successor(network.visual, old.visual), 1.0
    print(f"{sum(p.numel() for p in network.parameters())} parameters, vocabulary of {vocab}, "
          f"{len(episodes.about)} episodes, {len(episodes.progress)} frames", flush=True)
    maker = Maker(episodes, tasks, tokenizer, options.seed, options.push)
    yes, no = (tokenizer.encode(word).ids[0] for word in (" True", " False"))
    rate = options.sight_rate
    optimisers = [Optimiser({"language": network.language_model, "teachers": teachers}, options.muon, options.adam)]
    features = None
    if options.hold_tower:
        network.visual.requires_grad_(False)
        began = time.time()
        features = Features(episodes, network.visual, options.features)
        print(f"what the tower says of {len(features.held)} pairs of frames: {time.time() - began:.0f} s", flush=True)
    else:
        optimisers.append(Optimiser({"visual": network.visual}, options.muon * rate, options.adam * rate))
    if successor:
        clips = maker.clips(900, 1)
        explained = successor.start(clips.first, clips.second)
        print(f"of what the old tower says, {' '.join(f'{share:.3f}' for share in explained)} can be read off", flush=True)
    average = {name: value.clone() for name, value in network.state_dict().items()}
    step, seen, spent, shown, kept, last = 0, {}, 0.0, -60.0, 0.0, time.time()
    log = (options.out / "loss.csv").open("w")
    while True:
        # Seconds that a stopped process slept through do not count.
        now = time.time()
        spent, last = spent + min(now - last, 20.0), now
        share = spent / 60 / options.minutes
        if share >= 1:
            break
        scale = min(1.0, (step + 1) / 40) * min(1.0, (1 - share) / max(1e-6, 1 - options.constant))
        if share < options.sight:
            clips = maker.clips(40, 1)
            unlike = None
            if successor:
                merged, taps, unlike = successor(clips.first, clips.second)
            else:
                merged, taps = network.visual(clips.first, clips.second)
            found = teachers["sight"](merged, clips.facts)
            # Most of what the language model reads may come in by the way that does not go through the last blocks.
            found |= {f"tap_{name}": value for name, value in teachers["sight_tap"](taps[-1], clips.facts).items()}
            loss = found["sight"] + found["tap_sight"]
            if unlike is not None:
                found |= {f"unlike_{output}": share for output, share in enumerate(unlike)}
                loss = loss + unlike.sum()
        elif rng.random() < options.jumps:
            clips = maker.clips(2 * options.clips, rng.choice([2, 2, 3]), see=features is None, jump=True)
            watched = network.watch(clips, features.of(clips) if features else None, depth=3)
            told = teachers["moved"](watched.early, watched.middle, clips.facts, clips.moved)
            found = {f"jump_{name}": value for name, value in told.items()}
            loss = found["jump_place"] + found["jump_moved"] - options.back * watched.back[:, 1:].mean()
        else:
            blocks = rng.choice([1, 2, 3, 3, 4, 4, 5, 5, 6, 7])
            clips = maker.clips(max(2, options.clips * 4 // (blocks + 1)), blocks, see=features is None)
            asked = maker.ask(clips, options.questions, options.points)
            watched = network.watch(clips, features.of(clips) if features else None)
            log_probs, late = network(watched, asked)
            found = losses(log_probs, asked, clips.is_static, yes, no)
            found |= teachers["named"](late, asked)
            found |= teachers["moved"](watched.early, watched.middle, clips.facts, clips.moved)
            if features is None:
                found |= teachers["sight"](watched.merged, clips.facts)
            if blocks > 1:
                # Comparing with the first block begins with looking at it, which the questions alone never taught.
                found["back"] = -watched.back[:, 1:].mean()
            loss = found["cross"] + 0.5 * found["level"] + 0.3 * found.get("sight", 0.0)
            loss = loss + options.moved * (found["place"] + found["moved"])
            loss = loss + options.named * (found["named"] + found["along"])
            loss = loss + options.back * found.get("back", 0.0)
            loss = loss + options.drift * found.get("drift", 0.0) + 0.5 * found.get("spread", 0.0)
        loss.backward()
        for optimiser in optimisers:
            optimiser.step(scale)
        step += 1
        with torch.no_grad():
            decay = min(0.997, step / (step + 20))
            for name, value in network.state_dict().items():
                average[name].lerp_(value, 1 - decay)
        for name, value in found.items():
            value = float(value)
            seen[name] = value if name not in seen else 0.97 * seen[name] + 0.03 * value
        if spent - shown > 20:
            shown = spent
            line = " ".join(f"{name} {value:.4f}" for name, value in sorted(seen.items()))
            print(f"{spent / 60:6.1f} min step {step:5} {line}", flush=True)
            log.write(f"{spent / 60:.2f},{step},{seen.get('sight', 0):.5f},{seen.get('level', 0):.5f},{seen.get('cross', 0):.5f}\n")
            log.flush()
        if spent - kept > 240 and not successor:
            kept = spent
            keep(options.out, network, teachers, average, tokenizer)
    if successor:
        network.load_state_dict(average)
        successor.finish()
        average = network.state_dict()
    keep(options.out, network, teachers, average, tokenizer)


def read(folder: Path, network: Scorer) -> None:
    state = load_file(folder / "model.safetensors")
    state = {name.removeprefix("model."): value.float() for name, value in state.items()}
    network.load_state_dict(deepened(state, network))


def deepened(state: dict[str, Tensor], network: Scorer) -> dict[str, Tensor]:
    """`state` of a network with as many layers or fewer: further ones, which at first change nothing, come before its last."""
    prefix, count = "language_model.layers.", network.s.layers
    had = 1 + max(int(name.removeprefix(prefix).split(".")[0]) for name in state if name.startswith(prefix))
    if had > count:
        raise SystemExit(f"the checkpoint has {had} layers; --layers {count} would lose some, give at least {had}")
    moved = {}
    for name, value in state.items():
        if name.startswith(f"{prefix}{had - 1}."):
            name = f"{prefix}{count - 1}." + name.removeprefix(f"{prefix}{had - 1}.")
        moved[name] = value
    for name, value in network.state_dict().items():
        if name not in moved:
            adds = name.endswith(("o_proj.weight", "down_proj.weight"))
            moved[name] = torch.zeros_like(value) if adds else value.clone()
    return moved


def fitting(state: dict[str, Tensor], module: nn.Module) -> dict[str, Tensor]:
    """What of `state` has the shapes that `module` has."""
    wanted = module.state_dict()
    return {name: value for name, value in state.items() if name in wanted and wanted[name].shape == value.shape}


def keep(out: Path, network: Scorer, teachers: nn.ModuleDict, average: dict[str, Tensor], tokenizer: Tokenizer) -> None:
    torch.save({"network": network.state_dict(), "teachers": teachers.state_dict()}, out / "raw.pt")
    held = {name: value.clone() for name, value in network.state_dict().items()}
    network.load_state_dict(average)
    write(out / "latest", network, tokenizer)
    network.load_state_dict(held)


if __name__ == "__main__":
    main()
