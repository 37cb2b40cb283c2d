"""Any stationary covariance, written as a SymPy expression of the lag: its spectral density, and what stands for it.

    r, l, p = sympy.symbols("r l p")
    Symbolic(sympy.exp(-(r / l)**2) * sympy.cos(2 * sympy.pi * p * r), r, l=0.03, p=440.0)

By Bochner's theorem it is a covariance function where its spectral density is nowhere negative; that is looked at.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from rtsynth.kernels.algebra import Kernel, Lines, Stationary, Terms
from rtsynth.kernels.approximation import Approximation, Carried, ExponentialSum, approximate
from rtsynth.kernels.closed_form import ClosedForm, vectorised
from rtsynth.kernels.fourier import Expr, NoRuleError, without_cases
from rtsynth.kernels.fourier_by_sympy import transform_by_sympy
from rtsynth.kernels.numeric_fourier import Quadrature, scales_of, windowed
from rtsynth.kernels.value import Array

NEGATIVE = 1e-9  # of the largest density: below it a negative one is rounding
CHECKED = 16  # frequencies at which the symbolic density is compared with the numeric one
AGREEMENT = 1e-6  # of the largest density compared
TIME_LIMIT = 10.0  # s that SymPy gets where the table of transforms has no rule


@dataclass(frozen=True, eq=False, init=False)
class Symbolic(Stationary):
    """The covariance `expression` at the lag `lag` (a symbol, s), even in it: write Abs(lag) where it matters.

    numbers: the value of every other symbol, by its name. ValueError, with the cause, where one is missing, where
    the expression is not real, even and finite at lag 0, and where it is no covariance function: then with a frequency
    at which its spectral density is negative. InputError without SymPy.
    """

    expression: Any  # in `lag` and in symbols that are positive where their numbers are
    lag: Any
    numbers: tuple[tuple[str, float], ...]

    def __init__(self, expression: Any, lag: Any, /, **numbers: float) -> None:
        sy = _sympy()
        expression, lag = sy.sympify(expression), sy.sympify(lag)
        symbols = {symbol.name: symbol for symbol in expression.free_symbols - {lag}}
        if symbols.keys() != numbers.keys():
            odd = ", ".join(sorted(symbols.keys() ^ numbers.keys()))
            raise ValueError(f"{expression}: wants a number for each of its symbols and no other; see {odd}")
        values = {name: float(value) for name, value in sorted(numbers.items())}
        if not all(map(math.isfinite, values.values())):
            raise ValueError(f"{expression}: has a number that is not finite")
        known = {symbol: sy.Symbol(name, **_sign(values[name])) for name, symbol in symbols.items()}
        object.__setattr__(self, "lag", sy.Symbol("r", real=True))
        exact = sy.nsimplify(expression.subs({lag: self.lag} | known), rational=True)
        object.__setattr__(self, "expression", exact)
        object.__setattr__(self, "numbers", tuple(values.items()))
        self._check_even()
        self._check_density()

    def __str__(self) -> str:
        given = "".join(f", {name}={value:g}" for name, value in self.numbers)
        return f"Symbolic({self.expression}{given})"

    def __mul__(self, other: Kernel | float) -> Kernel:
        """With another `Symbolic` a `Symbolic`, whose density has a closed form where there is a rule for it."""
        if not isinstance(other, Symbolic):
            return super().__mul__(other)
        first, second = (
            kernel.expression.subs(kernel._values).subs(kernel.lag, self.lag) for kernel in (self, other)
        )
        return Symbolic(first * second, self.lag)

    def at(self, lag: Array) -> Array:
        x = np.abs(np.asarray(lag, dtype=np.float64))
        with np.errstate(all="ignore"):
            k = np.broadcast_to(np.real(self._function(x)), x.shape).astype(np.float64)
        return np.where(x == 0.0, self._at_zero, k)

    def terms(self) -> Terms:
        """Exact; ValueError where the kernel is no finite sum of damped cosines: see `approximated`."""
        if self._form is None or not self._form.exponential:
            raise ValueError(f"{self} is no finite sum of damped cosines; approximated() is")
        return self._form.terms()

    def lines(self) -> Lines:
        return self._form.lines() if self._form else Lines(np.zeros(0), np.zeros(0))

    @cached_property
    def density(self) -> Any:
        """The spectral density, two-sided, per hertz: a SymPy expression of `f` and the kernel's symbols; no lines.

        By the table of transforms; else by SymPy in TIME_LIMIT seconds, and checked. ValueError where neither has it.
        """
        if self._form:
            return _sympy().Add(*self._form.density_terms)
        found = transform_by_sympy(self._positive, self._x, self._f, TIME_LIMIT)
        f = np.linspace(0.02, 1.0, CHECKED) * self._numeric.highest / 8.0
        self._compare(f, vectorised(self._f, [found.subs(self._values)])(f)[0], self._numeric(f))
        return found

    def continuous_density(self, f: Array) -> Array:
        f = np.asarray(f, dtype=np.float64)
        return self._form.density(f)[0] if self._form else self._numeric(f)

    def approximated(self, tolerance: float = 1e-3) -> Approximation:
        """A kernel with a state space in place of this one: the same where it is a sum of damped cosines.

        Its `error` is max |dk| / k(0). ValueError, with the least error found, where `tolerance` is out of reach.
        """
        if self._form and self._form.exponential:
            return Approximation(ExponentialSum(*self.terms()), 0.0)
        longest = self._form.longest if self._form else scales_of(self.at)[1] / 10.0
        return approximate(self.at, *self._summands(), longest, tolerance, str(self))

    def _summands(self) -> tuple[list[Carried] | None, Terms | None]:
        """Envelopes with lines, and terms, that add up to the covariance; None where one is no covariance function."""
        if self._form is None:
            return None, None
        groups: dict[tuple[Expr, ...], list[int]] = {}
        for i, part in enumerate(self._form.parts):
            kind = () if part.exponential else (part.power, part.square, part.decay, part.envelope)
            groups.setdefault(kind, []).append(i)
        exact = groups.pop((), [])
        terms = self._form.terms(exact) if exact else None
        carried = [_carried(self._form, members) for members in groups.values()]
        if None in carried or (terms and (_density(terms, self._form.landmarks()) < 0.0).any()):
            return None, None
        return [summand for summand in carried if summand], terms

    # What follows is worked out once, when it is asked for.

    @cached_property
    def _values(self) -> dict[Any, float]:
        numbers = dict(self.numbers)
        return {symbol: numbers[symbol.name] for symbol in self.expression.free_symbols - {self.lag}}

    @cached_property
    def _x(self) -> Any:
        return _sympy().Symbol("x", positive=True)

    @cached_property
    def _f(self) -> Any:
        return _sympy().Symbol("f", real=True)

    @cached_property
    def _positive(self) -> Expr:
        """The covariance at lags > 0."""
        return self.expression.subs(self.lag, self._x)

    @cached_property
    def _function(self) -> Callable[[Array], Array]:
        import sympy as sy

        try:
            plain = without_cases(self._positive, self._x)
        except NoRuleError:
            plain = self._positive
        return sy.lambdify(self._x, plain.subs(self._values), ["numpy", "scipy"])

    @cached_property
    def _at_zero(self) -> float:
        import sympy as sy

        found = self._positive.subs(self._values)
        value = found.subs(self._x, 0)
        value = value if value.is_finite else sy.limit(found, self._x, 0, "+")
        if not (value.is_number and value.is_finite and complex(value).imag == 0.0 and float(value) > 0.0):
            raise ValueError(f"{self}: at lag 0 it is {value}, which is no variance > 0")
        return float(value)

    @cached_property
    def _form(self) -> ClosedForm | None:
        return ClosedForm.of(self._positive, self._x, self._f, self._values, self._at_zero)

    @cached_property
    def _numeric(self) -> Quadrature:
        return Quadrature.of(self.at, str(self))

    # What is looked at when a kernel is made.

    def _check_even(self) -> None:
        import sympy as sy

        both = sy.lambdify(self.lag, self.expression.subs(self._values), ["numpy", "scipy"])
        variance = self._at_zero
        for lag in (*np.geomspace(10.0, 1e-6, 40), 0.1234, 0.0321):
            with np.errstate(all="ignore"):
                after, before = complex(both(lag)), complex(both(-lag))
            if not abs(after - before) <= 1e-9 * variance or not abs(after.imag) <= 1e-9 * variance:
                raise ValueError(
                    f"{self}: at lags {lag:.3g} and {-lag:.3g} s it is {after:.6g} and {before:.6g}, not real and"
                    " even; write Abs(lag)"
                )
            if abs(after) > (1.0 + 1e-9) * variance:
                raise ValueError(
                    f"{self} is no covariance function: at lag {lag:.3g} s it is {after.real:.6g}, beyond its variance"
                    f" {variance:.6g}"
                )

    def _check_density(self) -> None:
        if self._form is None:
            f = np.linspace(0.0, self._numeric.highest, 512)
            self._check_sign(f, self._numeric(f), np.full(f.size, self._numeric.rounding))
            return
        frequency, weight = self._form.lines()
        if (weight < 0.0).any():
            i = int(np.argmin(weight))
            raise ValueError(
                f"{self} is no covariance function: its line at {frequency[i]:.6g} Hz has the weight {weight[i]:.3g}"
            )
        if self._form.density_terms:
            f = self._form.landmarks()
            self._check_transform(self._form, f[f <= self._form.highest])
            self._check_sign(f, *self._form.density(f))

    def _check_sign(self, f: Array, S: Array, rounding: Array) -> None:
        worst = int(np.argmin(S + rounding))
        if S[worst] < -rounding[worst] - NEGATIVE * S.max():
            raise ValueError(
                f"{self} is no covariance function: at {f[worst]:.6g} Hz its spectral density is {S[worst]:.3g}, and"
                f" {S.max():.3g} at most"
            )

    def _check_transform(self, form: ClosedForm, landmarks: Array) -> None:
        """The density, blurred by a window on the lags, against a quadrature of the windowed covariance."""
        f = landmarks[np.unique(np.linspace(0, landmarks.size - 1, CHECKED).astype(int))]
        window = 2.0 * form.longest
        blurred, rough = form.blurred(f, window)
        self._compare(f, blurred, windowed(self.at, f, window, form.highest, form.kinks), rough)

    def _compare(self, f: Array, symbolic: Array, numeric: Array, rough: Array | float = 0.0) -> None:
        off = np.abs(symbolic - numeric) - 20.0 * np.asarray(rough)
        worst = int(np.argmax(np.where(np.isnan(off), np.inf, off)))
        if not off[worst] <= AGREEMENT * np.abs(numeric).max():
            raise ValueError(
                f"{self}: at {f[worst]:.6g} Hz its symbolic spectral density is {symbolic[worst]:.6g}, by quadrature"
                f" {numeric[worst]:.6g}"
            )


def _carried(form: ClosedForm, members: list[int]) -> Carried | None:
    """Parts of one envelope, with its lines; None where that is no covariance function for certain."""
    import sympy as sy

    part, c = form.parts[members[0]], form.coefficients[members]
    frequency, weight = Lines.merged(np.abs(form.rates[members].imag) / math.tau, c.real)
    shape = form.x**part.power * sy.exp(-part.square * form.x**2 - part.decay * form.x) * part.envelope
    shape = shape.subs(form.values)
    at_zero = sy.limit(shape, form.x, 0, "+")
    if not weight.any() or (weight < 0.0).any() or not (at_zero.is_finite and at_zero.is_positive):
        return None
    plain = part.envelope == 1 and part.decay == 0 and part.power == 0
    lengthscale = form.number(part.square).real ** -0.5 if plain else 0.0
    function = vectorised(form.x, [shape / at_zero])

    def envelope(lag: Array) -> Array:
        return np.where(lag == 0.0, 1.0, function(np.asarray(lag))[0])

    return Carried(envelope, Lines(frequency, weight * float(at_zero)), lengthscale)


def _density(terms: Terms, f: Array) -> Array:
    """Of the terms that decay, at f (F,), negative where it is; with 1e-12 of its peak for rounding."""
    c, m, rate = (part[terms.rate.real > 0.0] for part in terms)
    scale = c * np.array([math.factorial(power) for power in m], dtype=np.float64)
    both = (scale / (rate + sign * 2j * math.pi * f[:, None]) ** (m + 1) for sign in (1.0, -1.0))
    S = np.sum([half.real.sum(axis=1) for half in both], axis=0)
    return np.asarray(S + 1e-12 * np.abs(S).max(initial=0.0))


def _sign(value: float) -> dict[str, bool]:
    return {"positive": True} if value > 0.0 else {"real": True}


def _sympy() -> Any:
    from rtsynth.errors import InputError

    try:
        import sympy
    except ImportError:
        raise InputError("symbolic covariances need SymPy: pip install rtsynth[symbolic]") from None
    return sympy
