"""Strokes, as many as an instrument was fitted from, and the sidecar file that a preset keeps them in.

The file is a NumPy archive of numbers alone: one array a field of `Stroke`, the strokes' parts behind one another, and
`sizes`, which says where each ends. Mostly float32: what is read back is right to 1e-7 of a value.
"""

from __future__ import annotations

import io
import zipfile
import zlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError
from rtsynth.instrument.stroke import ARRAYS, SCALARS, STANDARD_DEVIATIONS, Stroke, rise, sound

__all__ = ["Stroke", "load", "rise", "save", "sound"]

FORMAT = 1
LARGEST = 256 * 2**20  # bytes of a file, unpacked
SIZES = ("M", "L", "N", "T", *STANDARD_DEVIATIONS)  # columns of `sizes`
NUMBERS = (*SCALARS, "loop_start", "loop_end")  # columns of `scalars`; a loop that is none is NaN
WIDER = {"format": "<i4", "sizes": "<i4", "scalars": "<f8", "times": "<f8", "amplitude": "<c8"}
MEMBERS = {name: np.dtype(WIDER.get(name, "<f4")) for name in ("format", "sizes", "scalars", *ARRAYS)}


def save(path: str | Path, strokes: Sequence[Stroke]) -> None:
    """Write a sidecar file. The same strokes give the same bytes; what is read back is rounded to float32."""
    sizes = [
        [*stroke.sizes().values(), *(getattr(stroke, name).size for name in STANDARD_DEVIATIONS)]
        for stroke in strokes
    ]
    scalars = [
        [*(getattr(stroke, name) for name in SCALARS), *(stroke.loop or (np.nan, np.nan))]
        for stroke in strokes
    ]
    flat = {name: np.concatenate([np.ravel(getattr(stroke, name)) for stroke in strokes]) for name in ARRAYS}
    arrays = {"format": np.array([FORMAT]), "sizes": np.ravel(sizes), "scalars": np.ravel(scalars), **flat}
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as archive:
        for name, dtype in MEMBERS.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, arrays[name].astype(dtype), (1, 0), allow_pickle=False)
            entry = zipfile.ZipInfo(f"{name}.npy", (1980, 1, 1, 0, 0, 0))
            entry.create_system, entry.external_attr = 3, 0o644 << 16  # the same on every system
            archive.writestr(entry, member.getvalue(), zipfile.ZIP_DEFLATED, 9)
    Path(path).write_bytes(packed.getvalue())


def load(path: str | Path) -> tuple[Stroke, ...]:
    """Read a sidecar file; InputError where it is missing, broken or not of strokes. Nothing in it is ever run."""
    try:
        return _strokes(_members(Path(path)))
    except FileNotFoundError:
        cause = "it is not there"
    except (OSError, MemoryError, zipfile.BadZipFile, zipfile.LargeZipFile, NotImplementedError) as error:
        cause = str(error) or type(error).__name__
    except (ValueError, EOFError, RuntimeError, zlib.error) as error:
        cause = " ".join(str(error).split())
    raise InputError(f"{path}: no file of strokes: {cause}. Fit it again: rtsynth fit RECORDING -o NAME.toml")


def _members(path: Path) -> dict[str, NDArray[Any]]:
    """The arrays of a file, each (n,) and of the right type."""
    with zipfile.ZipFile(path) as archive:
        entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
        if set(entries) != set(MEMBERS):
            raise ValueError(f"its members are not those of format {FORMAT}")
        if sum(entry.file_size for entry in entries.values()) > LARGEST:
            raise ValueError(f"more than {LARGEST >> 20} MB unpacked")
        return {name: _flat(name, archive.read(entries[name])) for name in MEMBERS}


def _flat(name: str, data: bytes) -> NDArray[Any]:
    """The array of a member, whose header must be the one that `save` writes; numbers only, so nothing is unpickled."""
    stream = io.BytesIO(data)
    if np.lib.format.read_magic(stream) != (1, 0):
        raise ValueError(f"{name} is of another version of .npy")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    body = data[stream.tell() :]
    if dtype != MEMBERS[name] or len(shape) != 1 or shape[0] * dtype.itemsize != len(body):
        raise ValueError(f"{name} is not of {MEMBERS[name]} numbers in a row")
    return np.frombuffer(body, dtype)


def _strokes(arrays: dict[str, NDArray[Any]]) -> tuple[Stroke, ...]:
    if arrays["format"].tolist() != [FORMAT]:
        raise ValueError(f"its format is {arrays['format'].tolist()}; this rtsynth reads {FORMAT}")
    if arrays["sizes"].size % len(SIZES) or arrays["scalars"].size % len(NUMBERS):
        raise ValueError("its sizes are cut short")
    sizes, scalars = arrays["sizes"].reshape(-1, len(SIZES)), arrays["scalars"].reshape(-1, len(NUMBERS))
    if not 0 < len(sizes) == len(scalars) or (sizes < 0).any():
        raise ValueError(f"{len(sizes)} sizes for {len(scalars)} strokes")
    used = dict.fromkeys(ARRAYS, 0)
    strokes = tuple(
        _stroke(
            dict(zip(SIZES, size.tolist(), strict=True)),
            dict(zip(NUMBERS, scalar.tolist(), strict=True)),
            arrays,
            used,
        )
        for size, scalar in zip(sizes, scalars, strict=True)
    )
    for name, end in used.items():
        if arrays[name].size != end:
            raise ValueError(f"{name} has {arrays[name].size} numbers where {end} are stated")
    return strokes


def _stroke(
    sizes: dict[str, int], scalars: dict[str, float], arrays: dict[str, NDArray[Any]], used: dict[str, int]
) -> Stroke:
    """The next stroke of a file, after the `used` numbers of every array, which it advances."""
    values: dict[str, NDArray[Any]] = {}
    for name, axes in ARRAYS.items():
        shape = (sizes[name],) if name in STANDARD_DEVIATIONS else tuple(sizes[axis] for axis in axes)
        start, count = used[name], int(np.prod(shape, dtype=object))
        if start + count > arrays[name].size:
            raise ValueError(f"{name} is cut short")
        values[name] = arrays[name][start : start + count].reshape(shape)
        used[name] += count
    loop = scalars.pop("loop_start"), scalars.pop("loop_end")
    fields: dict[str, Any] = {**scalars, **values}
    return Stroke(**fields, loop=None if np.isnan(loop).all() else loop)
