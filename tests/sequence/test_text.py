"""Text out of the shipped network: its score, its draws, what it was never shown."""

from __future__ import annotations

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="models need onnxruntime")

from rtsynth.errors import InputError, UsageError
from rtsynth.sequence.text import TextNetwork, bits, chosen
from tests.data import shared


@pytest.fixture(scope="module")
def network() -> TextNetwork:
    return TextNetwork()


def test_it_says_what_it_is(network: TextNetwork) -> None:
    assert network.network.path.stat().st_size < 3_000_000
    assert "rtsynth train text" in network.network.card
    assert "bits per character" in network.network.card


def test_it_foretells_a_part_of_the_test_text(network: TextNetwork) -> None:
    """Characters 20,000 to 23,000 of the last tenth, from a cold start; 2.5 is an n-gram's figure."""
    text = shared("text/tinyshakespeare.txt").read_text()
    test = text[-(len(text) // 10) :]
    assert bits(network, test[20_000:23_000]) < 2.15


def test_the_same_seed_is_the_same_text(network: TextNetwork) -> None:
    one, same, other = ("".join(network.generate("ROMEO:", 80, seed=seed)) for seed in (1, 1, 2))
    assert one == same != other
    assert len(one) == 80


def test_at_temperature_nought_chance_has_no_part(network: TextNetwork) -> None:
    one, other = ("".join(network.generate("The", 60, 0.0, seed)) for seed in (1, 2))
    assert one == other


def test_characters_come_one_by_one_and_none_is_an_answer(network: TextNetwork) -> None:
    drawn = network.generate("Good morrow", 3)
    assert len(next(drawn)) == 1
    assert list(network.generate("Good", 0)) == []


def test_what_is_written_otherwise_is_understood_and_what_is_unknown_is_named(network: TextNetwork) -> None:
    assert network.codes("Café’s") == network.codes("Cafe's")
    with pytest.raises(InputError, match="never saw '漢', '%'"):
        network.generate("a漢%漢")


@pytest.mark.parametrize(
    "bad", [{"temperature": -1.0}, {"temperature": np.nan}, {"length": -1}, {"seed": -1}]
)
def test_what_makes_no_sense_is_refused(network: TextNetwork, bad: dict) -> None:
    with pytest.raises(UsageError, match="temperature"):
        network.generate("a", **bad)


def test_draws_follow_the_scores() -> None:
    """A thousand draws on a grid of uniform numbers: shares to within a grid step, at three temperatures."""
    scores = np.log(np.array([0.5, 0.3, 0.2], np.float32))
    grid = (np.arange(1000) + 0.5) / 1000
    for temperature in (0.5, 1.0, 2.0):
        shares = np.bincount([chosen(scores, temperature, u) for u in grid], minlength=3) / 1000
        meant = np.exp(scores / temperature)
        np.testing.assert_allclose(shares, meant / meant.sum(), atol=0.0015)
    assert chosen(scores, 1.0, np.nextafter(1.0, 0.0)) == 2
    assert chosen(scores, 1e-3, 0.999) == 0
