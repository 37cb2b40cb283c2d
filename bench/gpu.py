"""The bank and networks on a GPU, beside one core of the CPU in the same run.

    python bench/gpu.py [--only bank|networks] [--model FILE.onnx[:MANIFEST] ...] [--quick] [--json] [--out FILE]

The bank: a block's time against the number of voices, from gains in page-locked memory to the mix there, its kernels
alone by the GPU's events, and how many voices take half of a block's time at p99 (confirmed with blocks asked for in
real time). The CPU's rows are its compiled loops on one core; neither side counts envelopes, which the host works out
for both. Networks: a frame from host memory to host memory, with CUDA graphs and without, and one core; shipped and
given models also from host ring to host ring (rtsynth/inference/link.py) in one thread: copy in, network, copy out,
without the wake-up of another process, which `rtsynth bench MODEL --device cuda` measures.

Without a GPU the GPU's rows read "not measured", and the script ends with 0.
"""

from __future__ import annotations

import argparse
import itertools
import json
import platform
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from gpu_cpu_bank import CpuBank
from gpu_network import FRAME, RATE, write
from numpy.typing import NDArray

from rtsynth import cuda
from rtsynth.errors import RtsynthError
from rtsynth.inference.cuda import CudaStepper, installation
from rtsynth.inference.link import Link, load
from rtsynth.inference.manifest import list_models, load_manifest
from rtsynth.inference.model import CpuStepper, StreamingModel
from rtsynth.inference.schema import Manifest
from rtsynth.sampler.cuda import Rows, why_not
from rtsynth.sampler.cuda_timing import full_bank, measure_bank

SAMPLE_RATE = 48000.0
BLOCKS = (64, 128, 256, 512)  # frames
SHAPES = {"noisy": lambda count: Rows(0, count), "ringing": lambda count: Rows(count, 0)}
COUNTS = (24, 64)  # rows a voice
SHARE = 0.5  # of a block's time, at p99
MOST_VOICES, MOST_VOICES_CPU, LARGEST = 1 << 16, 1 << 12, 1 << 20
CODEC_CHANNELS = (32, 64)
BATCHES = (1, 2, 4, 8, 16, 32)
NOT_MEASURED = "not measured"

Times = NDArray[np.int64]
Row = dict[str, Any]


def percentiles(prefix: str, ns: Times) -> Row:
    """p50, p99, p99.9 and the longest, in µs; from all of them."""
    names = {"p50": 50, "p99": 99, "p99.9": 99.9, "max": 100}
    return {
        f"{prefix}_{name}_us": float(np.percentile(ns, q, method="higher")) / 1e3 for name, q in names.items()
    }


# ---- the bank ----


def bank_rows(form: str, count: int, quick: bool) -> Iterator[Row]:
    """Times against voices, 1, 2, 4 …, on both devices, at every block size."""
    shape, times = SHAPES[form](count), 200 if quick else 1000
    problem = why_not()
    for voices in (2**n for n in range(0, 17, 4 if quick else 1)):
        if voices <= MOST_VOICES_CPU:
            on_cpu = CpuBank(voices, shape, max(BLOCKS))
            for frames in BLOCKS:
                ns = on_cpu.measure(frames, max(20, min(times, round(1e9 / (voices * count * frames)))))
                yield bank_row("cpu", form, count, voices, frames, ns) | {"blocks": len(ns)}
        if problem:
            yield {
                "what": "bank",
                "device": "cuda",
                "form": form,
                "rows": count,
                "voices": voices,
                "why": problem,
            }
            continue
        on_gpu = full_bank(voices, shape, max(BLOCKS))
        for frames in BLOCKS:
            measured = measure_bank(on_gpu, frames, times)
            row = bank_row("cuda", form, count, voices, frames, measured.wall_ns) | {"blocks": times}
            yield row | percentiles("kernels", measured.kernels_ns)


def bank_row(device: str, form: str, count: int, voices: int, frames: int, ns: Times) -> Row:
    row = {"what": "bank", "device": device, "form": form, "rows": count, "voices": voices, "block": frames}
    row["share_p99"] = float(np.percentile(ns, 99, method="higher")) / budget_ns(frames)
    return row | percentiles("wall", ns)


def budget_ns(frames: int) -> float:
    return 1e9 * frames / SAMPLE_RATE


def most_voices(form: str, count: int, frames: int, rows: list[Row], quick: bool) -> list[Row]:
    """How many voices take SHARE of a block at p99: on the CPU by a straight line, on the GPU by trying."""
    mine = [row for row in rows if row.get("block") == frames and (row["form"], row["rows"]) == (form, count)]
    found = []
    for device, problem in (("cpu", None), ("cuda", why_not())):
        row: Row = {"what": "most voices", "device": device, "form": form, "rows": count, "block": frames}
        if problem:
            found.append(row | {"why": problem})
            continue
        last = [r for r in mine if r["device"] == device][-2:]
        per_voice = (last[1]["share_p99"] - last[0]["share_p99"]) / (last[1]["voices"] - last[0]["voices"])
        guess = last[1]["voices"] + (SHARE - last[1]["share_p99"]) / per_voice
        if device == "cpu":
            found.append(row | {"voices": round(guess), "how": "straight line"})
        else:
            found.append(row | confirmed(SHAPES[form](count), frames, guess, quick))
    return found


def confirmed(shape: Rows, frames: int, guess: float, quick: bool) -> Row:
    """The guess, or 10 % fewer again and again, until blocks asked for in real time keep within SHARE at p99."""
    voices, times = min(LARGEST, max(1, round(guess))), 200 if quick else max(1000, 96000 // frames)
    while True:
        measured = measure_bank(full_bank(voices, shape, frames), frames, times, rate=SAMPLE_RATE)
        row = bank_row("cuda", "", 0, voices, frames, measured.wall_ns)
        if row["share_p99"] <= SHARE or voices == 1:
            kept = {key: value for key, value in row.items() if key.startswith(("wall", "share", "voices"))}
            limit = "as many as were tried" if voices == LARGEST else "in real time"
            return kept | percentiles("kernels", measured.kernels_ns) | {"blocks": times, "how": limit}
        voices = max(1, int(0.9 * voices))


# ---- networks ----


def codec_rows(quick: bool) -> Iterator[Row]:
    """Networks of a codec's size (bench/gpu_network.py), one and many streams at once."""
    with tempfile.TemporaryDirectory() as folder:
        for channels in CODEC_CHANNELS[: 1 if quick else None]:
            for batch in BATCHES[: 2 if quick else None]:
                manifest, products = write(Path(folder) / f"codec{channels}_{batch}.onnx", channels, batch)
                extra = {"batch": batch, "gmac_per_second": products * RATE / FRAME / 1e9}
                for row in stepper_rows(manifest, quick):
                    yield row | extra | {"model": f"codec-like, {channels} channels"}


def shipped() -> list[Manifest]:
    """The models that come with their networks."""
    found = []
    for name in list_models():
        try:
            found.append(load_manifest(name))
        except RtsynthError:
            continue
    return found


def model_rows(manifest: Manifest, quick: bool) -> Iterator[Row]:
    for row in stepper_rows(manifest, quick):
        yield row | {"model": manifest.name, "batch": 1}
    for device in ("cpu", "cuda"):
        row: Row = {
            "what": "network",
            "device": device,
            "model": manifest.name,
            "batch": 1,
            "path": "ring to ring",
        }
        problem = installation().problem if device == "cuda" else ""
        if problem:
            yield row | {"why": problem}
            continue
        model = StreamingModel(manifest, device=device)
        yield row | timed(manifest, ring_to_ring(model), quick)


def stepper_rows(manifest: Manifest, quick: bool) -> Iterator[Row]:
    """The network alone, from host memory to host memory."""
    source, _ = manifest.ports
    tensor = np.random.default_rng(1).standard_normal(source.shape or ()).astype(np.float32)
    row: Row = {"what": "network", "path": "host to host"}
    plain = CpuStepper(manifest)
    yield row | {"device": "cpu"} | timed(manifest, lambda: plain.step(tensor), quick)
    for graphs in (True, False):
        on_gpu: Row = row | {"device": "cuda", "graphs": graphs}
        if problem := installation().problem:
            yield on_gpu | {"why": problem}
            continue
        stepper = CudaStepper(manifest, graphs=graphs)
        if graphs and not stepper.graphs:
            yield on_gpu | {"why": "onnxruntime cannot record this network: some of its nodes run on the CPU"}
            continue
        measured = timed(manifest, lambda stepper=stepper: stepper.step(tensor), quick)  # type: ignore[misc]
        yield on_gpu | measured | percentiles("kernels", on_the_gpu_alone(stepper, quick))


def timed(manifest: Manifest, step: Callable[[], object], quick: bool) -> Row:
    """Wall time of many steps after some that are not counted."""
    began = time.perf_counter_ns()
    for _ in range(20):
        step()
    each = (time.perf_counter_ns() - began) / 20
    times = np.zeros(int(np.clip(3e9 / each, 100, 200 if quick else 2000)), np.int64)
    for turn in range(-50, len(times)):
        began = time.perf_counter_ns()
        step()
        if turn >= 0:
            times[turn] = time.perf_counter_ns() - began
    row = percentiles("wall", times) | {"frames": len(times)}
    if manifest.sample_rate and manifest.frame:
        budget = 1e9 * manifest.frame / manifest.sample_rate
        row["times_real_time_p99"] = budget / float(np.percentile(times, 99, method="higher"))
    return row


def on_the_gpu_alone(stepper: CudaStepper, quick: bool) -> Times:
    assert stepper.stream is not None
    times, watch = np.zeros(100 if quick else 500, np.int64), cuda.Stopwatch(stepper.stream)
    for turn in range(len(times)):
        watch.start()
        stepper.compute()
        watch.stop()
        stepper.stream.synchronize()
        times[turn] = watch.nanoseconds()
    return times


def ring_to_ring(model: StreamingModel) -> Callable[[], None]:
    """A frame into the ring that a worker reads, through the model, and out of the ring that it writes."""
    link, library = Link.create(1 << 17, model.channels), load()
    frame = np.random.default_rng(1).uniform(-0.1, 0.1, model.frame).astype(np.float32)
    heard, left, right = (
        np.empty(model.frame, np.float32),
        np.empty(model.frame, np.float32),
        np.empty_like(frame),
    )
    position = 0

    def step() -> None:
        nonlocal position
        library.rt_link_hear(link.address, frame.ctypes.data, len(frame))
        link.read(position, heard)
        link.write(position, np.ascontiguousarray(model.step(heard)))
        library.rt_link_answer(link.address, position, left.ctypes.data, right.ctypes.data, len(left))
        position += len(frame)

    return step


# ---- what is said ----


def facts() -> Row:
    """The machine, and why which part is not measured on its GPU."""
    networks = installation()
    return {
        "CPU": f"{processor()}, Python {platform.python_version()}",
        "GPU": networks.gpu or "none",
        "bank": why_not() or "runs on the GPU",
        "networks": networks.problem or f"run on the GPU ({networks.onnxruntime})",
    }


def processor() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return platform.machine()


def line(row: Row, facts: Row) -> str:
    """A row of the table; a reason that the head of the table gives is not repeated."""
    if row["what"] == "network":
        graph = {True: ", graphs", False: ", no graphs"}.get(row.get("graphs"), "")
        name = f"{row['model']}, batch {row['batch']}, {row['path']}, {row['device']}{graph}"
    else:
        block = f", block {row['block']}" if "block" in row else ""
        voices = f", {row['voices']} voices" if "voices" in row else ""
        name = f"{row['what']}, {row['form']}, D = {row['rows']}{block}{voices}, {row['device']}"
    if "why" in row:
        return f"{name:<72} {NOT_MEASURED}" + ("" if row["why"] in facts.values() else f" ({row['why']})")
    figures = [
        f"{label} {row[f'wall_{label}_us']:.1f}"
        for label in ("p50", "p99", "p99.9", "max")
        if f"wall_{label}_us" in row
    ]
    if "kernels_p50_us" in row:
        figures.append(f"kernels {row['kernels_p50_us']:.1f}")
    text = f"{name:<72} {'  '.join(figures)}{' µs' if figures else ''}"
    if "share_p99" in row:
        text += f"  {100 * row['share_p99']:.1f} % of the block"
    if "times_real_time_p99" in row:
        text += f"  {row['times_real_time_p99']:.0f} x real time at p99"
    return text + (f"  ({row['how']})" if "how" in row else "")


def measure(what: str, models: list[str], quick: bool, say: Callable[[Row], None]) -> list[Row]:
    """Every row, said as it comes; a part that fails is a row that says why."""
    rows: list[Row] = []

    def keep(part: Row, found: Callable[[], Iterable[Row]]) -> None:
        try:
            for row in found():
                rows.append(row)
                say(row)
        except Exception as error:  # the rest of a borrowed GPU's time is worth more than one part
            rows.append(
                part | {"device": "both", "why": f"{type(error).__name__}: {' '.join(str(error).split())}"}
            )
            say(rows[-1])

    if what in ("networks", "all"):
        for manifest in [load_manifest(*text.split(":", 1)) for text in models] + shipped():
            part = {"what": "network", "model": manifest.name, "batch": 1, "path": "all"}
            keep(part, lambda manifest=manifest: model_rows(manifest, quick))  # type: ignore[misc]
        keep({"what": "network", "model": "codec-like", "batch": 1, "path": "all"}, lambda: codec_rows(quick))
    for form, count in itertools.product(SHAPES, COUNTS) if what in ("bank", "all") else ():
        part = {"what": "bank", "form": form, "rows": count}
        keep(part, lambda form=form, count=count: bank_rows(form, count, quick))  # type: ignore[misc]
        for frames in BLOCKS:
            most = lambda form=form, count=count, frames=frames: most_voices(form, count, frames, rows, quick)  # noqa: E731
            keep(part | {"what": "most voices", "block": frames}, most)
    return rows


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument(
        "--model", action="append", default=[], help="FILE.onnx, or FILE.onnx:MANIFEST; again for more"
    )
    parser.add_argument("--only", choices=("bank", "networks"), help="one of the two parts")
    parser.add_argument("--quick", action="store_true", help="fewer sizes, fewer blocks: to see that it runs")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    parser.add_argument("--out", type=Path, help="write the JSON document to a file too")
    arguments = parser.parse_args()
    found = facts()
    if not arguments.json:
        print("\n".join(f"{name}: {what}" for name, what in found.items()), flush=True)
    say = (lambda row: None) if arguments.json else (lambda row: print(line(row, found), flush=True))
    document = {
        "machine": found,
        "rows": measure(arguments.only or "all", arguments.model, arguments.quick, say),
    }
    if arguments.json:
        json.dump(document, sys.stdout)
    if arguments.out:
        arguments.out.write_text(json.dumps(document))
    return 0


if __name__ == "__main__":
    sys.exit(main())
