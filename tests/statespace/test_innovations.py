"""The innovations form against the sum of independent rotations it replaces, on six banks of 24 rows.

A gain is tested by the covariance recomputed from it; `test_the_identity_that_hides_a_wrong_gain` says why.
"""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import ArrayLike
from scipy.linalg import solve_discrete_are

from rtsynth.kernels import DampedCosines
from rtsynth.kernels.value import Array
from rtsynth.statespace import Innovations, covariance_from_gain, innovations, listen, synthesise
from rtsynth.statespace.innovations import Complex, spectral_density, state_covariance

RATE = 48000.0
LAGS = np.concatenate([np.arange(2048), 2 ** np.arange(11, 18)])
K = np.arange(1, 25)


def banks() -> dict[str, DampedCosines]:
    """Six instruments: frequency (Hz), damping (1/s), variance; 24 rows each."""
    rng = np.random.default_rng(24)
    random_f = np.exp(rng.uniform(np.log(80.0), np.log(12000.0), 24))
    random_q = np.exp(rng.uniform(np.log(50.0), np.log(5000.0), 24))
    triplets = np.concatenate([220.0 * k + np.array([-0.2, 0.0, 0.2]) for k in K[:8]])
    bands = np.geomspace(80.0, 12000.0, 24)
    falling = 1.0 / K**2
    return {
        "inharmonic C4, 320 k periods": DampedCosines.settled(
            261.6 * K * np.sqrt(1.0 + 4e-4 * K**2), np.full(24, 1.0 / 0.386), falling
        ),
        "inharmonic A1, decays of 1 to 8 s": DampedCosines.settled(
            55.0 * K * np.sqrt(1.0 + 3e-4 * K**2), 1.0 / np.linspace(8.0, 1.0, 24), falling
        ),
        "random, Q of 50 to 5000": DampedCosines.settled(
            random_f, np.pi * random_f / random_q, rng.uniform(0.1, 1.0, 24)
        ),
        "random, Q of 5000": DampedCosines.settled(random_f, np.pi * random_f / 5000.0, np.ones(24)),
        "string triplets 0.2 Hz apart": DampedCosines.settled(
            triplets, np.full(24, 0.5), np.repeat(falling[:8], 3)
        ),
        "noise bands, Q of 50": DampedCosines.settled(bands, np.pi * bands / 50.0, np.ones(24)),
    }


BANKS = banks()


def poles(rows: DampedCosines) -> Complex:
    return np.exp((-rows.damping + 2j * np.pi * rows.frequency) / RATE)


def form_of(rows: DampedCosines) -> Innovations:
    return innovations(poles(rows), rows.settled_variance)


def true_covariance(lam: Complex, variance: Array, lags: ArrayLike) -> Array:
    """sum_k variance_k Re λ_k^lag: the definition."""
    return (lam ** np.asarray(lags)[:, None] @ variance).real


def worst(form: Innovations, variance: Array) -> float:
    """Largest error of the covariance at LAGS, relative to lag 0."""
    want = true_covariance(form.poles, variance * form.weight**2, LAGS)
    return float(np.abs(covariance_from_gain(form, LAGS) - want).max() / want[0])


def with_gain(form: Innovations, gain: Complex, noise_variance: float) -> Innovations:
    return Innovations(form.poles, form.weight, gain, noise_variance, form.start_factor)


@pytest.mark.parametrize("name", BANKS)
def test_covariance_recomputed_from_the_gain_is_that_of_the_rotations(name: str) -> None:
    form, rows = form_of(BANKS[name]), BANKS[name]
    assert worst(form, rows.settled_variance) < 1e-12
    assert 0.0 < form.noise_variance < rows.settled_variance.sum()
    # A gain off by one part in 10^4 is seen.
    assert worst(with_gain(form, 1.0001 * form.gain, form.noise_variance), rows.settled_variance) > 1e-6


@pytest.mark.parametrize("name", BANKS)
def test_the_form_is_invertible(name: str) -> None:
    form = form_of(BANKS[name])
    lam, b = form.poles, form.gain
    A = np.block([[np.diag(lam.real), -np.diag(lam.imag)], [np.diag(lam.imag), np.diag(lam.real)]])
    closed = A - np.outer(np.concatenate([b.real, b.imag]), np.concatenate([form.weight, 0.0 * form.weight]))
    assert np.abs(np.linalg.eigvals(closed)).max() < 1.0


@pytest.mark.parametrize("name", BANKS)
def test_density_is_the_sum_of_the_densities_of_the_rotations(name: str) -> None:
    rows = BANKS[name]
    lam, v = poles(rows), rows.settled_variance
    cycles = np.concatenate([np.linspace(0.0, 0.5, 4001), rows.frequency / RATE])
    z = np.exp(2j * np.pi * cycles)[:, None]
    q = v * -np.expm1(-2.0 * rows.damping / RATE)
    want = 0.5 * (q * (1.0 / np.abs(z - lam) ** 2 + 1.0 / np.abs(z - lam.conj()) ** 2)).sum(axis=1)
    error_db = 10.0 * np.log10(spectral_density(form_of(rows), cycles) / want)
    assert np.abs(error_db).max() < 1e-6


def test_the_identity_that_hides_a_wrong_gain() -> None:
    """With Σ = Pinf - P the covariance comes out right for ANY P; from the gain alone it does not."""
    rows = BANKS["inharmonic C4, 320 k periods"]
    lam, v = poles(rows), rows.settled_variance
    form = form_of(rows)
    A = np.block([[np.diag(lam.real), -np.diag(lam.imag)], [np.diag(lam.imag), np.diag(lam.real)]])
    H, Pinf = np.concatenate([np.ones(24), np.zeros(24)]), np.diag(np.tile(v, 2))
    P = 1.5 * np.diag(np.tile(v * np.linspace(0.1, 0.3, 24), 2))  # nothing to do with the Riccati equation
    S = float(H @ P @ H)
    gain = A @ P @ H / S
    through_the_identity, power = [], np.eye(48)
    for _ in range(200):
        power = power @ A  # A^lag, lag = 1 ...
        through_the_identity.append(H @ power @ (Pinf - P) @ H + H @ np.linalg.solve(A, power) @ gain * S)
    want = true_covariance(lam, v, np.arange(1, 201))
    assert np.abs(through_the_identity - want).max() < 1e-12
    assert worst(with_gain(form, gain[:24] + 1j * gain[24:], S), v) > 1e-2


def test_gain_is_that_of_the_riccati_equation() -> None:
    rows = BANKS["noise bands, Q of 50"]
    form, lam = form_of(rows), poles(rows)
    A = np.block([[np.diag(lam.real), -np.diag(lam.imag)], [np.diag(lam.imag), np.diag(lam.real)]])
    Q = np.diag(np.tile(rows.settled_variance * (1.0 - np.abs(lam) ** 2), 2))
    H = np.concatenate([np.ones(24), np.zeros(24)])
    P = solve_discrete_are(A.T, H[:, None], Q, np.zeros((1, 1)))
    assert form.noise_variance == pytest.approx(H @ P @ H, rel=1e-9)
    gain = A @ P @ H / (H @ P @ H)
    np.testing.assert_allclose(form.gain, gain[:24] + 1j * gain[24:], atol=1e-8 * np.abs(gain).max())


@pytest.mark.parametrize("name", BANKS)
def test_unit_noises_give_the_exact_law_from_the_first_sample(name: str) -> None:
    rows, count = BANKS[name], 160
    form = form_of(rows)
    starts = np.eye(48)
    columns = [synthesise(form, np.zeros(count), form.start(z)) for z in starts]
    drive = [synthesise(form, e) for e in np.sqrt(form.noise_variance) * np.eye(count)]
    L = np.stack([*columns, *drive], axis=1)
    want = true_covariance(form.poles, rows.settled_variance, np.arange(count))
    lag = np.abs(np.subtract.outer(np.arange(count), np.arange(count)))
    assert np.abs(L @ L.T - want[lag]).max() < 1e-9 * want[0]
    without_start = L[:, 48:]
    assert np.abs(without_start @ without_start.T - want[lag]).max() > 0.1 * want[0]


@pytest.mark.parametrize("name", BANKS)
def test_listening_undoes_synthesis(name: str) -> None:
    form, rng = form_of(BANKS[name]), np.random.default_rng(8)
    e = np.sqrt(form.noise_variance) * rng.standard_normal(3000)
    start = form.start(rng.standard_normal(48))
    y = synthesise(form, e, start)
    heard, _ = listen(form, y, start)
    assert np.abs(heard - e).max() < 1e-9 * np.abs(e).max()  # -180 dB
    misheard, _ = listen(with_gain(form, (1.0 + 1e-6) * form.gain, form.noise_variance), y, start)
    assert np.abs(misheard - e).max() > 1e-9 * np.abs(e).max()


def test_listening_and_ignorance() -> None:
    form, rng = form_of(BANKS["noise bands, Q of 50"]), np.random.default_rng(7)
    e = np.sqrt(form.noise_variance) * rng.standard_normal(6000)
    start = form.start(rng.standard_normal(48))
    y = synthesise(form, e, start)
    heard, _ = listen(form, y, start)
    assert np.abs(heard - e).max() < 1e-12 * np.abs(e).max()
    # A listener who knows nothing at the start forgets that: 24 rows of Q 50 take a few thousand samples.
    ignorant, state = listen(form, y)
    assert np.abs(ignorant - e)[:100].max() > 0.1 * np.abs(e).max()
    assert np.abs(ignorant - e)[-500:].max() < 0.02 * np.abs(e).max()
    continued = synthesise(form, np.zeros(64), state)
    true_state = listen(form, y, start)[1]
    np.testing.assert_allclose(continued, synthesise(form, np.zeros(64), true_state), atol=0.02 * y.std())


def test_weights_scale_rows_and_a_row_without_weight_is_not_heard() -> None:
    rows = BANKS["noise bands, Q of 50"]
    weight = np.linspace(-1.0, 2.0, 24)
    weight[3] = 0.0
    form = innovations(poles(rows), rows.settled_variance, weight)
    assert worst(form, rows.settled_variance) < 1e-11
    assert form.gain[3] == 0.0
    silent = innovations(poles(rows), np.where(np.arange(24) == 5, 0.0, rows.settled_variance))
    assert silent.gain[5] == 0.0
    other = form_of(rows)
    assert worst(innovations(poles(rows), 4.0 * rows.settled_variance), 4.0 * rows.settled_variance) < 1e-12
    np.testing.assert_allclose(
        innovations(poles(rows), 4.0 * rows.settled_variance).gain,
        other.gain,
        atol=1e-12 * np.abs(other.gain).max(),
    )


@pytest.mark.parametrize("frequency", [0.0, 24000.0, 100.0])
def test_one_row_and_rows_on_the_real_axis(frequency: float) -> None:
    lam = np.exp(np.array([-20.0 + 2j * np.pi * frequency]) / RATE)
    form = innovations(lam, [2.0])
    assert worst(form, np.array([2.0])) < 1e-12
    if frequency == 0.0:  # an Ornstein-Uhlenbeck process is its own innovations form
        assert form.gain[0] == pytest.approx(abs(lam[0]), rel=1e-12)
        assert form.noise_variance == pytest.approx(2.0 * -np.expm1(-40.0 / RATE), rel=1e-12)


def test_start_factor_is_that_of_the_state_covariance() -> None:
    form = form_of(BANKS["random, Q of 5000"])
    covariance = state_covariance(form.poles, form.gain, form.noise_variance)
    np.testing.assert_allclose(
        form.start_factor @ form.start_factor.T, covariance, atol=1e-13 * covariance.max()
    )
    np.testing.assert_array_equal(form.start_factor, np.tril(form.start_factor))


def test_bad_rows_are_refused() -> None:
    with pytest.raises(ValueError, match=r"pole 1 has \|λ\| = 1;"):
        innovations([0.5, 1.0], [1.0, 1.0])
    with pytest.raises(ValueError, match="pole 0"):
        innovations([np.nan], [1.0])
    with pytest.raises(ValueError, match="1 poles, 2 variances"):
        innovations([0.5], [1.0, 1.0])
    with pytest.raises(ValueError, match="some power"):
        innovations([0.5, 0.6], [1.0, 0.0], [0.0, 1.0])
    with pytest.raises(ValueError, match="variance of rotations"):
        innovations([0.5], [-1.0])
