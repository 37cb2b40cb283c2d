"""Strokes as pictures: where the ink lies."""

from __future__ import annotations

import struct
import zlib
from itertools import pairwise
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from rtsynth.errors import InputError, UsageError
from rtsynth.sequence.drawing import MARGIN, PIXELS, WIDTH, draw, png, svg

HEIGHT = 2.0
CORNER = [np.array([[0.0, 0.0], [4.0, 0.0], [4.0, 2.0]]), np.array([[1.0, 1.5]])]  # and a dot


def pixels(data: bytes) -> np.ndarray:
    """A PNG without filters, (rows, columns) of grey; every chunk's check sum is checked."""
    assert data[:8] == b"\x89PNG\r\n\x1a\n"
    place, parts = 8, {}
    while place < len(data):
        (length,) = struct.unpack(">I", data[place : place + 4])
        name, body = data[place + 4 : place + 8], data[place + 8 : place + 8 + length]
        (told,) = struct.unpack(">I", data[place + 8 + length : place + 12 + length])
        assert told == zlib.crc32(name + body)
        parts[name] = body
        place += 12 + length
    columns, rows, depth, colour = struct.unpack(">IIBB", parts[b"IHDR"][:10])
    assert (depth, colour) == (8, 0)
    lines = np.frombuffer(zlib.decompress(parts[b"IDAT"]), np.uint8).reshape(rows, columns + 1)
    assert not lines[:, 0].any()
    return lines[:, 1:]


def test_the_ink_lies_within_half_a_pens_width_of_the_strokes() -> None:
    """Every pixel against the distance of its middle from the nearest point of a finely divided stroke."""
    grey = pixels(png(CORNER, HEIGHT))
    scale = PIXELS / HEIGHT
    fine = np.concatenate([np.linspace(a, b, 400) for line in CORNER for a, b in pairwise(line)] + CORNER)
    fine = (fine + MARGIN * HEIGHT) * scale
    y, x = np.mgrid[: grey.shape[0], : grey.shape[1]] + 0.5
    distance = np.min([np.hypot(x - px, y - py) for px, py in fine], axis=0)
    meant = 255.0 * (1.0 - np.clip(0.5 * WIDTH * PIXELS + 0.5 - distance, 0.0, 1.0))
    assert np.abs(grey - meant).max() <= 6.0  # of 255: the stroke is divided, not continuous
    assert grey.shape == (round(3.6 * scale), round(5.6 * scale))


def test_an_svg_holds_the_same_lines() -> None:
    root = ElementTree.fromstring(svg(CORNER, HEIGHT))
    (path,) = (element for element in root if element.tag.endswith("path"))
    assert path.get("d") == "M0.80 0.80L4.80 0.80L4.80 2.80M1.80 2.30L1.80 2.30"
    assert root.get("viewBox") == "0 0 5.60 3.60"


def test_nothing_is_a_blank_page() -> None:
    assert (pixels(png([], HEIGHT)) == 255).all()
    assert b'd=""' in svg([], HEIGHT)


def test_another_ending_and_a_page_too_large_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"\.svg or \.png"):
        draw(CORNER, tmp_path / "a.gif", HEIGHT)
    with pytest.raises(InputError, match="too large"):
        draw([np.array([[0.0, 0.0], [1e6, 1e6]])], tmp_path / "a.png", HEIGHT)
    assert not list(tmp_path.iterdir())
