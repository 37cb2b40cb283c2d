"""A lower triangular square root of a covariance matrix, singular ones included.

Higham, Analysis of the Cholesky decomposition of a semi-definite matrix, 1990, tells why plain Cholesky fails
there.
"""

from __future__ import annotations

import numpy as np

from rtsynth.kernels.value import Array

TOLERANCE = 1e-9  # of the largest eigenvalue: below this a negative eigenvalue is rounding


def lower_factor(covariance: Array, tolerance: float = TOLERANCE) -> Array:
    """L (N, N), lower triangular with diagonal >= 0, of L L' = covariance (N, N).

    Cholesky where the matrix is positive definite, else by its eigenvalues, those between 0 and -tolerance
    times the largest counting as 0. ValueError where one is more negative: the matrix is no covariance.
    """
    try:
        return np.asarray(np.linalg.cholesky(covariance), dtype=np.float64)
    except np.linalg.LinAlgError:
        return _semidefinite_factor(covariance, tolerance)


def _semidefinite_factor(covariance: Array, tolerance: float) -> Array:
    eigenvalues, vectors = np.linalg.eigh(covariance)
    least, most = float(eigenvalues[0]), float(eigenvalues[-1])
    if least < -tolerance * max(most, 0.0):
        raise ValueError(
            f"not positive semi-definite: its eigenvalues go from {least:.3g} to {most:.3g}; see nearest_psd"
        )
    root = vectors * np.sqrt(np.maximum(eigenvalues, 0.0))
    _, upper = np.linalg.qr(root.T)
    return (upper * np.where(np.diag(upper) < 0.0, -1.0, 1.0)[:, None]).T
