"""The golden cases: sizes of the network, of the video, and which transformers computes them."""

PLAIN = dict(
    text=dict(hidden=32, inner=64, layers=4, heads=4, kv_heads=2, head_dim=16, sections=[4, 2, 2], bias=False),
    vision=dict(depth=4, hidden=32, inner=48, heads=2, places=64, deepstack=[0, 1, 2]),
    tied=True,
    # Frames: how many, width, height, numbers and rate in the video they come from.
    frames=6, width=128, height=96, step=1, rate=2.0,
    task="open the drawer",
    shards=1,
    stored="bfloat16",
    seed=1,
)


def case(**changes):
    made = {**PLAIN, **changes}
    for part in ("text", "vision"):
        made[part] = {**PLAIN[part], **changes.get(part, {})}
    return made


# By folder. `version` is the transformers that must compute it.
CASES = {
    # The layout and the sizes' ratios of the 2B model.
    "tied": dict(version="5.5.4", **case()),
    # The same with other draws, another time base, words beyond ASCII, and weights that lower precisions round.
    "tied_again": dict(version="5.5.4", **case(seed=2, stored="float32", frames=4, step=10, rate=20.0, task="Öffne die Schublade, bitte.")),
    # Own head, uneven depth, five frames: the last one is shown twice. Written by the older library.
    "untied_odd": dict(
        version="4.57.1",
        **case(
            seed=3, tied=False, frames=5, width=64, height=96, step=15, rate=30.0, shards=3, task="Put the cup away.",
            text=dict(hidden=48, inner=80, layers=3, heads=6, kv_heads=2, head_dim=12, sections=[2, 2, 2]),
            vision=dict(depth=3, hidden=48, heads=3, inner=64, deepstack=[0, 2]),
        ),
    ),
    # One key head for eight, biases in the attention, a tall frame that is not a multiple of 32, one frame.
    "one_kv_head": dict(
        version="4.57.1",
        **case(
            seed=4, frames=1, width=75, height=170, step=1, rate=5.0,
            text=dict(heads=8, kv_heads=1, head_dim=8, sections=[2, 1, 1], bias=True, layers=2),
            vision=dict(depth=2, deepstack=[1], places=16),
        ),
    ),
    # As many key heads as heads, the head width and sections of the published sizes, a long video, no deepstack in
    # between: taps at the last blocks.
    "wide_heads": dict(
        version="5.5.4",
        **case(
            seed=5, frames=14, width=64, height=64, step=15, rate=30.0, tied=False,
            text=dict(hidden=64, heads=2, kv_heads=2, head_dim=128, sections=[24, 20, 20], layers=2),
            vision=dict(depth=5, hidden=64, heads=2, inner=64, places=2304 // 16, deepstack=[3, 4]),
        ),
    ),
    # A grid larger than the table of positions, and frames above the budget: they are shrunk.
    "shrunk": dict(
        version="4.57.1",
        **case(
            seed=6, frames=3, width=300, height=200, step=7, rate=10.0, size=(4096, 60_000),
            vision=dict(places=16, deepstack=[0, 1], depth=3),
        ),
    ),
}
