#!/usr/bin/env python3
"""Fits the polynomials of ir/approx.h and prints them as rows of its tables. Needs mpmath.

Each row is a polynomial p near the minimax one of a function f on [a, b] under a weight w: the least squares of
w(x) (f(x) - p(x)) at Chebyshev nodes, which is within a small factor of the best. Coefficients are then rounded to f32
or f64 one by one from the lowest degree up, the rest being fitted again after each rounding, so that a later one makes
up for the rounding of an earlier one. Weights turn an error of p into one of the function's result.
"""

import struct

import mpmath as mp

mp.mp.prec = 300  # enough for the cancellation of the divided functions near 0


def least_squares(points, low, high):
    """The coefficients of x^low ... x^high that minimise the sum of squares of weight * (value - polynomial)."""
    n = high - low + 1
    matrix, right = mp.zeros(n, n), mp.zeros(n, 1)
    for x, value, weight in points:
        row = [weight * x ** (low + k) for k in range(n)]
        for i in range(n):
            right[i] += row[i] * value * weight
            for j in range(n):
                matrix[i, j] += row[i] * row[j]
    return list(mp.lu_solve(matrix, right))


def poly(c, x):
    return mp.polyval(c[::-1], x)


def rounded(value, f64):
    return mp.mpf(float(value) if f64 else struct.unpack("f", struct.pack("f", float(value)))[0])


def fit(name, f, w, a, b, degree, f64):
    """Prints the coefficients of f on [a, b] under the weight w."""
    a, b, n = mp.mpf(a), mp.mpf(b), 5 * (degree + 1)
    nodes = [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * (i + mp.mpf(1) / 2) / n) for i in range(n)]
    points = [(x, f(x), w(x)) for x in nodes]
    fixed = []
    for k in range(degree + 1):
        left = [(x, value - poly(fixed, x), weight) for x, value, weight in points]
        fixed.append(rounded(least_squares(left, k, degree)[0], f64))
    error = max(abs(w(x) * (f(x) - poly(fixed, x))) for x in mp.linspace(a, b, 500))
    print(f"// {name}: weighted error 2^{float(mp.log(error, 2)):.1f}")
    print(", ".join(float(c).hex() for c in fixed), flush=True)


def off_zero(f):
    """f, whose singularity at 0 is removable, evaluated beside it."""
    return lambda x: f(mp.sqrt(x) if x > 0 else mp.mpf("1e-30")) if f in IN_SQUARE else f(x or mp.mpf("1e-30"))


def exp_q(r):  # e^r = 1 + r + r^2 q(r)
    return (mp.expm1(r) - r) / r**2


def log_q(f):  # ln(1 + f) = f + f^2 q(f)
    return (mp.log1p(f) - f) / f**2


def sin_q(r):  # sin r = r + r^3 q(r^2)
    return (mp.sin(r) / r - 1) / r**2


def cos_q(r):  # cos r = 1 + r^2 q(r^2)
    return (mp.cos(r) - 1) / r**2


def erf_q(x):  # erf x = x + x q(x^2), |x| <= 1
    return mp.erf(x) / x - 1


def erfc_q(u):  # erfc(1 + u) = e^q(u)
    return mp.log(mp.erfc(1 + u))


IN_SQUARE = (sin_q, cos_q, erf_q)
ROWS = [  # name, function, weight, interval, degree for f32 and f64
    ("exp", exp_q, lambda r: r**2, -0.3467, 0.3467, 4, 9),
    ("log", log_q, lambda f: abs(f**2 / mp.log1p(f)), -1 / mp.mpf(3), 1 / mp.mpf(3), 8, 20),
    ("sin", sin_q, lambda z: z, 0, 0.79**2, 2, 6),
    ("cos", cos_q, lambda z: z, 0, 0.79**2, 3, 6),
    ("erf_small", erf_q, lambda z: 1, 0, 1, 6, 13),
    ("erf_large", erfc_q, lambda u: mp.erfc(1 + u), 0, None, 6, 16),  # up to where erf rounds to 1
]

if __name__ == "__main__":
    for f64 in (False, True):
        print(f"// ---- {'f64' if f64 else 'f32'}")
        for name, f, w, a, b, *degrees in ROWS:
            end = b if b is not None else 4.93 if f64 else 2.93
            fit(name, off_zero(f), lambda x: mp.mpf(w(x or mp.mpf("1e-30"))), a, end, degrees[f64], f64)
