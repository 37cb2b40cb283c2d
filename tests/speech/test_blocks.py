"""The seed's two ways of joining blocks, against its own functions as published, and what each does at the joins."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import toeplitz

from rtsynth.speech import blocks
from rtsynth.speech.spectra import band_covariance
from tests.speech.recordings import small

N = 40
COVARIANCE = band_covariance([0.06, 0.21], [0.08, 0.15], 2, 2 * N).sum(axis=0) + 0.01 * np.eye(2 * N)[0]


def condition_at_zero(mat):  # type: ignore[no-untyped-def]
    """As published."""
    n = mat.shape[0]
    indices = np.hstack([range(1, n - 1), 0, n - 1])
    mat = mat[indices, :]
    mat = mat[:, indices]

    K11 = mat[: (n - 2), : (n - 2)]
    K12 = mat[: (n - 2), (n - 2) :]
    K22 = mat[(n - 2) :, (n - 2) :]
    return K11 - (K12 @ np.linalg.inv(K22) @ K12.T)


def sim(row, z):  # type: ignore[no-untyped-def]
    """As published, but for z, which it drew itself."""
    C = toeplitz(row)
    C += np.identity(len(row)) * 1e-10
    C = condition_at_zero(C)
    C += np.identity(len(row) - 2) * 1e-10
    C = np.linalg.cholesky(C)
    return np.hstack([0.0, (C @ z).reshape(-1), 0.0])


def condition_on_prv(kern, z, seg=None, z0=None):  # type: ignore[no-untyped-def]
    """As published, but for z and z0."""
    n = len(kern) // 2
    K11 = K22 = toeplitz(kern)
    K12 = K11[:n, n:].T
    K11 = K22 = K11[:n, :n]
    K22i = np.linalg.inv(K22 + np.identity(n) * 1e-7)
    K1222i = K12 @ K22i
    C = np.linalg.cholesky(K11[:n, :n] - K1222i @ K12.T + np.identity(n) * 1e-7)
    if seg is None:
        Cb = np.linalg.cholesky(K11[:n, :n] + np.identity(n) * 1e-7)
        seg = Cb @ z0
    return seg, (K1222i @ seg) + (C @ z)


def test_zero_ended_blocks_are_the_seeds() -> None:
    z = np.random.default_rng(1).standard_normal(N - 2)
    np.testing.assert_allclose(blocks.zero_ended(COVARIANCE[:N], z), sim(COVARIANCE[:N], z), atol=1e-10)


def test_conditioned_blocks_are_the_seeds() -> None:
    z0, z = np.random.default_rng(2).standard_normal((2, N))
    first, second = condition_on_prv(COVARIANCE, z, z0=z0)
    np.testing.assert_allclose(blocks.conditioned(COVARIANCE, z0, None), first, atol=1e-10)
    np.testing.assert_allclose(blocks.conditioned(COVARIANCE, z, first), second, atol=1e-7)


def test_two_conditioned_blocks_have_the_joint_law_and_a_third_has_not() -> None:
    """By the linear map of the normals: the third block knows the first only through the second."""
    true = band_covariance([0.06, 0.21], [0.02, 0.02], 4, 3 * N).sum(axis=0) + 0.01 * np.eye(3 * N)[0]
    maps = []
    for unit in np.eye(3 * N):
        first = blocks.conditioned(true[: 2 * N], unit[:N], None)
        second = blocks.conditioned(true[: 2 * N], unit[N : 2 * N], first)
        third = blocks.conditioned(true[: 2 * N], unit[2 * N :], second)
        maps.append(np.concatenate([first, second, third]))
    factor = np.array(maps).T
    wrong = np.abs(factor @ factor.T - toeplitz(true)) / true[0]
    assert wrong[: 2 * N, : 2 * N].max() < 1e-6
    assert wrong[N:, N:].max() < 1e-4
    assert wrong[2 * N :, :N].max() > 1e-3


def test_short_blocks_are_zeros() -> None:
    assert not blocks.zero_ended(COVARIANCE[:2], np.zeros(0)).any()
    assert not blocks.zero_ended(COVARIANCE[:1], np.zeros(0)).any()


def test_a_singular_kernel_is_drawn_all_the_same() -> None:
    """The seed's Cholesky fails for smooth kernels of some length (gp.md §3)."""
    smooth = np.exp(-((np.arange(2 * N) / 30.0) ** 2))
    with pytest.raises(np.linalg.LinAlgError):
        np.linalg.cholesky(toeplitz(smooth))
    drawn = blocks.zero_ended(smooth[:N], np.ones(N - 2))
    assert np.isfinite(drawn).all()


def test_every_block_of_a_draw_begins_and_ends_with_zeros() -> None:
    """As in the seed's published file; two zeros at every join."""
    model = small()
    n, drawn = blocks.block_length(model), blocks.draw_zero_ended(model, seed=3)
    assert drawn.size == model.samples
    joins = np.arange(n, model.samples, n)
    assert not drawn[joins].any()
    assert not drawn[joins - 1].any()
    assert np.count_nonzero(drawn) > 0.9 * drawn.size


@pytest.mark.parametrize("draw", [blocks.draw_zero_ended, blocks.draw_conditioned])
def test_a_draw_repeats_with_its_seed_and_has_the_models_level(draw) -> None:  # type: ignore[no-untyped-def]
    """3 draws of a second of voice: their power is within 4 dB of the model's, unless something is wrong by more."""
    model = small()
    takes = [draw(model, seed) for seed in (1, 2, -3)]
    assert draw(model, 1).tobytes() == takes[0].tobytes()
    assert (takes[0] != takes[1]).any()
    stated = np.mean(model.power.sum(axis=1) * model.envelope.astype(float) ** 2)
    assert abs(10 * np.log10(np.mean(np.square(takes)) / stated)) < 4.0


def test_progress_is_told() -> None:
    told: list[float] = []
    blocks.draw_zero_ended(small(), progress=told.append)
    assert told[-1] == 1.0
    assert told == sorted(told)
