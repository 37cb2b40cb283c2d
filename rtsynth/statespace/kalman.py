"""The Kalman filter: log-likelihood of samples under a state-space model, in O(N).

Sarkka, Bayesian Filtering and Smoothing, 2013, section 4.3; the covariance update is Joseph's, which stays
symmetric and positive semi-definite without measurement noise too.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from rtsynth.statespace.discretise import Discrete

# A sample is certain where its predicted variance is below this share of the largest it could have been:
# what is left there is rounding.
CERTAIN = 1e-14


def log_likelihood(model: Discrete, y: ArrayLike, noise_variance: float = 0.0) -> float:
    """log p(y) of samples y (N,), from sample 0 on, under the model plus white noise, variance >= 0.

    ValueError where y is not finite, and where the model predicts a sample without error, to within rounding,
    so that y has no density.
    """
    samples = np.asarray(y, dtype=np.float64)
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise ValueError(f"log_likelihood: wants finite samples of shape (N,), got shape {samples.shape}")
    if not noise_variance >= 0.0:
        raise ValueError(f"log_likelihood: wants noise_variance >= 0, got {noise_variance!r}")
    A, Q, P = model.transition(), model.noise_covariance(), model.start_covariance()
    x, identity, total = np.zeros(model.states), np.eye(model.states), 0.0
    # The largest standard deviation of each state so far: what rounding is relative to.
    spread = np.sqrt(np.diag(P))
    for n, H in enumerate(model.output(samples.size)):
        PH = P @ H
        S = float(H @ PH) + noise_variance
        spread = np.maximum(spread, np.sqrt(np.maximum(np.diag(P), 0.0)))
        rounding = CERTAIN * float(np.abs(H) @ spread) ** 2
        if not rounding < S:
            raise ValueError(
                f"log_likelihood: sample {n} is certain given those before it; add noise_variance"
            )
        error, gain = samples[n] - float(H @ x), PH / S
        total -= 0.5 * (math.log(math.tau * S) + error * error / S)
        keep = identity - np.outer(gain, H)
        P = keep @ P @ keep.T + noise_variance * np.outer(gain, gain)
        x, P = A @ (x + gain * error), A @ P @ A.T + Q
    return total
