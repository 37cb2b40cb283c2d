"""Strokes as a picture: SVG as text, PNG by a small rasteriser of its own (NumPy and zlib)."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError, UsageError

Array = NDArray[np.float64]
Lines = Sequence[Array]  # polylines, (points, 2) each; y down

WIDTH = 0.09  # of the pen, relative to the height of a line
MARGIN = 0.4
PIXELS = 40.0  # to a line's height, in a PNG
LARGEST = 100_000_000  # pixels


def draw(lines: Lines, path: Path, height: float) -> None:
    """Write .svg or .png; `height`: of a line, in the unit of the points. UsageError for another ending."""
    written = {".svg": svg, ".png": png}.get(path.suffix.lower())
    if written is None:
        raise UsageError(f"{path}: a picture is .svg or .png; the strokes themselves are .json")
    path.write_bytes(written(lines, height))


def svg(lines: Lines, height: float) -> bytes:
    low, high = _edges(lines, height)
    size = high - low
    drawn = "".join(
        "M" + "L".join(f"{x:.2f} {y:.2f}" for x, y in _shown(line - low).tolist()) for line in lines
    )
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {size[0]:.2f} {size[1]:.2f}">'
        f'<rect width="100%" height="100%" fill="#fff"/><path d="{drawn}" fill="none" stroke="#123"'
        f' stroke-width="{WIDTH * height:.3f}" stroke-linecap="round" stroke-linejoin="round"/></svg>\n'
    ).encode()


def png(lines: Lines, height: float) -> bytes:
    """Eight bits of grey."""
    low, high = _edges(lines, height)
    scale = PIXELS / height
    columns, rows = (int(n) for n in np.ceil((high - low) * scale))
    if columns * rows > LARGEST:
        raise InputError(f"a picture of {columns} × {rows} pixels is too large: write less, or an .svg")
    ink = np.zeros((rows, columns))
    for line in lines:
        points = _shown((line - low) * scale)
        for start, end in pairwise(points):
            _mark(ink, start, end, 0.5 * WIDTH * PIXELS)
    grey = (255.0 * (1.0 - ink)).round().astype(np.uint8)
    raw = np.pad(grey, ((0, 0), (1, 0))).tobytes()  # every row behind the filter that does nothing
    header = struct.pack(">IIBBBBB", columns, rows, 8, 0, 0, 0, 0)
    parts = ((b"IHDR", header), (b"IDAT", zlib.compress(raw, 6)), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(_chunk(*part) for part in parts)


def _edges(lines: Lines, height: float) -> tuple[Array, Array]:
    every = np.concatenate(lines) if lines else np.zeros((1, 2))
    return every.min(axis=0) - MARGIN * height, every.max(axis=0) + MARGIN * height


def _shown(line: Array) -> Array:
    """A stroke of one point is a dot."""
    return np.repeat(line, 2, axis=0) if len(line) == 1 else line


def _mark(ink: Array, start: Array, end: Array, radius: float) -> None:
    """A segment with round ends, its edge spread over a pixel: into the part of (rows, columns) that it touches."""
    low = np.maximum(np.floor(np.minimum(start, end) - radius - 1.0), 0).astype(int)
    high = np.ceil(np.maximum(start, end) + radius + 1.0).astype(int)
    part = ink[low[1] : high[1], low[0] : high[0]]
    y, x = np.mgrid[low[1] : low[1] + part.shape[0], low[0] : low[0] + part.shape[1]] + 0.5
    way = end - start
    along = ((x - start[0]) * way[0] + (y - start[1]) * way[1]) / max(float(way @ way), 1e-12)
    along = np.clip(along, 0.0, 1.0)
    distance = np.hypot(x - start[0] - along * way[0], y - start[1] - along * way[1])
    np.maximum(part, np.clip(radius + 0.5 - distance, 0.0, 1.0), out=part)


def _chunk(name: bytes, data: bytes) -> bytes:
    return struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data))
