"""Rolls and notes; and the shipped network as a composer."""

from __future__ import annotations

import numpy as np
import pytest

from rtsynth.errors import InputError, UsageError
from rtsynth.sequence.music import KEYS, LOWEST, Composer, joined, on_grid


def test_notes_that_touch_are_held() -> None:
    roll = np.zeros((6, KEYS), bool)
    roll[1:4, 39] = True  # middle C, three steps
    roll[0, 43] = roll[2, 43] = True  # twice the G above
    wanted = [[0.0, 0.5, 64], [0.5, 2.0, 60], [1.0, 1.5, 64]]
    assert joined(roll, 0.5).tolist() == wanted


def test_a_roll_is_its_notes_and_back() -> None:
    roll = np.random.default_rng(1).random((40, KEYS)) < 0.2
    roll[-1, 0] = True
    np.testing.assert_array_equal(on_grid(joined(roll, 0.3), 0.3), roll)


def test_notes_go_to_the_nearest_step_and_last_one_at_least() -> None:
    notes = np.array(
        [[0.24, 0.9, 60], [0.76, 0.77, 62], [0.0, 1.0, 12], [0.0, 1.0, 120]]
    )  # two that no piano has
    roll = on_grid(notes, 0.5)
    assert [np.flatnonzero(step).tolist() for step in roll] == [[39], [39], [41]]


def test_nothing_is_nothing() -> None:
    assert joined(np.zeros((3, KEYS), bool), 0.5).shape == (0, 3)
    assert joined(np.zeros((0, KEYS), bool), 0.5).shape == (0, 3)
    assert on_grid(np.zeros((0, 3)), 0.5).shape == (0, KEYS)


@pytest.fixture(scope="module")
def composer() -> Composer:
    pytest.importorskip("onnxruntime", reason="models need onnxruntime")
    return Composer("music", seed=1)


def played(composer: Composer, steps: int) -> np.ndarray:
    return np.stack([composer.step() for _ in range(steps)])


def test_one_seed_is_one_piece(composer: Composer) -> None:
    composer.reset()
    first = played(composer, 30)
    composer.reset()
    np.testing.assert_array_equal(played(composer, 30), first)
    np.testing.assert_array_equal(played(Composer("music", seed=1), 30), first)
    assert not np.array_equal(played(Composer("music", seed=2), 30), first)


def test_what_it_plays_it_hears(composer: Composer) -> None:
    """Another that hears the same steps, after the same silence, is in the same state."""
    composer.reset()
    roll = played(composer, 12)
    other = Composer("music", seed=5)
    for notes in [np.zeros(KEYS, bool), *roll]:
        other.hear(notes)
    for name, state in other.network.state().items():
        np.testing.assert_array_equal(state, composer.network.state()[name])


def test_what_it_heard_decides_what_it_plays(composer: Composer) -> None:
    """After C major and after F sharp major, from the same draws: other keys, and those of the chord among them."""
    shares = []
    for root in (60, 66):
        composer.reset()
        chord = np.zeros(KEYS, bool)
        chord[np.array([root - 12, root + 4, root + 7, root + 12]) - LOWEST] = True
        for _ in range(6):
            composer.hear(chord)
        roll = played(composer, 4)
        pitches = (np.nonzero(roll)[1] + LOWEST) % 12
        scale = [(60 + step) % 12 for step in (0, 2, 4, 5, 7, 9, 11)]
        shares.append(np.isin(pitches, scale).mean())
    assert shares[0] > 0.8
    assert shares[1] < 0.6


def test_it_plays_what_it_learned_from(composer: Composer) -> None:
    """Of the chorales 3.90 keys sound in a step, 0.38 of them in the one before too; in steps drawn at random 0.19."""
    composer.reset()
    roll = played(composer, 300)
    assert 3.5 < roll.sum(1).mean() < 4.3
    keys = np.nonzero(roll)[1] + LOWEST
    assert np.mean((keys >= 43) & (keys <= 96)) > 0.95
    held = (roll[1:] & roll[:-1]).sum() / roll[1:].sum()
    assert 0.28 < held < 0.5


def test_a_low_temperature_leaves_nothing_to_chance() -> None:
    pytest.importorskip("onnxruntime", reason="models need onnxruntime")
    cold = [played(Composer("music", seed, temperature=0.05), 8) for seed in (1, 2)]
    warm = [played(Composer("music", seed, temperature=1.5), 8) for seed in (1, 2)]
    assert (cold[0] != cold[1]).sum() < (warm[0] != warm[1]).sum() / 2


def test_what_makes_no_composer_is_refused() -> None:
    pytest.importorskip("onnxruntime", reason="models need onnxruntime")
    for temperature in (0.0, -1.0, float("nan"), 100.0):
        with pytest.raises(UsageError, match="temperature"):
            Composer("music", temperature=temperature)
    with pytest.raises(UsageError, match="seed"):
        Composer("music", seed=-1)
    with pytest.raises(InputError, match="Did you mean 'music'"):
        Composer("musik")


def test_the_shipped_network_says_what_it_is() -> None:
    pytest.importorskip("onnxruntime", reason="models need onnxruntime")
    network = Composer("music").network
    assert network.path.stat().st_size < 1_000_000
    assert network.settings["step_beats"] == 1.0
    for word in ("JSB_Chorales", "rtsynth train music", "nats a step", "Boulanger-Lewandowski"):
        assert word in network.card
