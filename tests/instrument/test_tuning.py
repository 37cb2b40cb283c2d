"""Scala's scales and keyboard maps against pitches worked out by hand, to 0.01 cent; and broken ones."""

from __future__ import annotations

import math
import random
from pathlib import Path

import numpy as np
import pytest

from rtsynth.errors import InputError
from rtsynth.instrument.tuning import (
    KeyboardMap,
    Scale,
    equal_temperament,
    load_tuning,
    pitches,
    read_keyboard_map,
    read_scale,
)

CENT = 0.01  # of a semitone
TOLERANCE = 0.01 * CENT

MEANTONE = """! meanquar.scl
!
1/4-comma meantone scale. Pietro Aaron's temperament (1523)
 12
!
 76.04900
 193.15686
 310.26471
 5/4
 503.42157
 579.47057
 696.57843
 25/16
 889.73529
 1006.84314
 1082.89214
 2/1
"""


def scale_file(folder: Path, text: str | bytes, name: str = "s.scl") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode("latin-1"))
    return path


def map_text(
    size: int = 0, first: int = 0, last: int = 127, middle: int = 60, reference: int = 60,
    frequency: float = 261.625565, repeat: int = 0, entries: str = "",
) -> str:  # fmt: skip
    return f"! map\n{size}\n{first}\n{last}\n{middle}\n{reference}\n{frequency}\n{repeat}\n{entries}"


def hertz(pitch: float) -> float:
    return 440.0 * 2.0 ** ((pitch - 69.0) / 12.0)


def test_twelve_equal_steps_are_the_usual_tuning(tmp_path):
    text = "! \n\n12\n" + "".join(f"{100.0 * k}\n" for k in range(1, 13))
    assert np.abs(load_tuning(scale_file(tmp_path, text)) - np.arange(128)).max() < 1e-9


def test_cents_and_ratios_mix_in_one_scale(tmp_path):
    found = load_tuning(scale_file(tmp_path, MEANTONE))
    assert read_scale(tmp_path / "s.scl").name.startswith("1/4-comma meantone")
    assert found[60] == pytest.approx(60, abs=1e-9)
    assert found[64] - found[60] == pytest.approx(12 * math.log2(5 / 4), abs=TOLERANCE)
    assert found[67] - found[60] == pytest.approx(6.9657843, abs=TOLERANCE)
    assert found[68] - found[60] == pytest.approx(12 * math.log2(25 / 16), abs=TOLERANCE)
    assert found[72] == pytest.approx(72, abs=1e-9)
    assert found[59] - found[60] == pytest.approx(10.8289214 - 12, abs=TOLERANCE)
    assert found[0] == pytest.approx(0, abs=1e-9)


@pytest.mark.parametrize(
    ("line", "cents"),
    [
        ("81/64", 407.8200035),
        ("408.0", 408.0),
        ("408.", 408.0),
        ("5", 2786.3137139),  # without a point: the ratio 5/1
        ("-5.0", -5.0),
        ("10/20", -1200.0),
        ("100.0 cents", 100.0),
        ("100.0 C#", 100.0),
        ("5/4   E\\", 386.3137139),
        ("\t 3 / 2", 701.9550009),
        ("2147483647/1073741824", 1199.9999992),
        (".5", 0.5),
    ],
)
def test_a_pitch_line_is_read_as_scala_reads_it(tmp_path, line, cents):
    scale = read_scale(scale_file(tmp_path, f"one\n1\n{line}\n"))
    assert scale.cents[0] == pytest.approx(cents, abs=1e-6)


def test_a_scale_of_one_note_repeats_at_it(tmp_path):
    found = load_tuning(scale_file(tmp_path, "octaves\n1\n2/1\n"))
    assert np.allclose(np.diff(found), 12.0, atol=1e-9)
    thirds = load_tuning(scale_file(tmp_path, "one step\n1\n386.314\n"))
    assert np.abs(thirds - (60 + 3.86314 * (np.arange(128) - 60))).max() < TOLERANCE


def test_a_scale_of_no_notes_sounds_on_one_key(tmp_path):
    found = load_tuning(scale_file(tmp_path, "only degree 0\n0\n"))
    assert found[60] == pytest.approx(60)
    assert np.isnan(np.delete(found, 60)).all()


def test_a_scale_need_not_repeat_at_an_octave(tmp_path):
    """Bohlen-Pierce: thirteen equal steps to the ratio 3."""
    text = "BP\n13\n" + "".join(f"{1901.955 * k / 13:.6f}\n" for k in range(1, 13)) + "3/1\n"
    found = load_tuning(scale_file(tmp_path, text))
    assert found[73] - found[60] == pytest.approx(19.01955, abs=TOLERANCE)
    assert found[60 - 26] - found[60] == pytest.approx(-2 * 19.01955, abs=TOLERANCE)
    assert found[61] - found[60] == pytest.approx(1.4630423, abs=TOLERANCE)


def test_degrees_may_go_down(tmp_path):
    scale = read_scale(scale_file(tmp_path, "unordered\n3\n700.0\n200.0\n2/1\n"))
    found = pitches(scale)
    assert [found[60 + k] - 60 for k in range(4)] == pytest.approx([0, 7, 2, 12], abs=1e-9)


def test_the_reference_key_has_its_frequency_wherever_the_scale_begins(tmp_path):
    keyboard = read_keyboard_map(
        scale_file(tmp_path, map_text(middle=60, reference=69, frequency=432.0), "k.kbm")
    )
    scale = read_scale(scale_file(tmp_path, MEANTONE))
    found = pitches(scale, keyboard)
    assert hertz(found[69]) == pytest.approx(432.0, rel=1e-9)
    assert found[69] - found[60] == pytest.approx(8.8973529, abs=TOLERANCE)


def test_keys_without_a_degree_do_not_sound(tmp_path):
    """White keys only: seven degrees on twelve keys, an octave at degree 7."""
    entries = "0\nx\n1\nx\n2\n3\nX\n4\nx\n5\nx\n6\n"
    keyboard = read_keyboard_map(scale_file(tmp_path, map_text(size=12, repeat=7, entries=entries), "w.kbm"))
    major = Scale("just", tuple(1200 * math.log2(r) for r in (9 / 8, 5 / 4, 4 / 3, 3 / 2, 5 / 3, 15 / 8, 2)))
    found = pitches(major, keyboard)
    assert np.isnan(found[[61, 63, 66, 68, 70, 73]]).all()
    assert found[67] - found[60] == pytest.approx(7.01955, abs=TOLERANCE)
    assert found[76] - found[60] == pytest.approx(15.8631371, abs=TOLERANCE)
    assert found[59] - found[60] == pytest.approx(12 * math.log2(15 / 16), abs=TOLERANCE)


def test_entries_left_out_at_the_end_do_not_sound(tmp_path):
    keyboard = read_keyboard_map(scale_file(tmp_path, map_text(size=4, repeat=3, entries="0\n1\n2"), "k.kbm"))
    assert keyboard.degrees == (0, 1, 2, None)


def test_lines_after_the_map_are_not_read(tmp_path):
    text = map_text(size=1, repeat=1, entries="0\nthat was the map\n")
    assert read_keyboard_map(scale_file(tmp_path, text, "k.kbm")).degrees == (0,)


def test_keys_outside_the_range_stay_in_equal_temperament(tmp_path):
    keyboard = read_keyboard_map(scale_file(tmp_path, map_text(first=48, last=72), "k.kbm"))
    found = pitches(read_scale(scale_file(tmp_path, MEANTONE)), keyboard)
    assert found[47] == 47
    assert found[73] == 73
    assert found[64] != 64


def test_a_map_may_repeat_at_another_degree_than_the_scale(tmp_path):
    keyboard = KeyboardMap(repeat=7, degrees=(0, 7))
    fifths = pitches(Scale("12", tuple(100.0 * k for k in range(1, 13))), keyboard)
    assert [fifths[60 + k] - 60 for k in (-2, -1, 0, 1, 2, 3)] == pytest.approx(
        [-7, 0, 0, 7, 7, 14], abs=1e-9
    )


def test_a_map_whose_reference_does_not_sound_is_refused():
    with pytest.raises(InputError, match="key 61 a frequency, but no degree"):
        pitches(Scale("", (1200.0,)), KeyboardMap(reference=61, repeat=1, degrees=(0, None)))


def test_windows_line_ends_comments_and_old_encodings(tmp_path):
    text = b"! caf\xe9.scl\r\nR\xe9 majeur\r\n! between\r\n 2 notes\r\n!\r\n 3/2 ! the fifth\r\n!x\r\n2/1\r\n\r\nrest"
    scale = read_scale(scale_file(tmp_path, text))
    assert scale.name == "Ré majeur"
    assert scale.cents == pytest.approx((701.9550009, 1200.0))
    assert read_scale(scale_file(tmp_path, b"\xef\xbb\xbf! mark\nn\n1\n2/1\n")).cents == (1200.0,)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "ends before a description"),
        ("name\n", "ends before the number of notes"),
        ("name\ntwelve\n", r"line 2: 'twelve' where the number of notes"),
        ("name\n-1\n", "line 2: -1 notes"),
        ("name\n2\n3/2\n", "ends before note 2 of 2"),
        ("name\n1\n3/0\n", r"line 3: the ratio '3/0' is no pitch"),
        ("name\n1\n0\n", "is no pitch"),
        ("name\n1\nfifth\n", r"line 3: 'fifth' is neither cents"),
        ("name\n1\n-3/2\n", "neither cents"),
        ("name\n1\n3/2/1\n", "neither cents"),
        ("name\n1\n9999999999.0\n", "cents"),
        ("name\n1\n" + "9" * 5000 + "\n", "neither cents"),
        (b"RIFF\0\0\0", "not a Scala file"),
    ],
)
def test_a_broken_scale_is_refused_in_one_line(tmp_path, text, says):
    with pytest.raises(InputError, match=says) as caught:
        read_scale(scale_file(tmp_path, text))
    assert "\n" not in str(caught.value)
    assert "s.scl" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "ends before the size of the map"),
        (map_text(first=-1), r"line 3: first key -1: want 0 to 127"),
        (map_text(last=128), "last key 128"),
        (map_text(frequency=-440.0), "is no frequency"),
        (map_text(frequency=math.nan), "is no frequency"),
        (map_text(size=2, entries="0\nc\n"), r"line 10: 'c' where a degree of the scale or x"),
        ("12\n0\n127\n60\n", "ends before the reference key"),
    ],
)
def test_a_broken_map_is_refused_in_one_line(tmp_path, text, says):
    with pytest.raises(InputError, match=says):
        read_keyboard_map(scale_file(tmp_path, text, "k.kbm"))


def test_a_file_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"none\.scl: no such file"):
        read_scale(tmp_path / "none.scl")


def test_whatever_lies_in_a_file_it_is_read_or_refused(tmp_path):
    """A thousand damaged copies of a real scale and map: pitches or InputError, never anything else."""
    rng = random.Random(1)
    texts = {"s.scl": MEANTONE.encode(), "k.kbm": map_text(size=3, repeat=3, entries="0\nx\n2\n").encode()}
    read = 0
    for _ in range(1000):
        name = rng.choice(list(texts))
        data = bytearray(texts[name])
        for _ in range(rng.randint(1, 6)):
            data[rng.randrange(len(data))] = rng.choice(b"0123456789./x! \n-\xff")
        path = scale_file(tmp_path, bytes(data), name)
        try:
            found = (
                pitches(read_scale(path))
                if name == "s.scl"
                else pitches(Scale("", (1200.0,)), read_keyboard_map(path))
            )
        except InputError:
            continue
        read += 1
        assert found.shape == (128,)
    assert 100 < read < 900


def test_equal_temperament_at_another_pitch():
    assert hertz(equal_temperament(415.0)[69]) == pytest.approx(415.0)
    assert np.diff(equal_temperament(415.0)) == pytest.approx(np.ones(127))
