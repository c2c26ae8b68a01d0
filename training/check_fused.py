"""Compares the fused operations with plain PyTorch ones: values and gradients. Exits 1 on a difference."""

from __future__ import annotations

import sys

import torch
import torch.nn.functional as F

from nano import fused


def rms(x, weight=None, eps=1e-6):
    y = x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + eps)
    return y if weight is None else y * weight


def modulate(x, m, shift, scale):
    parts = m.unflatten(-1, (-1, x.shape[-1]))[..., None, :, :]
    return rms(x) * (1 + parts[..., scale, :]) + parts[..., shift, :]


def gate(x, m, part, out):
    return x + m.unflatten(-1, (-1, x.shape[-1]))[..., None, :, :][..., part, :] * out


def swiglu(x, value_first):
    a, b = x.chunk(2, -1)
    return F.silu(b) * a if value_first else F.silu(a) * b


def heads(x, wq, wk, cos, sin, nq, nk, eps=1e-6):
    x = x.unflatten(-1, (nq + 2 * nk, -1)).transpose(1, 2)
    q, k, v = x.split([nq, nk, nk], 1)

    def turn(y):
        a, b = y.chunk(2, -1)
        return torch.cat([a * cos - b * sin, b * cos + a * sin], -1)

    return turn(rms(q, wq, eps)), turn(rms(k, wk, eps)), v


def main() -> int:
    torch.manual_seed(0)
    draw = torch.randn
    angle = draw(5, 4)
    cases = {
        "rms": (fused.rms, rms, [draw(3, 5, 8), draw(8)], []),
        "rms without weight": (fused.rms, rms, [draw(3, 5, 8)], []),
        "modulate": (fused.modulate, modulate, [draw(2, 3, 4, 8), draw(2, 3, 24)], [2, 0]),
        "gate": (lambda x, m, o: fused.gate(x, m, 1, o), lambda x, m, o: gate(x, m, 1, o),
                 [draw(2, 3, 4, 8), draw(2, 3, 24), draw(2, 3, 4, 8)], []),
        "swiglu, value first": (fused.swiglu, swiglu, [draw(3, 5, 16)], [True]),
        "swiglu, gate first": (fused.swiglu, swiglu, [draw(3, 5, 16)], [False]),
        "heads": (fused.heads, heads, [draw(3, 5, 6 * 8), draw(8), draw(8)], [angle.cos(), angle.sin(), 2, 2]),
        "heads without weights": (lambda x, *r: fused.heads(x, None, None, *r), lambda x, *r: heads(x, None, None, *r),
                                  [draw(3, 5, 6 * 8)], [angle.cos(), angle.sin(), 2, 2]),
    }  # fmt: skip
    failed = False
    for name, (ours, plain, tensors, rest) in cases.items():
        results = []
        for function in (ours, plain):
            inputs = [t.clone().requires_grad_() for t in tensors]
            out = function(*inputs, *rest)
            out = out if isinstance(out, tuple) else (out,)
            weights = [torch.randn(o.shape, generator=torch.Generator().manual_seed(i)) for i, o in enumerate(out)]
            sum((o * w).sum() for o, w in zip(out, weights)).backward()
            results.append([*out, *(i.grad for i in inputs)])
        off = max(((a - b).abs().max() / b.abs().max()).item() for a, b in zip(*results))
        bad = not off < 1e-5
        failed |= bad
        print(f"{'BAD' if bad else 'ok '} {name}: largest relative difference of values and gradients {off:.1e}")
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
