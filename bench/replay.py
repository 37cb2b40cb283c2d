"""Take after take, played live by random hands and rendered again from its log: does every sample come back?

    python bench/replay.py                      # 20 takes on the null device and 20 on a JACK dummy server
    python bench/replay.py --takes 4 --seconds 1 --drivers null

A take is an instrument that ships, at a random seed and gain, some in a tuning, in blocks of a random length; notes,
pedals, all other controllers, wheel, pressures, tuning messages and resets on four channels come in bursts, ahead, late
and "at once", while the output fades in and out. What was recorded while it was played is compared, bit for bit, with
renderings of its log at three block sizes; as a control, with one of the log without its first note. Ends with 6
when a sample differs, or when the control does not.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import soundfile

from rtsynth.cli.keeping import instrument, keep_log, source_of
from rtsynth.engine import Engine, render
from rtsynth.engine.session_files import find
from rtsynth.engine.session_log import Take, read_log
from rtsynth.errors import ThresholdError
from rtsynth.instrument import Instrument
from rtsynth.instrument.preset import load
from rtsynth.instrument.tuning import equal_temperament
from rtsynth.io.devices import Device, find_output, null_device
from rtsynth.io.performance import Performance
from rtsynth.messages import MESSAGE, Kind, Messages

RATE = 48000
BLOCKS = (1, 64, 1000)  # of the renderings
PRESETS = ("piano", "guitar", "bell", "bowed", "glass", "wind", "piano-modelled", "vibraphone")
KINDS = {
    Kind.NOTE_ON: 0.4,
    Kind.NOTE_OFF: 0.25,
    Kind.CONTROL: 0.2,
    Kind.BEND: 0.04,
    Kind.PROGRAM: 0.01,
    Kind.CHANNEL_PRESSURE: 0.03,
    Kind.KEY_PRESSURE: 0.03,
    Kind.TUNE: 0.025,
    Kind.RESET: 0.005,
    Kind.GAIN: 0.01,
}


def hands(engine: Engine, rng: np.random.Generator) -> Messages:
    """A burst: some late, some ahead, some "at once"."""
    count = int(rng.integers(1, 30))
    messages = np.zeros(count, MESSAGE)
    kinds = rng.choice([int(kind) for kind in KINDS], count, p=list(KINDS.values()))
    stamps = engine.stamp() + rng.integers(-500, 3000, count)
    messages["time"] = np.where(rng.random(count) < 0.2, -1, np.maximum(stamps, 0))
    messages["kind"], messages["channel"] = kinds, rng.integers(0, 4, count)
    messages["number"] = np.where(
        kinds == Kind.CONTROL, rng.choice([64, 66, 67, 1, 7, 10, 11, 74, 101, 100, 6, 38, 120, 121, 123], count),
        rng.integers(36, 97, count),
    )  # fmt: skip
    share = rng.random(count)
    messages["value"] = share
    for kind, value in (
        (Kind.CONTROL, np.floor(128 * share)),
        (Kind.BEND, 2 * share - 1),
        (Kind.TUNE, np.where(share < 0.1, np.nan, messages["number"] + share - 0.5)),
        (Kind.GAIN, 0.5 + share),
    ):
        messages["value"] = np.where(kinds == kind, value, messages["value"])
    messages["option"] = (kinds == Kind.TUNE) & (share > 0.5)
    messages["source"] = -1
    return messages


def play_by_hand(engine: Engine, rng: np.random.Generator, stop: threading.Event) -> None:
    while not stop.wait(float(rng.exponential(0.03))):
        engine.send(hands(engine, rng))
        if rng.random() < 0.05:
            (engine.fade_out if rng.random() < 0.5 else engine.fade_in)(float(rng.uniform(0, 0.05)))


def live(device: Device, rng: np.random.Generator, seconds: float, recorded: Path) -> np.ndarray:
    """A take, logged as the last one: the sound (n, 2)."""
    preset, seed = str(rng.choice(PRESETS)), int(rng.integers(1, 1000))
    source = Instrument(load(preset), seed=seed)
    block = int(rng.choice([16, 64, 100, 256]))
    tuning = equal_temperament(float(rng.uniform(430, 450))) if rng.random() < 0.3 else None
    gain_db = float(rng.uniform(-12, 6))
    over = threading.Event()
    with Performance(
        source, device, sample_rate=RATE, block=block, gain_db=gain_db, tuning=tuning
    ) as performance:
        keep_log(performance, preset, lambda: instrument(preset, seed))
        performance.record(recorded, subtype="FLOAT", tags={}, force=True)
        thread = threading.Thread(target=play_by_hand, args=(performance.engine, rng, over))
        thread.start()
        try:
            performance.run(threading.Event(), seconds=seconds)
        finally:
            over.set()
            thread.join()
    return soundfile.read(recorded, dtype="float32")[0]


def control(take: Take) -> Messages:
    """The messages without the first note-on."""
    first = np.flatnonzero(take.messages["kind"] == Kind.NOTE_ON)[:1]
    return np.delete(take.messages, first)


def compare(heard: np.ndarray) -> dict[str, object]:
    take = read_log(find("last"))
    same, began = [], time.perf_counter()
    for block in BLOCKS:
        again = render(
            source_of(take), take.messages, take.frames, sample_rate=take.rate, block=block, replay=True
        )
        same.append(bool(np.array_equal(again, heard)))
    took = time.perf_counter() - began
    other = render(source_of(take), control(take), take.frames, sample_rate=take.rate, replay=True)
    return {
        "preset": take.header["source"]["preset"]["name"],
        "seconds": take.frames / take.rate,
        "messages": len(take.messages),
        "late": (take.end or {})["late_messages"],
        "lost": take.lost,
        "peak": float(np.abs(heard).max()),
        "same": same,
        "control_differs": not np.array_equal(other, heard),
        "took": took,
    }


@contextmanager
def devices(driver: str) -> Iterator[Device]:
    if driver == "null":
        yield null_device()
        return
    from jack_driver import JackServer

    with JackServer(RATE, 64, realtime=False):
        yield find_output("JACK: system")


def run(driver: str, takes: int, seconds: float, seed: int, folder: Path) -> list[dict[str, object]]:
    found = []
    with devices(driver) as device:
        for number in range(takes):
            rng = np.random.default_rng([seed, number, driver == "jack"])
            heard = live(device, rng, seconds, folder / "live.wav")
            found.append({"driver": driver} | compare(heard))
            print(json.dumps(found[-1]), file=sys.stderr, flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--takes", type=int, default=20, help="on each driver")
    parser.add_argument("--seconds", type=float, default=2.0)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--drivers", nargs="+", default=["null", "jack"], choices=["null", "jack"])
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        os.environ["XDG_STATE_HOME"] = folder
        found = [
            one
            for driver in arguments.drivers
            for one in run(driver, arguments.takes, arguments.seconds, arguments.seed, Path(folder))
        ]
    if arguments.json:
        print(json.dumps(found))
    for driver in arguments.drivers:
        own = [one for one in found if one["driver"] == driver]
        same = sum(sum(one["same"]) for one in own)  # type: ignore[misc, arg-type]
        told = sum(int(one["messages"]) for one in own)  # type: ignore[call-overload]
        seen = sum(bool(one["control_differs"]) for one in own)
        print(
            f"{driver}: {same} of {len(BLOCKS) * len(own)} bit-identical, {told} messages; control: {seen} differ"
        )
    if not all(all(one["same"]) and one["control_differs"] for one in found):  # type: ignore[call-overload]
        sys.exit(ThresholdError.exit_code)


if __name__ == "__main__":
    main()
