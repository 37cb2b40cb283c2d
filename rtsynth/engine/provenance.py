"""Which code makes the sound: two builds with the same digest make the same samples on the same kind of processor."""

from __future__ import annotations

import hashlib
from functools import cache
from importlib.metadata import version
from pathlib import Path

from rtsynth import native

ROOMS = (
    "kernels",
    "statespace",
    "sampler",
    "instrument",
    "speech",
    "codec",
    "inference",
    "sequence",
    "vocoder",
)
PACKAGES = ("numpy", "scipy", "numba", "llvmlite")  # whose arithmetic the tables and the loops are made by


@cache
def build() -> str:
    """16 hexadecimal digits of the compiled library, the rooms that sound, and the packages they compute with."""
    digest = hashlib.sha256(native.find().read_bytes())
    package = Path(__file__).parent.parent
    for room in ROOMS:
        for path in sorted((package / room).rglob("*.py")):
            digest.update(f"\0{path.relative_to(package).as_posix()}\0".encode())
            digest.update(path.read_bytes())
    for name in PACKAGES:
        digest.update(f"\0{name} {version(name)}".encode())
    return digest.hexdigest()[:16]
