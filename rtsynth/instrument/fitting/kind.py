"""Whether a note was struck and rings by itself, or is sustained for as long as it is held.

The bands of a struck note are loudest at once and only fall; those of a sustained one stay near their loudest for as
long as it lasts. Over 18 piano notes, guitar, bell and vibraphone the median band has fallen by 18 to 54 dB in the
middle of the note, over flute, violin, trumpet and soprano by 3 to 4.
"""

from __future__ import annotations

from enum import Enum
from typing import NamedTuple

import numpy as np

from rtsynth.instrument.fitting.metrics import cell_frames, erb_triangles
from rtsynth.instrument.fitting.recording import Recording

LASTS_DB = -40.0  # of the loudest frame: a note lasts until it is below
LOUD_DB = -40.0  # of the loudest cell: bands that never come above do not count
MIDDLE = (0.4, 0.6)  # of the note
FALLEN_DB = 10.0  # in the middle: a struck note
# A recording cut off early has not fallen far yet; it is struck if it was loudest at once and falls this fast.
AT_ONCE = 0.1  # seconds
FALLING_DB = 4.0  # a second


class Kind(Enum):
    """How a note is played."""

    STRUCK = "struck"
    SUSTAINED = "sustained"


class Course(NamedTuple):
    """How the median band of a note goes."""

    peak: float  # seconds from the onset to its loudest frame
    middle: float  # seconds from the onset to the middle of the note
    fallen_db: float  # from the loudest frame to the middle


def kind_of(recording: Recording) -> Kind:
    """Struck, or sustained."""
    course = course_of(recording)
    rate = course.fallen_db / max(course.middle - course.peak, 1e-3)
    struck = course.fallen_db > FALLEN_DB or (course.peak < AT_ONCE and rate > FALLING_DB)
    return Kind.STRUCK if struck else Kind.SUSTAINED


def course_of(recording: Recording) -> Course:
    """The course of the loud bands of a note, in ENV's cells."""
    frames = cell_frames(recording.sample_rate)
    hop = frames.hop / recording.sample_rate
    cells = frames.power(recording.samples) @ erb_triangles(frames.n_fft, recording.sample_rate).T
    cells = cells[recording.onset // frames.hop :]
    level = 10.0 * np.log10(cells + 1e-12 * cells.max())
    total = 10.0 * np.log10(cells.sum(axis=1) + 1e-12 * cells.max())
    last = 1 + int(np.flatnonzero(total > total.max() + LASTS_DB)[-1])
    level = level[:last, level.max(axis=0) > level.max() + LOUD_DB]
    a, b = (int(share * last) for share in MIDDLE)
    middle = np.median(level[a : max(b, a + 1)], axis=0)
    return Course(
        peak=float(np.median(level.argmax(axis=0))) * hop,
        middle=0.5 * sum(MIDDLE) * last * hop,
        fallen_db=float(np.median(level.max(axis=0) - middle)),
    )
