"""What comes after, and what belongs into a gap: conditional laws of a process, and draws from them.

Continuation is prediction from the filtered state (Anderson and Moore, Optimal Filtering, 1979, chapter 3),
and in the innovations form the impulse response of the one noise. Gaps are filled by the smoother; draws are
those of the simulation smoother (Durbin and Koopman, 2002): a path of the process, corrected by what the
smoother makes of its difference to the samples heard.
"""

from __future__ import annotations

from functools import singledispatch
from operator import index
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike

from rtsynth.kernels.value import Array, check_non_negative
from rtsynth.statespace.dense import output_covariance
from rtsynth.statespace.discretise import Discrete
from rtsynth.statespace.factor import lower_factor
from rtsynth.statespace.innovations import Complex, Innovations, listen, synthesise
from rtsynth.statespace.smoother import heard, predict, predict_means, smooth_outputs, sparse_transition


class Continuation(NamedTuple):
    """Law of the M samples of noise-free output that follow a past: Gaussian."""

    mean: Array  # (M,)
    covariance: Array  # (M, M)


class _State(NamedTuple):
    """Law of the state of the sample that comes next, and the output weights from there on."""

    mean: Array  # (J,)
    covariance: Array  # (J, J)
    output: Array  # (M, J)


@singledispatch
def continuation(model: object, y: ArrayLike, m: int, noise_variance: float = 0.0) -> Continuation:
    """The law of samples N .. N + m - 1 given samples 0 .. N - 1, y (N,), with noise of variance >= 0 in y.

    From a `Discrete`: the exact conditional, NaN in y being a sample not heard; 8 N J² bytes. From an
    `Innovations`: y without gaps or noise, taken for the end of an endless past of which what came before y
    was silent; exact once the form has forgotten that, at O(K) a sample. ValueError where m < 0 and as of
    `kalman_filter`.
    """
    raise TypeError(f"continuation: wants a Discrete or an Innovations, got {type(model).__name__}")


@continuation.register
def _(model: Discrete, y: ArrayLike, m: int, noise_variance: float = 0.0) -> Continuation:
    x, P, output = _state_after(model, y, m, noise_variance)
    mean = _run(model, output, x[:, None], np.zeros((len(output), model.states, 1)))[:, 0]
    return Continuation(mean, output_covariance(model.transition(), model.noise_covariance(), P, output))


@continuation.register
def _(model: Innovations, y: ArrayLike, m: int, noise_variance: float = 0.0) -> Continuation:
    state, silence = _listened(model, y, noise_variance), np.zeros(_count(m))
    if not silence.size:
        return Continuation(silence, np.zeros((0, 0)))
    impulse = silence.copy()
    impulse[0] = 1.0
    response = synthesise(model, impulse)
    lag = np.subtract.outer(np.arange(silence.size), np.arange(silence.size))
    L = np.where(lag >= 0, response[np.maximum(lag, 0)], 0.0)
    return Continuation(synthesise(model, silence, state), model.noise_variance * L @ L.T)


@singledispatch
def draw_continuation(
    model: object, y: ArrayLike, m: int, rng: np.random.Generator, noise_variance: float = 0.0
) -> Array:
    """One draw (m,) from the law that `continuation` states, in O(m), without a matrix (m, m)."""
    raise TypeError(f"draw_continuation: wants a Discrete or an Innovations, got {type(model).__name__}")


@draw_continuation.register
def _(model: Discrete, y: ArrayLike, m: int, rng: np.random.Generator, noise_variance: float = 0.0) -> Array:
    x, P, output = _state_after(model, y, m, noise_variance)
    normals = rng.standard_normal(output.size).reshape(*output.shape, 1)
    return _draw_paths(model, output, x, P, normals)[:, 0]


@draw_continuation.register
def _(
    model: Innovations, y: ArrayLike, m: int, rng: np.random.Generator, noise_variance: float = 0.0
) -> Array:
    state = _listened(model, y, noise_variance)
    return synthesise(model, np.sqrt(model.noise_variance) * rng.standard_normal(_count(m)), state)


def fill(model: Discrete, y: ArrayLike, noise_variance: float = 0.0) -> Array:
    """y (N,) with every NaN replaced by the posterior mean of the noise-free output there.

    The error of it is the variance that `smooth` gives. Cost and errors as of `kalman_filter`.
    """
    samples = heard(y)
    mean = smooth_outputs(model, samples[:, None], noise_variance)[:, 0]
    return np.where(np.isnan(samples), mean, samples)


def draw_fill(
    model: Discrete, y: ArrayLike, rng: np.random.Generator, draws: int = 1, noise_variance: float = 0.0
) -> Array:
    """y (N,) with its gaps filled by `draws` independent draws from their joint posterior -> (draws, N).

    All draws share one filter; each costs O(N J) more. ValueError where draws < 0.
    """
    check_non_negative(noise_variance, "noise_variance")
    samples, J, count = heard(y), model.states, _count(draws)
    n = samples.size
    normals = rng.standard_normal((n * J + n) * count).reshape(n * J + n, count)
    x0, P0 = np.zeros(J), model.start_covariance()
    path = _draw_paths(model, model.output(n), x0, P0, normals[: n * J].reshape(n, J, count))
    noise = np.sqrt(noise_variance) * normals[n * J :]
    corrected = path + smooth_outputs(model, samples[:, None] - (path + noise), noise_variance)
    return np.where(np.isnan(samples)[:, None], corrected, samples[:, None]).T


def _state_after(model: Discrete, y: ArrayLike, m: int, noise_variance: float) -> _State:
    samples = np.append(heard(y), np.nan)  # the sample that comes next, not heard yet
    prediction = predict(model, ~np.isnan(samples), noise_variance)
    states, _ = predict_means(sparse_transition(model), prediction, samples[:, None])
    output = model.output(samples.size - 1 + _count(m))[samples.size - 1 :]
    return _State(states[-1, :, 0], prediction.covariance[-1], output)


def _listened(form: Innovations, y: ArrayLike, noise_variance: float) -> Complex:
    samples = heard(y)
    if noise_variance != 0.0 or np.isnan(samples).any():
        raise ValueError("an innovations form listens without gaps and noise; discretise the model for those")
    return listen(form, samples)[1]


def _draw_paths(model: Discrete, output: Array, x: Array, P: Array, normals: Array) -> Array:
    """Paths (N, M) through output (N, J) from x_0 ~ N(x, P), of standard normal variates (N, J, M)."""
    if not len(output):
        return np.zeros((0, normals.shape[-1]))
    drive = lower_factor(model.noise_covariance()) @ normals[1:]
    last = np.zeros((1, *normals.shape[1:]))
    return _run(model, output, x[:, None] + lower_factor(P) @ normals[0], np.concatenate([drive, last]))


def _run(model: Discrete, output: Array, x: Array, drive: Array) -> Array:
    """y_n = output_n x_n, x' = A x + drive_n -> (N, M): output (N, J), x (J, M), drive (N, J, M)."""
    A, y = sparse_transition(model), np.empty((len(output), x.shape[1]))
    for n, H in enumerate(output):
        y[n] = H @ x
        x = A @ x + drive[n]
    return y


def _count(m: int) -> int:
    if index(m) < 0:
        raise ValueError(f"wants a count >= 0, got {m}")
    return index(m)
