"""Struck and plucked sound by strikes: how near, how many events and bits, and which sounds they suit.

    python bench/strikes.py [NAME …] [--most 16] [--sustained] [--json]

Every recording of one struck note in ../shared/data is encoded, as it is and through the quantiser of the files, and
played by the compiled decoder, 4 takes; ENV, ONE, ATT, VALLEY as rtsynth/instrument/fitting/metrics.py has them. The
time is CPU time of the encoder. --sustained adds flute, violin, trumpet and soprano, which strikes do not suit.
A phrase, several damped notes in one recording, is played too, and not counted in the medians.
After the notes comes the choice between the kinds, over all notes and the speech clips: stretches that are told right.

Needs the recordings; without them it says so and ends with 0. Ends with 6 when the median ENV of the notes misses 2.5,
as they are or quantised, or more than 10 % of the events are redundant; with a NAME nothing is asked.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import soundfile

from rtsynth.codec.choice import choose
from rtsynth.codec.decoder import render_events
from rtsynth.codec.event import CONTROL, DAMPED_AFTER, Events, Kind
from rtsynth.codec.strike_coding import StrikeQuantiser
from rtsynth.codec.strikes import MOST, encode_strikes
from rtsynth.instrument.fitting.metrics import Scores, Target
from rtsynth.instrument.fitting.recording import Recording, prepare

DATA = Path(__file__).resolve().parents[2] / "shared" / "data"
PHRASES = ("smstools_piano_C4",)
SUSTAINED = ("flute", "violin", "trumpet", "soprano")
TAKES = 4
ASKED_ENV, ASKED_REDUNDANT = 2.5, 0.1
NEAR = 0.023  # seconds: events of one voice that are nearer are redundant


@dataclass(frozen=True)
class Row:
    """One recording; figures in decibels."""

    name: str
    seconds: float  # CPU time
    events: int
    dampers: int
    kilobits: float
    redundant: float  # share
    env: float
    one: float
    att: float
    valley: float
    env_quantised: float


def recordings(names: list[str], sustained: bool) -> list[Recording]:
    paths = [p for folder in ("piano_notes", "instrument_notes") for p in sorted((DATA / folder).glob("*.*"))]
    left_out = PHRASES if sustained else (*PHRASES, *SUSTAINED)
    paths = [p for p in paths if names or not any(part in p.stem for part in left_out)]
    return [read(p) for p in paths if not names or any(name in p.stem for name in names)]


def read(path: Path) -> Recording:
    samples, rate = soundfile.read(path, always_2d=True)
    return prepare(samples, float(rate), path.stem)


def row(recording: Recording, most: int) -> Row:
    start = time.process_time()
    events = encode_strikes(recording.samples, recording.sample_rate, most=most)
    seconds = time.process_time() - start
    quantiser, level = StrikeQuantiser.of(events), float(events["gain"].max())
    bits = sum(
        quantiser.encode(events[events["voice"] == v], level)[1].size for v in np.unique(events["voice"])
    )
    scores = score(recording, events)
    return Row(
        name=recording.name,
        seconds=seconds,
        events=len(events),
        dampers=len(np.unique(events["time"][events["vector"][:, DAMPED_AFTER] > 0.0])),
        kilobits=bits / 1000.0,
        redundant=redundant(events),
        env=scores.env,
        one=scores.one,
        att=scores.att,
        valley=scores.valley,
        env_quantised=score(recording, quantiser.quantise(events, level)).env,
    )


def score(recording: Recording, events: Events) -> Scores:
    x, rate = recording.samples, recording.sample_rate
    takes = [render_events(events, rate, x.size / rate, seed)[: x.size] for seed in range(1, TAKES + 1)]
    return Target(x, rate, recording.onset).score(np.stack(takes))


def redundant(events: Events) -> float:
    """The share of events within 23 ms of the one before in their voice."""
    gaps = [np.diff(events["time"][events["voice"] == v]) * CONTROL for v in np.unique(events["voice"])]
    return float(np.sum(np.concatenate([*gaps, np.zeros(0)]) <= NEAR) / max(len(events), 1))


def choices() -> dict[str, tuple[int, int]]:
    """(stretches told right, stretches) of struck notes, sustained notes and speech."""
    out = {}
    notes = recordings([], sustained=True)
    held = [n for n in notes if any(part in n.name for part in SUSTAINED)]
    speech = [soundfile.read(p) for p in sorted((DATA / "speech_ljspeech").glob("*.wav"))]
    sounds = {
        "struck": ([(n.samples, n.sample_rate) for n in notes if n not in held], Kind.STRIKE),
        "sustained": ([(n.samples, n.sample_rate) for n in held], Kind.RETARGET),
        "speech": ([(x, float(rate)) for x, rate in speech], Kind.RETARGET),
    }
    for name, (group, kind) in sounds.items():
        found = [stretch.kind for x, rate in group for stretch in choose(x, rate)]
        out[name] = (sum(k is kind for k in found), len(found))
    return out


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*")
    parser.add_argument("--most", type=int, default=MOST)
    parser.add_argument("--sustained", action="store_true")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    notes = recordings(options.names, options.sustained)
    if not notes:
        print(f"strikes: no recordings in {DATA}: skipped", file=sys.stderr)
        return 0
    fields = ("seconds", "events", "dampers", "kilobits", "env", "one", "att", "valley", "env_quantised")
    if not options.json:
        print(f"{'note':30}" + "".join(f"{f[:9]:>10}" for f in fields))
    rows, phrases = [], []
    for note in notes + ([] if options.names else recordings(list(PHRASES), sustained=False)):
        group = phrases if note.name in PHRASES and not options.names else rows
        group.append(row(note, options.most))
        if not options.json:
            print(f"{note.name:30}" + "".join(f"{getattr(group[-1], f):10.2f}" for f in fields), flush=True)
    medians = {f: statistics.median(getattr(r, f) for r in rows) for f in fields}
    share = sum(r.redundant * r.events for r in rows) / max(sum(r.events for r in rows), 1)
    told = {} if options.names else choices()
    if options.json:
        document = {
            "notes": [asdict(r) for r in rows],
            "phrases": [asdict(r) for r in phrases],
            "median": medians,
            "redundant": share,
            "choices": told,
        }
        print(json.dumps(document, indent=1))
    else:
        print(f"{'median':30}" + "".join(f"{medians[f]:10.2f}" for f in fields))
        print(f"redundant {100.0 * share:.1f} %   asked: ENV at most {ASKED_ENV:g}, redundant at most 10 %")
        for name, (right, count) in told.items():
            print(f"told right, {name}: {right} of {count} stretches")
    missed = max(medians["env"], medians["env_quantised"]) > ASKED_ENV or share > ASKED_REDUNDANT
    return 6 if missed and not options.names else 0


if __name__ == "__main__":
    sys.exit(main())
