"""The distance that encoders are trained on: against numpy's transforms, and what it is near to and far from."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: docs/export.md")

from rtsynth.training.spectral_distance import CONVERGENCE, FLOOR, SIZES, spectral_distance  # noqa: E402


def slow(said: np.ndarray, wanted: np.ndarray) -> float:
    """Of one sound (N,): frame by frame, in double precision; frames are centred, the ends mirrored."""
    terms = []
    for size in SIZES:
        magnitudes = []
        for sound in (wanted, said):
            padded = np.pad(sound.astype(float), size // 2, mode="reflect")
            window = np.sin(np.pi * np.arange(size) / size) ** 2
            starts = range(0, len(padded) - size + 1, size // 4)
            magnitudes.append(np.abs([np.fft.rfft(padded[s : s + size] * window) for s in starts]))
        x, y = magnitudes
        floor = FLOOR * x.max()
        terms.append(
            np.abs(np.log(y + floor) - np.log(x + floor)).mean()
            + CONVERGENCE * np.linalg.norm(y - x) / np.linalg.norm(x)
        )
    return float(np.mean(terms))


def sounds(seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(seed)
    t = np.arange(6000) / 16000
    wanted = 0.3 * np.sin(2 * np.pi * 300 * t) + 0.02 * rng.standard_normal(t.size)
    return wanted.astype(np.float32), rng.standard_normal(t.size).astype(np.float32)


def distance(said: np.ndarray, wanted: np.ndarray) -> float:
    return float(spectral_distance(torch.tensor(said[None]), torch.tensor(wanted[None])))


def test_it_is_what_numpy_says() -> None:
    wanted, noise = sounds()
    said = 0.8 * wanted + 0.05 * noise
    assert distance(said, wanted) == pytest.approx(slow(said, wanted), rel=1e-3)


def test_nothing_apart_is_nothing_and_more_apart_is_more() -> None:
    wanted, noise = sounds()
    assert distance(wanted, wanted) < 1e-5
    steps = [distance(wanted + level * noise, wanted) for level in (0.01, 0.03, 0.1, 0.3)]
    assert steps == sorted(steps)
    assert distance(-wanted, wanted) < 1e-5  # magnitudes alone


def test_levels_do_not_matter_but_between_the_two() -> None:
    wanted, noise = sounds()
    said = wanted + 0.05 * noise
    assert distance(10 * said, 10 * wanted) == pytest.approx(distance(said, wanted), rel=1e-3)
    assert distance(2 * wanted, wanted) > 0.5


def test_silence_has_a_gradient() -> None:
    wanted, _ = sounds()
    said = torch.zeros(1, wanted.size, requires_grad=True)
    spectral_distance(said, torch.tensor(wanted[None])).backward()
    assert said.grad is not None
    assert torch.isfinite(said.grad).all()
