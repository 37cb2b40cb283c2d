"""Filters on sources against Fourier sums written out, and what is late by how much."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.errors import InputError
from rtsynth.vocoder.excitation import HOP, Excitation
from rtsynth.vocoder.inverse_stft import BINS, FIELDS, SourceFilter


def fields(frames: int, seed: int = 1) -> np.ndarray:
    """(1, FIELDS, T) that a network might say."""
    rng = np.random.default_rng(seed)
    said = rng.normal(-3.0, 1.0, (1, FIELDS, frames)).astype(np.float32)
    said[0, 0] = np.log(rng.uniform(80.0, 400.0, frames))
    return said


def written_out(said: np.ndarray, seed: int = 0) -> np.ndarray:
    """The obvious version: every window of the whole excitation, by matrices. (1, FIELDS, T) → (256 T,)."""
    frames = said[0].astype(np.float64)
    source = Excitation(seed)
    heard = np.concatenate([np.zeros((3, HOP)), *(source.step(float(np.exp(f))) for f in frames[0])], axis=1)
    size = 2 * HOP
    window = np.sin(np.pi * np.arange(size) / size)
    turn = np.exp(-2j * np.pi * np.outer(np.arange(BINS), np.arange(size)) / size)  # (BINS, 512)
    both_halves = np.where(np.isin(np.arange(BINS), (0, HOP)), 1.0, 2.0)
    out = np.zeros(HOP * (frames.shape[1] + 1))
    for k, frame in enumerate(frames.T):
        level, angle, steady, beside = frame[1:].reshape(4, BINS)
        filters = np.exp(level + 1j * angle), np.exp(steady), np.exp(beside)
        piece = heard[:, k * HOP : k * HOP + size] * window
        spectrum = sum(gain * (turn @ row) for gain, row in zip(filters, piece, strict=True))
        sound = ((spectrum * both_halves) @ turn.conj()).real / size
        out[k * HOP : k * HOP + size] += window * sound
    return out[:-HOP]


def test_the_sound_is_what_the_sums_say() -> None:
    said = fields(7)
    np.testing.assert_allclose(SourceFilter().step(said), written_out(said), atol=1e-5)


def test_open_filters_give_the_sources_a_hop_late() -> None:
    said = np.full((1, FIELDS, 9), -60.0, np.float32)
    said[0, 0] = np.log(200.0)
    said[0, 1 : 1 + 2 * BINS] = 0.0
    sound, source = SourceFilter().step(said), Excitation()
    pulses = np.concatenate([source.step(float(np.exp(float(said[0, 0, 0]))))[0] for _ in range(9)])
    late = SourceFilter.latency
    assert late == HOP
    np.testing.assert_allclose(sound[late:], pulses[:-late], atol=1e-5)


def test_frames_in_any_pieces_are_one_sound() -> None:
    said = fields(12)
    whole, stream = SourceFilter().step(said), SourceFilter()
    parts = [stream.step(part) for part in np.split(said, (1, 2, 5, 5, 11), axis=2) if part.size]
    assert np.array_equal(np.concatenate(parts), whole)
    stream.reset()
    assert np.array_equal(stream.step(said), whole)


@pytest.mark.parametrize("shape", [(FIELDS, 1), (1, FIELDS - 1, 1), (2, FIELDS, 1)])
def test_what_are_no_filters_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(InputError, match="filters of the shape"):
        SourceFilter().step(np.zeros(shape, np.float32))


def test_whatever_a_network_says_is_finite() -> None:
    for number in (-1e30, 1e30):
        assert np.isfinite(SourceFilter().step(np.full((1, FIELDS, 3), number, np.float32))).all()
