"""Piano rolls read, laid out in lanes, and moved."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="training needs torch")

from scipy.io import savemat

from rtsynth.errors import InputError
from rtsynth.training.rolls import Lanes, chunk, read_rolls, transposed
from tests.cli.command import write_piece
from tests.data import shared

KEYS = 88


def cells(*rolls: np.ndarray) -> np.ndarray:
    made = np.empty((1, len(rolls)), object)
    for place, roll in enumerate(rolls):
        made[0, place] = roll
    return made


def write(path: Path, **sets: object) -> Path:
    good = cells(np.zeros((4, KEYS), np.uint8))
    savemat(path, {"traindata": good, "validdata": good, "testdata": good} | sets)
    return path


def test_a_staged_set_is_read() -> None:
    rolls = read_rolls(shared("polymusic/JSB_Chorales.mat"))
    assert (rolls.name, len(rolls.train), len(rolls.valid), len(rolls.test)) == ("JSB_Chorales", 229, 76, 77)
    assert sum(map(len, rolls.train)) == 13807


@pytest.mark.parametrize(
    ("sets", "complaint"),
    [
        ({"traindata": cells(np.zeros((4, 87), np.uint8))}, "number 0 is uint8 (4, 87)"),
        ({"validdata": cells(np.full((4, KEYS), 2))}, "other numbers than 0 and 1"),
        ({"testdata": cells(np.full((4, KEYS), np.nan))}, "other numbers than 0 and 1"),
        ({"testdata": np.zeros((0, 0))}, "testdata holds no piece"),
        ({"traindata": cells(np.zeros((1, KEYS), np.uint8))}, "holds no piece of 2 steps"),
        ({"traindata": "text"}, "traindata holds no piece"),
    ],
)
def test_a_bad_set_is_one_line(tmp_path: Path, sets: dict, complaint: str) -> None:
    with pytest.raises(InputError) as found:
        read_rolls(write(tmp_path / "bad.mat", **sets))
    assert complaint in str(found.value)
    assert "\n" not in str(found.value)


def test_what_is_no_set_is_one_line(tmp_path: Path) -> None:
    bad = tmp_path / "bad.mat"
    for content in (b"", b"MATLAB", b"\0" * 200):
        bad.write_bytes(content)
        with pytest.raises(InputError, match="no Matlab file"):
            read_rolls(bad)
    savemat(bad, {"other": 1})
    with pytest.raises(InputError, match="has no traindata, validdata, testdata"):
        read_rolls(bad)
    with pytest.raises(InputError, match="no file"):
        read_rolls(tmp_path / "absent.mat")
    with pytest.raises(InputError, match=r"0 \.mid files"):
        read_rolls(tmp_path)


def test_a_folder_of_midi_is_put_on_a_grid(tmp_path: Path) -> None:
    """Notes of 0.2 s at 120 a minute are 0.4 beats: on a grid of 0.4 each is one step; every fifth file is held out."""
    for number in range(10):
        write_piece(tmp_path / f"{number}.mid", notes=(60 + number, 64 + number, 60 + number))
    rolls = read_rolls(tmp_path, 0.4)
    assert (len(rolls.train), len(rolls.valid), len(rolls.test)) == (8, 1, 1)
    assert [np.flatnonzero(step).tolist() for step in rolls.valid[0]] == [[43], [47], [43]]
    assert [np.flatnonzero(step).tolist() for step in rolls.test[0]] == [[48], [52], [48]]


def numbered(length: int, key: int) -> np.ndarray:
    """Every step of every piece is another."""
    roll = np.zeros((length, KEYS), np.uint8)
    roll[:, key] = 1
    roll[np.arange(length), 40 + np.arange(length) % 48] = 1
    return roll


def test_lanes_go_through_every_piece_once_a_round_and_say_where_one_begins() -> None:
    pieces = [numbered(length, key) for key, length in enumerate((6, 12, 3, 9))]
    lanes = Lanes(pieces, lanes=2, steps=4)
    heard: list[list[np.ndarray]] = []
    playing: list[list[np.ndarray] | None] = [None, None]
    begun: list[int] = []
    for _ in range(12):
        batch = lanes.next()
        for lane in range(2):
            count = int(batch.counts[:, lane].sum())
            assert (batch.counts[:count, lane] == 1).all()
            assert np.array_equal(batch.heard[1:count, lane], batch.wanted[: count - 1, lane])
            if not batch.begins[lane]:
                heard += [playing[lane]] if playing[lane] else []
                playing[lane] = [batch.heard[0, lane].numpy()]
                begun.append(int(np.flatnonzero(playing[lane][0])[0]))  # type: ignore[index]
            playing[lane] += list(batch.wanted[:count, lane].numpy())  # type: ignore[operator]
    keys = [int(np.flatnonzero(piece[0])[0]) for piece in heard]
    assert sorted(begun[:4]) == sorted(begun[4:8]) == [0, 1, 2, 3]
    for key, piece in zip(keys, heard, strict=True):
        assert np.array_equal(np.stack(piece), pieces[key])


def test_lanes_can_be_skipped() -> None:
    pieces = [numbered(length, key) for key, length in enumerate((6, 12, 3, 9))]
    one, other = (Lanes(pieces, 2, 4, transpose=3, silence=0.5, seed=1) for _ in range(2))
    for _ in range(7):
        one.next()
    other.skip(7)
    assert np.array_equal(one.next().wanted, other.next().wanted)


def test_pieces_are_moved_within_the_keys() -> None:
    roll = np.zeros((2, KEYS), np.uint8)
    roll[0, [1, 50]] = 1
    assert np.flatnonzero(transposed(roll, 6)[0]).tolist() == [7, 56]
    assert np.flatnonzero(transposed(roll, -6)[0]).tolist() == [0, 49]
    assert not transposed(np.zeros((2, KEYS), np.uint8), 5).any()


def test_shorter_pieces_are_filled_up_with_what_does_not_count() -> None:
    batch = chunk([numbered(5, 0), numbered(3, 1)], [True, False])
    assert batch.counts.tolist() == [[1, 1], [1, 1], [1, 0], [1, 0]]
    assert batch.heard.shape == batch.wanted.shape == (4, 2, KEYS)
    assert batch.begins.tolist() == [1, 0]


def test_a_piece_may_begin_after_silence() -> None:
    batch = Lanes([numbered(5, 0)], lanes=1, steps=8, silence=1.0).next()
    assert not batch.heard[0].any()
    assert np.array_equal(batch.wanted[:, 0].numpy(), numbered(5, 0))
