#!/usr/bin/env python3
"""Fits the polynomials of ir/approx.h and prints them as rows of its tables. Needs mpmath.

Each row is a polynomial p close to the minimax one of a function f on [a, b] under a weight w: least squares of
w(x) (f(x) - p(x)) at Chebyshev nodes, which is within a small factor of the best. Coefficients are then rounded to f32 or f64 one by one from the lowest degree up, the rest being
fitted again after each rounding, so that a later coefficient makes up for the rounding of an earlier one.
"""
import struct
import mpmath as mp

mp.mp.prec = 300  # enough for the cancellation of the divided functions near 0


def least_squares(points, low, high):
    """The coefficients of x^low … x^high that minimise the sum of squares of weight * (value - polynomial)."""
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


def rounded(value, bits):
    if bits == 24:
        return mp.mpf(struct.unpack("f", struct.pack("f", float(value)))[0])
    return mp.mpf(float(value))


def fit(name, f, a, b, degree, bits, w=lambda x: mp.mpf(1)):
    """Prints the coefficients of f on [a, b] under the weight w, rounded to `bits` of precision."""
    a, b, n = mp.mpf(a), mp.mpf(b), 5 * (degree + 1)
    nodes = [(a + b) / 2 - (b - a) / 2 * mp.cos(mp.pi * (i + mp.mpf(1) / 2) / n) for i in range(n)]
    points = [(x, f(x), w(x)) for x in nodes]
    fixed = []
    for k in range(degree + 1):
        left = [(x, v - poly(fixed, x), weight) for x, v, weight in points]
        fixed.append(rounded(least_squares(left, k, degree)[0], bits))
    error = max(abs(w(x) * (f(x) - poly(fixed, x))) for x in mp.linspace(a, b, 499))
    print(f"// {name}: weighted error 2^{float(mp.log(error, 2)):.1f}")
    print(", ".join(float(c).hex() for c in fixed), flush=True)


def log_erfc(u):
    return mp.log(mp.erfc(1 + u))


if __name__ == "__main__":
    tiny = mp.mpf("1e-30")  # stands for 0 where a function has a removable singularity
    ln2_half, quarter_pi = mp.mpf("0.3467"), mp.mpf("0.79")
    # (bits, degrees of: exp, log, sin, cos, erf below 1, erf above 1, where erf rounds to 1)
    for bits, d_exp, d_log, d_sin, d_cos, d_erf, d_erfc, last in ((24, 4, 8, 2, 3, 6, 6, 3.93), (53, 9, 20, 6, 6, 13, 16, 5.93)):
        print(f"// ---- f{32 if bits == 24 else 64}")
        fit("exp: (e^r - 1 - r) / r^2", lambda r: (mp.expm1(r or tiny) - (r or tiny)) / (r or tiny) ** 2,
            -ln2_half, ln2_half, d_exp, bits, lambda r: r**2 + tiny)
        fit("log: (ln(1 + f) - f) / f^2", lambda f: (mp.log1p(f or tiny) - (f or tiny)) / (f or tiny) ** 2,
            -mp.mpf(1) / 3, mp.mpf(1) / 3, d_log, bits, lambda f: abs((f or tiny) ** 2 / mp.log1p(f or tiny)))
        fit("sin: (sin r - r) / r^3 in r^2", lambda z: (mp.sin(mp.sqrt(z or tiny)) / mp.sqrt(z or tiny) - 1) / (z or tiny),
            0, quarter_pi**2, d_sin, bits, lambda z: z + tiny)
        fit("cos: (cos r - 1) / r^2 in r^2", lambda z: (mp.cos(mp.sqrt(z or tiny)) - 1) / (z or tiny),
            0, quarter_pi**2, d_cos, bits, lambda z: z + tiny)
        fit("erf below 1: erf(x) / x - 1 in x^2", lambda z: mp.erf(mp.sqrt(z or tiny)) / mp.sqrt(z or tiny) - 1,
            0, 1, d_erf, bits)
        fit("erf above 1: ln(erfc(1 + u))", log_erfc, 0, last - 1, d_erfc, bits, lambda u: mp.erfc(1 + u))
