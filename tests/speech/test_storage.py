"""Model files: whole and back, the same bytes, and everything a broken or hostile one may hold."""

from __future__ import annotations

import io
import pickle
import zipfile
from collections.abc import Callable
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rtsynth.errors import InputError, UsageError
from rtsynth.speech import storage
from rtsynth.speech.storage import load_model, save_model
from tests.speech.recordings import small


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "x.speech.npz"
    save_model(small(), path)
    return path


def complaint(path: Path) -> str:
    with pytest.raises(InputError) as caught:
        load_model(path)
    text = str(caught.value)
    assert "\n" not in text
    assert str(path) in text
    assert "rtsynth speech fit" in text
    return text


def repacked(path: Path, **changes: Any) -> None:
    """The file with other arrays; None leaves one out."""
    with np.load(path) as archive:
        arrays = dict(archive) | changes
    np.savez(path, **{name: array for name, array in arrays.items() if array is not None})


@pytest.mark.parametrize("kept", [True, False])
def test_what_is_saved_is_loaded(tmp_path: Path, kept: bool) -> None:
    model = small() if kept else replace(small(), kept=None)
    size = save_model(model, tmp_path / "x.npz")
    assert size == (tmp_path / "x.npz").stat().st_size
    loaded = load_model(tmp_path / "x.npz")
    for field in fields(model):
        if field.name != "kept":
            np.testing.assert_array_equal(getattr(loaded, field.name), getattr(model, field.name))
            assert (
                np.asarray(getattr(loaded, field.name)).dtype == np.asarray(getattr(model, field.name)).dtype
            )
    assert (loaded.kept is not None) == kept
    if kept:
        assert loaded.kept is not None
        assert model.kept is not None
        np.testing.assert_array_equal(loaded.kept.codes, model.kept.codes)


def test_one_model_is_one_file(tmp_path: Path) -> None:
    for name in ("a.npz", "b.npz"):
        save_model(small(), tmp_path / name)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_numpy_reads_it_without_pickles(path: Path) -> None:
    with np.load(path, allow_pickle=False) as archive:
        assert int(archive["schema"]) == storage.SCHEMA
        assert float(archive["rate"]) == small().rate


def test_nothing_is_overwritten_unasked_and_nothing_half_written(path: Path, tmp_path: Path) -> None:
    before = path.read_bytes()
    with pytest.raises(UsageError, match="-f"):
        save_model(small(), path)
    assert path.read_bytes() == before
    save_model(small(), path, force=True)
    for wrong, error in (("x.wav", UsageError), ("no/x.npz", InputError), ("d.npz", UsageError)):
        (tmp_path / "d.npz").mkdir(exist_ok=True)
        with pytest.raises(error):
            save_model(small(), tmp_path / wrong)
    assert not list(tmp_path.glob(".*part"))


WRONG: dict[str, dict[str, Any]] = {
    "no schema": {"schema": None},
    "another schema": {"schema": np.array(99)},
    "schema of text": {"schema": np.array("1")},
    "no level": {"level": None},
    "level of floats": {"level": np.zeros((2, 37))},
    "level of another shape": {"level": np.zeros((3, 4), np.int16)},
    "a frame too few": {"envelope": small().envelope[:-1]},
    "envelope of nan": {"envelope": np.full_like(small().envelope, np.nan)},
    "envelope of 0": {"envelope": np.zeros_like(small().envelope)},
    "fundamental of 0": {"fundamental": np.zeros_like(small().fundamental)},
    "edges that fall": {"edges": small().edges[::-1].copy()},
    "no edges": {"edges": np.zeros(0)},
    "order 9": {"order": np.array(9)},
    "order 2.5": {"order": np.array(2.5)},
    "order of two": {"order": np.array([2, 2])},
    "rate 0": {"rate": np.array(0.0)},
    "rate nan": {"rate": np.array(np.nan)},
    "hop nan": {"hop": np.array(np.nan)},
    "hop 0": {"hop": np.array(0.0)},
    "hop 1e-300": {"hop": np.array(1e-300)},
    "samples -1": {"samples": np.array(-1)},
    "samples 10^12": {"samples": np.array(10**12)},
    "harmonics 10^9": {"harmonics": np.array(10**9)},
    "coherence 0": {"coherence": np.array(0.0)},
    "codes of another length": {"kept_codes": np.zeros((3, 4), np.int8)},
    "a step of nan": {"kept_step": np.array(np.nan)},
    "no step": {"kept_step": None},
    "a pickle": {"level": np.array([{"a": 1}], dtype=object)},
}


@pytest.mark.parametrize("name", WRONG)
def test_what_is_wrong_is_one_line(path: Path, name: str) -> None:
    repacked(path, **WRONG[name])
    assert "not a speech model" in complaint(path)


def test_the_packing_itself_is_not_what_is_refused(path: Path) -> None:
    repacked(path)
    assert load_model(path).samples == small().samples


def test_levels_too_loud_are_refused(path: Path) -> None:
    loud = small().level.copy()
    loud[0, 0] = 30000
    repacked(path, level=np.diff(loud, axis=0, prepend=np.int16(0)))
    assert "100 dB" in complaint(path)


BROKEN: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "text": lambda data: b"hello\n" * 99,
    "cut": lambda data: data[: len(data) // 2],
    "no end": lambda data: data[:-10],
    "a pickle": lambda data: pickle.dumps({"schema": 1}),
    "an array alone": lambda data: npy(np.zeros(3)),
}


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array)
    return out.getvalue()


@pytest.mark.parametrize("name", BROKEN)
def test_what_is_no_such_file_is_one_line(path: Path, name: str) -> None:
    path.write_bytes(BROKEN[name](path.read_bytes()))
    assert complaint(path)


def test_no_file(tmp_path: Path) -> None:
    assert "No such file" in complaint(tmp_path / "no.npz")
    assert "rtsynth speech fit" in complaint(tmp_path)


def test_a_bomb_is_not_unpacked(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage, "LARGEST", 1000)
    assert "unpack" in complaint(path)


def test_a_header_that_claims_more_than_there_is(tmp_path: Path) -> None:
    data = npy(np.zeros(8)).replace(b"(8,), }", b"(8000000000,), }")[:-64]
    with zipfile.ZipFile(tmp_path / "x.npz", "w") as archive:
        archive.writestr("level.npy", data)
    assert complaint(tmp_path / "x.npz")


def test_no_damage_gets_through_as_anything_but_a_model_or_a_line(path: Path) -> None:
    """150 files with some bytes changed: no other exception than InputError."""
    rng, data = np.random.default_rng(11), path.read_bytes()
    refused = 0
    for _ in range(150):
        damaged = bytearray(data)
        for at in rng.integers(0, len(data), rng.integers(1, 4)):
            damaged[at] = rng.integers(0, 256)
        path.write_bytes(damaged)
        refused += not _loads(path)
    assert refused > 100


def _loads(path: Path) -> bool:
    """Whether it does; fails where it raises anything but an InputError of one line."""
    try:
        load_model(path)
    except InputError as error:
        return "\n" in str(error)  # counted as let through
    return True
