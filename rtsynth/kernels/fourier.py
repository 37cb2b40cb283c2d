"""The Fourier transform of an even covariance, symbolically, by a table of transforms and shifts of their argument.

For a lag x > 0 a covariance is a sum of parts, coefficient x^power e^(-square x² - rate x) envelope(x): sines and
cosines are two complex rates, e^(p cos) is its Bessel series. S(f) = 2 int_0^inf k(x) cos(2 pi f x) dx is then the sum
over parts of one-sided transforms at rate + 2 pi i f and rate - 2 pi i f (Gradshteyn and Ryzhik, Table of Integrals,
section 17.2).
"""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np

Expr = Any  # a SymPy expression; SymPy is imported where it is used
BESSEL_ROUNDING = 1e-17  # where a series of e^(p cos) ends


class NoRuleError(ValueError):
    """A covariance has a factor that no rule of the table transforms."""


class Part(NamedTuple):
    """coefficient x^power e^(-square x² - (decay + i turn) x) envelope(x) for x > 0; all but power are symbolic."""

    coefficient: Expr
    power: Expr
    square: Expr
    decay: Expr
    turn: Expr
    envelope: Expr

    @property
    def exponential(self) -> bool:
        """Whether it is an exponential polynomial: what has a state space."""
        return bool(self.square == 0 and self.envelope == 1 and self.power.is_integer and self.power >= 0)

    @property
    def line(self) -> bool:
        return self.exponential and bool(self.decay == 0)


def parts_of(expression: Expr, x: Expr, numbers: dict[Expr, float]) -> list[Part]:
    """The parts of a covariance at x > 0, equal ones added up; NoRuleError where a factor is none of the table's.

    `numbers` are the values of its symbols, which tell how long a Bessel series must be.
    """
    import sympy as sy

    envelopes: dict[Expr, Expr] = {}
    expression = without_cases(expression.subs(_half_integer_orders(expression, numbers)), x)
    expression = expression.replace(sy.sinc, lambda z: sy.sin(z) / z)
    expression = expression.replace(_half_integer_bessel, lambda e: _elementary_bessel(*e.args))
    expression = expression.replace(lambda e: isinstance(e, sy.exp), lambda e: _bessel_series(e, x, numbers))
    expression = expression.replace(lambda e: _is_envelope(e, x), lambda e: _named(e, envelopes))
    expression = expression.replace(sy.cos, lambda u: (sy.exp(sy.I * u) + sy.exp(-sy.I * u)) / 2)
    expression = expression.replace(sy.sin, lambda u: (sy.exp(sy.I * u) - sy.exp(-sy.I * u)) / (2 * sy.I))
    merged: dict[tuple[Expr, ...], Expr] = {}
    for term in sy.Add.make_args(sy.expand(expression)):
        coefficient, *kind = _part(term, x, envelopes)
        merged[tuple(kind)] = merged.get(tuple(kind), 0) + coefficient
    return [Part(sy.expand(c), *kind) for kind, c in merged.items() if sy.expand(c) != 0]


def without_cases(expression: Expr, x: Expr) -> Expr:
    """Max(0, a) and Piecewise((a, x < R), (0, True)) as a Heaviside(R - x)."""
    import sympy as sy

    def one_sided(inside: Expr) -> Expr:
        roots = sy.solve(inside, x)
        if len(roots) != 1 or sy.Poly(inside, x).degree() != 1 or sy.diff(inside, x).is_positive:
            raise NoRuleError(f"no rule for the case {inside} > 0")
        return inside * sy.Heaviside(roots[0] - x, 1)

    def cut(case: Any) -> Expr:
        (value, condition), *rest = case.args
        end: Any = getattr(condition, "gts", x)
        start: Any = getattr(condition, "lts", 0)
        if start != x or end.has(x) or [tuple(pair) for pair in rest] not in ([(0, True)], []):
            raise NoRuleError(f"no rule for the cases {case}")
        return value * sy.Heaviside(end - x, 1)

    expression = expression.replace(
        lambda e: isinstance(e, sy.Max) and e.has(x) and 0 in e.args and len(e.args) == 2,
        lambda e: one_sided(next(a for a in e.args if a != 0)),
    )
    return expression.replace(lambda e: isinstance(e, sy.Piecewise), cut)


def _half_integer_orders(expression: Expr, numbers: dict[Expr, float]) -> dict[Expr, Expr]:
    """The symbols whose numbers make the order of a Bessel function half an odd integer: it is elementary then."""
    import sympy as sy

    orders = {bessel.args[0] for bessel in expression.atoms(sy.besselk)}
    return {
        nu: sy.Rational(numbers[nu]) for nu in orders if nu in numbers and (2.0 * numbers[nu]) % 2.0 == 1.0
    }


def _half_integer_bessel(e: Expr) -> bool:
    import sympy as sy

    return isinstance(e, sy.besselk) and bool((e.args[0] - sy.Rational(1, 2)).is_integer)


def _elementary_bessel(nu: Expr, z: Expr) -> Expr:
    """K_nu(z) for nu half an odd integer: Abramowitz and Stegun 10.2.15."""
    import sympy as sy

    n = int(sy.Abs(nu) - sy.Rational(1, 2))
    weights = (sy.factorial(n + k) / (sy.factorial(k) * sy.factorial(n - k)) for k in range(n + 1))
    series = sum(weight * (2 * z) ** -k for k, weight in enumerate(weights))
    return sy.sqrt(sy.pi / (2 * z)) * sy.exp(-z) * sy.expand(series)


def _bessel_series(e: Expr, x: Expr, numbers: dict[Expr, float]) -> Expr:
    """e^(a + b cos v) = e^a (I_0(b) + 2 sum_k I_k(b) cos k v), Abramowitz and Stegun 9.6.34; others as they are."""
    import sympy as sy

    exponent = e.args[0].replace(
        lambda u: isinstance(u, sy.Pow) and u.exp == 2 and isinstance(u.base, sy.sin | sy.cos),
        lambda u: (1 + (1 if isinstance(u.base, sy.cos) else -1) * sy.cos(2 * u.base.args[0])) / 2,
    )
    exponent, series = sy.expand(exponent, trig=False), sy.Integer(1)
    for cosine in sorted(exponent.atoms(sy.cos), key=str):
        b = exponent.coeff(cosine, 1)
        if not cosine.has(x) or b.has(x):
            continue
        exponent -= sy.expand(b * cosine)
        count = _bessel_count(abs(float(b.subs(numbers))))
        series *= sy.besseli(0, b) + 2 * sum(
            sy.besseli(k, b) * sy.cos(k * cosine.args[0]) for k in range(1, count + 1)
        )
    return sy.exp(sy.expand(exponent)) * series if series != 1 else e


def _bessel_count(b: float) -> int:
    """The last k at which e^-b I_k(b) is above BESSEL_ROUNDING."""
    from scipy.special import ive

    return int(np.flatnonzero(ive(np.arange(16 + math.ceil(9.0 * math.sqrt(b))), b) > BESSEL_ROUNDING)[-1])


def _is_envelope(e: Expr, x: Expr) -> bool:
    import sympy as sy

    if not e.has(x):
        return False
    if isinstance(e, sy.besselk | sy.Heaviside):
        return True
    return isinstance(e, sy.Pow) and e.base.is_polynomial(x) and e.base != x and not e.exp.is_nonnegative


def _named(e: Expr, envelopes: dict[Expr, Expr]) -> Expr:
    import sympy as sy

    name = next((name for name, known in envelopes.items() if known == e), None)
    if name is None:
        name = sy.Dummy(positive=True)
        envelopes[name] = e
    return name


def _part(term: Expr, x: Expr, envelopes: dict[Expr, Expr]) -> Part:
    import sympy as sy

    coefficient, power, exponent, envelope = sy.Integer(1), sy.Integer(0), sy.Integer(0), sy.Integer(1)
    for factor in sy.Mul.make_args(term):
        base, by = factor.as_base_exp()
        if isinstance(factor, sy.exp):
            exponent += factor.args[0]
        elif base in envelopes:
            known = envelopes[base]
            envelope *= known if isinstance(known, sy.Heaviside) else known**by
        elif not factor.has(x):
            coefficient *= factor
        elif base == x and not by.has(x):
            power += by
        else:
            raise NoRuleError(f"no rule for the factor {factor}")
    if not exponent.is_polynomial(x) or sy.Poly(exponent, x).degree() > 2:
        raise NoRuleError(f"no rule for the factor exp({exponent})")
    constant, linear, square = (sy.expand(exponent).coeff(x, n) for n in range(3))
    decay, turn = (-linear).as_real_imag()
    return Part(coefficient * sy.exp(constant), sy.nsimplify(power), -square, decay, turn, envelope)


def transform(parts: list[Part], x: Expr, f: Expr) -> list[Expr]:
    """The terms of the spectral density, two-sided and per hertz, of all parts but lines; they are real.

    NoRuleError where a part is not of the table.
    """
    import sympy as sy

    omega = 2 * sy.pi * f
    known = {(p.power, p.square, p.decay, p.turn, p.envelope): p.coefficient for p in parts}
    terms = []
    for part in parts:
        if part.line:
            continue
        mirrored = known.get((part.power, part.square, -part.decay, -part.turn, part.envelope), 0)
        analytic = sy.expand(mirrored - (-1) ** part.power * part.coefficient) == 0
        for turned in (part.turn + omega, part.turn - omega):
            terms.extend(sy.Add.make_args(_real_part(part, analytic, turned, x)))
    return terms


def _real_part(part: Part, analytic: bool, y: Expr, x: Expr) -> Expr:
    """Re of coefficient times the one-sided transform at decay + i y."""
    import sympy as sy

    c, m, alpha, b = part.coefficient, part.power, part.square, part.decay
    if isinstance(part.envelope, sy.Heaviside):
        # Apart, so that it can be seen by how much its terms cancel.
        return sy.expand(_real(c) * _cut_transform(part, y, x), trig=False)
    if part.envelope != 1:
        return _real(c) * _envelope_transform(part, y, x)
    if alpha != 0:
        return _gaussian_transform(part, analytic, y)
    if m.is_integer and m >= 0:
        numerator = sy.expand(c * sy.factorial(m) * (b - sy.I * y) ** (m + 1))
        return _real(numerator) / (b**2 + y**2) ** (m + 1)
    if m.is_integer:  # finite parts: what they leave out cancels where the covariance at 0 is finite
        size, angle = (
            (sy.log(b**2 + y**2) / 2, sy.atan2(y, b))
            if b != 0
            else (sy.log(sy.Abs(y)), sy.pi / 2 * sy.sign(y))
        )
        n = -m
        return _real(
            sy.expand(c * (-1) ** n * (b + sy.I * y) ** (n - 1) * (size + sy.I * angle) / sy.factorial(n - 1))
        )
    raise NoRuleError(f"no rule for x to the power {m}")


def _gaussian_transform(part: Part, analytic: bool, y: Expr) -> Expr:
    """(-d/ds)^m of sqrt(pi / alpha) e^(s²/4 alpha): half of it where both sides join smoothly, else times erfc / 2."""
    import sympy as sy

    s, alpha, b, m = sy.Dummy(), part.square, part.decay, int(part.power)
    gaussian = sy.exp(s**2 / (4 * alpha))
    at = sy.I * y + b
    if not analytic:
        whole = gaussian * sy.erfc(s / (2 * sy.sqrt(alpha)))
        return sy.re(
            (-1) ** m * part.coefficient * sy.sqrt(sy.pi / alpha) / 2 * sy.diff(whole, (s, m)).subs(s, at)
        )
    polynomial = sy.expand(sy.expand(sy.diff(gaussian, (s, m)) / gaussian).subs(s, at))
    turn = sy.cos(b * y / (2 * alpha)) + sy.I * sy.sin(b * y / (2 * alpha))
    factor = _real(sy.expand((-1) ** m * part.coefficient * polynomial * turn))
    return factor * sy.sqrt(sy.pi / alpha) / 2 * sy.exp((b**2 - y**2) / (4 * alpha))


def _envelope_transform(part: Part, y: Expr, x: Expr) -> Expr:
    """One half of the transform over all lags."""
    import sympy as sy

    if part.square != 0:
        raise NoRuleError(f"no rule for a Gaussian times {part.envelope}")
    if part.decay != 0:
        raise NoRuleError(f"no rule for an exponential times {part.envelope}")
    if isinstance(part.envelope, sy.besselk):
        nu, z = part.envelope.args
        kappa = z / x
        if kappa.has(x) or part.power != nu:
            raise NoRuleError(f"no rule for x**{part.power} times {part.envelope}")
        return (
            sy.sqrt(sy.pi)
            * 2**nu
            * sy.gamma(nu + sy.Rational(1, 2))
            * kappa**nu
            / (kappa**2 + y**2) ** (nu + sy.Rational(1, 2))
            / 2
        )
    base, by = part.envelope.as_base_exp()
    polynomial = sy.Poly(base, x)
    if polynomial.degree() != 2 or polynomial.coeff_monomial(x) != 0 or part.power != 0:
        raise NoRuleError(f"no rule for x**{part.power} times {part.envelope}")
    a, A, B = -by, polynomial.coeff_monomial(1), polynomial.coeff_monomial(x**2)
    z, half = sy.sqrt(A / B), sy.Rational(1, 2)
    bessel = sy.expand_func(sy.besselk(a - half, z * sy.Abs(y)))
    return B**-a * sy.sqrt(sy.pi) / sy.gamma(a) * (sy.Abs(y) / (2 * z)) ** (a - half) * bessel


def _cut_transform(part: Part, y: Expr, x: Expr) -> Expr:
    """Re of the transform over the lags before the cut."""
    import sympy as sy

    m, s, R = int(part.power), part.decay + sy.I * y, part.envelope.args[0] + x
    inverse = (part.decay - sy.I * y) / (part.decay**2 + y**2)
    ends = sy.exp(-part.decay * R) * (sy.cos(y * R) - sy.I * sy.sin(y * R))
    if R.has(x) or m < 0:
        raise NoRuleError(f"no rule for x**{part.power} times {part.envelope} at rate {s}")
    whole = sy.factorial(m) * inverse ** (m + 1)
    whole -= ends * sum(
        sy.factorial(m) / sy.factorial(k) * R**k * inverse ** (m + 1 - k) for k in range(m + 1)
    )
    return _real(sy.expand(whole))


def _real(value: Expr) -> Expr:
    return value.as_real_imag()[0]
