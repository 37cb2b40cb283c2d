"""Symbolic covariances: their densities against quadrature and the library's own, and what is refused."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from rtsynth.errors import InputError
from rtsynth.kernels import Exponential, Symbolic, closed_form
from rtsynth.kernels.fourier_by_sympy import transform_by_sympy
from rtsynth.kernels.numeric_fourier import panels
from tests.kernels.symbolic_examples import (
    APPROXIMATE,
    EXACT,
    GAUSSIAN,
    SEED,
    l,
    matern,
    p,
    r,
    sy,
    symbolic,
    x,
)

LAGS = np.linspace(-0.04, 0.04, 201)
FREQUENCIES = np.array([0.0, 3.7, 60.0, 263.9, 271.0, 439.0, 900.0])


@pytest.mark.parametrize("name", [name for name, example in EXACT.items() if example[2]])
def test_an_expression_is_the_kernel_that_it_states(name: str) -> None:
    kernel, known = symbolic(name), EXACT[name][2]
    assert known is not None
    zero = np.zeros(1)
    np.testing.assert_allclose(kernel.covariance(LAGS, zero), known.covariance(LAGS, zero), atol=1e-12)
    if name == "cosine":
        np.testing.assert_allclose(kernel.lines(), known.lines(), rtol=1e-15)
        with pytest.raises(ValueError, match="spectral lines"):
            kernel.spectral_density(FREQUENCIES)
        return
    S = known.spectral_density(FREQUENCIES)
    np.testing.assert_allclose(kernel.spectral_density(FREQUENCIES), S, rtol=0, atol=1e-10 * S.max())


def test_the_seeds_density_is_the_published_one() -> None:
    kernel = symbolic("seed of the speech")
    S = GAUSSIAN.spectral_density(FREQUENCIES)
    np.testing.assert_allclose(kernel.spectral_density(FREQUENCIES), S, rtol=1e-12, atol=1e-14 * S.max())
    f = sy.Symbol("f", real=True)
    s, centre, length = (sy.Symbol(name, positive=True) for name in "spl")
    lobes = [sy.exp(-((sy.pi * length * (f + sign * centre)) ** 2)) for sign in (-1, 1)]
    stated = s**2 * length * sy.sqrt(sy.pi) / 2 * sum(lobes)
    assert sy.simplify((kernel.density - stated).rewrite(sy.exp)) == 0


@pytest.mark.parametrize("name", [*APPROXIMATE, "matern72 cosine", "damped sine", "negative share"])
def test_a_density_is_the_transform(name: str) -> None:
    """By the trapezium rule on a million lags, up to where nothing is left that turns with the cosine."""
    kernel = symbolic(name)
    lag = np.linspace(0.0, 20.0 if name in ("rational quadratic", "sinc squared") else 0.25, 2**20 + 1)
    weighted = 2.0 * kernel.at(lag) * (lag[1] - lag[0])
    weighted[0] /= 2.0
    f = np.array([3.7, 60.0, 263.9]) if kernel._form else np.array([0.0, 5.0, 60.0])
    numeric = [weighted @ np.cos(2.0 * np.pi * frequency * lag) for frequency in f]
    peak = kernel.spectral_density(np.linspace(0.0, 500.0 if kernel._form else 60.0, 400)).max()
    np.testing.assert_allclose(kernel.spectral_density(f), numeric, rtol=0, atol=2e-6 * peak)


def test_products_and_sums_are_kernels() -> None:
    gaussian, exponential = symbolic("squared exponential"), symbolic("matern12")
    both = gaussian * exponential
    assert isinstance(both, Symbolic)
    zero = np.zeros(1)
    stated = gaussian.covariance(LAGS, zero) * exponential.covariance(LAGS, zero)
    np.testing.assert_allclose(both.covariance(LAGS, zero), stated, atol=1e-14)
    scaled = 3.0 * exponential + Exponential(0.2)
    np.testing.assert_allclose(scaled.variance(zero), 4.0)
    np.testing.assert_allclose((exponential * Exponential(0.2)).spectral_density([10.0]) > 0.0, True)
    assert symbolic("matern12") == Symbolic(matern(0), r, l=0.01)
    assert hash(symbolic("matern12")) == hash(Symbolic(matern(0), r, l=0.01))
    assert symbolic("matern12") != Symbolic(matern(0), r, l=0.02)


@pytest.mark.parametrize(
    ("expression", "numbers", "complaint"),
    [
        (SEED, {"p": 2.0, "q": 0.25, "a": 264.0}, r"at 0 Hz its spectral density is -9\.2"),
        (sy.Piecewise((1, x < l), (0, True)), {"l": 0.01}, r"at 7\d\.\d+ Hz its spectral density is -0\.003"),
        (sy.cos(r) * 2 - sy.cos(p * r), {"p": 3.0}, "more than|beyond its variance|has the weight -1"),
        (sy.exp(-(r**4)), {}, r"at \d\.\d+ Hz its spectral density is -0\.1"),
        (sy.exp(-r / l), {"l": 0.01}, "not real and even; write Abs"),
        (sy.exp(-x / l) * sy.I, {"l": 0.01}, "at lag 0 it is I"),
        (x, {}, "at lag 0 it is 0"),
        (sy.exp(x / l), {"l": 10.0}, "beyond its variance"),
        (matern(1), {}, "wants a number for each of its symbols and no other; see l"),
        (matern(1), {"l": 1.0, "k": 2.0}, "see k"),
        (matern(1), {"l": float("nan")}, "not finite"),
    ],
)
def test_what_is_no_covariance_function_is_refused(
    expression: object, numbers: dict[str, float], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        Symbolic(expression, r, **numbers)


def test_a_wrong_transform_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    right = closed_form.transform
    monkeypatch.setattr(
        closed_form, "transform", lambda *a: [term * sy.Rational(100001, 100000) for term in right(*a)]
    )
    with pytest.raises(ValueError, match=r"at .* Hz its symbolic spectral density is .*, by quadrature"):
        Symbolic(matern(1), r, l=0.01)


def test_without_a_rule_sympy_is_asked_and_checked(monkeypatch: pytest.MonkeyPatch) -> None:
    kernel = Symbolic(sy.exp(-((x / l) ** 2)), r, l=0.01)
    found = transform_by_sympy(kernel._positive, kernel._x, kernel._f, 60.0)
    values = found.subs(kernel._values)
    for f in (3.0, 40.0):
        assert float(values.subs(kernel._f, f)) == pytest.approx(kernel.spectral_density([f])[0], rel=1e-12)
    unknown = symbolic("stretched")
    wrong = sy.exp(-(unknown._f**2))
    monkeypatch.setattr("rtsynth.kernels.symbolic.transform_by_sympy", lambda *_: wrong)
    with pytest.raises(ValueError, match="by quadrature"):
        _ = unknown.density


def test_sympy_is_given_up_in_time() -> None:
    kernel = symbolic("stretched")
    with pytest.raises(ValueError, match=r"SymPy found no transform of .* in 0\.05 s"):
        transform_by_sympy(kernel._positive, kernel._x, kernel._f, 0.05)


def test_quadratures_out_of_reach_are_refused() -> None:
    with pytest.raises(ValueError, match="out of reach"):
        panels(1.0, 1e-9)
    with pytest.raises(ValueError, match="no rule for its transform, and it does not decay"):
        Symbolic(1 / sy.log(sy.E + x), r)


def test_without_sympy_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sympy", None)
    with pytest.raises(InputError, match=r"need SymPy: pip install rtsynth\[symbolic\]"):
        Symbolic("exp(-Abs(r))", "r")
