"""Handwriting out of the shipped network: the window, the stop rule, hands, and what is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("onnxruntime", reason="models need onnxruntime")

from rtsynth.errors import InputError, UsageError
from rtsynth.sequence.pen import LINE, Pen, Writing, rows
from rtsynth.sequence.strokes import Strokes

LONG = (
    "It is a truth that must be owned: a long line of writing is a walk along a shore, where every step is easy "
    "and the way is not. The pen looks at one letter, then at the next, and never back; should it lose its place "
    "it would write the same word twice, or none, and whoever reads would know at once. So it counts its letters."
)


@pytest.fixture(scope="module")
def pen() -> Pen:
    return Pen()


@pytest.fixture(scope="module")
def long(pen: Pen) -> Writing:
    return pen.write(LONG, bias=1.0, seed=3)


def test_it_says_what_it_is(pen: Pen) -> None:
    assert pen.network.path.stat().st_size < 2_500_000
    assert "rtsynth train pen" in pen.network.card
    assert "Hershey Fonts were originally created by Dr. A. V. Hershey" in pen.network.card
    assert "James Hurt" in pen.network.card
    assert pen.styles == ["italic", "print", "script", "upright"]


def test_kappa_never_decreases(pen: Pen) -> None:
    before = np.zeros((1, 1))
    for _ in pen.points("never back", bias=0.0, seed=4):
        after = pen.network.state()["kappa"]
        assert (after >= before).all()
        before = after


def test_the_stop_rule_ends_a_text(pen: Pen) -> None:
    for seed, text in ((1, "a"), (2, "A short line"), (3, "Of 3 words, or 7?")):
        writing = pen.write(text, bias=1.0, seed=seed)
        assert writing.whole
        assert writing.places.max() == len(text) - 1
        assert 3 <= len(writing.places) / len(text) <= 25


def test_a_long_text_does_not_lose_its_place(long: Writing) -> None:
    """More than 300 characters, where it learned lines of 24: every one is written, in order, none for too long."""
    assert len(LONG) > 300
    assert long.whole
    assert (np.diff(long.places) >= 0).all()
    written = set(long.places.tolist())
    missed = [n for n, c in enumerate(LONG) if c != " " and n not in written]
    assert len(missed) <= 0.03 * len(LONG)  # a stop or a comma may be a single point
    assert np.bincount(long.places).max() <= 60
    heights = np.cumsum(long.strokes.offsets[:, 1])
    assert np.abs(heights).max() < 1.5 * LINE  # nor does it leave the base line


def test_a_long_text_is_laid_out_in_lines(long: Writing) -> None:
    drawn = rows(long, 60)
    middles = np.array([line[:, 1].mean() for line in drawn])
    count = round(middles.max() / LINE) + 1
    assert len(LONG) / 60 <= count <= len(LONG) / 40
    assert sum(len(line) for line in drawn) == len(long.places)
    assert max(line[:, 0].max() for line in drawn) < 60 * 6.0
    assert len(rows(long, 1000)) <= len(drawn)


def test_the_same_seed_is_the_same_writing(pen: Pen) -> None:
    one, same, other = (pen.write("again", seed=seed).strokes.offsets for seed in (5, 5, 6))
    np.testing.assert_array_equal(one, same)
    assert one.shape != other.shape or not np.array_equal(one, other)


def test_it_goes_on_in_the_hand_of_a_sample(pen: Pen) -> None:
    """Script keeps the pen down within a word: fewer strokes than print has, over three seeds."""
    strokes = {
        name: sum(
            int(pen.write("minimum nun", 1.0, seed, pen.style(name)).strokes.offsets[:, 2].sum())
            for seed in (1, 2, 3)
        )
        for name in ("print", "script")
    }
    assert strokes["script"] < 0.8 * strokes["print"]


def test_a_sample_of_ones_own_may_be_of_any_size(pen: Pen, tmp_path: Path) -> None:
    import json

    sample = pen.style("script")
    big = Strokes(sample.offsets * [40.0, 40.0, 1.0], sample.text)
    path = tmp_path / "own.json"
    path.write_text(json.dumps(big.as_json()))
    one, other = (pen.write("so", 1.0, 2, style) for style in (sample, pen.style(path)))
    np.testing.assert_allclose(one.strokes.offsets, other.strokes.offsets, atol=1e-3)


def test_what_it_cannot_do_is_said(pen: Pen, tmp_path: Path) -> None:
    for bias in (-1.0, np.nan, 1e9):
        with pytest.raises(UsageError, match="bias"):
            pen.points("a", bias)
    with pytest.raises(InputError, match="'ж'"):
        pen.points("жжa")
    with pytest.raises(InputError, match="nothing to write"):
        pen.points(" ")
    with pytest.raises(UsageError, match="say which"):
        pen.scrawl(5)
    with pytest.raises(InputError, match="Did you mean 'script'"):
        pen.style("scirpt")
    (tmp_path / "mute.json").write_text('{"strokes": [[1, 1, 1]]}')
    with pytest.raises(InputError, match='add "text"'):
        pen.style(tmp_path / "mute.json")
    with pytest.raises(InputError, match="a network for text"):
        Pen("text")
