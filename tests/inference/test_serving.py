"""The worker's turns, in this process: answers as of the whole run, stalls made up for or skipped, sleep in silence."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from rtsynth.inference import serving
from rtsynth.inference.link import Link
from rtsynth.inference.manifest import load_manifest
from rtsynth.inference.model import StreamingModel
from rtsynth.inference.offline import run_offline
from rtsynth.inference.pipeline import Pipeline
from rtsynth.inference.serving import ProcessLoop, percentile, warm_up
from tests.inference import networks
from tests.inference.host import answers, hear, reset
from tests.inference.identity import noise

pytest.importorskip("onnxruntime", reason="models run in onnxruntime: pip install onnxruntime")

RATE = 48000.0
CAPACITY = 1 << 16


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("networks")
    return {
        "pole": networks.one_pole(folder / "pole.onnx", 64),
        "pole16": networks.one_pole(folder / "pole16.onnx", 100, metadata={"rtsynth.sample_rate": "16000"}),
        "pole22": networks.one_pole(folder / "pole22.onnx", 64, metadata={"rtsynth.sample_rate": "22050"}),
        "gru": networks.gru(folder / "gru.onnx", 64),
        "identity": networks.identity(folder / "identity.onnx", (1, 64)),
        "fussy": networks.fussy(folder / "fussy.onnx", 64),
    }


def model(path: Path) -> StreamingModel:
    return StreamingModel(load_manifest(path))


class Bench:
    """A link that a test plays to, and a loop that answers it."""

    def __init__(self, path: Path, capacity: int = CAPACITY) -> None:
        self.link = Link.create(capacity, 1)
        self.pipeline = Pipeline(model(path), RATE)
        self.loop = ProcessLoop(self.link, self.pipeline, RATE)

    def hear(self, samples: NDArray[np.float32], delay: int | None = None) -> None:
        hear(self.link, samples, delay)

    def work(self) -> None:
        while self.loop.turn(0.0):
            pass

    def read(self, position: int, frames: int) -> NDArray[np.float32]:
        return answers(self.link, position, frames)


@pytest.mark.parametrize("name", ["pole", "pole16", "gru"])
@settings(max_examples=15, deadline=None)
@given(blocks=st.lists(st.sampled_from([1, 16, 61, 64, 127, 441, 1024, 2048]), min_size=1, max_size=12))
def test_answers_are_those_of_the_whole_run(files: dict[str, Path], name: str, blocks: list[int]) -> None:
    bench = Bench(files[name])
    samples = noise(sum(blocks))
    for start, block in zip(np.cumsum([0, *blocks]), blocks, strict=False):
        bench.hear(samples[start : start + block])
        bench.work()
        assert bench.link.out_written >= start + block - bench.pipeline.framing
    want = run_offline(model(files[name]), samples, RATE)[:, 0]
    got = bench.read(0, len(samples))
    assert len(got) == bench.link.out_written
    np.testing.assert_allclose(got, want[: len(got)], atol=1e-5)


def test_frames_and_their_times_are_counted(files: dict[str, Path]) -> None:
    bench = Bench(files["pole"])
    for start in range(0, 640, 64):
        bench.hear(noise(640)[start : start + 64])
        bench.work()
    counted = bench.link.measurements()
    assert (counted.frames, counted.skipped, counted.idle, counted.nan) == (10, 0, 0, 0)
    for durations in (counted.wall, counted.cpu, counted.turnaround):
        assert durations.buckets.sum() == 10
        assert durations.max > 0
    assert counted.turnaround.max >= counted.wall.max * 0.9


def test_a_worker_that_takes_over_answers_from_the_next_position_that_is_played(
    files: dict[str, Path],
) -> None:
    bench = Bench(files["identity"])
    bench.hear(np.float32(0.5) * noise(1000), delay=64)
    bench.work()
    samples = noise(5000, 2)
    bench.hear(samples, delay=64)  # meanwhile nobody works
    needed = bench.link.needed
    bench.loop = ProcessLoop(bench.link, Pipeline(model(files["identity"]), RATE), RATE)
    bench.work()
    assert bench.link.out_written == 6000 // 64 * 64
    got = bench.read(needed, 64)
    assert got.tolist() == samples[needed - 1000 :][: len(got)].tolist()
    assert len(got) == bench.link.out_written - needed
    assert bench.link.measurements().frames - 15 <= 3  # no more than it takes


def test_it_begins_at_the_beginning_when_it_is_only_slow_to_start(files: dict[str, Path]) -> None:
    """What was heard before it was ready belongs to the state, as long as it can still be played."""
    bench = Bench(files["gru"])
    samples = noise(640)
    bench.hear(samples, delay=700)
    bench.loop = ProcessLoop(bench.link, bench.pipeline, RATE)
    bench.work()
    want = run_offline(model(files["gru"]), samples, RATE)[:, 0]
    np.testing.assert_allclose(bench.read(0, 640), want, atol=1e-5)


@pytest.mark.parametrize("seconds_a_frame", [1e-9, 0.01])
def test_after_a_stall_it_makes_up_or_skips(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch, seconds_a_frame: float
) -> None:
    """A frame lasts 1.3 ms. Where it is computed at once, ten are made up for; where it takes 10 ms, left out."""
    monkeypatch.setattr(serving, "SMOOTHING", 0.0)
    bench = Bench(files["pole"])
    bench.loop._cost_ns = (
        seconds_a_frame * 1e9
    )  # what it believes a frame to cost, whatever this machine needs
    samples = noise(64 * 20)
    bench.hear(samples[:640], delay=704)
    bench.work()
    bench.hear(samples[640:], delay=64)
    bench.work()
    counted = bench.link.measurements()
    assert bench.link.out_written == len(samples)
    if seconds_a_frame < 1e-3:
        want = run_offline(model(files["pole"]), samples, RATE)[:, 0]
        np.testing.assert_allclose(bench.read(0, 1280), want, atol=1e-5)
        assert (counted.frames, counted.skipped) == (20, 0)
    else:
        assert counted.skipped == 8
        assert counted.frames == 10 + 1  # of the stall's ten: two were still of use, one of them whole
        assert len(bench.read(bench.link.needed, 64)) == 64


def test_offline_nothing_is_ever_left_out(files: dict[str, Path]) -> None:
    """The host waits: what is needed next has not been computed yet, however much a frame costs."""
    bench = Bench(files["pole"])
    samples = noise(64 * 40)
    bench.loop._cost_ns = 1e9
    bench.hear(samples, delay=len(samples) + 63)  # heard, but nothing of it played yet
    bench.work()
    assert bench.link.measurements().frames == 40
    assert bench.link.measurements().skipped == 0


def test_a_reset_begins_anew_at_its_position(files: dict[str, Path]) -> None:
    bench = Bench(files["gru"])
    bench.hear(noise(1000))
    bench.work()
    reset(bench.link)
    samples = noise(1000, 3)
    bench.hear(samples, delay=1063)
    bench.work()
    want = run_offline(model(files["gru"]), samples, RATE)[:, 0]
    got = bench.read(1000, 1000)
    assert len(got) == 960
    np.testing.assert_allclose(got, want[:960], atol=1e-5)


def test_what_was_overwritten_is_left_out(files: dict[str, Path]) -> None:
    bench = Bench(files["identity"], 4096)
    bench.hear(noise(640), delay=64)
    bench.work()
    for seed in range(8):
        bench.hear(noise(2048, seed), delay=64)
    bench.work()
    assert bench.link.out_written == bench.link.in_written // 64 * 64
    got = bench.read(bench.link.needed, 64)
    end = bench.link.in_written - 64
    assert bench.link.needed == end
    assert got.tolist() == noise(2048, 7)[-64:][: len(got)].tolist()
    assert bench.link.measurements().skipped > 200


@pytest.mark.parametrize("name", ["pole", "pole16", "pole22", "gru"])
def test_in_silence_it_computes_nothing_and_wakes_as_if_it_had(files: dict[str, Path], name: str) -> None:
    bench = Bench(files[name])
    silence = np.zeros(round(5 * RATE), np.float32)
    samples = np.concatenate([noise(4800), silence, noise(4800, 2)])
    got = []
    for start in range(0, len(samples), 480):
        bench.hear(samples[start : start + 480])
        bench.work()
        got.append(bench.read(sum(map(len, got)), 4800))
    played = np.concatenate(got)
    want = run_offline(model(files[name]), samples, RATE)[:, 0]
    np.testing.assert_allclose(played, want[: len(played)], atol=1e-5)
    assert len(played) >= len(samples) - bench.pipeline.framing
    counted = bench.link.measurements()
    frames = len(samples) / bench.loop._frame
    assert counted.idle > 0.8 * frames
    assert frames - 2 <= counted.idle + counted.frames <= frames + 1
    through_python = bench.pipeline.computed + bench.pipeline.rested
    assert (through_python < 0.3 * frames) == (
        name != "pole22"
    )  # whose frames are no whole number of samples


def test_what_comes_after_a_rest_is_looked_at_to_the_sample(files: dict[str, Path]) -> None:
    """The first loud sample of a frame ends the rest, the last one too, and a reset; positions stay in step."""
    for at in (0, 63):
        bench = Bench(files["identity"])
        bench.hear(np.zeros(48000, np.float32), delay=48000)
        bench.work()
        assert bench.pipeline.converged
        samples = np.zeros(640, np.float32)
        samples[320 + at] = 2e-6
        bench.hear(samples, delay=640)
        bench.work()
        assert bench.read(48000, 640).tolist() == samples.tolist()
        idle = bench.link.measurements().idle
        reset(bench.link)
        bench.hear(samples, delay=640)
        bench.work()
        assert bench.read(48640, 640).tolist() == samples.tolist()
        assert bench.link.measurements().idle == idle  # it begins anew, and does not rest yet


def test_a_rest_that_was_overslept_is_left(files: dict[str, Path]) -> None:
    """Stopped for longer than the ring is long, in silence."""
    bench = Bench(files["identity"], 4096)
    for _ in range(30):
        bench.hear(np.zeros(1024, np.float32), delay=1100)
        bench.work()
    assert bench.pipeline.converged
    for seed in range(8):
        bench.hear(noise(2048, seed), delay=64)
    bench.work()
    assert bench.link.out_written == bench.link.in_written // 64 * 64
    got = bench.read(bench.link.needed, 64)
    assert got.tolist() == noise(2048, 7)[-64:][: len(got)].tolist()


def test_not_finite_numbers_are_silence_and_counted(files: dict[str, Path]) -> None:
    bench = Bench(files["fussy"])
    samples = noise(64 * 4)
    samples[70] = 0.6
    bench.hear(samples)
    bench.work()
    got = bench.read(0, 256)
    assert not got[64:128].any()
    samples[64:128] = 0.0
    assert got.tolist() == samples.tolist()  # the state was poisoned, and is well again
    assert bench.link.measurements().nan == 64


def test_it_sleeps_until_there_is_enough_and_wakes_for_it(files: dict[str, Path]) -> None:
    bench = Bench(files["pole"])
    bench.hear(noise(63))
    assert not bench.loop.turn(0.0)
    threading.Timer(0.05, bench.hear, [noise(1)]).start()
    used = time.thread_time()
    assert bench.loop.turn(20.0)
    assert time.thread_time() - used < 0.04  # of 0.05 s: not by spinning
    assert bench.link.out_written == 64


def test_warm_up_measures_and_leaves_no_trace(files: dict[str, Path]) -> None:
    pipeline = Pipeline(model(files["gru"]), RATE)
    durations = warm_up(pipeline, 0.0, 7)
    assert len(durations) == 7
    assert min(durations) > 0
    assert pipeline.position == 0
    assert not any(state.any() for state in pipeline.model.states.values())


def test_percentiles_are_of_the_durations() -> None:
    assert percentile([5, 1, 3], 50) == 3
    assert percentile(list(range(1, 201)), 99) == 198
    assert percentile([4], 99) == 4
