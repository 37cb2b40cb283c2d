"""A preset as it lies on the disk, kept in a form from which it can be read again when the files have changed."""

from __future__ import annotations

import hashlib
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rtsynth.errors import InputError
from rtsynth.instrument.preset import Preset, Recorded, parse, path_of

Keep = Callable[[bytes], str]  # a file's content -> the name it is found by again
Find = Callable[[str], Path]  # and back; the file may not be there


def content(name_or_path: str | Path, keep: Keep) -> tuple[dict[str, Any], dict[str, str]]:
    """A preset's text, for JSON, and the files it needs by the names that `keep` gives them.

    Raises InputError where it cannot be read.
    """
    path = path_of(name_or_path)
    data = path.read_bytes()
    preset = parse(data, str(path), path.parent)
    names = sorted({layer.file for layer in preset.layers if isinstance(layer, Recorded)})
    files = {name: keep((path.parent / name).read_bytes()) for name in names}
    told = {
        "name": preset.name,
        "from": str(name_or_path),
        "sha256": digest(data, files),
        "toml": data.decode(),
    }
    return told, files


def digest(toml: bytes, files: dict[str, str]) -> str:
    """SHA-256 of all that decides how a preset sounds."""
    whole = hashlib.sha256(toml)
    for name, known_by in sorted(files.items()):
        whole.update(f"\0{name}\0{known_by}".encode())
    return whole.hexdigest()


def restore(told: dict[str, Any], files: dict[str, str], find: Find) -> Preset:
    """The preset that `content` has told of. Raises InputError where a file it needs is gone, or is another one."""
    where = f"the log's preset {told['name']}"
    with tempfile.TemporaryDirectory(prefix="rtsynth-") as folder:
        for name, known_by in files.items():
            data = _read(find(known_by), where, name)
            if hashlib.sha256(data).hexdigest() != known_by:
                raise InputError(f"{where}: {find(known_by)} is not the file that was played")
            (Path(folder) / Path(name).name).write_bytes(data)
        return parse(told["toml"].encode(), where, Path(folder))


def _read(path: Path, where: str, name: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        raise InputError(f"{where}: its file {name} is not there any more: {path}") from None
