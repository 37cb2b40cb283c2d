"""The same modal bank in rtsynth and in other people's programs, in one run: nanoseconds per component and sample.

    python bench/peers.py [--voices 32] [--modes 24,64] [--seconds 10] [--json]

V voices a semitone apart, D harmonics each, t60 40 s, 48 kHz, blocks of 64 frames where the peer has blocks. What
counts is CPU time (user and system, every thread), best of 3, of a long run less a short one: starting, compiling and
tables drop out. Before it is timed, every peer renders one voice, and all D modes must be found in it. (`peers` in the
imports is the folder beside this script.)

A peer that is not installed is named with how to install it. Ends with 6 when a form of rtsynth is slower than a
peer, with 1 when a peer fails or does not render that bank.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys

from peers.bank import BLOCK, CHECK_KEY, RATE, Bank, Peer, Row, ratios, row, verdict
from peers.libraries import Celerite, Lfilter, Rtsynth
from peers.programs import Csound, Faust, Klank

PEERS: tuple[Peer, ...] = (
    Rtsynth("ringing"),
    Rtsynth("innovations"),
    Faust("scalar"),
    Faust("-vec", "-vec", "-vs", str(BLOCK)),
    Klank(),
    Csound(),
    Lfilter(),
    Celerite(),
)


def show(rows: list[Row]) -> None:
    """Prints the rows of one D."""
    names = [line.peer.removeprefix("rtsynth ") for line in rows if line.own]
    print(
        f"\nD = {rows[0].modes}            ns a component and sample; times {' and '.join(names)}; channels"
    )
    for line in rows:
        if line.ns is None:
            print(f"  {line.peer:22} {line.problem}")
            continue
        times = "".join("       -" if r is None else f"{r:7.1f}x" for r in ratios(rows, line))
        print(f"  {line.peer:22} {line.ns:8.3f} {times}  {line.channels} ch  {line.note}")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--voices", type=int, default=32, help="1 … 60, a semitone apart")
    parser.add_argument("--modes", default="24,64", help="modes a voice, comma-separated")
    parser.add_argument(
        "--seconds", type=float, default=10.0, help="of audio, 1 … 20; slow peers get a share"
    )
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    try:
        options.modes = [int(word) for word in options.modes.split(",")]
    except ValueError:
        parser.error(f"--modes: whole numbers, not {options.modes}")
    if not (1 <= options.voices <= 60 and 1.0 <= options.seconds <= 20.0 and min(options.modes) >= 1):
        parser.error("--voices 1 … 60, --seconds 1 … 20, --modes 1 and more")
    # Programs differ in what they do with a mode above half the sample rate; the check plays CHECK_KEY.
    highest = max(Bank(options.voices, 1).fundamentals[-1], Bank(1, 1, first=CHECK_KEY).fundamentals[0])
    if max(options.modes) * highest >= RATE / 2:
        parser.error(f"with {options.voices} voices --modes can be at most {int(RATE / 2 / highest)}")
    return options


def main() -> int:
    options = arguments()
    codes = []
    for modes in options.modes:
        bank = Bank(options.voices, modes)
        rows = [row(peer, bank, options.seconds) for peer in PEERS]
        codes.append(verdict(rows))
        if not options.json:
            show(rows)
            continue
        for line in rows:
            print(
                json.dumps(dataclasses.asdict(line) | {"ratios": ratios(rows, line), "voices": bank.voices})
            )
    return 1 if 1 in codes else max(codes)


if __name__ == "__main__":
    sys.exit(main())
