"""What a file of events holds, in figures and as a table."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from rtsynth.codec.event import ABSENT, BURST, DAMPED_AFTER, LN_F0, MODES, RAMP, SHARES, Kind
from rtsynth.codec.storage import EventFile

NEPER = 20.0 / np.log(10.0)  # dB
REDUNDANT = 0.023  # seconds: an event of a voice so soon after its last one might have been spared


def summary(file: EventFile, size: int) -> dict[str, Any]:
    """Figures of a file of `size` bytes; rates are over the sound's length."""
    count, seconds = len(file.events), max(file.seconds, 1e-9)
    return {
        "seconds": file.seconds,
        "rate": file.rate,
        "scheme": file.scheme,
        "codings": sorted(set(file.codings.values())),
        "events": count,
        "kinds": {kind.name.lower(): int(np.sum(file.events["kind"] == kind)) for kind in Kind},
        "voices": len(file.codings),
        "events_per_second": count / seconds,
        "bits_per_second": 8 * file.payload / seconds,
        "bits_per_event": 8 * file.payload / count if count else 0.0,
        "file_bits_per_second": 8 * size / seconds,
        "redundant": redundant(file),
    }


def redundant(file: EventFile) -> float:
    """Share of the events, 0…1, that come within 23 ms of the last one of their kind and voice."""
    soon = 0
    for kind, voice in file.codings:
        of_voice = (file.events["kind"] == kind) & (file.events["voice"] == voice)
        gaps = np.diff(file.events["time"][of_voice]) * float(file.step)
        soon += int(np.sum(gaps <= REDUNDANT))
    return soon / max(1, len(file.events))


def described(file: EventFile) -> Iterator[dict[str, Any]]:
    """Each event in words and units that people use."""
    step = float(file.step)
    for event in file.events:
        kind = Kind(event["kind"])
        told = {
            "seconds": round(float(event["time"]) * step, 4),
            "kind": kind.name.lower(),
            "voice": int(event["voice"]),
            "gain_db": round(NEPER * float(event["gain"]), 1),
        }
        yield told | {Kind.RETARGET: _glide, Kind.STRIKE: _stroke, Kind.CODE: _code}[kind](event, step)


def _glide(event: Any, step: float) -> dict[str, Any]:
    vector = event["vector"].astype(np.float64)
    share = 1.0 / (1.0 + np.exp(-vector[SHARES]))
    return {
        "ramp_ms": round(1e3 * step * float(vector[RAMP]), 1),
        "f0": round(float(np.exp(vector[LN_F0])), 1),
        "noise": round(float(share.mean()), 2),
    }


def _stroke(event: Any, step: float) -> dict[str, Any]:
    modes = modes_of(event)
    after = float(event["vector"][DAMPED_AFTER])
    damper = {"damped_after": round(after, 3)} if after else {}
    return {
        "modes": len(modes),
        "frequencies": [round(float(f), 1) for f in np.exp(modes[:, 0])],
        "t60": round(float(np.exp(modes[:, 1].max(initial=-30.0))), 2),
        "burst_db": round(NEPER * float(event["vector"][BURST.start]), 1),
        **damper,
    }


def _code(event: Any, step: float) -> dict[str, Any]:
    return {"norm": round(float(np.linalg.norm(event["vector"])), 3)}


def modes_of(event: Any) -> np.ndarray:
    """Modes (M, 3) that a strike, a row of Events, has: ln hertz, ln t60, ln amplitude re gain."""
    modes = event["vector"][MODES].astype(np.float64).reshape(-1, 3)
    return modes[modes[:, 2] > ABSENT + 1.0]


def table(file: EventFile) -> list[tuple[str, ...]]:
    """The events as rows of texts, headings first."""
    rows: list[tuple[str, ...]] = [("seconds", "kind", "voice", "dB", "what")]
    for told in described(file):
        first = [told.pop(key) for key in ("seconds", "kind", "voice", "gain_db")]
        what = ", ".join(f"{key} {value}" for key, value in told.items())
        rows.append((f"{first[0]:.3f}", first[1], str(first[2]), f"{first[3]:.1f}", what))
    return rows
