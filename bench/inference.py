"""The inference process of a live model: how soon it is back when killed, what a busy Python thread does to it, what
silence costs.

    python bench/inference.py                        # all three, about four minutes
    python bench/inference.py --parts kill --kills 100 --json

kill   `kill -9` in a running stream, again and again, every other time beside a spinning Python thread: how long
       the answer was out (in samples of the stream), and what is left of the dead: descriptors, threads, memory.
spin   misses by cause on the null driver, idle and beside a spinning Python thread in turns, an empty engine beside it.
idle   processor time of all threads of both processes, in noise and in silence.

Ends with 6 where a figure misses its threshold.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import signal
import statistics
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from callback import spinning
from numpy.typing import NDArray
from processes import children, descriptors, resident, spending, threads

from rtsynth.engine import Engine
from rtsynth.engine.verdict import p_value
from rtsynth.errors import ThresholdError
from rtsynth.inference.live import LiveModel

RATE = 48000.0
WEIGHTS = Path(__file__).resolve().parents[2] / "shared" / "data" / "weights"
SETTLE_SECONDS = 1.0
MOST_OUT_SECONDS = 1.0
MOST_IDLE_SHARE = 0.03
MOST_SILENCE_RATIO = 1.1
LONGEST_TO_REST = 30.0  # seconds
MOST_LEAK_BYTES = 4 << 20  # over all kills: the heap's own noise
SIGNIFICANT = 0.05

Model = tuple[Path | str, str | None]  # a file or a shipped name, and its manifest


def noise(seconds: float) -> NDArray[np.float32]:
    return np.random.default_rng(1).normal(0, 0.05, round(seconds * RATE)).astype(np.float32)


@contextlib.contextmanager
def playing(model: Model, block: int, heard: NDArray[np.float32]) -> Iterator[tuple[LiveModel, Engine]]:
    """A model on the null driver, settled."""
    source = LiveModel(model[0], manifest=model[1], policy="silence")
    with contextlib.closing(source), Engine([source], RATE, heard=heard) as engine:
        engine.start_null(block)
        time.sleep(SETTLE_SECONDS)
        yield source, engine
        engine.stop_null()


# ---- kill ----


def kill_once(source: LiveModel) -> float:
    """Kill the worker; seconds of the stream that went without its answer."""
    before = source.measurements()
    assert source.worker is not None
    os.kill(source.worker, signal.SIGKILL)
    frames, concealed = before.computed.frames, before.played.concealed
    while (
        source.measurements().computed.frames == frames or source.measurements().restarts == before.restarts
    ):
        time.sleep(0.005)
    previous = -1
    while previous != source.measurements().played.concealed:  # until nothing is missing any more
        previous = source.measurements().played.concealed
        time.sleep(0.1)
    return (previous - concealed) / RATE


def state_of(pid: int) -> dict[str, int]:
    return {
        "descriptors": descriptors(pid),
        "threads": threads(pid),
        "children": children(pid),
        "memory": resident(pid),
    }


def measure_kills(model: Model, block: int, kills: int) -> dict[str, Any]:
    out: dict[str, list[float]] = {"idle": [], "spinning": []}
    with playing(model, block, noise(2.0 * kills + 60)) as (source, engine):
        kill_once(source)  # the first may leave something behind for good
        before, misses = state_of(os.getpid()), source.measurements().played.episodes
        for i in range(kills):
            load = "spinning" if i % 2 else "idle"
            with spinning() if load == "spinning" else contextlib.nullcontext():
                out[load].append(kill_once(source))
        time.sleep(SETTLE_SECONDS)  # the last spinning thread takes a moment to leave
        after, measured = state_of(os.getpid()), source.measurements()
        entered = engine.report().late
    return {
        "kills": kills,
        "out_s": {
            load: {"median": statistics.median(found), "max": max(found)}
            for load, found in out.items()
            if found
        },
        "before": before,
        "after": after,
        "episodes": measured.played.episodes - misses,
        "entered_by_engine": {cause.name.lower(): count for cause, count in entered.items()},
        "restarts": measured.restarts,
    }


# ---- spin ----


def measure_spinning(model: Model, block: int, seconds: float, rounds: int) -> dict[str, Any]:
    kinds = ("idle", "spinning")
    late = {load: {"model": Counter(), "control": Counter()} for load in kinds}  # type: ignore[var-annotated]
    length = 2 * rounds * (seconds / rounds + SETTLE_SECONDS) + 10
    with playing(model, block, noise(length)) as (source, engine), Engine([], RATE) as control:
        control.start_null(block)
        for _ in range(rounds):
            for load in kinds:
                with spinning() if load == "spinning" else contextlib.nullcontext():
                    time.sleep(SETTLE_SECONDS)
                    engine.reset_report()
                    control.reset_report()
                    time.sleep(seconds / rounds)
                    late[load]["model"].update(counts(engine))
                    late[load]["control"].update(counts(control))
        latency = source.latency
    idle, busy = (late[load]["model"] for load in kinds)
    return {
        "latency_ms": 1e3 * latency / RATE,
        "late": late,
        # One-sided: were both equally prone, how likely is it that the busy half misses at least so often?
        "p_worker": p_value(busy["worker"], idle["worker"]),
        "p_all": p_value(missed(busy), missed(idle)),
    }


def counts(engine: Engine) -> Counter[str]:
    report = engine.report()
    causes = {cause.name.lower(): count for cause, count in report.late.items()}
    return Counter({"blocks": report.blocks, **causes})


def missed(found: Counter[str]) -> int:
    return sum(count for name, count in found.items() if name != "blocks")


# ---- idle ----


def measure_idling(model: Model, block: int, seconds: float) -> dict[str, Any]:
    """Share of a core, of both processes; an empty engine's, which is the null driver's clock, beside it."""
    shares: dict[str, float] = {}
    with Engine([], RATE) as empty:
        empty.start_null(block)
        time.sleep(SETTLE_SECONDS)
        with spending([os.getpid()], seconds) as spent:
            time.sleep(seconds)
        shares["empty engine"] = spent.share
    heard = noise(SETTLE_SECONDS + seconds + 1)  # and then silence
    with playing(model, block, heard) as (source, engine):
        pids = [os.getpid(), source.worker or 0]
        with spending(pids, seconds) as spent:
            time.sleep(seconds)
        shares["noise"] = spent.share
        while engine.time < len(heard) + RATE:
            time.sleep(0.1)
        resting_after = wait_for_rest(source)
        before = source.measurements().computed
        with spending(pids, seconds) as spent, spending(pids[1:], seconds) as spent_by_worker:
            time.sleep(seconds)
        shares["silence"] = spent.share
        shares["silence, worker alone"] = spent_by_worker.share
        after = source.measurements().computed
    return {
        "share_of_a_core": shares,
        "resting_after_s": resting_after,
        "idle_frames": after.idle - before.idle,
        "computed_frames": after.frames - before.frames,
    }


def wait_for_rest(source: LiveModel) -> float:
    """Until it computes no more, if it ever does; seconds."""
    begun = time.monotonic()
    while time.monotonic() - begun < LONGEST_TO_REST:
        frames = source.measurements().computed.frames
        time.sleep(0.5)
        if source.measurements().computed.frames == frames:
            break
    return time.monotonic() - begun


# ---- all ----


def verdict(name: str, found: dict[str, Any]) -> list[str]:
    """What missed its threshold."""
    wrong = []
    if "kill" in found:
        kill = found["kill"]
        worst = max(out["max"] for out in kill["out_s"].values())
        before, after = kill["before"], kill["after"]
        leaks = [key for key in ("descriptors", "threads", "children") if after[key] > before[key]]
        wrong += [f"{name}: out for {worst:.2f} s"] * (worst > MOST_OUT_SECONDS)
        wrong += [f"{name}: {key} leak: {before[key]} before, {after[key]} after" for key in leaks]
        wrong += [f"{name}: memory leaks"] * (after["memory"] - before["memory"] > MOST_LEAK_BYTES)
        wrong += [f"{name}: {kill['restarts'] - 1} restarts"] * (kill["restarts"] - 1 != kill["kills"])
    if "spin" in found and found["spin"]["p_worker"] < SIGNIFICANT:
        wrong.append(f"{name}: a spinning thread makes it late (p = {found['spin']['p_worker']:.2g})")
    if "idle" in found:
        shares = found["idle"]["share_of_a_core"]
        wrong += [f"{name}: {shares['silence']:.1%} of a core in silence"] * (
            shares["silence"] > MOST_IDLE_SHARE
        )
        wrong += [f"{name}: silence costs more than noise"] * (
            shares["silence"] > MOST_SILENCE_RATIO * shares["noise"]
        )
    return wrong


def show(name: str, found: dict[str, Any]) -> None:
    print(f"\n{name}")
    if "kill" in found:
        kill = found["kill"]
        for load, out in kill["out_s"].items():
            print(
                f"  kill -9, Python {load:8}: out for {out['median']:.3f} s (median), {out['max']:.3f} s at most"
            )
        print(f"  {kill['kills']} kills: {kill['episodes']} misses, entered {kill['entered_by_engine']}")
        for key, value in kill["before"].items():
            print(f"  {key:12} {value:>12} before, {kill['after'][key]:>12} after")
    if "spin" in found:
        spin = found["spin"]
        print(f"  latency {spin['latency_ms']:.2f} ms; late blocks, by cause:")
        for load, totals in spin["late"].items():
            for who, numbers in totals.items():
                print(
                    f"    Python {load:8} {who:8} {missed(numbers):5} of {numbers['blocks']}  {dict(numbers)}"
                )
        print(
            f"    as often as idle, by chance alone: p = {spin['p_worker']:.3f} (worker), {spin['p_all']:.3f} (all)"
        )
    if "idle" in found:
        for what, share in found["idle"]["share_of_a_core"].items():
            print(f"  {what:22} {share:7.2%} of a core")
        print(
            f"  in silence {found['idle']['idle_frames']} frames idle, {found['idle']['computed_frames']} computed"
        )


def default_models() -> dict[str, Model]:
    """The shipped effect, a recurrent network on 64 samples a frame; and the speech enhancer, where it is."""
    gtcrn = WEIGHTS / "gtcrn_stream" / "gtcrn.onnx"
    return {"drive": ("drive", None)} | ({"gtcrn": (gtcrn, "gtcrn")} if gtcrn.exists() else {})


def parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--parts", default="kill,spin,idle")
    parser.add_argument("--model", type=Path, help="an .onnx file of your own")
    parser.add_argument("--manifest")
    parser.add_argument("--block", type=int, default=64, help="samples")
    parser.add_argument("--kills", type=int, default=100)
    parser.add_argument("--seconds", type=float, default=30.0, help="of each kind of run")
    parser.add_argument("--rounds", type=int, default=3, help="turns between idle and spinning")
    parser.add_argument("--json", action="store_true")
    return parser.parse_args()


def main() -> int:
    arguments = parse()
    parts = arguments.parts.split(",")
    results: dict[str, dict[str, Any]] = {}
    own = {arguments.model.stem: (arguments.model, arguments.manifest)} if arguments.model else None
    for name, model in (own or default_models()).items():
        found = results[name] = {}
        if "kill" in parts:
            found["kill"] = measure_kills(model, arguments.block, arguments.kills)
        if "spin" in parts:
            found["spin"] = measure_spinning(model, arguments.block, arguments.seconds, arguments.rounds)
        if "idle" in parts:
            found["idle"] = measure_idling(model, arguments.block, arguments.seconds)
    machine = {"machine": platform.machine(), "cores": os.cpu_count(), "load": os.getloadavg()[0]}
    if arguments.json:
        print(json.dumps(machine | {"block": arguments.block, "models": results}))
    else:
        print(
            f"{machine['machine']}, {machine['cores']} cores, load {machine['load']:.1f}; blocks of {arguments.block}"
        )
        for name, found in results.items():
            show(name, found)
    wrong = [line for name, found in results.items() for line in verdict(name, found)]
    for line in wrong:
        print(f"inference: {line}", file=sys.stderr)
    return ThresholdError.exit_code if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
