"""The functions of `fused.c` as differentiable operations on float32 tensors.

The library is compiled on first use with the system's C compiler, for this very processor, into a cache
folder. `plain` versions of everything are in `check_fused.py`, which compares values and gradients.
"""

from __future__ import annotations

import ctypes
import hashlib
import os
import subprocess
from pathlib import Path

import torch
from torch import Tensor

SOURCE = Path(__file__).with_name("fused.c")
PARTS = 8


def _load() -> ctypes.CDLL:
    cache = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "policy-studio" / "fused"
    cache.mkdir(parents=True, exist_ok=True)
    library = cache / f"fused-{hashlib.sha256(SOURCE.read_bytes()).hexdigest()[:16]}.so"
    if not library.exists():
        fresh = library.with_suffix(f".{os.getpid()}")
        flags = ["-O3", "-march=native", "-ffast-math", "-fopenmp", "-shared", "-fPIC", "-lm"]
        subprocess.run(["gcc", str(SOURCE), "-o", str(fresh), *flags], check=True)
        fresh.rename(library)
    return ctypes.CDLL(str(library))


_C = _load()


def _call(name: str, *arguments) -> None:
    converted = []
    for a in arguments:
        if isinstance(a, Tensor):
            converted.append(ctypes.c_void_p(a.data_ptr()))
        elif a is None:
            converted.append(ctypes.c_void_p(0))
        elif isinstance(a, float):
            converted.append(ctypes.c_float(a))
        else:
            converted.append(ctypes.c_long(a))
    getattr(_C, name)(*converted)


class _Rms(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, weight, eps):
        x = x.contiguous()
        y = torch.empty_like(x)
        _call("rms_forward", x, weight, y, x.numel() // x.shape[-1], x.shape[-1], eps)
        ctx.save_for_backward(x, weight)
        ctx.eps = eps
        return y

    @staticmethod
    def backward(ctx, dy):
        x, weight = ctx.saved_tensors
        dy, dx = dy.contiguous(), torch.empty_like(x)
        dw = torch.zeros(PARTS, x.shape[-1])
        _call("rms_backward", x, weight, dy, dx, dw, x.numel() // x.shape[-1], x.shape[-1], ctx.eps, PARTS)
        return dx, None if weight is None else dw.sum(0), None


class _Modulate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, m, shift, scale):
        """`x` [groups.., rows, width], `m` [groups.., n * width]; `shift` and `scale` say which parts of `m`."""
        x, m = x.contiguous(), m.contiguous()
        rows, width = x.shape[-2:]
        groups, stride = m.numel() // m.shape[-1], m.shape[-1]
        flat = m.view(groups, stride)
        y = torch.empty_like(x)
        b, s = flat[:, shift * width :], flat[:, scale * width :]
        _call("modulate_forward", x, b, s, stride, y, groups, rows, width, 1e-6)
        ctx.save_for_backward(x, m)
        ctx.parts = shift, scale
        return y

    @staticmethod
    def backward(ctx, dy):
        x, m = ctx.saved_tensors
        shift, scale = ctx.parts
        rows, width = x.shape[-2:]
        groups, stride = m.numel() // m.shape[-1], m.shape[-1]
        dy, dx = dy.contiguous(), torch.empty_like(x)
        db, ds = torch.zeros(groups, width), torch.zeros(groups, width)
        s = m.view(groups, stride)[:, scale * width :]
        _call("modulate_backward", x, s, stride, dy, dx, db, ds, groups, rows, width, 1e-6)
        dm = torch.zeros(groups, stride)
        dm[:, shift * width : (shift + 1) * width] = db
        dm[:, scale * width : (scale + 1) * width] = ds
        return dx, dm.view_as(m), None, None


class _Gate(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x, m, part, out):
        x, m, out = x.contiguous(), m.contiguous(), out.contiguous()
        rows, width = x.shape[-2:]
        groups, stride = m.numel() // m.shape[-1], m.shape[-1]
        y = torch.empty_like(x)
        _call("gate_forward", x, m.view(groups, stride)[:, part * width :], stride, out, y, groups, rows, width)
        ctx.save_for_backward(m, out)
        ctx.part = part
        return y

    @staticmethod
    def backward(ctx, dy):
        m, out = ctx.saved_tensors
        rows, width = out.shape[-2:]
        groups, stride = m.numel() // m.shape[-1], m.shape[-1]
        dy, dout, dgate = dy.contiguous(), torch.empty_like(out), torch.zeros(groups, width)
        gate = m.view(groups, stride)[:, ctx.part * width :]
        _call("gate_backward", gate, stride, out, dy, dout, dgate, groups, rows, width)
        dm = torch.zeros(groups, stride)
        dm[:, ctx.part * width : (ctx.part + 1) * width] = dgate
        return dy, dm.view_as(m), None, dout


class _Swiglu(torch.autograd.Function):
    @staticmethod
    def forward(ctx, fused, value_first):
        """`fused` [.., 2 * width]: value then gate if `value_first`, else gate then value."""
        fused = fused.contiguous()
        width = fused.shape[-1] // 2
        flat = fused.view(-1, 2 * width)
        y = torch.empty(*fused.shape[:-1], width)
        value, gate = (flat, flat[:, width:]) if value_first else (flat[:, width:], flat)
        _call("swiglu_forward", gate, value, 2 * width, y, flat.shape[0], width)
        ctx.save_for_backward(fused)
        ctx.value_first = value_first
        return y

    @staticmethod
    def backward(ctx, dy):
        (fused,) = ctx.saved_tensors
        width = fused.shape[-1] // 2
        flat, d = fused.view(-1, 2 * width), torch.empty_like(fused)
        dflat, dy = d.view(-1, 2 * width), dy.contiguous()
        (v, g, dv, dg) = (
            (flat, flat[:, width:], dflat, dflat[:, width:])
            if ctx.value_first
            else (flat[:, width:], flat, dflat[:, width:], dflat)
        )
        _call("swiglu_backward", g, v, 2 * width, dy, dg, dv, flat.shape[0], width)
        return d, None


class _Heads(torch.autograd.Function):
    @staticmethod
    def forward(ctx, fused, wq, wk, cos, sin, nq, nk, eps):
        fused, cos, sin = fused.contiguous(), cos.contiguous(), sin.contiguous()
        batch, length, width = fused.shape
        head = width // (nq + 2 * nk)
        q, k, v = (torch.empty(batch, n, length, head) for n in (nq, nk, nk))
        _call("heads_forward", fused, wq, wk, cos, sin, q, k, v, batch, length, nq, nk, head, eps)
        ctx.save_for_backward(fused, wq, wk, cos, sin)
        ctx.sizes = nq, nk, eps
        return q, k, v

    @staticmethod
    def backward(ctx, dq, dk, dv):
        fused, wq, wk, cos, sin = ctx.saved_tensors
        nq, nk, eps = ctx.sizes
        batch, length, width = fused.shape
        head = width // (nq + 2 * nk)
        dq, dk, dv = dq.contiguous(), dk.contiguous(), dv.contiguous()
        dx, dwq, dwk = torch.empty_like(fused), torch.zeros(PARTS, head), torch.zeros(PARTS, head)
        _call("heads_backward", fused, wq, wk, cos, sin, dq, dk, dv, dx, dwq, dwk, batch, length, nq, nk, head, eps, PARTS)
        if wq is None:
            return dx, None, None, None, None, None, None, None
        return dx, dwq.sum(0), dwk.sum(0), None, None, None, None, None


def rms(x: Tensor, weight: Tensor | None = None, eps: float = 1e-6) -> Tensor:
    """x / rms(x) over the last axis, times `weight`."""
    return _Rms.apply(x, weight, eps)


def modulate(x: Tensor, m: Tensor, shift: int, scale: int) -> Tensor:
    """rms(x) * (1 + part `scale` of m) + part `shift` of m."""
    return _Modulate.apply(x, m, shift, scale)


def gate(x: Tensor, m: Tensor, part: int, out: Tensor) -> Tensor:
    """x + (part of m) * out."""
    return _Gate.apply(x, m, part, out)


def swiglu(fused: Tensor, value_first: bool) -> Tensor:
    """silu(gate) * value of the two halves of `fused`."""
    return _Swiglu.apply(fused, value_first)


def heads(fused: Tensor, wq, wk, cos: Tensor, sin: Tensor, nq: int, nk: int, eps: float = 1e-6):
    """A fused projection into normalised, rotated q and k, and v, each [batch, heads, length, head]."""
    return _Heads.apply(fused, wq, wk, cos, sin, nq, nk, eps)
