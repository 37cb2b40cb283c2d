"""Covariances as SymPy expressions, with the kernels of the library that they are, where there are any."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest

from rtsynth.kernels import (
    Cosine,
    Exponential,
    GaussianCosine,
    Kernel,
    Matern32,
    Matern52,
    PeriodicExponential,
    Regime,
    Symbolic,
)

sy = pytest.importorskip("sympy")

r = sy.Symbol("r")
s, p, q, l, nu, a = sy.symbols("s p q l nu a")  # noqa: E741  the seed's own letter
x = sy.Abs(r)


def matern(n: int) -> Any:
    """Of smoothness n + 1/2, as in the textbooks."""
    u = sy.sqrt(2 * n + 1) * x / l
    polynomial = {0: 1, 1: 1 + u, 2: 1 + u + u**2 / 3, 3: 1 + u + 2 * u**2 / 5 + u**3 / 15}[n]
    return polynomial * sy.exp(-u)


SEED = (
    2 * sy.exp(-p * sy.sin(sy.pi * a * r) ** 2) - 1 + q * sy.cos(sy.pi / 2 + sy.pi * a * r) ** 8
) * sy.exp(-a * x / 102)

# Sums of damped cosines, and what they are in the library (None: nothing).
EXACT: dict[str, tuple[Any, dict[str, float], Kernel | None]] = {
    "matern12": (matern(0), {"l": 0.01}, Exponential(0.01)),
    "matern32": (matern(1), {"l": 0.01}, Matern32(0.01)),
    "matern52": (matern(2), {"l": 0.01}, Matern52(0.01)),
    "matern72": (matern(3), {"l": 0.01}, None),
    "matern52 by bessel": (
        2 ** (1 - nu)
        / sy.gamma(nu)
        * (sy.sqrt(2 * nu) * x / l) ** nu
        * sy.besselk(nu, sy.sqrt(2 * nu) * x / l),
        {"nu": 2.5, "l": 0.01},
        Matern52(0.01),
    ),
    "matern72 cosine": (matern(3) * sy.cos(2 * sy.pi * p * r), {"l": 0.01, "p": 300.0}, None),
    "damped sine": (
        sy.exp(-x / l) * (sy.cos(p * r) + sy.sin(p * x) / 20),
        {"l": 0.01, "p": 1000.0},
        None,
    ),
    "negative share": (
        2 * sy.exp(-x / l) - sy.exp(-2 * x / l),
        {"l": 0.01},
        None,
    ),
    "cosine": (s**2 * sy.cos(2 * sy.pi * p * r), {"s": 1.5, "p": 50.0}, Cosine(50.0, 1.5)),
    "periodic exponential": (
        sy.exp(-q * sy.sin(sy.pi * p * r) ** 2) * sy.exp(-x / l),
        {"q": 0.5, "p": 264.0, "l": 0.386},
        PeriodicExponential(0.5, 264.0) * Exponential(0.386),
    ),
    "seed of the piano, after": (
        SEED,
        {"p": 5.0, "q": 1.7, "a": 264.0},
        Regime(5.0, 1.7, 264.0) * Exponential(102.0 / 264.0),
    ),
}

# Others: tolerance that their sum of damped cosines is to keep.
APPROXIMATE: dict[str, tuple[Any, dict[str, float], float]] = {
    "seed of the speech": (
        s**2 * sy.exp(-((r / l) ** 2)) * sy.cos(2 * p * sy.pi * r),
        {"s": 1.3, "p": 440.0, "l": 0.03},
        1e-3,
    ),
    "squared exponential": (sy.exp(-(r**2) / (2 * l**2)), {"l": 0.01}, 3e-4),
    "rational quadratic": ((1 + r**2 / (2 * q * l**2)) ** (-q), {"q": 1.5, "l": 0.01}, 1e-3),
    "periodic squared exponential": (
        sy.exp(-q * sy.sin(sy.pi * p * r) ** 2) * sy.exp(-((r / l) ** 2)),
        {"q": 0.5, "p": 264.0, "l": 0.03},
        1e-3,
    ),
    "matern 1.7": (
        2 ** (1 - nu)
        / sy.gamma(nu)
        * (sy.sqrt(2 * nu) * x / l) ** nu
        * sy.besselk(nu, sy.sqrt(2 * nu) * x / l),
        {"nu": 1.7, "l": 0.01},
        1e-3,
    ),
    "sum": (matern(1) + sy.exp(-((r / s) ** 2)), {"l": 0.01, "s": 0.02}, 1e-3),
    "second derivative": (sy.exp(-((r / l) ** 2)) * (1 - 2 * (r / l) ** 2), {"l": 0.01}, 1e-3),
    "sinc squared": (sy.sinc(p * r) ** 2, {"p": 100.0}, 1e-3),
    "wendland": (sy.Max(0, 1 - x / l) ** 4 * (1 + 4 * x / l), {"l": 0.01}, 2e-2),
    "no rule": (1 / sy.cosh(r / l), {"l": 0.01}, 1e-3),
    "stretched": (sy.exp(-((x / l) ** sy.Rational(3, 2))), {"l": 0.01}, 1e-3),
}


@cache
def symbolic(name: str) -> Symbolic:
    """The example of that name; made once."""
    expression, numbers, _ = EXACT[name] if name in EXACT else APPROXIMATE[name]
    return Symbolic(expression, r, **numbers)


GAUSSIAN = GaussianCosine(0.03, 440.0, 1.3)  # the seed of the speech
