"""The quantiser's tables learned from made sequences: one seed, one set of tables, nearer than those of a voice."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from rtsynth.codec.event import SHAPE
from rtsynth.codec.quantiser import Quantiser, knot_weights
from rtsynth.codec.quantiser_tables import growth, load_tables
from rtsynth.training import quantiser_training as training
from rtsynth.training.quantiser_training import errors, refined, save, sequences, train
from tests.codec.made import spoken


def heard(seeds: range) -> training.Sequences:
    return sequences([spoken(100 + seed, seed=seed) for seed in seeds])


def test_one_seed_is_one_set_of_tables_that_fits_what_was_heard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(training, "LLOYD", 4)
    tables = train(heard(range(6)), seed=3, rounds=1)
    again = train(heard(range(6)), seed=3, rounds=1)
    assert all((a == b).all() for a, b in zip(tables, again, strict=True))
    other = heard(range(20, 24))  # not trained on
    assert (
        errors(tables, other)["shape_weighted_db"]
        < 0.9 * errors(Quantiser.load().tables, other)["shape_weighted_db"]
    )
    save(tables, tmp_path / "x.npz")
    assert all((a == b).all() for a, b in zip(tables, load_tables(tmp_path / "x.npz"), strict=True))


def test_a_round_of_refinement_lowers_the_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(training, "LLOYD", 3)
    rng = np.random.default_rng(1)
    left = rng.standard_normal((500, 24)) @ rng.standard_normal((24, 24))
    weights = np.full((500, 24), 1.0)
    stages = training.first_stages(left, weights, rng)

    def error(stages: np.ndarray) -> float:
        codes = training.search(left, weights, stages)
        return float(((left - sum(stages[s][codes[:, s]] for s in range(7))) ** 2).mean())

    assert error(refined(left, weights, stages)) < 0.95 * error(stages)


def test_padding_teaches_nothing() -> None:
    alone, beside = sequences([spoken(40)]), sequences([spoken(40), spoken(90, seed=2)])
    assert beside.real.sum(axis=1).tolist() == [40, 90]
    np.testing.assert_array_equal(beside.vectors[0, :40], alone.vectors[0])
    assert (beside.gaps[0, :40] == alone.gaps[0]).all()
    assert errors(Quantiser.load().tables, beside)["events"] <= 130


def test_the_shipped_prediction_forgets() -> None:
    """However long and dense a sequence is, an error of the past dies out."""
    assert growth(Quantiser.load().tables.prediction) < 1.0
    events = spoken(600, longest_gap=1)
    apart = Quantiser.load().quantise(events)["vector"][:, SHAPE] - events["vector"][:, SHAPE]
    assert (knot_weights(events["vector"][:, SHAPE].astype(float)) * apart**2).mean(axis=1)[300:].max() < 60.0
