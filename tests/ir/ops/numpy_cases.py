#!/usr/bin/env python3
"""Writes numpy_cases.txt: what NumPy says each op of the table computes. Run by hand (needs numpy); the text is in git.

A line is   op attribute=list… | operand | … -> result [within bound]
A tensor is dtype[shape] and how its elements are made:
  :1,2.5,nan   the elements
  :rows :cols  the edge values of the dtype, e[i] or e[j] at [i,j]
  :ints/k      (37 i + 11 k) mod 23 - 11 at flat index i (without the -11 for u8; its parity for bool)
  :reals/k     ints/k divided by 7 (floats only)
Results are exact unless `within` gives a bound: `2ulp`, or an absolute one. Subnormal results are flushed.
"""

import itertools
import math
import os
from fractions import Fraction

import numpy as np

from numpy_text import (
    ALL,
    DTYPES,
    EDGES,
    FLOATS,
    INTEGERS,
    NUMBERS,
    SHAPES,
    case,
    cols,
    ints,
    lines,
    literal,
    reals,
    rows,
)
from numpy_windows import window_cases

# ---- elementwise


def wrap(dtype, values):
    """Python integers to a NumPy integer type, modulo 2^bits."""
    bits = 8 * np.dtype(DTYPES[dtype]).itemsize
    values = np.asarray(values, object)
    unsigned = np.array([int(v) % 2**bits for v in values.flatten()], np.uint64).reshape(values.shape)
    return unsigned.astype(f"u{bits // 8}").view(DTYPES[dtype])


def exact(f):
    """f on Python integers, element by element."""
    return lambda *arrays: np.vectorize(f, otypes=[object])(*[a.astype(object) for a in arrays])


def truncated(a, b):
    if b == 0:
        return 0
    q = abs(a) // abs(b)
    return q if (a < 0) == (b < 0) else -q


def shift(f, bits):
    return lambda a, b: f(a % 2**bits, b) if 0 <= b < bits else 0


UNARY_FLOAT = {
    "neg": np.negative,
    "abs": np.abs,
    "floor": np.floor,
    "ceil": np.ceil,
    "round": np.rint,
    "sqrt": np.sqrt,
    "sign": lambda x: np.where(np.isnan(x), x, np.sign(x) + 0),
    "stop_gradient": lambda x: x,
}
UNARY_INTEGER = {
    "neg": lambda a: -a,
    "abs": abs,
    "sign": lambda a: (a > 0) - (a < 0),
    "not": lambda a: ~a,
    "stop_gradient": lambda a: a,
}
UNARY_BOOL = {"not": np.logical_not, "stop_gradient": lambda x: x}


def logistic(x):
    x = x.astype(np.longdouble)
    e = np.exp(-np.abs(x))
    return np.where(x < 0, e, 1) / (1 + e)


def soft_plus(x):
    return np.logaddexp(x.astype(np.longdouble), 0)


CURVES = {  # op: function, points beside the edges
    "exp": (np.exp, [88, 88.7, 89, -87, -87.3, -88, 1e-3, 0.34657359, -0.34657359, 10.1, -50.3]),
    "expm1": (np.expm1, [88, 88.7, 89, -16, -18, 1e-3, -1e-3, 0.34657359, -0.34657359, 0.6931472, -1, 10.1]),
    "log": (np.log, [0.66, 0.67, 1.33, 1.34, 0.999, 1.001, 2, 10, 1e10, 1e-10]),
    "log1p": (np.log1p, [-0.9, -0.5, -0.34, -0.33, 0.33, 0.34, 1e-3, -1e-3, 2, 10, 1e10, 16777216, -1.5]),
    "sigmoid": (logistic, [-5, -17, -20, -87, -88, 17, 88, 1e-3, 0.34657359, -0.34657359, 710, -708]),
    "softplus": (soft_plus, [-5, -17, -20, -87, -88, 17, 88, 1e-3, 1.0986123, -1.0986123, 710, -708]),
    "sin": (np.sin, [0.7853, 0.7855, 1.57, 3.14159, 6.2831, 100, 12345.6, 100000, -3, 1e-4, 131073, 1e6, 1e10, -1e15, 1e22]),
    "cos": (np.cos, [0.7853, 0.7855, 1.57, 3.14159, 6.2831, 100, 12345.6, 100000, -3, 1e-4, 131073, 1e6, 1e10, -1e15, 1e22]),
    "tanh": (np.tanh, [0.01, 0.2, 0.5493, 0.55, -2, 5, 9, 9.1, 19, 20, -100, 1e-4]),
    "erf": (np.vectorize(math.erf, otypes=[np.float64]), [0.01, 0.2, 0.99, 1.01, -2, 3, 3.9, 4.1, 5.8, 6.1, -100, 1e-4]),
}


def unary():
    for dtype in FLOATS:
        for op, f in UNARY_FLOAT.items():
            edges = literal(dtype, EDGES[dtype] + [-0.5, 1.5, 2.5, -1.5, 2**23 + 1, -0.1])
            for x in [edges] + [reals(dtype, s, 1) for s in SHAPES]:
                case(op, [x], f(x.values).astype(DTYPES[dtype]))
        for op, (f, points) in CURVES.items():
            for x in [literal(dtype, EDGES[dtype] + points)] + [reals(dtype, s, 2) for s in SHAPES]:
                case(op, [x], f(x.values.astype(np.float64)).astype(DTYPES[dtype]), within="3ulp")
    for dtype in INTEGERS:
        for op, f in UNARY_INTEGER.items():
            for x in [literal(dtype, EDGES[dtype])] + [ints(dtype, s, 1) for s in SHAPES]:
                case(op, [x], wrap(dtype, exact(f)(x.values)) if x.values.size else x.values)
    for op, f in UNARY_BOOL.items():
        for x in [literal("bool", [0, 1])] + [ints("bool", s, 1) for s in SHAPES]:
            case(op, [x], f(x.values))


def converted(x, to):
    v = x.values
    if to == "bool":
        return v != 0
    if v.dtype.kind == "f" and to in INTEGERS:
        info = np.iinfo(DTYPES[to])

        def saturate(e):
            return 0 if math.isnan(e) else info.max if e >= info.max else info.min if e <= info.min else int(e)

        return np.array([saturate(float(e)) for e in v.flatten()], DTYPES[to]).reshape(v.shape)
    if to in INTEGERS:
        return wrap(to, v.astype(object)) if v.size else v.astype(DTYPES[to])
    return v.astype(DTYPES[to])


def convert():
    extra = [2**31, 2**31 - 128, -(2**31), 2**63, -(2**63), 255, 255.5, 256, -0.9, 254.99, 1e10, -1e10, 16777217.0]
    for dtype in ALL:
        for to in ALL:
            edges = EDGES[dtype] + (extra if dtype in FLOATS else [])
            for x in [literal(dtype, edges)] + [ints(dtype, s, 3) for s in SHAPES]:
                case("convert", [x], converted(x, to))


BINARY_FLOAT = {"add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.divide}
ORDERED = {
    "max": lambda x, y: np.where((x > y) | (x != x), x, y),
    "min": lambda x, y: np.where((x < y) | (x != x), x, y),
}
BITWISE = {"and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor}
COMPARE = {
    "eq": np.equal,
    "ne": np.not_equal,
    "lt": np.less,
    "le": np.less_equal,
    "gt": np.greater,
    "ge": np.greater_equal,
}
BINARY_INTEGER = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": truncated,
    "rem": lambda a, b: a - truncated(a, b) * b,
}


def pairs(dtype):
    return [(rows(dtype), cols(dtype))] + [(ints(dtype, s, 4), ints(dtype, s, 5)) for s in SHAPES]


def binary():
    for dtype in ALL:
        ops = dict(ORDERED)
        if dtype in FLOATS:
            ops |= BINARY_FLOAT
        else:
            ops |= BITWISE
        for op, f in (ops | COMPARE).items():
            for x, y in pairs(dtype):
                case(op, [x, y], f(x.values, y.values))
    for dtype in FLOATS:
        for x, y in pairs(dtype) + [(reals(dtype, s, 4), reals(dtype, s, 5)) for s in SHAPES]:
            z = np.power(x.values.astype(np.float64), y.values.astype(np.float64)).astype(DTYPES[dtype])
            case("pow", [x, y], z, within="2ulp")
    for dtype in INTEGERS:
        bits = 8 * np.dtype(DTYPES[dtype]).itemsize
        shifts = {"shl": shift(lambda a, b: a << b, bits), "shr": shift(lambda a, b: a >> b, bits)}
        for op, f in (BINARY_INTEGER | shifts).items():
            for x, y in pairs(dtype):
                case(op, [x, y], wrap(dtype, exact(f)(x.values, y.values)) if x.values.size else x.values)


def rounded(q, t):
    """The nearest float of type t to a rational, ties to even."""
    near = t(float(q))
    around = [np.nextafter(near, t(-np.inf)), near, np.nextafter(near, t(np.inf))]
    even = lambda v: int(v.view(np.uint32 if t is np.float32 else np.uint64)) & 1
    return min((v for v in around if np.isfinite(v)), key=lambda v: (abs(Fraction(float(v)) - q), even(v)))


def fused(x, y, w):
    t = type(x)
    if not all(np.isfinite(v) for v in (x, y, w)):
        return t(float(x) * float(y) + float(w))
    q = Fraction(float(x)) * Fraction(float(y)) + Fraction(float(w))
    return rounded(q, t) if q else t(float(x) * float(y) + float(w))


def ternary():
    for dtype in ALL:
        for shape in SHAPES:
            p, x, y = ints("bool", shape, 1), ints(dtype, shape, 2), ints(dtype, shape, 3)
            case("select", [p, x, y], np.where(p.values, x.values, y.values))
    for dtype in FLOATS:
        e = [0.0, -0.0, 1, 0.1, -0.3, 3, 1e-3, 123.456, np.inf, np.nan]
        triples = np.array(list(itertools.product(e, e, e)))[::7]
        operands = [literal(dtype, triples[:, i]) for i in range(3)]
        for x, y, w in [operands] + [[reals(dtype, s, k) for k in (1, 2, 3)] for s in SHAPES]:
            flat = zip(x.values.flatten(), y.values.flatten(), w.values.flatten())
            case("fma", [x, y, w], np.array([fused(*v) for v in flat], DTYPES[dtype]).reshape(x.values.shape))


# ---- leaves


def philox(key, step, index):
    c = [index & 0xFFFFFFFF, index >> 32 & 0xFFFFFFFF, step & 0xFFFFFFFF, step >> 32 & 0xFFFFFFFF]
    k = [key & 0xFFFFFFFF, key >> 32 & 0xFFFFFFFF]
    for _ in range(10):
        a, b = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [b >> 32 ^ c[1] ^ k[0], b & 0xFFFFFFFF, a >> 32 ^ c[3] ^ k[1], a & 0xFFFFFFFF]
        k = [(k[0] + 0x9E3779B9) & 0xFFFFFFFF, (k[1] + 0xBB67AE85) & 0xFFFFFFFF]
    return c[0]


def leaves():
    for dtype in ALL:
        for shape in SHAPES:
            x = ints(dtype, shape, 1)
            case("input", [x], x.values)
            case("constant", [x], x.values)
            for axis in range(len(shape)):
                case("size", [x], np.int64(shape[axis]), axis=[axis])
    for dtype in NUMBERS:
        for shape in SHAPES[1:] + [[300]]:
            for axis in range(len(shape)):
                index = np.indices(shape)[axis] if np.prod(shape) else np.zeros(shape)
                case("iota", [], index.astype(np.int64).astype(DTYPES[dtype]), axis=[axis])
    for key, step in [(0, 0), (1, 0), (0, 1), (-1, 2**40), (0x123456789ABCDEF, 7)]:
        for shape in SHAPES:
            n = int(np.prod(shape, dtype=np.int64))
            words = np.array([philox(key, step, i) for i in range(n)], np.uint32).view(np.int32).reshape(shape)
            case("random", [literal("i64", key), literal("i64", step)], words)


# ---- structure


def views():
    for dtype in ALL:
        x = lambda *shape: ints(dtype, list(shape), 6)
        for a, shape, axes in [
            ((), [], []),
            ((), [2, 3], []),
            ((3,), [2, 3], [1]),
            ((2,), [2, 3], [0]),
            ((1, 3), [3, 3], [0, 1]),
            ((2, 1), [2, 3], [0, 1]),
            ((0,), [2, 0], [1]),
            ((1,), [0], [0]),
            ((2, 1, 3), [1, 2, 1, 4, 1, 3, 1, 2], [1, 3, 5]),
        ]:
            v = x(*a).values
            inner = [1] * len(shape)
            for i, axis in enumerate(axes):
                inner[axis] = a[i]
            case("broadcast", [x(*a)], np.broadcast_to(v.reshape(inner), shape), axes=axes)
        for a, shape in [
            ((), [1, 1]),
            ((6,), [2, 3]),
            ((2, 3, 4), [4, 6]),
            ((0, 3), [5, 0]),
            ((3, 5), [5, 3]),
            ((8,), [2, 1, 2, 1, 1, 1, 2, 1]),
            ((1,), []),
        ]:
            case("reshape", [x(*a)], x(*a).values.reshape(shape))
        for a, perm in [
            ((), []),
            ((3,), [0]),
            ((2, 3), [1, 0]),
            ((2, 3, 4), [2, 0, 1]),
            ((2, 0, 3), [1, 2, 0]),
            ((1, 2, 1, 3, 1, 2, 1, 1), [3, 5, 1, 0, 2, 4, 6, 7]),
        ]:
            case("transpose", [x(*a)], x(*a).values.transpose(perm), perm=perm)
        for a, start, limit, stride in [
            ((), [], [], []),
            ((7,), [1], [6], [2]),
            ((7,), [3], [3], [1]),
            ((5, 7), [1, 0], [4, 7], [2, 3]),
            ((0, 4), [0, 1], [0, 3], [1, 1]),
            ((5,), [4], [5], [2**62]),
            ((2,) * 8, [0, 1] * 4, [2] * 8, [1] * 8),
        ]:
            index = tuple(slice(*s) for s in zip(start, limit, stride))
            case("slice", [x(*a)], x(*a).values[index], start=start, limit=limit, stride=stride)
        v = ints(dtype, [], 9)
        for a, low, high in [
            ((), [], []),
            ((3,), [0], [0]),
            ((3,), [2], [1]),
            ((2, 3), [1, 0], [0, 2]),
            ((0,), [1], [2]),
            ((0, 2), [0, 1], [0, 1]),
            ((1,) * 8, [0, 1] + [0] * 6, [1] + [0] * 7),
        ]:
            padded = np.pad(x(*a).values, list(zip(low, high)) or 0, constant_values=v.values)
            case("pad", [x(*a), v], padded, low=low, high=high)
        window_cases(dtype, x, v)
        for shapes, axis in [
            ([(3,)], 0),
            ([(3,), (0,), (2,)], 0),
            ([(2, 3), (2, 1)], 1),
            ([(1, 3), (2, 3), (1, 3)], 0),
            ([(0, 2), (0, 3)], 1),
            ([(1, 1, 1, 1, 1, 2, 1, 2), (1, 1, 1, 1, 1, 1, 1, 2)], 5),
        ]:
            parts = [ints(dtype, list(s), i) for i, s in enumerate(shapes)]
            case("concat", parts, np.concatenate([p.values for p in parts], axis), axis=[axis])


INDEX_CASES = [  # shape of x, axis, indices
    ((5,), 0, [4, 0, 0, -1, 5, 2]),
    ((5,), 0, 3),
    ((5,), 0, []),
    ((3, 3), 1, [1, 1, 0]),
    ((4, 3), 0, [[3, 1], [0, 9]]),
    ((4, 3), 1, [2, 2, 0]),
    ((0, 3), 0, [0, 1]),
    ((2, 3, 2), 1, [2, -7, 1, 1, 2**31 - 1]),
    ((3, 0), 0, [1]),
    ((1, 1, 2, 1, 1, 3, 1, 2), 5, [2, 0]),
]


def indexed():
    for dtype in ALL:
        for number, (shape, axis, index) in enumerate(INDEX_CASES):
            k = literal(["i32", "i64"][number % 2], index)
            x = ints(dtype, list(shape), 7)
            out = shape[:axis] + k.values.shape + shape[axis + 1 :]
            y = np.zeros(out, DTYPES[dtype])
            u = ints(dtype, list(out), 8)
            z = x.values.astype(np.int64)
            for j, target in np.ndenumerate(k.values):
                if 0 <= target < shape[axis]:
                    at = (slice(None),) * axis
                    y[at + j] = x.values[at + (target,)]
                    z[at + (target,)] += u.values[at + j].astype(np.int64)
            case("gather", [x, k], y, axis=[axis])
            if dtype != "bool":
                case("scatter_add", [x, k, u], z.astype(DTYPES[dtype]), axis=[axis])


# ---- reductions and contractions

REDUCE_CASES = [
    ((1,), 0),
    ((4, 3), 0),
    ((5,), 0),
    ((0,), 0),
    ((3, 0), 1),
    ((0, 3), 0),
    ((0, 3), 1),
    ((2, 3, 4), 0),
    ((2, 3, 4), 1),
    ((2, 3, 4), 2),
    ((1, 2, 1, 3, 1, 1, 2, 1), 3),
]
LONG_CASES = [
    ((16,), 0),
    ((17,), 0),
    ((63,), 0),
    ((4096,), 0),
    ((4097,), 0),
    ((9001,), 0),
    ((100000,), 0),
    ((66049, 2), 0),
    ((9001, 2), 0),
    ((2, 9001), 1),
]


def lowest(dtype):
    return -np.inf if dtype in FLOATS else 0 if dtype == "bool" else np.iinfo(DTYPES[dtype]).min


def highest(dtype):
    return np.inf if dtype in FLOATS else 1 if dtype == "bool" else np.iinfo(DTYPES[dtype]).max


def reductions():
    for dtype in ALL:
        t = DTYPES[dtype]
        for shape, axis in REDUCE_CASES + LONG_CASES:
            x = ints(dtype, list(shape), 1)
            case("reduce_max", [x], np.max(x.values, axis, initial=lowest(dtype)).astype(t), axis=[axis])
            case("reduce_min", [x], np.min(x.values, axis, initial=highest(dtype)).astype(t), axis=[axis])
            if dtype == "bool":
                continue
            case("reduce_sum", [x], np.sum(x.values, axis, dtype=np.int64).astype(t), axis=[axis])
            if shape[axis] <= 63 and (dtype in INTEGERS or shape[axis] <= 5):
                product = np.prod(x.values.astype(np.float64 if dtype in FLOATS else np.int64), axis)
                case("reduce_prod", [x], product.astype(t), axis=[axis])
            if shape[axis]:
                case("arg_max", [x], np.argmax(x.values, axis).astype(np.int32), axis=[axis])
                case("arg_min", [x], np.argmin(x.values, axis).astype(np.int32), axis=[axis])
    for dtype in FLOATS:
        for values, best, least in [
            ([1, np.nan, 3], 2, 0),
            ([np.nan, 5, 7], 0, 0),
            ([-0.0, 0.0], 0, 0),
            ([-np.inf, -np.inf], 0, 0),
        ]:
            x = literal(dtype, values)
            case("arg_max", [x], np.int32(best), axis=[0])
            case("arg_min", [x], np.int32(least), axis=[0])
        for op in ("reduce_max", "reduce_min", "reduce_sum", "reduce_prod"):
            case(op, [literal(dtype, [1, np.nan, 3])], np.array(np.nan, DTYPES[dtype]), axis=[0])
        for shape, axis in LONG_CASES:
            x = reals(dtype, list(shape), 1)
            wide = x.values.astype(np.float64)
            bound = 2 * np.finfo(DTYPES[dtype]).eps * np.sum(np.abs(wide), axis).max()
            case("reduce_sum", [x], np.sum(wide, axis).astype(DTYPES[dtype]), within=f"{bound:.3g}", axis=[axis])


CONTRACT_CASES = [  # shapes, then lhs, rhs, lhs_batch, rhs_batch
    ((), (), [], [], [], []),
    ((3,), (4,), [], [], [], []),
    ((5,), (5,), [0], [0], [], []),
    ((3, 5), (5, 4), [1], [0], [], []),
    ((5, 3), (4, 5), [0], [1], [], []),
    ((2, 3, 5), (2, 5, 4), [2], [1], [0], [0]),
    ((3, 2, 5), (5, 4, 2), [2], [0], [1], [2]),
    ((2, 3, 4), (4, 3, 5), [2, 1], [0, 1], [], []),
    ((2, 3, 4), (3, 4, 5), [1, 2], [0, 1], [], []),
    ((3, 0), (0, 4), [1], [0], [], []),
    ((0, 5), (5, 4), [1], [0], [], []),
    ((2, 3), (2, 3), [], [], [0, 1], [0, 1]),
    ((1, 2, 1, 1, 2, 1, 1, 3), (3, 1, 2), [7, 4], [0, 2], [], []),
    ((17, 33), (33, 9), [1], [0], [], []),
]
LONG_CONTRACTIONS = [((1, 1023), (1023, 2)), ((2, 1024), (1024, 1)), ((1, 1025), (1025, 3)), ((2, 2500), (2500, 2))]


def contracted(x, y, lhs, rhs, lhs_batch, rhs_batch):
    letters = iter("abcdefghijklmnopqrstuvwxyz")
    x_axes = [next(letters) for _ in x.shape]
    y_axes = [next(letters) for _ in y.shape]
    for i, j in list(zip(lhs, rhs)) + list(zip(lhs_batch, rhs_batch)):
        y_axes[j] = x_axes[i]
    free = lambda axes, used: [a for i, a in enumerate(axes) if i not in used]
    out = [x_axes[i] for i in lhs_batch] + free(x_axes, lhs + lhs_batch) + free(y_axes, rhs + rhs_batch)
    return np.einsum(f"{''.join(x_axes)},{''.join(y_axes)}->{''.join(out)}", x, y)


def contractions():
    for dtype in ["f32", "f64", "i32", "i64"]:
        for xs, ys, *axes in CONTRACT_CASES + [(x, y, [1], [0], [], []) for x, y in LONG_CONTRACTIONS]:
            names = dict(zip(["lhs", "rhs", "lhs_batch", "rhs_batch"], axes))
            x, y = ints(dtype, list(xs), 1), ints(dtype, list(ys), 2)
            product = contracted(x.values.astype(np.int64), y.values.astype(np.int64), *axes)
            case("contract", [x, y], product.astype(DTYPES[dtype]), **names)
            if dtype in FLOATS and np.prod(xs) and np.prod(ys):
                x, y = reals(dtype, list(xs), 1), reals(dtype, list(ys), 2)
                wide = contracted(x.values.astype(np.float64), y.values.astype(np.float64), *axes)
                size = contracted(np.abs(x.values).astype(np.float64), np.abs(y.values).astype(np.float64), *axes)
                terms = min(np.prod([xs[i] for i in axes[0]], dtype=np.int64) + 1, 1024)  # in one chain
                bound = terms * np.finfo(DTYPES[dtype]).eps / 2 * np.max(size)
                case("contract", [x, y], wide.astype(DTYPES[dtype]), within=f"{bound:.3g}", **names)


if __name__ == "__main__":
    np.seterr(all="ignore")
    for dtype in ALL:
        lines.append(f"edges {literal(dtype, EDGES[dtype])}")
    for group in (leaves, unary, convert, binary, ternary, views, indexed, reductions, contractions):
        group()
    with open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "numpy_cases.txt"), "w") as f:
        f.write("# Written by numpy_cases.py, which explains the format.\n" + "\n".join(lines) + "\n")
