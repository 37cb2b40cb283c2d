"""The audio thread's side of a link, called by the tests."""

from __future__ import annotations

from ctypes import CDLL, c_int64, c_void_p
from functools import cache

import numpy as np
from numpy.typing import NDArray

from rtsynth import native
from rtsynth.inference.link import Link, load


@cache
def host() -> CDLL:
    """The library, with what only the audio thread calls."""
    library = load()
    native.declare(
        library, {"rt_link_need": (None, [c_void_p, c_int64]), "rt_link_reset": (None, [c_void_p, c_int64])}
    )
    return library


def hear(link: Link, samples: NDArray[np.float32], delay: int | None = None) -> None:
    """Write (n,); then what lies `delay` samples before its end is played next."""
    samples = np.ascontiguousarray(samples, np.float32)
    host().rt_link_hear(link.address, samples.ctypes.data, len(samples))
    if delay is not None:
        host().rt_link_need(link.address, link.in_written - delay)


def answers(link: Link, position: int, frames: int) -> NDArray[np.float32]:
    """The left channel (n,) that is there from `position` on."""
    left, right = np.zeros(frames, np.float32), np.zeros(frames, np.float32)
    there = host().rt_link_answer(link.address, position, left.ctypes.data, right.ctypes.data, frames)
    return left[:there]


def reset(link: Link) -> None:
    host().rt_link_reset(link.address, link.in_written)
