"""The innovations form of spectral mixtures against their kernels: the covariance recomputed from the gain alone."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce
from operator import add

import numpy as np
import pytest

from rtsynth.kernels import (
    Cosine,
    DampedCosines,
    Exponential,
    Gain,
    GaussianCosine,
    Kernel,
    Matern32,
    taylor,
    two_pairs,
)
from rtsynth.statespace import (
    Innovations,
    covariance_from_gain,
    innovations,
    innovations_of,
    listen,
    state_space,
    synthesise,
)
from rtsynth.statespace.joint import _check_forgets

LORENTZIANS = DampedCosines.settled(200.0 * np.arange(1, 9), np.full(8, 3.0), 1.0 / np.arange(1.0, 9.0) ** 2)


def mixture(form: str, components: int, seed: int = 0) -> Kernel:
    """Components from 100 Hz to 5 kHz, lengthscales of 10 to 200 ms."""
    lengthscales = np.exp(np.random.default_rng(seed).uniform(np.log(0.01), np.log(0.2), components))
    frequencies = np.geomspace(100.0, 5000.0, components)
    return reduce(
        add,
        (
            GaussianCosine(float(scale), float(f), 1.0 / k).approximated(form)
            for k, (scale, f) in enumerate(zip(lengthscales, frequencies, strict=True), start=1)
        ),
    )


# A kernel, and the rotations that its form has at the most.
CASES: dict[str, tuple[Kernel, int]] = {
    "one pair": (mixture("one pair", 1), 2),
    "12 of one pair": (mixture("one pair", 12), 24),
    "two pairs": (mixture("two pairs", 1), 4),
    "12 of two pairs": (mixture("two pairs", 12), 48),
    "two pairs and independent rotations": (mixture("two pairs", 6) + LORENTZIANS, 32),
    "one pair, two pairs and a decay": (
        mixture("one pair", 3) + 0.5 * mixture("two pairs", 3, 1) + Exponential(0.01),
        19,
    ),
    "taylor6 and independent rotations": (
        GaussianCosine(0.02, 500.0).approximated("taylor6") + LORENTZIANS,
        14,
    ),
    "twins": (GaussianCosine(0.01, 90.0).approximated() + GaussianCosine(0.01, 90.0).approximated(), 8),
    "no carrier": (two_pairs(0.01), 2),
    "a carrier of 0 Hz": (GaussianCosine(0.01, 0.0).approximated(), 4),
    "a silent row": (0.0 * Exponential(1.0) + LORENTZIANS, 8),
}
RATES = (16000.0, 48000.0)


def worst(form: Innovations, kernel: Kernel, rate: float) -> float:
    """Largest error of the covariance over half a second, relative to lag 0."""
    lags = np.unique(np.concatenate([np.arange(300), np.geomspace(300, rate / 2, 200).astype(np.int64)]))
    want = kernel.covariance(lags / rate, np.zeros(1))[:, 0]
    return float(np.abs(covariance_from_gain(form, lags) - want).max() / want[0])


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", CASES)
def test_covariance_recomputed_from_the_gain_is_that_of_the_kernel(name: str, rate: float) -> None:
    kernel, rows = CASES[name]
    form = innovations_of(kernel, rate)
    assert form.rows <= rows
    assert worst(form, kernel, rate) < 1e-11
    # A gain off by one part in 10^4 is seen, and so is a noise that is.
    assert worst(replace(form, gain=1.0001 * form.gain), kernel, rate) > 1e-6
    assert worst(replace(form, noise_variance=1.0001 * form.noise_variance), kernel, rate) > 1e-6


@pytest.mark.parametrize("name", CASES)
def test_unit_noises_give_the_exact_law_from_the_first_sample(name: str) -> None:
    kernel, rate, count = CASES[name][0], 16000.0, 120
    form = innovations_of(kernel, rate)
    states = [synthesise(form, np.zeros(count), form.start(z)) for z in np.eye(2 * form.rows)]
    noises = [synthesise(form, e) for e in np.sqrt(form.noise_variance) * np.eye(count)]
    t = np.arange(count) / rate
    want = kernel.covariance(t, t)
    L = np.stack([*states, *noises], axis=1)
    assert np.abs(L @ L.T - want).max() < 1e-9 * want[0, 0]
    without_start = np.stack(noises, axis=1)
    assert np.abs(without_start @ without_start.T - want).max() > 0.1 * want[0, 0]


def residue_db(form: Innovations, other: Innovations) -> float:
    """What `other` hears of what `form` draws, less what it was drawn from: rms, of the innovations."""
    rng = np.random.default_rng(7)
    e = np.sqrt(form.noise_variance) * rng.standard_normal(6000)
    start = form.start(rng.standard_normal(2 * form.rows))
    heard, _ = listen(other, synthesise(form, e, start), start)
    return float(20.0 * np.log10(np.linalg.norm(heard - e) / np.linalg.norm(e)))


@pytest.mark.parametrize("rate", RATES)
@pytest.mark.parametrize("name", CASES)
def test_listening_gives_the_innovations_back(name: str, rate: float) -> None:
    form = innovations_of(CASES[name][0], rate)
    assert residue_db(form, form) < -180.0
    assert residue_db(form, replace(form, gain=(1.0 + 1e-7) * form.gain)) > -180.0


def test_one_noise_a_process_is_not_one_noise_for_all() -> None:
    """The gains of two processes side by side on one noise are not the gain of their sum."""
    first, second = mixture("two pairs", 2), LORENTZIANS
    a, b = innovations_of(first, 16000.0), innovations_of(second, 16000.0)
    joined = Innovations(
        np.append(a.poles, b.poles),
        np.append(a.weight, b.weight),
        np.append(a.gain, b.gain),
        a.noise_variance + b.noise_variance,
        np.eye(2 * (a.rows + b.rows)),
    )
    assert worst(joined, first + second, 16000.0) > 1e-2


def test_independent_rotations_have_the_same_form_either_way() -> None:
    rate = 48000.0
    form = innovations_of(LORENTZIANS, rate)
    poles = np.exp((-LORENTZIANS.damping + 2j * np.pi * LORENTZIANS.frequency) / rate)
    direct = innovations(poles, LORENTZIANS.settled_variance)
    np.testing.assert_allclose(form.poles, poles, atol=1e-15)
    np.testing.assert_allclose(form.gain, direct.gain, atol=1e-9 * np.abs(direct.gain).max())
    assert form.noise_variance == pytest.approx(direct.noise_variance, rel=1e-9)


def test_a_discrete_model_brings_its_own_rate() -> None:
    kernel = mixture("one pair", 2)
    model = state_space(kernel).discretise(16000.0)
    form = innovations_of(model)
    assert form == innovations_of(kernel, 16000.0) == innovations_of(model, 16000.0)
    with pytest.raises(ValueError, match="is for 16000 Hz, not 48000 Hz"):
        innovations_of(model, 48000.0)
    with pytest.raises(ValueError, match="wants a sample rate"):
        innovations_of(kernel)


@pytest.mark.parametrize(
    ("kernel", "cause"),
    [
        (Matern32(0.01) * Cosine(50.0) + LORENTZIANS, "block 0 has a pole more than once"),
        (Exponential(0.1) + Cosine(50.0), "block 1 is not damped"),
        (DampedCosines.ringing([9.0], [1.0], [1.0]), "block 0 does not start settled"),
        (DampedCosines(*np.array([[9.0], [1.0], [1.0], [1.0001]])), "block 0 does not start settled"),
        (Gain(Exponential(0.1), np.cos), "block 0 has a gain that varies"),
        (0.0 * Exponential(1.0), "some power"),
        (GaussianCosine(0.01, 100.0), "no state space"),
        (GaussianCosine(0.01, 100.0).approximated("taylor4"), "innovations: "),
        (taylor(10, 0.05), "innovations: "),
    ],
    ids=lambda value: str(value)[:40],
)
@pytest.mark.parametrize("rate", RATES)
@pytest.mark.filterwarnings("error")
def test_what_has_no_form_is_refused_with_the_cause(kernel: Kernel, cause: str, rate: float) -> None:
    with pytest.raises(ValueError, match=cause):
        innovations_of(kernel, rate)


def test_a_form_that_cannot_listen_is_refused() -> None:
    form = innovations_of(mixture("one pair", 2), 16000.0)
    _check_forgets(form)
    with pytest.raises(ValueError, match=r"zero at \|z\|"):
        _check_forgets(replace(form, gain=3.0 * form.gain))


@pytest.mark.parametrize("lengthscale", np.geomspace(0.0005, 5.0, 9))
@pytest.mark.parametrize("form", ["one pair", "two pairs"])
@pytest.mark.filterwarnings("error")
def test_a_lone_envelope_of_any_length_is_right_or_refused(form: str, lengthscale: float) -> None:
    kernel, rate = GaussianCosine(lengthscale, 440.0).approximated(form), 48000.0
    try:
        made = innovations_of(kernel, rate)
    except ValueError as refusal:
        too_smooth = {"one pair": 1.0, "two pairs": 0.3}
        assert lengthscale > too_smooth[form], refusal  # noqa: PT017
        return
    assert worst(made, kernel, rate) < 1e-9
