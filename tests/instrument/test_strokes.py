"""Strokes: what they state, written out plainly; and files of them, sound, broken and hostile."""

from __future__ import annotations

import dataclasses
import io
import math
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsynth.errors import InputError
from rtsynth.instrument import curves
from rtsynth.instrument.strokes import Stroke, load, rise, save, sound
from tests.instrument.playing import Array
from tests.instrument.recorded import stroke

# ---- what a stroke states ----


def test_sound_is_the_formula_written_out() -> None:
    """Term by term; the turns of a line by a midpoint sum over 10⁵ steps, which is right to 1e-9 s."""
    one = stroke()
    t = np.array([0.0, 0.0005, 0.0009, 0.002, 0.0301, 0.0673, 0.07, 0.13, 0.31])
    fine = np.linspace(0.0, 0.31, 100_001)
    middle = 0.5 * (fine[1:] + fine[:-1])
    ratios = 2.0 ** (np.interp([_there(one, s) for s in middle], one.times, one.cents) / 1200.0)
    turns = np.interp(t, fine, np.concatenate([[0.0], np.cumsum(ratios * np.diff(fine))]))
    want = np.zeros(t.size)
    for i, s in enumerate(t):
        risen = 1.0 - math.exp(-(s - one.start) / one.attack) if s >= one.start else 0.0
        for a, d, f in zip(one.amplitude, one.damping, one.frequency, strict=True):
            want[i] += risen * (a * np.exp((-d + 2j * np.pi * f) * max(s - one.start, 0.0))).real
        for k, f in enumerate(one.line_frequency):
            gain = np.interp(_there(one, s), one.times, one.line_gain[:, k])
            want[i] += gain * math.cos(2.0 * np.pi * f * turns[i] + one.line_phase[k])
    found = sound(one, t)
    np.testing.assert_allclose(found, want, atol=2e-6 * np.abs(want).max())
    assert np.abs(sound(dataclasses.replace(one, loop=None), t) - want).max() > 1e-3
    assert np.abs(sound(dataclasses.replace(one, cents=0.0 * one.cents), t) - want).max() > 1e-3


def _there(one: Stroke, seconds: float) -> float:
    """Where a held note is on its curves, walked there and back."""
    assert one.loop is not None
    start, end = one.loop
    while seconds > end:
        over = seconds - end
        if over <= end - start:
            return end - over
        seconds = start + over - (end - start)
    return seconds


def test_the_turns_are_the_integral_of_the_ratio_to_rounding() -> None:
    """An octave up in a second, in a straight line of cents: 1/ln 2 seconds' worth of turns."""
    times, cents = np.array([0.0, 1.0]), np.array([0.0, 1200.0])
    turned = curves.turned(times, cents, None, np.array([0.5, 1.0, 3.0]))
    want = [(math.sqrt(2.0) - 1.0) / math.log(2.0), 1.0 / math.log(2.0), 1.0 / math.log(2.0) + 4.0]
    np.testing.assert_allclose(turned, want, rtol=1e-14)
    back = curves.turned(times, cents, (0.0, 1.0), np.array([2.0, 2.5]))
    there = curves.turned(times, cents, None, np.array([0.5]))[0]
    np.testing.assert_allclose(back, [2.0 / math.log(2.0), 2.0 / math.log(2.0) + there], rtol=1e-14)
    flat = curves.turned(times, np.full(2, 1e-10), None, np.array([0.7]))
    np.testing.assert_allclose(flat, 0.7 * 2.0 ** (1e-10 / 1200.0), rtol=1e-15)


def test_without_an_attack_the_modes_begin_at_their_full_height() -> None:
    one = Stroke(60.0, frequency=[100.0], damping=[1.0], amplitude=[0.5], start=0.01)  # type: ignore[arg-type]
    np.testing.assert_array_equal(rise(one, np.array([0.0, 0.0099, 0.01, 1.0])), [0.0, 0.0, 1.0, 1.0])
    assert sound(one, 0.01)[0] == 0.5


def test_what_is_left_out_is_zero_and_strokes_are_values() -> None:
    one = Stroke(
        60.0, line_frequency=np.array([100.0]), times=np.array([0.0, 1.0]), line_gain=np.ones((2, 1))
    )
    assert (one.line_phase, one.line_tilt_db) == (0.0, 0.0)
    assert (one.cents.shape, one.band_gain.shape) == ((2,), (2, 0))
    assert one == dataclasses.replace(one)
    assert hash(stroke()) == hash(stroke())
    assert stroke() != stroke(seed=1)
    with pytest.raises(ValueError, match="read-only"):
        one.line_gain[0] = 2.0


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"damping": [1.0, 2.0]}, r"damping: want shape \(9,\), got \(2,\)"),
        ({"line_gain": np.ones((6, 2))}, r"line_gain: want shape \(6, 3\), got \(6, 2\)"),
        ({"frequency_std": np.ones(3)}, r"frequency_std: want shape \(9,\), got \(3,\)"),
        ({"damping": np.full(9, -1.0)}, "damping: wants values from 1e-06 to 100000"),
        ({"amplitude": np.full(9, np.nan)}, "amplitude: wants values from 0 to 1e"),
        ({"band_gain": np.full((6, 4), -0.1)}, "band_gain: wants values from 0"),
        ({"band_gain": np.full((6, 4), np.inf)}, "band_gain: wants values from 0"),
        ({"band_width": np.zeros(4)}, "band_width: wants values from 0.001"),
        ({"times": [0.0, 0.1, 0.1, 0.2, 0.3, 0.4]}, "times: want to begin at 0 and to rise strictly"),
        ({"times": [0.1, 0.2, 0.3, 0.4, 0.5, 0.6]}, "times: want to begin at 0"),
        ({"loop": (0.05, 0.06)}, r"loop: wants two times within `times`, 0.02 s apart"),
        ({"loop": (0.05, 0.2)}, "loop: wants two times within"),
        ({"start": 1.0}, "start: 1 s is too late for a damping of"),
        ({"velocity": 1.5}, "velocity: wants values from 0 to 1"),
        ({"key": math.nan}, "key: wants values from -24 to 151"),
    ],
)
def test_a_stroke_that_cannot_be_is_refused(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        dataclasses.replace(stroke(), **fields)


# ---- files ----


def rounded(one: Stroke) -> Stroke:
    """As a file keeps it."""
    kept: dict[str, Array] = {}
    for field in dataclasses.fields(one):
        value = getattr(one, field.name)
        if isinstance(value, np.ndarray) and field.name != "times":
            kept[field.name] = value.astype(np.complex64 if field.name == "amplitude" else np.float32)
    return dataclasses.replace(one, **kept)


def strokes() -> list[Stroke]:
    sure = {"frequency_std": np.full(5, 0.1), "level_std_db": np.full(5, 0.5)}
    return [stroke(59.87), stroke(72.0, 5, 0, 2, 1, loop=None, **sure), Stroke(21.0)]


def test_strokes_come_back_and_the_same_strokes_are_the_same_bytes(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    save(path, strokes())
    found = load(path)
    assert found == tuple(map(rounded, strokes()))
    first = path.read_bytes()
    save(path, found)
    assert path.read_bytes() == first
    assert load(path) != (*found[:2], stroke(60.0))


def test_a_piano_takes_little_room(tmp_path: Path) -> None:
    """30 keys of 200 modes and 24 bands of 50 points: half a megabyte."""
    path = tmp_path / "piano.npz"
    gain = np.random.default_rng(0).uniform(size=(50, 24))
    fields = {
        "times": np.arange(50) * 0.02,
        "band_gain": gain,
        "line_gain": np.zeros((50, 0)),
        "cents": np.zeros(50),
        "frequency": np.geomspace(30.0, 20000.0, 200),
    }
    save(path, [stroke(21.0 + 3 * i, 200, 0, 24, i, loop=None, **fields) for i in range(30)])
    assert path.stat().st_size < 500_000


Spoil = Callable[[dict[str, bytes]], None]


def packed(name: str, array: Array, **kind: Any) -> Spoil:
    """A member replaced by another array."""

    def spoil(members: dict[str, bytes]) -> None:
        stream = io.BytesIO()
        np.lib.format.write_array(stream, array, **kind)
        members[f"{name}.npy"] = stream.getvalue()

    return spoil


class _Bomb:
    def __reduce__(self) -> tuple[Any, ...]:
        return (pytest.fail, ("a pickle was run",))


def _header(shape: str) -> Spoil:
    def spoil(members: dict[str, bytes]) -> None:
        text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': {shape}, }}".ljust(117) + "\n"
        members["frequency.npy"] = b"\x93NUMPY\x01\x00\x76\x00" + text.encode()

    return spoil


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (lambda m: m.pop("cents.npy"), "its members are not those of format 1"),
        (lambda m: m.update({"extra.npy": b""}), "its members are not those of format 1"),
        (lambda m: m.update({"cents.npy": b""}), "EOF"),
        (lambda m: m.update({"cents.npy": b"hello, hello, hello"}), "magic string"),
        (lambda m: m.update({"cents.npy": pickle.dumps(_Bomb())}), "magic string"),
        (packed("cents", np.array([_Bomb()]), allow_pickle=True), "cents is not of float32 numbers in a row"),
        (packed("cents", np.zeros(12)), "cents is not of float32 numbers in a row"),
        (packed("cents", np.zeros((3, 4), np.float32)), "cents is not of float32 numbers in a row"),
        (packed("cents", np.zeros(3, np.float32)), "cents is cut short"),
        (packed("cents", np.zeros(99, np.float32)), "cents has 99 numbers where 13 are stated"),
        (packed("format", np.array([2], np.int32)), "its format is [2]; this rtsynth reads 1"),
        (packed("sizes", np.zeros(5, np.int32)), "its sizes are cut short"),
        (packed("sizes", np.zeros(0, np.int32)), "0 sizes for 3 strokes"),
        (packed("sizes", np.full(21, -1, np.int32)), "3 sizes for 3 strokes"),
        (packed("sizes", np.full(21, 2**31 - 1, np.int32)), "frequency is cut short"),
        (packed("frequency", np.full(14, np.nan, np.float32)), "frequency: wants values from"),
        (_header("(1000000000000,)"), "frequency is not of float32 numbers in a row"),
        (_header("(__import__('os').abort(),)"), "malformed"),
        (lambda m: m.update({"cents.npy": bytes(300 * 2**20)}), "more than 256 MB unpacked"),
    ],
)
def test_a_broken_or_hostile_file_is_one_line(spoil: Spoil, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    save(path, strokes())
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    spoil(members)
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)
    assert words in complaint(path)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (None, "it is not there"),
        (b"", "not a zip file"),
        (b"PK\x03\x04 and then nothing", "not a zip file"),
        (b"RIFF....WAVE", "not a zip file"),
    ],
)
def test_what_is_no_archive(data: bytes | None, words: str, tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    if data is not None:
        path.write_bytes(data)
    assert words in complaint(path)


def test_every_byte_counts(tmp_path: Path) -> None:
    """Spoilt anywhere, a file is refused in one line or its strokes are valid ones: never another exception."""
    path = tmp_path / "a.npz"
    save(path, strokes())
    whole, complaints = path.read_bytes(), []
    places = np.linspace(0, len(whole) - 1, 150).astype(int)
    for place in places:
        path.write_bytes(whole[:place] + bytes([whole[place] ^ 0x55]) + whole[place + 1 :])
        try:
            load(path)
        except InputError as error:
            complaints.append(str(error))
    assert len(complaints) > 120
    assert "\n" not in "".join(complaints)
    for place in places[::10]:
        path.write_bytes(whole[:place])
        complaint(path)


def complaint(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load(path)
    text = str(caught.value)
    assert text.startswith(f"{path}: no file of strokes: ")
    assert text.endswith("Fit it again: rtsynth fit RECORDING -o NAME.toml")
    assert "\n" not in text
    return text
