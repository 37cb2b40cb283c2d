"""Refinement: nearer to the sound, through the quantiser as well, in windows as in one."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="refinement needs the extra `train`")

from rtsynth.codec.decoder import render_events  # noqa: E402
from rtsynth.codec.event import LN_F0, RAMP, RATE, SHAPE, SHARES, Events, strike, trajectory  # noqa: E402
from rtsynth.codec.event import as_events as listed  # noqa: E402
from rtsynth.codec.quantiser import Quantiser  # noqa: E402
from rtsynth.errors import InputError  # noqa: E402
from rtsynth.training import refine as refining  # noqa: E402
from rtsynth.training.refine import Settings, file_level, refine  # noqa: E402
from rtsynth.training.spectral_distance import spectral_distance  # noqa: E402
from tests.codec.sounds import spoken, syllables  # noqa: E402

COUNT = 5
SOUND = spoken(COUNT)
FAST = {"pitch": 2e-3, "envelope": 4e-2, "shares": 0.1}  # rates
FEW = Settings(free=20, bound=0, **FAST)


def blurred() -> Events:
    """The sound's own events with their numbers off by what an analysis may be off."""
    events, rng = syllables(COUNT), np.random.default_rng(1)
    vector = events["vector"]
    vector[:, SHAPE] += 0.5 * rng.standard_normal((COUNT, 24))
    vector[:, SHAPE] -= vector[:, SHAPE].mean(axis=1, keepdims=True)
    vector[:, LN_F0] += 0.01 * rng.standard_normal(COUNT)
    vector[:, SHARES] += rng.standard_normal((COUNT, 5))
    return events


def distance(events: Events) -> float:
    """Of what the compiled decoder makes of them."""
    sounds = [render_events(events, RATE, SOUND.size / RATE), SOUND.astype(np.float32)]
    return float(spectral_distance(*(torch.from_numpy(sound)[None] for sound in sounds)))


def test_events_come_nearer_to_the_sound() -> None:
    """From 0.5 neper of error in the envelope: a quarter of the distance in 20 updates."""
    given = blurred()
    found = refine(SOUND, RATE, given, settings=FEW)
    assert distance(found) < 0.75 * distance(given)
    for name in ("time", "kind", "voice"):
        np.testing.assert_array_equal(found[name], given[name])
    gaps = np.append(np.diff(given["time"]), 40)
    assert (found["vector"][:, RAMP] >= 1.0).all()
    assert (found["vector"][:, RAMP] <= gaps).all()
    np.testing.assert_allclose(found["vector"][:, SHAPE].sum(axis=1), 0.0, atol=1e-4)


def test_the_quantiser_in_the_loop_is_what_a_file_makes_of_them(monkeypatch: pytest.MonkeyPatch) -> None:
    quantiser, given = Quantiser.load("file-59"), blurred()
    calls: list[Events] = []
    quantise = quantiser.quantise
    monkeypatch.setattr(quantiser, "quantise", lambda *a: calls.append(quantise(*a)) or calls[-1])
    found = refine(SOUND, RATE, given, quantiser=quantiser, settings=Settings(free=10, bound=12, **FAST))
    assert len(calls) >= 12

    def as_file(events: Events) -> float:
        return distance(quantise(events, file_level(events)))

    assert as_file(found) < 0.9 * as_file(given)


def test_rounding_is_not_in_the_way_of_gradients() -> None:
    """Forwards what the quantiser gives, to float32; backwards as if it were not there."""
    quantiser, given = Quantiser.load("file-59"), blurred()
    part = refining._Part(given, 0, COUNT, 0, 400, None)
    rounded = part.decoded(quantiser)
    expected = quantiser.quantise(part.events(), file_level(part.events()))
    np.testing.assert_allclose(rounded[:, 1:].detach().numpy(), expected["vector"], atol=1e-5)
    np.testing.assert_allclose(rounded[:, 0].detach().numpy(), expected["gain"], atol=1e-5)
    direction = torch.randn(rounded.shape, generator=torch.Generator().manual_seed(1))
    with_it, without = (
        torch.autograd.grad((numbers * direction).sum(), [part.envelope, part.pitch, part.shares, part.ramp])
        for numbers in (rounded, part.numbers())
    )
    for one, other in zip(with_it, without, strict=True):
        torch.testing.assert_close(one, other)


def test_windows_go_on_where_the_one_before_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    begun: list[tuple[int, torch.Tensor | None]] = []

    class Watched(refining._Part):
        def __init__(self, *given: Any) -> None:
            super().__init__(*given)
            begun.append((self.begin, self.start))

    monkeypatch.setattr(refining, "_Part", Watched)
    given = blurred()
    found = refine(SOUND, RATE, given, settings=Settings(free=12, bound=0, window=50, margin=20, **FAST))
    states = trajectory(found, 200)
    assert len(begun) > 2
    assert begun[0][1] is None
    for begin, start in begun[1:]:
        assert start is not None
        np.testing.assert_allclose(start[0].numpy(), states[begin], atol=1e-3)
    assert distance(found) < 0.85 * distance(given)


def test_the_same_twice_and_progress() -> None:
    heard: list[float] = []
    two = Settings(free=2, bound=0, window=60, margin=20)
    first, again = (refine(SOUND, RATE, blurred(), settings=two, progress=heard.append) for _ in range(2))
    np.testing.assert_array_equal(first, again)
    assert heard[len(heard) // 2 - 1] == 1.0
    assert len(heard) > 4


def test_strikes_are_refused() -> None:
    with pytest.raises(InputError, match="one voice"):
        refine(SOUND, RATE, listed([strike(0, 0.0, [[6.0, -1.0, 0.0]], [-30.0, 5.0, 5.0, -3.0, 0.0])]))
    assert len(refine(SOUND, RATE, listed([]))) == 0
