"""What samples with gaps tell of the process behind them: the Kalman filter and the fixed-interval smoother.

The smoother of Rauch, Tung and Striebel (1965) in the form of Bryson and Frazier (Bierman, Fixed interval
smoothing with discrete measurements, 1973; de Jong, Smoothing and interpolation with the state-space model,
1989): equal to it, but it divides by the variance of one predicted sample only, where theirs inverts the
covariance of the state, which an undamped rotation, or a sample heard without noise, makes singular.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from rtsynth.kernels.value import Array, check_non_negative
from rtsynth.statespace.discretise import Discrete
from rtsynth.statespace.kalman import CERTAIN

if TYPE_CHECKING:
    from scipy.sparse import csr_array


class Posterior(NamedTuple):
    """Law of the state x_n and of the noise-free output H_n x_n, given samples of N; Gaussian."""

    mean: Array  # (N,), of the output
    variance: Array  # (N,)
    state_mean: Array  # (N, J)
    state_covariance: Array  # (N, J, J)


class Prediction(NamedTuple):
    """What the filter knows of sample n from those before it, whatever their values were."""

    output: Array  # H (N, J)
    covariance: Array  # of the state, (N, J, J)
    variance: Array  # S of the sample (N,); infinite in a gap, where nothing is learned
    gain: Array  # (N, J): state learned from one unit of surprise; zero in a gap


def kalman_filter(model: Discrete, y: ArrayLike, noise_variance: float = 0.0) -> Posterior:
    """The posterior at each sample given y up to and including it; NaN in y (N,) is a sample not heard.

    y is the output from sample 0 on plus white noise of variance >= 0. O(N J²) time where the blocks are
    small beside J, and 8 N J² bytes. ValueError where y is not (N,) or is infinite, and where without noise a
    sample is certain given those before it.
    """
    samples, A = heard(y), sparse_transition(model)
    prediction = predict(model, ~np.isnan(samples), noise_variance)
    x, error = predict_means(A, prediction, samples[:, None])
    state = x[..., 0] + prediction.gain * error
    covariance = prediction.covariance
    for n, g in enumerate(prediction.gain):
        if g.any():
            covariance[n] -= prediction.variance[n] * np.outer(g, g)
    return _posterior(prediction.output, state, covariance)


def smooth(model: Discrete, y: ArrayLike, noise_variance: float = 0.0) -> Posterior:
    """The posterior at each sample given all of y (N,); NaN in y is a sample not heard.

    Cost and errors as of `kalman_filter`, and one product of (J, J) matrices a sample.
    """
    samples, A = heard(y), sparse_transition(model)
    prediction = predict(model, ~np.isnan(samples), noise_variance)
    state = smooth_means(A, prediction, samples[:, None])[..., 0]
    return _posterior(prediction.output, state, _smooth_covariances(A, prediction))


def smooth_outputs(model: Discrete, y: Array, noise_variance: float = 0.0) -> Array:
    """Posterior means of the output (N, M) for M records at once, y (N, M), all with the same gaps."""
    missing = np.isnan(y)
    if (missing != missing[:, :1]).any():
        raise ValueError("smooth_outputs: the records have different gaps")
    prediction = predict(model, ~missing[:, 0], noise_variance)
    states = smooth_means(sparse_transition(model), prediction, y)
    return np.einsum("nj,njm->nm", prediction.output, states)


def heard(y: ArrayLike) -> Array:
    """Samples as float64 (N,), NaN for those not heard; ValueError where of another shape or infinite."""
    samples = np.asarray(y, dtype=np.float64)
    if samples.ndim != 1 or np.isinf(samples).any():
        raise ValueError(f"wants samples of shape (N,), finite or NaN, got shape {samples.shape}")
    return samples


def predict(model: Discrete, known: NDArray[np.bool_], noise_variance: float) -> Prediction:
    """The covariance half of the filter, from sample 0 on: it depends on which samples (N,) are known alone."""
    check_non_negative(noise_variance, "noise_variance")
    A, Q, P = sparse_transition(model), model.noise_covariance(), model.start_covariance()
    count, J = known.size, model.states
    covariance, gain, variance = np.empty((count, J, J)), np.zeros((count, J)), np.full(count, np.inf)
    output, spread = model.output(count), np.zeros(J)
    for n, H in enumerate(output):
        covariance[n] = P
        spread = np.maximum(spread, np.sqrt(np.maximum(np.diag(P), 0.0)))
        if known[n]:
            PH = P @ H
            S = float(H @ PH) + noise_variance
            if not CERTAIN * float(np.abs(H) @ spread) ** 2 < S:
                raise ValueError(f"sample {n} is certain given those before it; add noise_variance")
            variance[n], gain[n] = S, PH / S
            P = P - np.outer(gain[n], PH)
        P = A @ (A @ P).T + Q
        P = 0.5 * (P + P.T)
    return Prediction(output, covariance, variance, gain)


def predict_means(A: csr_array, prediction: Prediction, y: Array) -> tuple[Array, Array]:
    """For records y (N, M): predicted states (N, J, M), and surprises (N, M), zero where nothing is heard."""
    states = np.empty((*prediction.gain.shape, y.shape[1]))
    error, x = np.zeros(y.shape), np.zeros(states.shape[1:])
    for n, (H, g) in enumerate(zip(prediction.output, prediction.gain, strict=True)):
        states[n] = x
        if np.isfinite(prediction.variance[n]):
            error[n] = y[n] - H @ x
            x = x + np.multiply.outer(g, error[n])
        x = A @ x
    return states, error


def smooth_means(A: csr_array, prediction: Prediction, y: Array) -> Array:
    """For records y (N, M): posterior means of the states (N, J, M), by a filter and an adjoint pass."""
    states, error = predict_means(A, prediction, y)
    r = np.zeros(states.shape[1:])  # what the samples ahead tell, in units of the state's precision
    for n in reversed(range(len(states))):
        H, g = prediction.output[n], prediction.gain[n]
        r = A.T @ r
        r = r + np.multiply.outer(H, error[n] / prediction.variance[n] - g @ r)
        states[n] += prediction.covariance[n] @ r
    return states


def _smooth_covariances(A: csr_array, prediction: Prediction) -> Array:
    """Posterior covariances (N, J, J), written over the predicted ones."""
    covariance = prediction.covariance
    N = np.zeros(covariance.shape[1:])  # the precision that the samples ahead add
    for n in reversed(range(len(covariance))):
        H, g, P = prediction.output[n], prediction.gain[n], covariance[n]
        N = A.T @ (A.T @ N).T
        Ng = N @ g
        N = N - np.outer(H, Ng) - np.outer(Ng, H) + (1.0 / prediction.variance[n] + g @ Ng) * np.outer(H, H)
        covariance[n] = P - P @ N @ P
    return covariance


def _posterior(output: Array, state: Array, covariance: Array) -> Posterior:
    variance = np.einsum("ni,nij,nj->n", output, covariance, output, optimize=True)
    return Posterior(np.einsum("nj,nj->n", output, state), np.maximum(variance, 0.0), state, covariance)


def sparse_transition(model: Discrete) -> csr_array:
    """A (J, J) by its blocks: a product with it costs J times the size of a block, not J²."""
    from scipy.sparse import block_diag, csr_array

    blocks: list[Any] = [block.A for block in model.blocks]
    return csr_array(block_diag(blocks, format="csr") if blocks else np.zeros((0, 0)))
