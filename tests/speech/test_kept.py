"""The recording's innovations: the transform, their law, what rounding costs, and why no row need be stored."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from rtsynth.speech import kept
from rtsynth.speech.bands import Bands
from tests.speech.recordings import said, small, voice


@pytest.mark.parametrize(("count", "length"), [(1000, 64), (1024, 64), (63, 64), (1, 8), (130, 10)])
def test_the_transform_is_orthonormal_and_turns_back(count: int, length: int) -> None:
    samples = np.random.default_rng(1).standard_normal(count)
    coefficients = kept.mdct(samples, length)
    assert coefficients.shape == (kept.frame_count(count, length), length)
    np.testing.assert_allclose(kept.inverse_mdct(coefficients)[:count], samples, atol=1e-12)
    assert np.sum(coefficients**2) == pytest.approx(np.sum(samples**2))


def test_what_is_kept_is_the_recording_but_for_rounding() -> None:
    error = voice() - kept.kept_sound(small())
    assert 10 * np.log10(np.sum(voice() ** 2) / np.sum(error**2)) > 20
    coarse = small().kept
    assert coarse is not None
    halved = replace(small(), kept=replace(coarse, codes=(coarse.codes // 8 * 8)))
    assert np.sum((voice() - kept.kept_sound(halved)) ** 2) > 10 * np.sum(error**2)


def test_a_draw_has_innovations_of_unit_variance() -> None:
    """Whittle's approximation, on the model's own draws. 25 000 coefficients give a standard error of about 0.02; the
    rest is what the loud half leaks into the hiss around the one boundary (1.17 measured)."""
    model = small()
    flat = np.concatenate([said(model, seed=seed)[:, 0] for seed in range(3)]).reshape(3, -1)
    envelope = model.envelope_at(np.arange(model.samples))
    squares = []
    for one in flat:
        codes = kept.keep_innovations(model, one / envelope).kept
        assert codes is not None
        squares.append((codes.codes[3:-3].astype(float) * codes.step) ** 2)
    assert np.mean(squares) == pytest.approx(1.0, abs=0.3)
    loud = kept.keep_innovations(model, 2 * flat[0] / envelope).kept
    assert loud is not None
    assert np.mean((loud.codes[3:-3] * loud.step) ** 2) > 3


def test_rows_driven_by_their_posterior_means_give_the_recording() -> None:
    """Dense and exact, two bands of three sections: y = L w, so L E[w | y] = L L'(L L')^-1 y = y, whatever the rows
    are; and κ E[w | y] + sqrt(1 - κ²) fresh is κ y + sqrt(1 - κ²) times a draw."""
    bands, count = Bands(2, 3, real=np.float64), 64
    bands.turn([0.1, 0.2], [0.05, 0.1])
    columns = []
    for unit in np.eye(4 * count + 12):
        bands.start()
        bands.segment([1.0, 0.5])
        bands.state.x[...] = 0.0
        bands.state.x[0, :, :, :2] = unit[:12].reshape(3, 2, 2)
        noise = unit[12:].reshape(2, 32, 2, 2)
        columns.append(
            np.concatenate(
                [bands.segment(goal, part) for goal, part in zip(([2, 1], [1, 1]), noise, strict=True)]
            )
        )
    factor = np.array(columns).T
    rng = np.random.default_rng(2)
    recording, fresh = factor @ rng.standard_normal(factor.shape[1]), rng.standard_normal(factor.shape[1])
    mean = factor.T @ np.linalg.solve(factor @ factor.T, recording)
    np.testing.assert_allclose(factor @ mean, recording, atol=1e-8)
    driven = factor @ (0.8 * mean + 0.6 * fresh)
    np.testing.assert_allclose(driven, 0.8 * recording + 0.6 * (factor @ fresh), atol=1e-8)
    assert (
        np.var(mean) < 0.9
    )  # the means alone have less than the law's variance: the sound has it, the rows do not
