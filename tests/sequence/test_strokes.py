"""Strokes as a file, and what can be written."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from rtsynth.errors import InputError
from rtsynth.sequence.strokes import Strokes, codes_of, read_strokes, unit_offsets, writable

ROWS = [[0.0, -1.0, 0], [3.0, 4.0, 1], [1.0, 0.0, 0], [0.0, 2.0, 1]]


def test_strokes_are_kept_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text(json.dumps(Strokes(np.array(ROWS), "hi").as_json()))
    found = read_strokes(path)
    np.testing.assert_array_equal(found.offsets, ROWS)
    assert found.text == "hi"
    first, second = found.lines()
    np.testing.assert_array_equal(first, [[0, -1], [3, 3]])
    np.testing.assert_array_equal(second, [[4, 3], [4, 5]])


def test_a_sample_of_any_size_is_brought_to_unit_variance() -> None:
    big = Strokes(np.array(ROWS) * [50.0, 50.0, 1.0])
    np.testing.assert_allclose(unit_offsets(big), unit_offsets(Strokes(np.array(ROWS))))
    assert np.mean(unit_offsets(big)[1:, :2] ** 2) == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ("[]", "want"),
        ('{"strokes": []}', "at least one row"),
        ('{"text": 3, "strokes": [[1, 2, 0]]}', "want"),
        ('{"strokes": [[1, 2]]}', "three finite numbers"),
        ('{"strokes": [[1, 2, 0], [1]]}', "three finite numbers"),
        ('{"strokes": [[1, NaN, 0]]}', "three finite numbers"),
        ('{"strokes": [[1, "a", 0]]}', "three finite numbers"),
        ('{"strokes": [[1, 2, 2]]}', "third number"),
        ('{"strokes": [[1e9, 2, 1]]}', "above a million"),
        ('{"strokes": [[0, 0, 1]]}', "never moves"),
    ],
)
def test_what_is_no_file_of_strokes_is_refused_in_one_line(tmp_path: Path, content: str, said: str) -> None:
    path = tmp_path / "bad.json"
    path.write_text(content)
    with pytest.raises(InputError, match=said) as caught:
        read_strokes(path)
    assert "\n" not in str(caught.value)


def test_a_file_that_is_not_there_is_said() -> None:
    with pytest.raises(InputError, match="cannot read"):
        read_strokes(Path("nowhere.json"))


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ("  write this\n", "write this"),
        ("Café naïve", "Cafe naive"),
        ("“don’t” – 3×4…", '"don\'t" - 3x4.'),
        ("two\tlines\nhere", "two lines here"),
    ],
)
def test_a_text_is_brought_to_what_can_be_written(text: str, written: str) -> None:
    assert writable(text) == written


def test_what_cannot_be_written_is_named() -> None:
    with pytest.raises(InputError, match="'漢', '字'"):
        writable("a 漢字 b")
    for empty in ("", " \n\t "):
        with pytest.raises(InputError, match="nothing to write"):
            writable(empty)


def test_codes_are_places_in_ascii() -> None:
    np.testing.assert_array_equal(codes_of(" !~"), [0, 1, 94])
