"""`rtsynth fill`: gaps in a recording, filled from the sound on both sides of each."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.flags import TALK, Talk
from rtsynth.cli.output import emit, say, warn
from rtsynth.errors import UsageError

if TYPE_CHECKING:
    from rtsynth.statespace.repair import Repair

LONG = 0.5  # s from which on a gap is more invented than restored

Gap = Annotated[
    list[str],
    Parameter(name="--gap", help="START:END in seconds, as 1.20:1.25; again for more gaps.", negative=()),
]
DRAW = "A draw given both sides, as rough as the sound is, or its mean: nearest to the truth, but softer."


def fill(
    recording: Annotated[Path, Parameter(help="A .wav, .flac, .aiff, .ogg, .mp3, … file.")],
    /,
    *,
    gap: Gap,
    out: Annotated[Path, Parameter(name=["--out", "-o"], help="The repaired file; of the recording's form.")],
    draw: Annotated[bool, Parameter(name="--draw", negative="--mean", help=DRAW)] = True,
    seed: Annotated[int, Parameter(help="One seed, one draw: the same seed gives the same bits.")] = 1,
    force: Annotated[bool, Parameter(name=["--force", "-f"], help="Overwrite a file that is there.")] = False,
    talk: Talk = TALK,
) -> int:
    """Repair gaps in a recording from the sound on both sides; nothing outside them changes."""
    import numpy as np

    from rtsynth.io.audio_files import read_audio
    from rtsynth.io.patch import check_audio_target, patch_audio
    from rtsynth.statespace.repair import repair

    if seed < 0:
        raise UsageError(f"--seed wants a whole number from 0 up, not {seed}")
    check_audio_target(out, force)
    spans = [_span(text) for text in gap]
    samples, rate = read_audio(recording)
    gaps = _in_samples(spans, rate, len(samples))
    _warn_of_long(spans)
    rng = np.random.default_rng(seed) if draw else None
    with progress(f"Filling {out.name}", talk) as update:
        filled, repairs = repair(samples, gaps, rate, rng, update)
    patches = [(done.start, filled[done.start : done.stop]) for done in repairs]
    if not patch_audio(recording, out, patches, force=force):
        warn(
            f"{out.suffix} stores the whole sound anew, not bit by bit. To keep every other sample: -o {out.stem}.wav"
        )
    _tell(repairs, rate, out, talk)
    return 0


def _span(text: str) -> tuple[float, float]:
    """START:END as seconds."""
    try:
        start, end = map(float, text.split(":"))
    except ValueError:
        raise UsageError(f"--gap {text}: wants START:END in seconds, as --gap 1.20:1.25") from None
    if not (math.isfinite(start) and math.isfinite(end)) or start < 0.0:
        raise UsageError(f"--gap {text}: wants finite seconds from 0 up, as --gap 1.20:1.25")
    if end <= start:
        turned = f"--gap {end:g}:{start:g}" if end < start else "an END after its START"
        raise UsageError(f"--gap {text} ends before it begins, or as it begins: try {turned}")
    return start, end


def _in_samples(spans: list[tuple[float, float]], rate: float, count: int) -> list[tuple[int, int]]:
    """Gaps by rising start; UsageError where they are not within the recording, overlap, or are all of it."""
    gaps: list[tuple[int, int]] = []
    for start, end in sorted(spans):
        first, last = round(start * rate), round(end * rate)
        if last > count:
            raise UsageError(
                f"--gap {start:g}:{end:g} ends after the recording does, at {count / rate:.6g} s"
            )
        if last == first:
            raise UsageError(
                f"--gap {start:g}:{end:g} holds no sample: at {rate:g} Hz one takes {1 / rate:.2g} s"
            )
        if gaps and first < gaps[-1][1]:
            raise UsageError(f"--gap {start:g}:{end:g} overlaps the gap before it: give the two as one")
        gaps.append((first, last))
    if sum(last - first for first, last in gaps) == count:
        raise UsageError(
            "the gaps are all of the recording: there is no sound to fill them from. Make them shorter"
        )
    return gaps


def _warn_of_long(spans: list[tuple[float, float]]) -> None:
    for start, end in spans:
        if end - start > LONG:
            warn(
                f"--gap {start:g}:{end:g} is long: what is put there sounds like its surroundings, but is invented"
            )


def _tell(repairs: list[Repair], rate: float, out: Path, talk: Talk) -> None:
    for done in repairs:
        snr = "silence" if math.isinf(done.expected_snr_db) else f"expected SNR {done.expected_snr_db:.1f} dB"
        where = f"{done.start / rate:.4f} s: {1e3 * (done.stop - done.start) / rate:.4g} ms"
        say(talk, f"{where}, order {done.order} learned from {1e3 * done.context:.0f} ms on each side, {snr}")
    if not talk.json:
        print(out)
        return
    for done in repairs:
        emit(
            {
                "path": str(out),
                "start": done.start / rate,
                "seconds": (done.stop - done.start) / rate,
                "samples": done.stop - done.start,
                "order": done.order,
                "context": done.context,
                "expected_snr_db": done.expected_snr_db,
            }
        )
