"""The decoder in torch plays what the compiled one plays, and its gradients are those of what it plays."""

from __future__ import annotations

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="training needs torch: docs/export.md")

from torch import Tensor  # noqa: E402

from rtsynth.codec.decoder import render_events  # noqa: E402
from rtsynth.codec.event import (  # noqa: E402
    ABSENT,
    GAIN,
    LN_F0,
    SHAPE,
    SHARES,
    Events,
    as_events,
    strike,
    target,
    trajectory,
)
from rtsynth.training.renderer import Renderer, render, states_at, strike_modes  # noqa: E402
from tests.codec.slow_decoder import random_retargets  # noqa: E402

TOLERANCE = 1e-4  # of the peak


def spoken(seed: int, count: int = 25) -> Events:
    return as_events(random_retargets(np.random.default_rng(seed), count))


def columns(events: Events) -> tuple[Tensor, Tensor, Tensor]:
    """times (1, K), ramps (1, K), targets (1, K, 32)."""
    targets = torch.tensor(np.stack([target(event) for event in events]), dtype=torch.float32)
    return (
        torch.tensor(events["time"])[None],
        torch.tensor(events["vector"][:, 0].copy())[None],
        targets[None],
    )


@pytest.mark.parametrize("rate", [16000.0, 44100.0, 48000.0])
@pytest.mark.parametrize("seed", [1, 2])
def test_it_plays_what_the_decoder_plays(rate: float, seed: int) -> None:
    events, segments = spoken(seed), round(1.2 * rate) // 32
    renderer = Renderer(rate, 1.3, seed)
    with torch.no_grad():
        found = renderer(states_at(*columns(events), renderer.ends(segments)))[0].numpy()
    expected = render_events(events, rate, segments * 32 / rate, seed)
    assert np.abs(expected).max() > 0.01
    np.testing.assert_allclose(found, expected, atol=TOLERANCE * np.abs(expected).max())


def test_the_states_are_the_specifications() -> None:
    events = spoken(3)
    steps, first = 400, int(events["time"][0])
    found = states_at(*columns(events), torch.arange(steps))[0].numpy()
    np.testing.assert_allclose(found[first:], trajectory(events, steps)[first:], atol=1e-5)
    assert (found[:first, GAIN] < -50.0).all()


def test_a_stretch_that_begins_in_the_middle_goes_on_from_its_state() -> None:
    times, ramps, targets = columns(spoken(4))
    whole = states_at(times, ramps, targets, torch.arange(400))
    at = int(times[0, 10])
    rest = states_at(
        times[:, 10:] - at, ramps[:, 10:], targets[:, 10:], torch.arange(400 - at), start=whole[:, at]
    )
    np.testing.assert_allclose(rest, whole[:, at:], atol=1e-9)


def test_events_beyond_the_end_are_padding() -> None:
    times, ramps, targets = columns(spoken(5))
    at = torch.arange(int(times[0, 12]))
    short = states_at(times[:, :12], ramps[:, :12], targets[:, :12], at)
    np.testing.assert_array_equal(short, states_at(times, ramps, targets, at))


def test_states_at_control_steps_are_enough_where_corners_are_on_them() -> None:
    events = spoken(6)
    events["vector"][:, 0] = np.ceil(events["vector"][:, 0])
    events["time"] -= events["time"][0]
    expected = render_events(events, 16000.0, 0.8)
    with torch.no_grad():
        found = render(torch.tensor(trajectory(events, 200))[None])[0, : len(expected)].numpy()
    np.testing.assert_allclose(found[:-64], expected[:-64], atol=TOLERANCE * np.abs(expected).max())


def test_a_batch_is_its_parts() -> None:
    renderer = Renderer(16000.0, 0.5)
    both = torch.cat([states_at(*columns(spoken(seed, 10)), renderer.ends(200)) for seed in (7, 8)])
    with torch.no_grad():
        together = renderer(both)
        for k in range(2):
            np.testing.assert_allclose(together[k], renderer(both[k : k + 1])[0], atol=1e-5)


def test_gradients_are_differences() -> None:
    """Of the sound's projection on a fixed direction, against central differences, in every kind of number."""
    renderer = Renderer(16000.0, 0.2)
    times, ramps, targets = (part.double() for part in columns(spoken(9, 6)))
    times = times - times[0, 0]
    direction = torch.sin(torch.arange(50 * 32) * 0.37)

    def projected(ramps: Tensor, targets: Tensor) -> Tensor:
        return (renderer(states_at(times, ramps, targets, renderer.ends(50))) * direction).sum().double()

    leaves = [ramps.clone().requires_grad_(), targets.clone().requires_grad_()]
    projected(*leaves).backward()
    places = [(0, (0, 0)), *((1, (0, 1, k)) for k in (GAIN, LN_F0, SHAPE.start + 4, SHARES.start + 1))]
    for which, place in places:
        step = 2e-3 if which == 0 else 3e-5 if place[-1] == LN_F0 else 5e-4  # pitch turns thousands of cycles
        sides = []
        for sign in (1.0, -1.0):
            moved = [ramps.clone(), targets.clone()]
            moved[which][place] += sign * step
            sides.append(float(projected(*moved).detach()))
        gradient = leaves[which].grad
        assert gradient is not None
        slope, found = (sides[0] - sides[1]) / (2.0 * step), float(gradient[place])
        assert abs(slope) > 1e-6
        assert found == pytest.approx(slope, rel=0.05, abs=1e-4)


def test_extreme_states_have_finite_gradients() -> None:
    targets = torch.zeros(1, 3, 32)
    targets[0, :, LN_F0] = torch.tensor([np.log(20.0), np.log(8000.0), np.log(200.0)])
    targets[0, :, SHARES] = torch.tensor([[40.0], [-40.0], [0.0]])
    targets[0, :, GAIN] = torch.tensor([12.0, -60.0, -3.0])
    targets.requires_grad_()
    renderer = Renderer(16000.0, 0.2)
    states = states_at(
        torch.tensor([[0, 10, 20]]), torch.tensor([[5.0, 5.0, 5.0]]), targets, renderer.ends(80)
    )
    renderer(states).square().sum().backward()
    assert targets.grad is not None
    assert torch.isfinite(targets.grad).all()


@pytest.mark.parametrize(
    ("rate", "damped"), [(16000.0, (0.0, 0.0)), (16000.0, (0.1, -2.0)), (48000.0, (0.05, -3.0))]
)
def test_modes_are_the_decoders(rate: float, damped: tuple[float, float]) -> None:
    rng = np.random.default_rng(10)
    no_burst = [ABSENT, 5.0, 5.0, -3.0, 0.0]
    modes = np.stack([rng.uniform(4, 9.5, 8), rng.uniform(-2, 1, 8), rng.uniform(-3, 0, 8)], axis=1)
    events = as_events([strike(0, -1.0, modes, no_burst, damped=damped)])
    expected = render_events(events, rate, 0.3)
    gain, vector = torch.tensor(events["gain"]), torch.tensor(events["vector"])
    found = strike_modes(gain, vector, len(expected), rate)[0].numpy()
    np.testing.assert_allclose(found, expected, atol=TOLERANCE * np.abs(expected).max())
