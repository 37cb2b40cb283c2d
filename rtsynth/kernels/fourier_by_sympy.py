"""`sympy.fourier_transform` in a process of its own, so that it can be given a time limit."""

from __future__ import annotations

import subprocess
import sys
from typing import Any

_PROGRAM = """
import sys, sympy
k, x, f = map(sympy.sympify, sys.stdin.read().splitlines())
S = 2 * sympy.integrate(k * sympy.cos(2 * sympy.pi * f * x), (x, 0, sympy.oo), conds="none")
print("" if S.has(sympy.Integral) else sympy.srepr(S))
"""


def transform_by_sympy(covariance: Any, x: Any, f: Any, seconds: float) -> Any:
    """The density of a covariance at lags x > 0, a SymPy expression of f; ValueError where there is none in time."""
    import sympy

    # f goes as a positive symbol, which SymPy needs to decide; the density is even.
    positive = sympy.Symbol(f.name, positive=True)
    lines = "\n".join(sympy.srepr(part) for part in (covariance, x, positive))
    try:
        done = subprocess.run(
            [sys.executable, "-c", _PROGRAM],
            input=lines,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise ValueError(f"SymPy found no transform of {covariance} in {seconds:g} s") from None
    if done.returncode or not done.stdout.strip():
        raise ValueError(f"SymPy knows no transform of {covariance}")
    return sympy.sympify(done.stdout).subs(positive, sympy.Abs(f))
