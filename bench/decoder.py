"""The codec's decoder: what it costs, from a voice of speech to every voice and strike there is.

    python bench/decoder.py [--seconds 60] [--json]

Share of a core: the processor's time over the sound's, in blocks of 64 samples at 48 kHz, as fast as it goes. Ends with
6 when 48 harmonics and 24 bands take more than 15 % of a core.
"""

from __future__ import annotations

import argparse
import json
import sys
import time

import numpy as np

from rtsynth.codec.decoder import STRIKES, VOICES, Decoder
from rtsynth.codec.event import CONTROL, Event, as_events, retarget, strike
from rtsynth.engine import Engine
from rtsynth.errors import ThresholdError

RATE, BLOCK = 48000, 64
MOST = 0.15  # of a core
EVENTS_PER_SECOND = 30


def speech(seconds: float, hertz: float, voice: int = 0) -> list[Event]:
    """30 retargets a second around a pitch; 8860 / hertz harmonics."""
    rng = np.random.default_rng(voice)
    times = np.arange(0.0, seconds, 1.0 / EVENTS_PER_SECOND) / CONTROL
    return [
        retarget(
            int(at),
            rng.uniform(1, 8),
            np.log(hertz) + rng.normal(0, 0.05),
            rng.normal(-6, 1, 24),
            np.zeros(5),
            voice,
        )
        for at in times
    ]


def bells(seconds: float) -> list[Event]:
    """As many strikes as may sound at once, all the while, each with a burst as long."""
    times = np.arange(0.0, seconds, 4.0 / STRIKES) / CONTROL
    modes = [[np.log(200.0 * (m + 1)), np.log(4.0), -8.0] for m in range(8)]
    return [strike(int(at), 0.0, modes, [-8.0, 7.0, 6.0, np.log(4.0), 1.0]) for at in times]


def share_of_a_core(events: list[Event], seconds: float) -> float:
    out = np.empty((BLOCK, 2), np.float32)
    with Engine([Decoder(as_events(events))], RATE) as engine:
        start = time.thread_time()
        for _ in range(round(seconds * RATE) // BLOCK):
            engine.process(out)
        return (time.thread_time() - start) / seconds


def measure(seconds: float) -> dict[str, float]:
    few = min(seconds, 10.0)
    return {
        "no events": share_of_a_core([], seconds),
        "48 harmonics, 24 bands": share_of_a_core(speech(seconds, 8860.0 / 48), seconds),
        "128 harmonics, 24 bands": share_of_a_core(speech(seconds, 8860.0 / 128), seconds),
        f"{STRIKES} strikes with bursts": share_of_a_core(bells(few), few),
        f"{VOICES} voices of 48 harmonics": share_of_a_core(
            [event for voice in range(VOICES) for event in speech(few, 8860.0 / 48, voice)], few
        ),
    }


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=60.0, help="of sound")
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    found = measure(arguments.seconds)
    if arguments.json:
        print(json.dumps(found))
    else:
        for name, share in found.items():
            print(f"{name:32} {100 * share:6.2f} % of a core")
    missed = found["48 harmonics, 24 bands"] > MOST
    if missed:
        print(f"missed: more than {100 * MOST:g} % of a core", file=sys.stderr)
    return ThresholdError.exit_code if missed else 0


if __name__ == "__main__":
    sys.exit(main())
