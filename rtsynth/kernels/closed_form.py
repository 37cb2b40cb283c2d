"""The spectral density of a symbolic covariance in closed form, in numbers: to the digits it has, and blurred.

Terms that nearly cancel, as of a covariance that is cut off, are added in 60 digits where double precision loses them.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rtsynth.kernels.algebra import Lines, Terms
from rtsynth.kernels.fourier import Expr, NoRuleError, Part, parts_of, transform
from rtsynth.kernels.value import Array

ROUNDING = float(np.finfo(np.float64).eps)
CANCELLED = 1e-12  # of the power per hertz there can be: rounding beyond it is redone in 60 digits
DIGITS = 60
UNHEARD = 1e-9  # of the largest coefficient
NO_LINE = 1e-14  # of the variance: a line of less weight is rounding


@dataclass(frozen=True, eq=False)
class ClosedForm:
    """The parts of a covariance at lags x > 0, and the terms of its density at f."""

    parts: list[Part]
    density_terms: list[Expr]
    values: dict[Any, float]  # of the symbols in both
    x: Any
    f: Any
    variance: float

    @classmethod
    def of(
        cls, covariance: Expr, x: Any, f: Any, values: dict[Any, float], variance: float
    ) -> ClosedForm | None:
        """None where the table of transforms has no rule for a part of the covariance."""
        try:
            parts = parts_of(covariance, x, values)
            return cls(parts, transform(parts, x, f), values, x, f, variance)
        except NoRuleError:
            return None

    @property
    def exponential(self) -> bool:
        """Whether the covariance is a sum of damped cosines with polynomial prefactors."""
        return all(part.exponential for part in self.parts)

    def terms(self, members: list[int] | None = None) -> Terms:
        """Of the parts that `members` counts off, or all, as numbers; they are exponential."""
        which = list(range(len(self.parts))) if members is None else members
        return Terms.of(
            self.coefficients[which], [int(self.parts[i].power) for i in which], self.rates[which]
        )

    def lines(self) -> Lines:
        line = np.array([part.line for part in self.parts], dtype=bool)
        merged = Lines.merged(np.abs(self.rates[line].imag) / math.tau, self.coefficients[line].real)
        kept = np.abs(merged.weight) > NO_LINE * self.variance
        return Lines(merged.frequency[kept], merged.weight[kept])

    def density(self, f: Array) -> tuple[Array, Array]:
        """The density at f (F,), and what rounding may make of it, (F,) each."""
        values = np.stack([np.zeros(f.size), *self._evaluator(f)])
        with np.errstate(all="ignore"):
            S, rounding = values.sum(axis=0), ROUNDING * np.abs(values).sum(axis=0)
        lost = ~(rounding <= CANCELLED * self.variance * self.longest)
        S[lost] = [self._precisely(float(frequency)) for frequency in f[lost]]
        return S, np.where(lost, 0.0, rounding)

    def blurred(self, f: Array, window: float) -> tuple[Array, Array]:
        """Density and lines convolved with the transform of e^(-lag²/2 window²), and how well known: (F,) each."""
        sigma = 1.0 / (math.tau * window)
        offset = np.linspace(-8.0, 8.0, 401)
        weight = np.exp(-0.5 * offset**2) / math.sqrt(math.tau) * (offset[1] - offset[0])
        S = self.density(np.abs(f[:, None] + sigma * offset).ravel())[0].reshape(f.size, offset.size)
        whole = S @ weight
        rough = np.abs(whole - 2.0 * S[:, ::2] @ weight[::2])
        for frequency, power in zip(*self.lines(), strict=True):
            for line in (frequency, -frequency):
                whole += (
                    0.5 * power * np.exp(-0.5 * ((f - line) / sigma) ** 2) / (sigma * math.sqrt(math.tau))
                )
        return whole, rough

    def landmarks(self) -> Array:
        """Frequencies (F,) around and between all that the parts put into the spectrum."""
        offsets = np.concatenate([[0.0], np.geomspace(1e-2, 1e3, 40)])
        pairs = {(abs(r.imag) / math.tau, w) for r, w in zip(self.rates, self.widths, strict=True) if w}
        around = [np.abs(centre + width * np.concatenate([-offsets, offsets])) for centre, width in pairs]
        centres = np.array(sorted({centre for centre, _ in pairs}))
        return np.unique(np.concatenate([*around, 0.5 * (centres[1:] + centres[:-1])]))

    @cached_property
    def highest(self) -> float:
        """The frequency (Hz) beyond which no part that is heard puts much."""
        heard = np.abs(self.coefficients) > UNHEARD * np.abs(self.coefficients).max()
        return float(
            4.0 * self.widths.max() + 1.5 * np.abs(self.rates.imag[heard]).max(initial=0.0) / math.tau
        )

    @cached_property
    def longest(self) -> float:
        """The lag (s) within which the longest part has mostly decayed."""
        widths = self.widths[self.widths > 0.0]
        return float(1.0 / (math.tau * widths.min())) if widths.size else 1.0

    @cached_property
    def kinks(self) -> list[float]:
        """Lags (s) at which parts are cut off."""
        import sympy as sy

        cuts = {part.envelope for part in self.parts if isinstance(part.envelope, sy.Heaviside)}
        return [self.number(cut.args[0] + self.x).real for cut in cuts]

    @cached_property
    def coefficients(self) -> Any:
        """(K,), complex."""
        return self._numbers([part.coefficient for part in self.parts])

    @cached_property
    def rates(self) -> Any:
        """decay + i turn (K,), 1/s."""
        import sympy as sy

        return self._numbers([part.decay + sy.I * part.turn for part in self.parts])

    @cached_property
    def widths(self) -> Array:
        """Half widths (K,), Hz, of what each part puts into the spectrum; zero for a line."""
        kinds = {part[1:4] + part[5:]: part for part in self.parts}
        widths = {kind: self._width(part) for kind, part in kinds.items()}
        return np.array([widths[part[1:4] + part[5:]] for part in self.parts])

    def _width(self, part: Part) -> float:
        import sympy as sy

        rates = [abs(self.number(part.decay)), math.sqrt(abs(self.number(part.square)))]
        base = part.envelope.as_base_exp()[0]
        if isinstance(base, sy.Heaviside):
            rates.append(1.0 / self.number(base.args[0] + self.x).real)
        elif isinstance(base, sy.besselk):
            rates.append(abs(self.number(base.args[1] / self.x)))
        elif part.envelope != 1:
            polynomial = sy.Poly(base, self.x)
            first, last = abs(self.number(polynomial.TC())), abs(self.number(polynomial.LC()))
            rates.append((last / first) ** (1.0 / polynomial.degree()))
        elif part.power < 0:
            rates.append(max(abs(self.number(other.turn)) for other in self.parts))
        return max(rates) / math.tau

    def number(self, value: Expr) -> complex:
        """A symbolic value with the numbers put in."""
        return complex(value.subs(self.values).evalf())

    def _numbers(self, values: list[Expr]) -> Any:
        import sympy as sy

        function = sy.lambdify(list(self.values), values, ["scipy", "numpy"])
        return np.array(function(*self.values.values()), dtype=np.complex128)

    @cached_property
    def _evaluator(self) -> Callable[[Array], list[Array]]:
        return vectorised(self.f, self.density_terms, self.values)

    @cached_property
    def _precise(self) -> Callable[[Any], Any]:
        import sympy as sy

        # Numbers as fractions: what cancels must do so to DIGITS.
        exact = {symbol: sy.Rational(value) for symbol, value in self.values.items()}
        return sy.lambdify(self.f, sy.Add(*(term.subs(exact) for term in self.density_terms)), "mpmath")

    def _precisely(self, f: float) -> float:
        import mpmath

        with mpmath.workdps(DIGITS):
            try:
                value = mpmath.re(self._precise(mpmath.mpf(f)))
            except (ZeroDivisionError, ValueError):
                value = mpmath.nan
            if not mpmath.isfinite(value):  # a removable singularity, as of sin(f) / f
                value = mpmath.re(
                    self._precise(mpmath.mpf(f) + mpmath.mpf(10) ** -8 / mpmath.mpf(self.longest))
                )
            return float(value)


def vectorised(
    symbol: Any, terms: list[Expr], values: dict[Any, float] | None = None
) -> Callable[[Array], list[Array]]:
    """Each term at (F,) values of the symbol, others having theirs: its real part, (F,)."""
    import sympy as sy

    numbers = values or {}
    function = sy.lambdify([symbol, *numbers], terms, ["numpy", "scipy"])

    def evaluate(f: Array) -> list[Array]:
        with np.errstate(all="ignore"):
            return [np.broadcast_to(np.real(value), f.shape) for value in function(f, *numbers.values())]

    return evaluate
