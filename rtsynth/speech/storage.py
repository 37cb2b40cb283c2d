"""A `Model` as a file, .speech.npz: NumPy arrays in a zip, never a pickle, every one of them checked on the way in.

The same model gives the same bytes: arrays are in a fixed order, and the zip has no dates.
"""

from __future__ import annotations

import io
import math
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError, UsageError
from rtsynth.speech.kept import frame_count, frame_length
from rtsynth.speech.model import SILENT, STEPS_PER_DB, Kept, Model
from rtsynth.target import check_target

SCHEMA = 1
SUFFIX = ".npz"
LARGEST = 2**31  # bytes of all arrays together, unpacked
_NO_DATE = (1980, 1, 1, 0, 0, 0)
_NUMBERS = ("rate", "samples", "hop", "order", "window", "harmonics", "coherence")
_WHOLE = {"samples", "order", "window", "harmonics"}
_ARRAYS: dict[str, tuple[type, int]] = {  # name: type and dimensions
    "envelope": (np.float32, 1),
    "fundamental": (np.float32, 1),
    "edges": (np.float64, 1),
    "level": (np.int16, 2),
}
_BROKEN = (  # whatever zipfile, zlib and NumPy say of a broken file
    ValueError,
    LookupError,
    TypeError,
    ArithmeticError,
    EOFError,
    MemoryError,
    RuntimeError,
    SyntaxError,
    zipfile.BadZipFile,
    zlib.error,
)


def save_model(model: Model, path: str | Path, force: bool = False) -> int:
    """Write a model, whole or not at all; returns the file's bytes.

    Raises UsageError for another suffix or a file that is there (without `force`), InputError where it cannot be
    written.
    """
    path = Path(path)
    check_model_target(path, force)
    part = path.with_name(f".{path.name}.part")
    try:
        part.write_bytes(_packed(model))
        os.replace(part, path)
    except OSError as problem:
        part.unlink(missing_ok=True)
        raise InputError(
            f"cannot write {path}: {problem.strerror}. Choose another place with -o"
        ) from problem
    return path.stat().st_size


def check_model_target(path: Path, force: bool) -> None:
    """Can a model be written here? Before the work begins. Raises as `save_model` does."""
    if path.suffix != SUFFIX:
        raise UsageError(
            f"{path}: a speech model's name ends in .npz. Try -o {path.with_suffix('.speech.npz')}"
        )
    check_target(path, force)


def load_model(path: str | Path) -> Model:
    """The model in a file. Raises InputError, one line, for whatever is not a whole and sound one."""
    path = Path(path)
    try:
        return _model(_arrays(path))
    except OSError as problem:
        reason = problem.strerror or "it cannot be read"
        raise InputError(
            f"cannot read {path}: {reason}. Make it: rtsynth speech fit in.wav -o {path}"
        ) from problem
    except _BROKEN as problem:
        raise InputError(
            f"{path} is not a speech model: {problem}. Make it again: rtsynth speech fit in.wav -o {path} -f"
        ) from problem


# ---- writing ----


def _packed(model: Model) -> bytes:
    arrays: dict[str, NDArray[Any]] = {"schema": np.array(SCHEMA)}
    arrays |= {name: np.array(getattr(model, name)) for name in _NUMBERS}
    arrays |= {name: getattr(model, name) for name in _ARRAYS}
    arrays["level"] = np.diff(
        model.level, axis=0, prepend=np.int16(0)
    )  # modulo 2^16: it packs a third smaller
    if model.kept is not None:
        arrays |= {"kept_codes": model.kept.codes, "kept_step": np.array(model.kept.step)}
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED, compresslevel=9) as archive:
        for name, array in arrays.items():
            member = io.BytesIO()
            np.lib.format.write_array(member, np.asarray(array, order="C"), allow_pickle=False)
            information = zipfile.ZipInfo(f"{name}.npy", _NO_DATE)
            information.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(information, member.getvalue())
    return out.getvalue()


# ---- reading ----


def _arrays(path: Path) -> dict[str, NDArray[Any]]:
    """All arrays of the file, none bigger than its own header and the zip's directory say."""
    with zipfile.ZipFile(path) as archive:
        if sum(member.file_size for member in archive.infolist()) > LARGEST:
            raise ValueError(f"it would unpack to more than {LARGEST >> 30} GiB")
        found = {}
        for member in archive.infolist():
            data = io.BytesIO(archive.read(member))
            found[member.filename.removesuffix(".npy")] = _array(data, member.file_size)
        return found


def _array(data: io.BytesIO, size: int) -> NDArray[Any]:
    """One array, whose header is not believed before its bytes were counted."""
    version = np.lib.format.read_magic(data)
    if version != (1, 0):
        raise ValueError("an array in it has a header of another version")
    shape, _, dtype = np.lib.format.read_array_header_1_0(data)
    if dtype.hasobject or math.prod(shape) * dtype.itemsize > size:
        raise ValueError("an array in it is not what its header says")
    data.seek(0)
    return np.asarray(np.lib.format.read_array(data, allow_pickle=False))


def _model(arrays: dict[str, NDArray[Any]]) -> Model:
    schema = arrays["schema"]
    if schema.shape != () or schema.dtype.kind not in "iu":
        raise ValueError("its schema is not a number")
    if int(schema) != SCHEMA:
        raise ValueError(f"it is of schema {int(schema)}, and this version of rtsynth reads {SCHEMA}")
    fields: dict[str, Any] = {name: _number(arrays[name], name) for name in _NUMBERS}
    fields |= {name: _checked(arrays[name], name, *want) for name, want in _ARRAYS.items()}
    fields["level"] = np.cumsum(fields["level"], axis=0, dtype=np.int16)
    model = Model(**fields, kept=_kept(arrays))
    _check(model)
    return model


def _number(array: NDArray[Any], name: str) -> float | int:
    if array.shape != () or array.dtype.kind not in ("iu" if name in _WHOLE else "iuf"):
        raise ValueError(f"its {name} is not a {'whole ' * (name in _WHOLE)}number")
    return int(array) if name in _WHOLE else float(array)


def _checked(array: NDArray[Any], name: str, dtype: type, dimensions: int) -> NDArray[Any]:
    if array.dtype != dtype or array.ndim != dimensions:
        raise ValueError(f"its {name} has shape {array.shape} and type {array.dtype}")
    if array.dtype.kind == "f" and not np.isfinite(array).all():
        raise ValueError(f"its {name} has values that are infinite or not numbers")
    return np.ascontiguousarray(array)


def _kept(arrays: dict[str, NDArray[Any]]) -> Kept | None:
    if "kept_codes" not in arrays:
        return None
    return Kept(
        _checked(arrays["kept_codes"], "kept_codes", np.int8, 2),
        float(_number(arrays["kept_step"], "kept_step")),
    )


def _check(model: Model) -> None:
    """Everything that the loops and the analysis rely on."""
    needed = math.ceil((model.samples - 1) / model.hop) + 1 if model.hop > 0 else 0
    length = frame_length(model.rate) if 100.0 <= model.rate <= 1e6 else 0
    kept = model.kept
    wants = {
        "rate between 100 Hz and 1 MHz": length > 0,
        "length between 1 sample and 2^31": 1 <= model.samples < 2**31,
        "order of 1 to 4": 1 <= model.order <= 4,
        "window of at least 2 samples": model.window >= 2,
        "hop above 0": model.hop > 0.0,
        "coherence between 0 and 1000 Hz": 0.0 < model.coherence <= 1000.0,
        "number of harmonics up to 256": 0 <= model.harmonics <= 256,
        "frame for every part of it": model.frames
        == max(2, needed)
        == model.envelope.size
        == model.fundamental.size,
        "level for every row": model.level.shape[1] == model.rows,
        "level below 100 dB": bool((model.level[model.level != SILENT] <= 100 * STEPS_PER_DB).all()),
        "envelope between 0 and 1000": bool(((model.envelope > 0.0) & (model.envelope <= 1e3)).all()),
        "fundamental between 1 and 10000 Hz": bool(
            ((model.fundamental >= 1.0) & (model.fundamental <= 1e4)).all()
        ),
        "rising row of edges, 2 to 257": 2 <= model.edges.size <= 257
        and bool((np.diff(model.edges) > 0.0).all()),
        "edge at 0 Hz or above": model.edges.size > 0 and model.edges[0] >= 0.0,
        "frame of codes for every part of it": kept is None
        or kept.codes.shape == (frame_count(model.samples, length or 8), length),
        "step of its codes between 0 and 10": kept is None or 0.0 < kept.step <= 10.0,
    }
    for what, met in wants.items():
        if not met:
            raise ValueError(f"it has no {what}")
