"""The quantiser against a plain loop over numbers, its search against all combinations, and its promises."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import numpy as np
import pytest

from rtsynth.codec.event import EVENT, LN_F0, RAMP, SHAPE, SHARES, Events, as_events
from rtsynth.codec.quantiser import (
    FIRST_F0,
    NAMES,
    Quantiser,
    f0_steps,
    knot_weights,
    nearest,
    search,
)
from rtsynth.codec.quantiser_tables import Tables, load_tables
from rtsynth.errors import InputError
from tests.codec.made import same, spoken, struck

EVERY = sorted(NAMES)


def plainly(q: Quantiser, events: Events, codes: np.ndarray, level: float) -> list[tuple[float, np.ndarray]]:
    """What the codes say, number by number, as docs/codec.md has it."""
    past, ln_f0, out = np.zeros(31), FIRST_F0, []  # past: 1, gain, logits, shape
    times = events["time"].tolist()
    for n, code in enumerate(codes.tolist()):
        gap = times[n] - (times[n - 1] if n else -1)
        unit = 7 if q.live else min(63, times[n + 1] - times[n] if n + 1 < len(times) else 16)
        vector = np.zeros(32)
        vector[RAMP] = 1 + (unit - 1) * code[0] / 7
        ln_f0 = min(max(ln_f0 + q.f0[code[1]], math.log(50)), math.log(600))
        vector[LN_F0] = ln_f0
        gain, logits = q.tables.gain[code[2]], q.tables.shares[code[3]]
        now = np.array([1.0, gain, *logits])
        shape = np.concatenate([now, math.exp(-max(gap, 3) / 16) * past]) @ q.tables.prediction
        for stage, entry in enumerate(code[4:]):
            shape = shape + q.tables.stages[stage, entry]
        past = np.concatenate([now, shape])
        vector[SHAPE], vector[SHARES] = shape, logits
        out.append((gain + level, vector))
    return out


@pytest.mark.parametrize("name", EVERY)
def test_decoding_is_the_loop_over_numbers(name: str) -> None:
    q, events = Quantiser.load(name), spoken(40, longest_gap=80)
    _, codes = q.codes(events, level=-2.0)
    decoded = q.events(events["time"].astype(np.int64), codes, -2.0, voice=5)
    assert (decoded["voice"] == 5).all()
    assert (decoded["time"] == events["time"]).all()
    for row, (gain, vector) in zip(decoded, plainly(q, events, codes, -2.0), strict=True):
        np.testing.assert_allclose(row["gain"], gain, atol=1e-6)
        np.testing.assert_allclose(row["vector"], vector, atol=2e-6)


@pytest.mark.parametrize("name", EVERY)
def test_each_code_is_the_nearest_given_the_decoded_past(name: str) -> None:
    """No other code of a field comes nearer; the shape's is what the search says of what is left to say."""
    q, events = Quantiser.load(name), spoken(30)
    _, codes = q.codes(events)
    decoded = q.quantise(events)
    for n in range(1, len(events)):
        before = float(decoded["vector"][n - 1, LN_F0])
        reachable = np.clip(before + q.f0, np.log(50), np.log(600))
        best = np.abs(reachable - events["vector"][n, LN_F0]).min()
        assert abs(float(decoded["vector"][n, LN_F0] - events["vector"][n, LN_F0])) < best + 1e-5
    for n in range(len(events)):
        said = sum(q.tables.stages[stage, entry] for stage, entry in enumerate(codes[n, 4:]))
        left = events["vector"][n, SHAPE] - (plainly(q, events, codes, 0.0)[n][1][SHAPE] - said)
        weights = knot_weights(events["vector"][n, SHAPE].astype(float))
        assert (search(left, weights, q.tables.stages[: q.stages]) == codes[n, 4:]).all()
    for value, code in zip(events["gain"], codes[:, 2], strict=True):
        assert abs(value - q.tables.gain[code]) == np.abs(value - q.tables.gain).min()
    for value, code in zip(events["vector"][:, SHARES].astype(float), codes[:, 3], strict=True):
        assert code == ((value - q.tables.shares) ** 2).sum(axis=1).argmin()


def test_bits() -> None:
    assert {name: Quantiser.load(name).bits for name in EVERY} == {
        "file-49": 49,
        "file-59": 59,
        "live-49": 49,
        "live-59": 59,
    }


def test_more_bits_come_nearer_and_errors_do_not_pile_up() -> None:
    events = spoken(400)
    shape = events["vector"][:, SHAPE]
    weights = knot_weights(shape.astype(float))
    error = {}
    for name in ("file-49", "file-59"):
        apart = Quantiser.load(name).quantise(events)["vector"][:, SHAPE] - shape
        error[name] = (weights * apart**2).mean(axis=1)
    assert error["file-59"].mean() < 0.8 * error["file-49"].mean()
    assert error["file-59"][300:].mean() < 1.5 * error["file-59"][:100].mean()


def test_the_search_finds_what_all_combinations_hold() -> None:
    rng = np.random.default_rng(4)
    stages = rng.standard_normal((2, 32, 24)) * np.array([1.0, 0.5])[:, None, None]
    vectors, weights = rng.standard_normal((60, 24)), rng.uniform(0.1, 1.0, (60, 24))
    pairs = np.array(list(itertools.product(range(32), repeat=2)))
    sums = stages[0][pairs[:, 0]] + stages[1][pairs[:, 1]]
    error = (weights[:, None] * (vectors[:, None] - sums) ** 2).sum(axis=-1)  # (60, 1024)
    every = search(vectors, weights, stages, beginnings=32)
    assert (every == pairs[error.argmin(axis=1)]).all()
    kept = search(vectors, weights, stages, beginnings=8)
    found = error[np.arange(60), 32 * kept[:, 0] + kept[:, 1]]
    greedy = search(vectors, weights, stages, beginnings=1)
    assert found.mean() < 1.02 * error.min(axis=1).mean()
    assert found.mean() < error[np.arange(60), 32 * greedy[:, 0] + greedy[:, 1]].mean()


def test_a_batch_is_its_sequences() -> None:
    q = Quantiser.load("live-59")
    listed = [spoken(25, seed=seed) for seed in range(3)]
    gaps = np.stack([q.gaps(e["time"]) for e in listed])
    codes, decoded = q.encode_sequence(
        gaps, np.stack([e["gain"] for e in listed]), np.stack([e["vector"] for e in listed])
    )
    for row, events in enumerate(listed):
        _, alone = q.codes(events)
        assert (codes[row] == alone).all()
        np.testing.assert_allclose(decoded[row, :, 0], q.quantise(events)["gain"], atol=1e-6)
        np.testing.assert_allclose(decoded[row, :, 1:], q.quantise(events)["vector"], atol=1e-6)


def test_of_several_at_one_step_the_last_is_kept() -> None:
    q, events = Quantiser.load(), spoken(10)
    doubled = np.repeat(events, 2)
    doubled["gain"][::2] -= 3.0
    assert same(q.quantise(doubled), q.quantise(events))


def test_extremes_are_held_within_the_tables() -> None:
    q, events = Quantiser.load(), spoken(6)
    events["vector"][:, LN_F0] = np.log([20.0, 8000.0, 20.0, 50.0, 600.0, 600.0])
    events["vector"][:, SHAPE] = 40.0
    events["vector"][:, RAMP] = 60000.0
    events["gain"] = [-60.0, 12.0, 0.0, 0.0, 0.0, 0.0]
    decoded = q.quantise(events, level=12.0)
    assert np.isfinite(decoded["vector"]).all()
    assert (decoded["vector"][:, LN_F0] >= np.float32(np.log(50.0))).all()
    assert (decoded["vector"][:, LN_F0] <= np.float32(np.log(600.0))).all()
    assert (decoded["vector"][:-1, RAMP] == np.diff(events["time"])).all()
    assert decoded["gain"][1] == pytest.approx(12.0 + q.tables.gain[-1])
    assert len(q.quantise(np.zeros(0, EVENT))) == 0


def test_only_retargets_of_one_voice() -> None:
    both = np.concatenate([spoken(3), spoken(3, voice=1)])
    for events in (both, as_events([struck(0)])):
        with pytest.raises(InputError, match="one voice"):
            Quantiser.load().codes(events)
    with pytest.raises(InputError, match="file-59"):
        Quantiser.load("none")


def test_f0_steps_are_finest_in_the_middle_and_reach_everywhere() -> None:
    steps = f0_steps()
    assert steps[32] == 0.0
    assert (np.diff(steps) > 0).all()
    assert np.diff(steps)[31:33] == pytest.approx([0.012, 0.012], rel=0.01)
    assert steps[0] == pytest.approx(-2.4)
    assert nearest(np.array([0.0, 9.0, -9.0]), steps).tolist() == [32, 63, 0]


def test_other_tables_have_another_fingerprint() -> None:
    tables = Quantiser.load().tables
    moved = tables._replace(gain=tables.gain + 1e-3)
    assert Quantiser("file-59", moved).fingerprint != Quantiser.load().fingerprint
    assert len(Quantiser.load().fingerprint) == 4


@pytest.mark.parametrize(
    "broken",
    [
        {"gain": np.zeros(31)},
        {"prediction": np.full((38, 24), np.nan)},
        {"prediction": np.vstack([np.zeros((14, 24)), 2.0 * np.eye(24)])},
        {"stages": np.zeros((7, 32, 23))},
        {"shares": np.array([{}], dtype=object)},
        {"shares": None},
    ],
)
def test_broken_tables_are_one_line(tmp_path: Path, broken: dict) -> None:
    tables: Tables = Quantiser.load().tables
    arrays = tables._asdict() | broken
    np.savez(tmp_path / "x.npz", **{k: v for k, v in arrays.items() if v is not None})
    with pytest.raises(InputError, match="no quantiser") as caught:
        load_tables(tmp_path / "x.npz")
    assert "\n" not in str(caught.value)
    np.savez(tmp_path / "y.npz", **tables._asdict())
    np.testing.assert_array_equal(load_tables(tmp_path / "y.npz").stages, tables.stages)
    (tmp_path / "z.npz").write_text("hello")
    for path in (tmp_path / "z.npz", tmp_path / "none.npz"):
        with pytest.raises(InputError):
            load_tables(path)
