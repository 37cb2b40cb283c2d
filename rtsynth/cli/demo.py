"""`rtsynth demo`: the bundled piece on the piano, in real time, kept as demo.wav."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from rtsynth.cli.flags import TAKE, TALK, TARGET, AudioOut, Record, Take, Talk, Target
from rtsynth.cli.play import play


def demo(
    *,
    audio_out: AudioOut = None,
    record: Record = Path("demo.wav"),
    take: Take = TAKE,
    target: Target = TARGET,
    talk: Talk = TALK,
) -> int:
    """Play the bundled piece on the piano; an older demo.wav is overwritten."""
    from rtsynth.instrument.preset import demo_piece

    target = replace(target, force=target.force or record == Path("demo.wav"))
    return play(
        "piano",
        str(demo_piece()),
        audio_out=audio_out,
        midi_in="none",
        record=record,
        take=take,
        target=target,
        talk=talk,
    )
