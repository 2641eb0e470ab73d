"""Cases of numpy_cases.py for ops that windows are made of: pad with elements between neighbours, reverse, window, unwindow."""

import numpy as np

from numpy_text import case


def windows_of(x, axes, size, stride, dilation):
    """y[..., o, ..., k] = x[..., o * stride + k * dilation, ...]"""
    y = x
    for i, (axis, n) in enumerate(zip(axes, size)):
        s, d = stride[i] if stride else 1, dilation[i] if dilation else 1
        count = (x.shape[axis] - (n - 1) * d - 1) // s + 1
        places = np.arange(count)[:, None] * s + np.arange(n)[None, :] * d
        y = np.moveaxis(np.take(y, places, axis), axis + 1, -1)
    return y


def unwindowed(u, shape, axes, stride, dilation):
    """x[..., i, ...] = the sum of u[..., o, ..., k] with o * stride + k * dilation = i, in row-major order"""
    x = np.zeros(shape, u.dtype)
    for at in np.ndindex(*u.shape):
        to = list(at[: len(shape)])
        for i, axis in enumerate(axes):
            to[axis] = at[axis] * (stride[i] if stride else 1) + at[len(shape) + i] * (dilation[i] if dilation else 1)
        x[tuple(to)] += u[at]
    return x


def window_cases(dtype, x, v):
    """x(extents...) makes a tensor of the dtype, v is a scalar of it."""
    for a, low, high, interior in [((3,), [2], [1], [2]), ((2, 3), [1, 0], [0, 2], [0, 1]), ((0, 2), [1, 0], [0, 0], [3, 1])]:
        extents = [l + (max(n, 1) - 1) * i + n + h for n, l, h, i in zip(a, low, high, interior)]
        padded = np.full(extents, v.values)
        padded[tuple(slice(l, l + (n - 1) * (i + 1) + 1 if n else l, i + 1) for n, l, i in zip(a, low, interior))] = x(*a).values
        case("pad", [x(*a), v], padded, low=low, high=high, interior=interior)
    for a, axes in [((), []), ((3,), [0]), ((3, 5), [1]), ((2, 3, 4), [2, 0]), ((0, 3), [1, 0]), ((1, 2, 1, 3, 1, 2, 1, 1), [1, 3])]:
        case("reverse", [x(*a)], np.flip(x(*a).values, axes), axes=axes)
    for a, axes, size, stride, dilation in [
        ((), [], [], [], []),
        ((5,), [0], [3], [], []),
        ((7,), [0], [3], [2], []),
        ((9, 1), [0], [2], [3], [4]),
        ((7, 3), [0], [3], [2**62], [3]),
        ((4, 5), [1, 0], [2, 3], [2, 1], [1, 1]),
        ((0, 4), [1], [2], [], []),
        ((1, 2, 1, 3, 1, 2), [3, 1], [3, 2], [], []),
        ((1, 2, 1, 3, 1, 2, 1, 1), [], [], [], []),
    ]:
        windows = windows_of(x(*a).values, axes, size, stride, dilation)
        given = {k: d for k, d in [("stride", stride), ("dilation", dilation)] if d}
        case("window", [x(*a)], windows, axes=axes, size=size, **given)
        if dtype != "bool":
            u = x(*windows.shape)
            case("unwindow", [u], unwindowed(u.values, a, axes, stride, dilation), axes=axes, **given)
