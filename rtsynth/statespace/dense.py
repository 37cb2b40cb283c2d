"""The slow, obvious reference: dense covariances, the nearest proper one to a matrix, and draws from them."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from rtsynth.kernels.algebra import Kernel, times
from rtsynth.kernels.value import Array
from rtsynth.statespace.discretise import Discrete, DiscreteBlock
from rtsynth.statespace.factor import lower_factor


def covariance_of_recursion(model: Discrete, count: int) -> Array:
    """The covariance (count, count) of samples 0 .. count - 1 that x' = A x + w implies, exactly."""
    t = model.times(count)
    return sum((_block_covariance(block, t) for block in model.blocks), np.zeros((count, count)))


def _block_covariance(block: DiscreteBlock, t: Array) -> Array:
    return output_covariance(block.A, block.Q, block.P0, block.output(t))


def output_covariance(A: Array, Q: Array, P: Array, output: Array) -> Array:
    """Covariance (N, N) of y_n = output_n x_n, output (N, J), from x_0 of covariance P (J, J): O(N² J²)."""
    count, J = output.shape
    with_output = np.empty((J, count))  # column m: E x_(m + lag) y_m, from lag 0 up
    for m in range(count):
        with_output[:, m] = P @ output[m]
        P = A @ P @ A.T + Q
    covariance = np.empty((count, count))
    for lag in range(count):
        earlier = np.arange(count - lag)
        values = np.einsum("mn,nm->m", output[lag:], with_output[:, : count - lag])
        covariance[earlier + lag, earlier] = covariance[earlier, earlier + lag] = values
        with_output = A @ with_output
    return covariance


def nearest_psd(matrix: Array, eig_tol: float = 1e-6, posd_tol: float = 1e-8) -> Array:
    """The positive definite matrix (N, N) nearest to a symmetric one: `nearPD` of R's Matrix, its defaults.

    Higham, Computing the nearest correlation matrix, 2002. Eigenvalues below eig_tol times the largest are
    dropped, which is the projection on the positive semi-definite cone; with no second constraint Higham's
    alternating iteration stands still after it (R runs it twice to see that). Then eigenvalues are raised to
    posd_tol times the largest, and rows and columns rescaled so that the diagonal stays. ValueError where no
    eigenvalue is positive.
    """
    square = matrix.ndim == 2 and matrix.shape[0] == matrix.shape[1]
    if not square or not np.allclose(matrix, matrix.T, rtol=0.0, atol=1e-10 * np.abs(matrix).max()):
        raise ValueError(f"nearest_psd: wants a symmetric matrix, got shape {matrix.shape}")
    eigenvalues, vectors = np.linalg.eigh(0.5 * (matrix + matrix.T))
    kept = eigenvalues > eig_tol * eigenvalues[-1]
    if eigenvalues[-1] <= 0.0:
        raise ValueError("nearest_psd: the matrix is negative semi-definite")
    return _raise_eigenvalues((vectors[:, kept] * eigenvalues[kept]) @ vectors[:, kept].T, posd_tol)


def _raise_eigenvalues(X: Array, posd_tol: float) -> Array:
    eigenvalues, vectors = np.linalg.eigh(X)
    floor = posd_tol * abs(eigenvalues[-1])
    if eigenvalues[0] >= floor:
        return X
    diagonal = np.diag(X).copy()
    X = (vectors * np.maximum(eigenvalues, floor)) @ vectors.T
    scale = np.sqrt(np.maximum(floor, diagonal) / np.diag(X))
    return scale[:, None] * X * scale


def draw(kernel: Kernel, t: ArrayLike, rng: np.random.Generator, faithful: bool = False) -> Array:
    """One path (N,) of the process at times t (N,) s, by the Cholesky factor of its covariance: O(N^3).

    faithful: the covariance is first replaced by `nearest_psd`, as the seed does, so that a FaithfulMixture
    can be drawn too. Without it, ValueError where the covariance is not positive semi-definite.
    """
    t = times(t)
    covariance = kernel.covariance(t, t)
    if faithful:
        covariance = nearest_psd(covariance)
    return lower_factor(covariance) @ rng.standard_normal(t.size)
