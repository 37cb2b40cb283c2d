"""Strokes as a preset: a TOML file to read and edit, and the arrays beside it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from rtsynth.instrument.preset import Preset, load
from rtsynth.instrument.stroke import Stroke, sound
from rtsynth.instrument.strokes import save

PEAK_DB = -15.0  # of one stroke at full velocity: chords stay below the limiter


@dataclass(frozen=True)
class Label:
    """What a preset says of itself."""

    name: str  # lower case, digits, hyphens
    title: str
    licence: str = ""
    credit: str = ""  # of the recordings
    description: str = ""


def write_preset(path: Path, label: Label, strokes: Sequence[Stroke], modes: int) -> Preset:
    """Write `path` and its sidecar, and load them again: what is returned is what will be played."""
    sidecar = path.with_suffix(".npz")
    save(sidecar, strokes)
    path.write_text(_text(label, strokes, modes, sidecar.name), encoding="utf-8")
    return load(path)


def gain_db(strokes: Sequence[Stroke]) -> float:
    """The level at which the loudest stroke peaks at -15 dBFS."""
    peak = max(np.abs(_loudest_part(stroke)).max(initial=1e-6) for stroke in strokes)
    return float(np.clip(round(PEAK_DB - 20.0 * np.log10(peak), 1), -120.0, 60.0))


def _loudest_part(stroke: Stroke) -> NDArray[np.float64]:
    """The first 0.4 s at 48 kHz, with twice the noise's rms where it is loudest."""
    heard = sound(stroke, np.arange(19200) / 48000.0)
    noise = np.sqrt((stroke.band_gain**2).sum(axis=1).max(initial=0.0))
    return np.abs(heard) + 2.0 * noise


def _text(label: Label, strokes: Sequence[Stroke], modes: int, sidecar: str) -> str:
    sustained = any(stroke.line_frequency.size for stroke in strokes)
    one_velocity = not any(np.any(t) for s in strokes for t in (s.tilt_db, s.line_tilt_db, s.band_tilt_db))
    keys = sorted({round(stroke.key) for stroke in strokes})
    fitted_to = f"keys {keys[0]} to {keys[-1]}" if len(keys) > 1 else f"key {keys[0]}"
    quoted = {
        field: json.dumps(getattr(label, field), ensure_ascii=False) for field in Label.__dataclass_fields__
    }
    velocity = (
        "range_db = 36.0\nbrightness_db = 4.0     # nothing was recorded softer: a guess\n"
        if one_velocity
        else "range_db = 0.0          # the strokes themselves say what velocity does\n"
    )
    return f"""\
schema = 1
name = {quoted["name"]}
title = {quoted["title"]}
author = {quoted["credit"]}
licence = {quoted["licence"]}
description = {quoted["description"]}
tags = ["fitted", {'"sustained"' if sustained else '"struck"'}]
gain_db = {gain_db(strokes)}

[envelope]
attack_ms = 0.0         # the strokes begin as they were recorded
release_ms = {120.0 if sustained else 250.0}

[velocity]
{velocity}
[[layers]]
kind = "recorded"       # fitted to {fitted_to}
file = {json.dumps(sidecar)}
modes = {modes}
variance = 0.0          # 0: as recorded; 1: a stroke the process might have made; the mod wheel (CC1) overrides it
noise_variance = 1.0
"""
