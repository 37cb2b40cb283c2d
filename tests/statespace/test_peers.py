"""Log-likelihood against celerite2 and tinygp, on kernels that each of them has exactly, in white noise.

celerite2's Matern 3/2 is an approximation, so only tinygp is asked for that one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from rtsynth.kernels import DampedCosines, Exponential, Kernel, Matern32, Matern52, two_pairs
from rtsynth.kernels.value import Array
from rtsynth.statespace import draw, log_likelihood, state_space

RATE = 2000.0
COUNT = 400
NOISE_VARIANCE = 0.01

PARTIALS = DampedCosines.settled([110.0, 223.0, 341.0, 900.0], [3.0, 8.0, 40.0, 0.5], [1.0, 0.4, 0.1, 0.02])
PAIRS = two_pairs(0.02)
MATERN32 = Matern32(0.01, 1.5)
SUMMED = PARTIALS + PAIRS + Exponential(0.02, 0.5)


def log_likelihoods(
    kernel: Kernel, peer: Callable[[Array, Array, float], float]
) -> tuple[float, float, float]:
    """Ours, the peer's, and ours of samples drawn 1 % too loud: what a difference would look like."""
    t = np.arange(COUNT) / RATE
    rng = np.random.default_rng(11)
    y = draw(kernel, t, rng) + np.sqrt(NOISE_VARIANCE) * rng.standard_normal(COUNT)
    model = state_space(kernel).discretise(RATE)
    ours, loud = (log_likelihood(model, scale * y, NOISE_VARIANCE) for scale in (1.0, 1.01))
    return ours, peer(t, y, NOISE_VARIANCE), loud


def damped_cosines(kernel: Kernel) -> list[tuple[float, float, float, float]]:
    """(a, b, c, d) of e^(-c lag) (a cos d lag + b sin d lag), which is what both peers are made of."""
    terms = kernel.terms()
    assert not terms.power.any()
    return [(c.real, c.imag, s.real, s.imag) for c, s in zip(terms.coefficient, terms.rate, strict=True)]


def by_celerite2(kernel: Kernel) -> Callable[[Array, Array, float], float]:
    celerite2 = pytest.importorskip(
        "celerite2", reason="celerite2 is not installed: pip install rtsynth[peers]"
    )

    def term(a: float, b: float, c: float, d: float) -> Any:
        terms = celerite2.terms
        return terms.RealTerm(a=a, c=c) if d == 0.0 else terms.ComplexTerm(a=a, b=b, c=c, d=d)

    def peer(t: Array, y: Array, noise_variance: float) -> float:
        sum_of_terms = celerite2.terms.TermSum(*(term(*row) for row in damped_cosines(kernel)))
        process = celerite2.GaussianProcess(sum_of_terms, mean=0.0)
        process.compute(t, diag=np.full(t.size, noise_variance))
        return float(process.log_likelihood(y))

    return peer


def by_tinygp(build: Callable[[Any], Any]) -> Callable[[Array, Array, float], float]:
    """`build` makes the kernel out of the module of kernels of tinygp that have a state space."""
    tinygp = pytest.importorskip("tinygp", reason="tinygp is not installed: pip install rtsynth[peers]")
    import jax

    jax.config.update("jax_enable_x64", True)

    def peer(t: Array, y: Array, noise_variance: float) -> float:
        process = tinygp.GaussianProcess(build(tinygp.kernels.quasisep), t, diag=noise_variance)
        return float(process.log_probability(y))

    return peer


def celerite_sum(kernel: Kernel) -> Callable[[Any], Any]:
    """For kernels none of whose terms stands still."""

    def build(quasisep: Any) -> Any:
        first, *others = (quasisep.Celerite(*row) for row in damped_cosines(kernel))
        return sum(others, first)

    return build


@pytest.mark.parametrize(
    "kernel", [PARTIALS, PAIRS, SUMMED, 0.3 * SUMMED], ids=lambda kernel: str(kernel)[:20]
)
def test_log_likelihood_is_that_of_celerite2(kernel: Kernel) -> None:
    ours, theirs, loud = log_likelihoods(kernel, by_celerite2(kernel))
    assert ours == pytest.approx(theirs, rel=1e-9)
    assert loud != pytest.approx(theirs, rel=1e-6)


TINYGP: dict[str, tuple[Kernel, Callable[[Any], Any]]] = {
    "damped cosines": (PARTIALS, celerite_sum(PARTIALS)),
    "matern32": (MATERN32, lambda quasisep: quasisep.Matern32(0.01, 1.5)),
    "matern52": (Matern52(0.01, 0.7), lambda quasisep: quasisep.Matern52(0.01, 0.7)),
    "matern32, a decay and damped cosines": (
        MATERN32 + Exponential(0.02, 0.5) + PARTIALS,
        lambda quasisep: (
            quasisep.Matern32(0.01, 1.5) + quasisep.Exp(0.02, 0.5) + celerite_sum(PARTIALS)(quasisep)
        ),
    ),
}


@pytest.mark.parametrize("name", TINYGP)
def test_log_likelihood_is_that_of_tinygp(name: str) -> None:
    kernel, build = TINYGP[name]
    ours, theirs, loud = log_likelihoods(kernel, by_tinygp(build))
    assert ours == pytest.approx(theirs, rel=1e-9)
    assert loud != pytest.approx(theirs, rel=1e-6)


def test_the_terms_asked_of_the_peers_are_the_kernel() -> None:
    lag = np.linspace(0.0, 0.2, 101)
    rows = damped_cosines(SUMMED)
    summed = sum(np.exp(-c * lag) * (a * np.cos(d * lag) + b * np.sin(d * lag)) for a, b, c, d in rows)
    np.testing.assert_allclose(summed, SUMMED.covariance(lag, np.zeros(1))[:, 0], atol=1e-13)
