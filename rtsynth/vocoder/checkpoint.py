"""HiFi-GAN checkpoints as torch wrote them, read without torch and without running anything that they say.

Both containers: the zip of torch since 1.6, and the older row of pickles, whose program `unpickling.py` follows.
"""

from __future__ import annotations

import io
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError
from rtsynth.vocoder.hifigan import Config
from rtsynth.vocoder.unpickling import LARGEST, STORAGES, RefusedError, Storage, Tensor, interpret

Array = NDArray[Any]
Weights = dict[str, NDArray[np.float32]]

MAGIC, PROTOCOL = 0x1950A86A20F9469CFC6C, 1001  # of the older container

NESTED = ("generator", "state_dict", "model", "weights")  # where files keep the weights, if not at the top


def read_checkpoint(path: str | Path) -> dict[Any, Any]:
    """All that a checkpoint holds, tensors as arrays. InputError in one line where it cannot, or must not, be read."""
    try:
        if Path(path).stat().st_size > LARGEST:
            raise InputError(f"{path} has more than 4 GB: no vocoder's checkpoint")
        data = Path(path).read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None
    try:
        found = _read_zip(data) if data[:4] == b"PK\x03\x04" else _read_legacy(data)
    except RefusedError as refusal:
        raise InputError(f"{path} is no checkpoint that can be read: {refusal}") from None
    if not isinstance(found, dict):
        raise InputError(f"{path} holds a {type(found).__name__}, not a dictionary of weights")
    return found


def generator_weights(path: str | Path, config: Config) -> Weights:
    """The generator's weights by name, weight norm folded in. InputError where they do not fit the config."""
    found = _flat(read_checkpoint(path), path)
    folded = _folded({name.removeprefix("module."): array for name, array in found.items()}, path)
    wanted = config.shapes()
    for name, shape in wanted.items():
        if name not in folded:
            other = "the config has it, and the checkpoint does not"
            raise InputError(f"{path} does not fit its config: {name}: {other}")
        if folded[name].shape != shape:
            raise InputError(
                f"{path} does not fit its config: {name} is {folded[name].shape}, and the config makes it {shape}"
            )
    more = sorted(set(folded) - set(wanted))
    if more:
        raise InputError(
            f"{path} does not fit its config: it has {more[0]}, and the config does not"
            + (f" ({len(more) - 1} more)" if len(more) > 1 else "")
        )
    weights = {name: np.ascontiguousarray(folded[name], np.float32) for name in wanted}
    broken = next((name for name, array in weights.items() if not np.isfinite(array).all()), None)
    if broken:
        raise InputError(f"{path}: {broken} holds numbers that are not finite")
    return weights


def _flat(found: dict[Any, Any], path: str | Path) -> dict[str, Array]:
    """The dictionary of tensors, at the top or one below it."""
    inner = next((found[key] for key in NESTED if isinstance(found.get(key), dict)), found)
    if not inner or not all(isinstance(k, str) and isinstance(v, np.ndarray) for k, v in inner.items()):
        what = "discriminators" if "mpd" in found else ", ".join(map(str, list(found)[:4])) or "nothing"
        raise InputError(f"{path} holds {what}, and no generator's weights: want a g_… or generator_… file")
    return inner


def _folded(found: dict[str, Array], path: str | Path) -> dict[str, Array]:
    """Weight norm folded in: w = g v / |v|, over all dimensions but the first; whichever names torch gave them."""
    names = {
        ".parametrizations.weight.original0": ".weight_g",
        ".parametrizations.weight.original1": ".weight_v",
    }
    plain: dict[str, Array] = {}
    for name, array in found.items():
        ending = next((ending for ending in names if name.endswith(ending)), None)
        plain[name.removesuffix(ending) + names[ending] if ending else name] = array
    folded = {name: array for name, array in plain.items() if not name.endswith((".weight_g", ".weight_v"))}
    for name in [name for name in plain if name.endswith(".weight_v")]:
        stem = name.removesuffix("_v")
        v, g = plain[name].astype(np.float64), plain.get(f"{stem}_g")
        if g is None or g.shape != (*v.shape[:1], *[1] * (v.ndim - 1)) or stem in folded:
            raise InputError(f"{path}: {stem} is not told by its direction and its length")
        norm = np.sqrt((v**2).sum(axis=tuple(range(1, v.ndim)), keepdims=True))
        with np.errstate(invalid="ignore", divide="ignore"):
            folded[stem] = (g * v / norm).astype(np.float32)
    return folded


# --- the two containers -----------------------------------------------------------------------------------------------


def _read_zip(data: bytes) -> Any:
    """`NAME/data.pkl`, and every row of numbers a file `NAME/data/KEY`, not compressed."""
    try:
        archive = zipfile.ZipFile(io.BytesIO(data))
        members = {member.filename.partition("/")[2]: member for member in archive.infolist()}
        if "data.pkl" not in members:
            raise RefusedError("a zip file without data.pkl")
        program = io.BytesIO(_member(archive, members, "data.pkl"))
        big = "byteorder" in members and _member(archive, members, "byteorder").strip() == b"big"

        def row(key: str) -> bytes:
            return _member(archive, members, f"data/{key}")

        return _Resolver(row, big).resolve(interpret(program))
    except (zipfile.BadZipFile, EOFError, OSError, NotImplementedError, RuntimeError, ValueError) as error:
        raise RefusedError(f"a damaged zip file ({error})") from None


def _member(archive: zipfile.ZipFile, members: dict[str, zipfile.ZipInfo], name: str) -> bytes:
    member = members.get(name)
    if member is None:
        raise RefusedError(f"the zip file has no {name}")
    if member.compress_type != zipfile.ZIP_STORED:  # torch never compresses; what unpacks to terabytes does
        raise RefusedError(f"{name} is compressed")
    return archive.read(member)


def _read_legacy(data: bytes) -> Any:
    """Pickles in a row: magic, protocol, what wrote it, the object, the keys; then every row with its length."""
    stream = io.BytesIO(data)
    if interpret(stream) != MAGIC:
        raise RefusedError("it does not begin as torch begins a file")
    if interpret(stream) != PROTOCOL:
        raise RefusedError("a protocol other than 1001")
    system, what, keys = interpret(stream), interpret(stream), interpret(stream)
    big = isinstance(system, dict) and system.get("little_endian") is False
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise RefusedError("no list of its storages")
    widths = _widths(what)
    rows: dict[str, bytes] = {}
    for key in keys:
        count = int.from_bytes(stream.read(8), "big" if big else "little")
        if count > LARGEST:
            raise RefusedError(f"storage {key[:40]} is said to have {count} numbers")
        rows[key] = stream.read(count * widths.get(key, 1))

    def row(key: str) -> bytes:
        if key not in rows:
            raise RefusedError(f"no storage {key[:40]}")
        return rows[key]

    return _Resolver(row, big).resolve(what)


def _widths(what: Any) -> dict[str, int]:
    """Bytes of a number in every row that some tensor names."""
    found: dict[str, int] = {}
    for tensor in _tensors(what):
        found[tensor.storage.key] = _width(tensor.storage.name)
    return found


def _tensors(what: Any) -> list[Tensor]:
    """All of them, each dictionary, list or tuple looked into once."""
    found, seen, waiting = [], set(), [what]
    while waiting:
        item = waiting.pop()
        if isinstance(item, Tensor):
            found.append(item)
        elif isinstance(item, dict | list | tuple) and id(item) not in seen:
            seen.add(id(item))
            waiting.extend(item.values() if isinstance(item, dict) else item)
    return found


def _width(storage: str) -> int:
    kind = STORAGES[storage]
    return 2 if kind == "bfloat16" else np.dtype(kind).itemsize


class _Resolver:
    """From what a pickle says to arrays, once the rows of numbers are known."""

    def __init__(self, row: Callable[[str], bytes], big: bool) -> None:
        self._row, self._big = row, big
        self._rows: dict[tuple[str, str], Array] = {}
        self._done: dict[int, Any] = {}

    def resolve(self, what: Any) -> Any:
        """The same, with an array where a tensor was. What occurs twice stays one."""
        if isinstance(what, Tensor):
            return self._array(what)
        if not isinstance(what, dict | list | tuple):
            return what
        if id(what) in self._done:
            return self._done[id(what)]
        self._done[id(what)] = None  # what holds itself holds nothing
        found: Any
        try:
            if isinstance(what, dict):
                found = {key: self.resolve(value) for key, value in what.items()}
            else:
                found = type(what)([self.resolve(item) for item in what])
        except RecursionError:
            raise RefusedError("nested too deeply") from None
        self._done[id(what)] = found
        return found

    def _array(self, tensor: Tensor) -> Array:
        """A view on its row; no tensor may say more numbers than its row holds."""
        row = self._numbers(tensor.storage)
        offset, shape, strides = tensor.offset, tensor.shape, tensor.strides
        size = 1
        for length in shape:
            size *= length
        last = offset + sum((n - 1) * step for n, step in zip(shape, strides, strict=True))
        if size and (size > row.size or last >= row.size):
            raise RefusedError(f"a tensor {shape} reaches beyond its storage of {row.size}")
        if not size:
            return np.zeros(shape, row.dtype)
        steps = [step * row.itemsize for step in strides]
        return np.lib.stride_tricks.as_strided(row[offset:], shape, steps, writeable=False)

    def _numbers(self, storage: Storage) -> Array:
        """(count,) of a storage."""
        place = (storage.key, storage.name)
        if place not in self._rows:
            self._rows[place] = _decoded(self._row(storage.key), storage.name, self._big)
        row = self._rows[place][storage.start : storage.start + storage.count]
        if row.size != storage.count:
            raise RefusedError(
                f"storage {storage.key[:40]} has {row.size} numbers, not {storage.count}: cut off?"
            )
        return row


def _decoded(data: bytes, storage: str, big: bool) -> Array:
    """A row of numbers as this machine's."""
    width = _width(storage)
    data = data[: len(data) // width * width]
    if STORAGES[storage] == "bfloat16":
        return (np.frombuffer(data, ">u2" if big else "<u2").astype(np.uint32) << 16).view(np.float32)
    row = np.frombuffer(data, np.dtype(STORAGES[storage]).newbyteorder(">" if big else "<"))
    return row.astype(row.dtype.newbyteorder("="), copy=False)
