"""Dense covariances with structure: Toeplitz on a regular grid, Kronecker over several channels or axes.

For processes that have no state space, and for whole files. Circulant embedding: Dietrich and Newsam, Fast
and exact simulation of stationary Gaussian processes, 1997. The Toeplitz factor by the Durbin-Levinson
recursion: Hosking, Modeling persistence in hydrological time series, 1984. Conjugate gradients with a
circulant preconditioner: T. Chan, An optimal circulant preconditioner for Toeplitz systems, 1988. The
Kronecker vec trick: Van Loan, The ubiquitous Kronecker product, 2000.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from rtsynth.kernels.algebra import Kernel
from rtsynth.kernels.value import Array, check_positive
from rtsynth.statespace.factor import lower_factor

CLIPPED = 1e-10  # of the variance: what circulant embedding may change in any covariance
LEAST_INNOVATION = 1e-11  # of the variance: below this the Durbin-Levinson recursion has lost its digits


def toeplitz_column(kernel: Kernel, n: int, rate: float) -> Array:
    """Covariances (n,) at lags 0 .. n - 1 samples of a stationary kernel sampled at `rate` (Hz).

    They are the first column of the covariance matrix (n, n), which is symmetric Toeplitz. ValueError where
    the kernel is not stationary, or n < 1.
    """
    check_positive(rate, "sample rate")
    if not kernel.stationary:
        raise ValueError(f"{kernel} is not stationary: its covariance on a grid is not Toeplitz")
    if n < 1:
        raise ValueError(f"toeplitz_column: wants n >= 1, got {n}")
    return kernel.covariance(np.arange(n) / rate, np.zeros(1))[:, 0]


def draw_circulant(kernel: Kernel, n: int, rate: float, rng: np.random.Generator, pad: float = 2.0) -> Array:
    """One path (n,) of a stationary kernel, by a circle of about 2 pad n samples: O(pad n log(pad n)).

    The covariances are wrapped round the circle, which the Fourier transform diagonalises. Where that makes
    no covariance, some eigenvalues are negative; they are set to zero as long as no covariance of the path
    changes by more than CLIPPED times the variance. Else ValueError, with what it would change: raise `pad`
    until the kernel has decayed within pad n samples. Cosines never decay: draw those by their state space.
    """
    if not (math.isfinite(pad) and pad >= 1.0):
        raise ValueError(f"draw_circulant: wants pad >= 1, got {pad!r}")
    root = np.sqrt(circulant_eigenvalues(kernel, n, rate, pad))
    size = 2 * (root.size - 1)
    normals = np.fft.rfft(rng.standard_normal(size))
    return np.fft.irfft(root * normals, size)[:n]


def circulant_eigenvalues(kernel: Kernel, n: int, rate: float, pad: float = 2.0) -> Array:
    """Eigenvalues (m + 1,), each >= 0, at 0 .. m cycles round the circle of 2 m samples that draws n."""
    from scipy.fft import next_fast_len

    if n < 1:
        raise ValueError(f"circulant embedding: wants n >= 1, got {n}")
    m = next_fast_len(math.ceil(pad * n), real=True)
    half = toeplitz_column(kernel, m + 1, rate)
    eigenvalues = np.fft.rfft(np.concatenate([half, half[-2:0:-1]])).real
    # The covariance at lag l is the mean over the circle of eigenvalue * cos: no lag changes by more than
    # the mean of what is clipped. All but the first and last eigenvalue stand for two.
    clipped = np.maximum(-eigenvalues, 0.0)
    change = (2.0 * clipped.sum() - clipped[0] - clipped[-1]) / (2 * m)
    if change > CLIPPED * half[0]:
        raise ValueError(
            f"circulant embedding of {kernel} at pad {pad:g} has negative eigenvalues, which change the"
            f" covariance by up to {change / half[0]:.2g} of the variance: raise pad"
        )
    return np.maximum(eigenvalues, 0.0)


def draw_toeplitz(kernel: Kernel, n: int, rate: float, rng: np.random.Generator) -> Array:
    """One path (n,) of a stationary kernel, the same as of the Cholesky factor: O(n²) time, O(n) memory.

    Each sample is its prediction from all before, by the Durbin-Levinson recursion, plus what is new.
    ValueError where a sample is all but certain given those before it, as of lines and of smooth kernels
    sampled fast: then `draw_circulant` or `draw`.
    """
    k, normals = toeplitz_column(kernel, n, rate), rng.standard_normal(n)
    y, phi, variance = np.empty(n), np.zeros(0), k[0]  # phi (t,): weight of samples t - 1 .. 0
    for t in range(n):
        if not variance > LEAST_INNOVATION * k[0]:
            raise ValueError(
                f"draw_toeplitz: sample {t} of {kernel} is all but certain given those before it"
            )
        y[t] = phi @ y[:t][::-1] + math.sqrt(variance) * normals[t]
        if t + 1 < n:
            reflection = (k[t + 1] - phi @ k[1 : t + 1][::-1]) / variance
            phi = np.append(phi - reflection * phi[::-1], reflection)
            variance *= (1.0 - reflection) * (1.0 + reflection)
    return y


def toeplitz_matvec(column: ArrayLike, x: ArrayLike) -> Array:
    """T x for the symmetric Toeplitz T (n, n) of first column (n,), x (n,) or (n, M): O(M n log n)."""
    from scipy.linalg import matmul_toeplitz

    c, b = _system(column, x)
    return matmul_toeplitz((c, c), b)


def toeplitz_solve(column: ArrayLike, b: ArrayLike, rtol: float = 1e-10, iterations: int = 1000) -> Array:
    """x (n,) with T x = b (n,), T (n, n) symmetric positive definite Toeplitz of first column (n,).

    Conjugate gradients until |b - T x| <= rtol |b|, O(n log n) an iteration; how many are needed grows with
    how far T, times the inverse of the nearest circulant, is from the identity. For n above about 10^4;
    below, scipy.linalg.solve_toeplitz is quicker. ValueError where T is no positive definite matrix that far,
    or where `iterations` do not reach rtol: add white noise to column[0].
    """
    from scipy.sparse.linalg import LinearOperator, cg

    c, right = _system(column, b)
    if right.ndim != 1:
        raise ValueError(f"toeplitz_solve: wants one right side of shape (n,), got shape {right.shape}")
    circulant = np.fft.rfft(_nearest_circulant(c)).real
    if not (circulant > 0.0).all():
        raise ValueError("toeplitz_solve: the matrix is not positive definite")
    shape = (c.size, c.size)
    T = LinearOperator(shape, matvec=lambda v: toeplitz_matvec(c, np.ravel(v)), dtype=np.float64)
    M = LinearOperator(
        shape, matvec=lambda v: np.fft.irfft(np.fft.rfft(np.ravel(v)) / circulant, c.size), dtype=np.float64
    )
    x, _ = cg(T, right, rtol=rtol, maxiter=iterations, M=M)
    residual = float(np.linalg.norm(right - toeplitz_matvec(c, x)))
    # cg trusts a residual that it updates; the true one may be larger by rounding.
    if not residual <= 10.0 * rtol * np.linalg.norm(right):
        raise ValueError(
            f"toeplitz_solve: residual {residual:.2g} after {iterations} iterations at most; add noise"
        )
    return x


def _nearest_circulant(column: Array) -> Array:
    """First column (n,) of the circulant nearest to T in the Frobenius norm; definite where T is."""
    n, j = column.size, np.arange(column.size)
    return ((n - j) * column + j * column[-j % n]) / n


def _system(column: ArrayLike, x: ArrayLike) -> tuple[Array, Array]:
    c, b = np.asarray(column, dtype=np.float64), np.asarray(x, dtype=np.float64)
    if c.ndim != 1 or c.size == 0 or b.ndim not in (1, 2) or b.shape[0] != c.size:
        raise ValueError(f"Toeplitz: column {c.shape} and x {b.shape} do not fit")
    if not (np.isfinite(c).all() and np.isfinite(b).all()):
        raise ValueError("Toeplitz: column or x is not finite")
    return c, b


def kronecker_matvec(factors: Sequence[ArrayLike], x: ArrayLike) -> Array:
    """(F_1 ⊗ F_2 ⊗ ...) x, factors (m_i, n_i), x (prod n_i,) -> (prod m_i,), without the product matrix.

    One factor at a time along its own axis: for square factors O(n_1 n_2 ... (n_1 + n_2 + ...)) in place of
    the square of prod n_i. The last factor's axis runs fastest.
    """
    matrices = [np.asarray(factor, dtype=np.float64) for factor in factors]
    if not matrices or any(matrix.ndim != 2 for matrix in matrices):
        raise ValueError("kronecker_matvec: wants one or more matrices")
    sizes = [matrix.shape[1] for matrix in matrices]
    vector = np.asarray(x, dtype=np.float64)
    if vector.shape != (math.prod(sizes),):
        raise ValueError(f"kronecker_matvec: factors of {sizes} columns and x {vector.shape} do not fit")
    tensor = vector.reshape(sizes)
    for matrix in matrices:  # each takes the first axis and puts its own last: after all, the order is theirs
        tensor = np.tensordot(tensor, matrix, axes=(0, 1))
    return tensor.ravel()


def draw_kronecker(covariances: Sequence[Array], rng: np.random.Generator) -> Array:
    """One draw (n_1, n_2, ...) ~ N(0, K_1 ⊗ K_2 ⊗ ...) from covariances K_i (n_i, n_i): O(sum n_i³).

    (channels, time): one time kernel on channels that correlate. ValueError where a K_i is not positive
    semi-definite.
    """
    factors = [lower_factor(covariance) for covariance in covariances]
    sizes = [len(factor) for factor in factors]
    return kronecker_matvec(factors, rng.standard_normal(math.prod(sizes))).reshape(sizes)
