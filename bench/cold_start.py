"""How long from typing `rtsynth play` to the first sound: on the first run ever, and on those after it.

    python bench/cold_start.py [--runs 5] [--json]

Each run is a process of its own; the clock starts before it is spawned and stops at its "sound" line, printed when the
first block that is not silent has been played on the null device. The first run has an empty cache of compiled loops.
Ends with 6 when the first run takes over 4 s or the median of the others over 1.2 s.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

from rtsynth.instrument.preset import demo_piece

FIRST_LIMIT, LATER_LIMIT = 4.0, 1.2  # seconds


def seconds_to_sound(cache: str) -> tuple[float, bool]:
    """Seconds to the first sound with this cache of compiled loops, and whether a compile was announced."""
    command = [sys.executable, "-m", "rtsynth", "play", "piano", str(demo_piece())]
    command += ["--audio-out", "null", "--midi-in", "none", "--seconds", "1", "--json"]
    start = time.monotonic()
    with subprocess.Popen(
        command,
        env=os.environ | {"NUMBA_CACHE_DIR": cache},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        sounded = None
        for line in process.stdout:
            if sounded is None and json.loads(line)["event"] == "sound":
                sounded = time.monotonic() - start
        announced = "compiling" in process.stderr.read()
    if sounded is None:
        raise SystemExit("rtsynth play was never heard: try `rtsynth play piano --audio-out null` by hand")
    return sounded, announced


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--runs", type=int, default=5, help="runs after the first one")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as cache:
        first, announced = seconds_to_sound(cache)
        later = [seconds_to_sound(cache) for _ in range(options.runs)]
    seconds = [run[0] for run in later]
    row = {
        "first_run_s": round(first, 3),
        "compile_announced": announced and not any(run[1] for run in later),
        "later_median_s": round(statistics.median(seconds), 3),
        "later_max_s": round(max(seconds), 3),
        "first_limit_s": FIRST_LIMIT,
        "later_limit_s": LATER_LIMIT,
    }
    if options.json:
        print(json.dumps(row))
    else:
        print(f"first run ever     {first:6.2f} s  (limit {FIRST_LIMIT:g}), compile announced: {announced}")
        print(f"later, median of {len(later)} {statistics.median(seconds):6.2f} s  (limit {LATER_LIMIT:g})")
        print(f"later, slowest     {max(seconds):6.2f} s")
    met = first <= FIRST_LIMIT and statistics.median(seconds) <= LATER_LIMIT and row["compile_announced"]
    return 0 if met else 6


if __name__ == "__main__":
    sys.exit(main())
