"""Operands and cases of numpy_cases.py, and how they are written."""

import numpy as np

DTYPES = {"f32": np.float32, "f64": np.float64, "i32": np.int32, "i64": np.int64, "u8": np.uint8, "bool": np.bool_}
FLOATS, INTEGERS = ["f32", "f64"], ["i32", "i64", "u8"]
NUMBERS = FLOATS + INTEGERS
ALL = NUMBERS + ["bool"]
EDGES = {
    "f32": [
        0.0,
        -0.0,
        1,
        -1,
        0.5,
        -2.5,
        3,
        7.25,
        np.float32(0.1),
        3.4e38,
        np.finfo(np.float32).tiny,
        np.inf,
        -np.inf,
        np.nan,
    ],
    "f64": [0.0, -0.0, 1, -1, 0.5, -2.5, 3, 7.25, 0.1, 1.7e308, np.finfo(np.float64).tiny, np.inf, -np.inf, np.nan],
    "i32": [0, 1, -1, 2, -2, 7, -7, 31, 32, 123456789, 2**31 - 1, -(2**31)],
    "i64": [0, 1, -1, 2, -2, 7, -7, 63, 64, 1234567890123456789, 2**63 - 1, -(2**63)],
    "u8": [0, 1, 2, 3, 7, 8, 100, 127, 128, 255],
    "bool": [0, 1],
}
SHAPES = [[], [0], [3, 0, 2], [7], [1, 5], [2, 1, 1, 3, 1, 1, 1, 2]]  # scalar, empty, odd, size-1, rank 8

lines = []


def name(dtype):
    return next(n for n, t in DTYPES.items() if t == dtype)


def flush(x):
    if x.dtype.kind != "f":
        return x
    return np.where(np.abs(x) < np.finfo(x.dtype).tiny, np.copysign(np.zeros_like(x), x), x).astype(x.dtype)


class Tensor:
    """An operand: its elements and how they are written."""

    def __init__(self, values, text):
        self.values, self.text = values, text

    def __str__(self):
        return f"{name(self.values.dtype)}{shape_text(self.values.shape)}:{self.text}"


def shape_text(shape):
    return "[" + ",".join(map(str, shape)) + "]"


def element(x):
    if x.dtype.kind == "f":
        return repr(float(x)) if x.dtype == np.float64 else str(x)
    return str(int(x))


def literal(dtype, values, shape=None):
    values = np.array(values, DTYPES[dtype])
    values = values.reshape(values.shape if shape is None else shape)
    return Tensor(values, ",".join(element(v) for v in values.flatten()))


def rows(dtype):
    e = np.array(EDGES[dtype], DTYPES[dtype])
    return Tensor(np.repeat(e, len(e)).reshape(len(e), len(e)), "rows")


def cols(dtype):
    e = np.array(EDGES[dtype], DTYPES[dtype])
    return Tensor(np.tile(e, len(e)).reshape(len(e), len(e)), "cols")


def pattern(shape, k):
    i = np.arange(int(np.prod(shape, dtype=np.int64)), dtype=np.int64)
    return ((37 * i + 11 * k) % 23).reshape(shape)


def ints(dtype, shape, k=0):
    p = pattern(shape, k)
    values = p % 2 if dtype == "bool" else p if dtype == "u8" else p - 11
    return Tensor(values.astype(DTYPES[dtype]), f"ints/{k}")


def reals(dtype, shape, k=0):
    return Tensor(((pattern(shape, k) - 11) / 7).astype(DTYPES[dtype]), f"reals/{k}")


def case(op, operands, result, within=None, **attributes):
    words = [op] + [f"{k}={','.join(map(str, v))}" for k, v in attributes.items()]
    result = flush(np.asarray(result))
    r = literal(name(result.dtype), result)
    bound = f" within {within}" if within else ""
    lines.append(" ".join(words) + "".join(f" | {o}" for o in operands) + f" -> {r}{bound}")
