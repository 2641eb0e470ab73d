#!/usr/bin/env python3
"""Fits the polynomials of ir/ops/approx*.h and prints them as rows of its tables, and those of 2/pi. Needs mpmath.

Each row is a polynomial p near the minimax one of a function f on [a, b] under a weight w: the least squares of
w(x) (f(x) - p(x)) at Chebyshev nodes, which is within a small factor of the best. Coefficients are then rounded to f32
or f64 one by one from the lowest degree up, the rest being fitted again after each rounding, so that a later one makes
up for the rounding of an earlier one. Weights turn an error of p into one of the function's result.
"""

import struct

import mpmath as mp

mp.mp.prec = 300  # enough for the cancellation of the divided functions near 0
WINDOW_PRECISION = 1400  # bits of 2/pi that f64 needs


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


def atan_q(r):  # atan r = r + r^3 q(r^2)
    return (mp.atan(r) / r - 1) / r**2


def erf_q(x):  # erf x = x + x q(x^2), |x| <= 1
    return mp.erf(x) / x - 1


def erfc_q(u):  # erfc(1 + u) = e^q(u)
    return mp.log(mp.erfc(1 + u))


def exp2_q(r):  # 2^r = 1 + r ln2 + r^2 q(r)
    return (mp.mpf(2) ** r - 1 - r * mp.log(2)) / r**2


def atanh_q(z, first):  # atanh(s) / s = 1 + z/3 + … + q(z) z^(first + 1), z = s^2, after `first` terms
    s = mp.sqrt(z)
    return (mp.atanh(s) / s - sum(z**k / (2 * k + 1) for k in range(first + 1))) / z ** (first + 1)


def atanh_f32(z):
    return atanh_q(z, 1)


def atanh_f64(z):
    return atanh_q(z, 2)


def windows(f64):
    """The digits of 2/pi that matter to large arguments of sin and cos: ir/ops/approx_trig.h says what a row is."""
    bits, limit, window, end = (52, 30, 42, 1024) if f64 else (23, 17, 14, 128)
    with mp.workprec(WINDOW_PRECISION):
        for g in range(-(-(end - limit) // window)):
            rest = 2 / mp.pi * mp.mpf(2) ** (window * g - (bits - limit))
            rest -= 4 * mp.nint(rest / 4)
            parts, unit = [], mp.mpf(2) ** (1 - bits)
            for _ in range(4):
                parts.append(mp.nint(rest / unit) * unit)
                rest -= parts[-1]
                unit = mp.mpf(2) ** (mp.floor(mp.log(abs(rest), 2)) - bits)
            print("{" + ", ".join(float(p).hex() for p in parts) + "},")


IN_SQUARE = (sin_q, cos_q, atan_q, erf_q)
ROWS = [  # name, function, weight, interval, degree for f32 and f64
    ("exp", exp_q, lambda r: r**2, -0.3467, 0.3467, 4, 9),
    ("log", log_q, lambda f: abs(f**2 / mp.log1p(f)), -1 / mp.mpf(3), 1 / mp.mpf(3), 8, 20),
    ("sin", sin_q, lambda z: z, 0, 0.79**2, 2, 6),
    ("cos", cos_q, lambda z: z, 0, 0.79**2, 3, 6),
    ("atan", atan_q, lambda z: z, 0, mp.tan(mp.pi / 8) ** 2 * mp.mpf("1.0001"), 4, 11),
    ("exp2", exp2_q, lambda r: r**2, -0.5001, 0.5001, 5, 10),
    ("atanh f32", atanh_f32, lambda z: z**2, 0, 0.0295, 3, 3),
    ("atanh f64", atanh_f64, lambda z: z**3, 0, 0.0295, 7, 7),
    ("erf_small", erf_q, lambda z: 1, 0, 1, 6, 13),
    ("erf_large", erfc_q, lambda u: mp.erfc(1 + u), 0, None, 6, 16),  # up to where erf rounds to 1
]

if __name__ == "__main__":
    for f64 in (False, True):
        print(f"// ---- {'f64' if f64 else 'f32'}")
        for name, f, w, a, b, *degrees in ROWS:
            end = b if b is not None else 4.93 if f64 else 2.93
            fit(name, off_zero(f), lambda x: mp.mpf(w(x or mp.mpf("1e-30"))), a, end, degrees[f64], f64)
        print("// windows")
        windows(f64)
