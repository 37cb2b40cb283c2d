"""A live model through the engine: the offline run's samples, as late as it says, whatever happens to its process."""

from __future__ import annotations

import gc
import math
import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from rtsynth.engine import Cause, Engine, render
from rtsynth.errors import DeviceError, InputError, RateError, UsageError
from rtsynth.inference import live
from rtsynth.inference.live import LiveModel
from rtsynth.inference.manifest import load_manifest
from rtsynth.inference.model import StreamingModel
from rtsynth.inference.offline import run_offline
from rtsynth.inference.spawn import environment
from rtsynth.messages import MESSAGE
from tests.data import shared
from tests.inference import networks
from tests.inference.identity import noise
from tests.inference.test_process import children, descriptors, runs, wait_for

pytest.importorskip("onnxruntime", reason="models run in onnxruntime: pip install onnxruntime")

RATE = 48000.0
PIECE = 480  # samples that are compared at a time, where some of a stream may have been missed
AHEAD_MS = 60.0  # so that this machine, however busy, hardly ever is late


@pytest.fixture(scope="module")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("networks")
    return {
        "pole": networks.one_pole(folder / "pole.onnx", 64),
        "pole16": networks.one_pole(folder / "pole16.onnx", 100, metadata={"rtsynth.sample_rate": "16000"}),
        "gru": networks.gru(folder / "gru.onnx", 37),
        "identity": networks.identity(folder / "identity.onnx", (1, 64)),
    }


@pytest.fixture
def opened() -> Iterator[Callable[..., LiveModel]]:
    """Live models that are closed in the end."""
    sources: list[LiveModel] = []

    def make(path: Path, **options: object) -> LiveModel:
        sources.append(LiveModel(path, **options))  # type: ignore[arg-type]
        return sources[-1]

    yield make
    for source in sources:
        source.close()


def quiet(length: int, seed: int = 1) -> NDArray[np.float32]:
    """Noise that no limiter touches, whatever the network makes of it."""
    return np.float32(0.1) * noise(length, seed)


def whole(
    path: Path, samples: NDArray[np.float32], rate: float = RATE, manifest: str | None = None
) -> NDArray:
    """The specification: (n,) -> (n,)."""
    return run_offline(StreamingModel(load_manifest(path, manifest)), samples, rate)[:, 0]


def late(samples: NDArray[np.float32], delay: int) -> NDArray[np.float32]:
    return np.concatenate([np.zeros(delay, np.float32), samples])[: len(samples)]


def played_offline(engine: Engine, blocks: list[int]) -> NDArray[np.float32]:
    """(sum of blocks, 2), the host asking for these."""
    chunks = [np.empty((block, 2), np.float32) for block in blocks]
    for chunk in chunks:
        engine.process(chunk)
    return np.concatenate(chunks)


class Recording:
    """What an engine plays on the null driver, from its first sample on."""

    def __init__(self, engine: Engine, period: int) -> None:
        self._engine, self._chunks = engine, [np.empty((0, 2), np.float32)]
        engine.record(True)
        engine.start_null(period)

    def until(self, sample: int) -> NDArray[np.float32]:
        """All of it so far, the left channel, once the engine has come to `sample`."""
        deadline = time.monotonic() + 30
        while sum(map(len, self._chunks)) < sample:
            assert time.monotonic() < deadline, "the stream does not go on"
            time.sleep(0.01)
            self._chunks.append(self._engine.read_recording(1 << 16))
        return np.concatenate(self._chunks)[:, 0]


def equal_pieces(got: NDArray, want: NDArray) -> NDArray[np.bool_]:
    """Which pieces of PIECE samples are equal to 1e-5."""
    pieces = min(len(got), len(want)) // PIECE
    apart = np.abs(got - want)[: pieces * PIECE] if len(got) == len(want) else None
    assert apart is not None
    return apart.reshape(pieces, PIECE).max(axis=1) < 1e-5


BLOCKINGS = {
    "16": [16] * 300,
    "61": [61] * 80,
    "480": [480] * 10,
    "2048": [2048] * 3,
    "changing": [1, 2048, 17, 61, 441, 1024, 3, 64, 1999],
}


@pytest.mark.parametrize("name", ["pole", "pole16", "gru"])
def test_offline_it_is_the_whole_run_delayed_by_its_latency(
    files: dict[str, Path], opened: Callable[..., LiveModel], name: str
) -> None:
    """For every blocking; and to the bit the same for all of them."""
    source = opened(files[name])
    bits = set()
    samples = quiet(4800)
    want = whole(files[name], samples)
    for blocks in BLOCKINGS.values():
        with Engine([source], RATE, heard=samples, max_block=2048) as engine:
            out = played_offline(engine, blocks)[:4800]
        assert source.latency == source.facts.framing == sum(source.facts.parts.values())
        np.testing.assert_allclose(out[:, 0], late(want, source.latency), atol=1e-5)
        bits.add(out.tobytes())
    assert len(bits) == 1
    assert source.measurements().restarts == 0


def test_a_wrong_latency_would_show(files: dict[str, Path], opened: Callable[..., LiveModel]) -> None:
    source, samples = opened(files["pole16"]), quiet(4800)
    with Engine([source], RATE, heard=samples) as engine:
        out = played_offline(engine, [4800])[:, 0]
    want = whole(files["pole16"], samples)
    for wrong in (-1, 1):
        assert np.abs(out - late(want, source.latency + wrong)).max() > 1e-2


@pytest.mark.parametrize(("name", "period"), [("pole", 64), ("gru", 113), ("pole16", 256)])
def test_in_real_time_it_is_the_same_where_nothing_was_missed(
    files: dict[str, Path], opened: Callable[..., LiveModel], name: str, period: int
) -> None:
    source, samples = opened(files[name], ahead_ms=AHEAD_MS, policy="silence"), quiet(24000)
    with Engine([source], RATE, heard=samples) as engine:
        got = Recording(engine, period).until(24000)[:24000]
        engine.stop_null()
        missed = engine.report().late[Cause.WORKER]
    assert source.latency >= source.facts.framing + AHEAD_MS / 1e3 * RATE - source.facts.hop
    right = equal_pieces(got, late(whole(files[name], samples), source.latency))
    counts = source.measurements().played
    assert counts.episodes == missed
    assert right.mean() > 0.5
    if counts.concealed == counts.delay_changes == 0:
        assert right.all()


def test_the_speech_enhancer_live_is_its_offline_run(opened: Callable[..., LiveModel]) -> None:
    path = shared("weights/gtcrn_stream/gtcrn.onnx")
    source, samples = opened(path, manifest="gtcrn"), quiet(24000)
    want = whole(path, samples, manifest="gtcrn")
    with Engine([source], RATE, heard=samples) as engine:
        out = played_offline(engine, [61, 2048, 441] * 9)[:, 0]
    np.testing.assert_allclose(out[:22000], late(want, source.latency)[:22000], atol=1e-5)
    assert source.facts.model_rate == 16000
    assert source.facts.states == 3


def test_render_gives_all_of_it(files: dict[str, Path], opened: Callable[..., LiveModel]) -> None:
    source, samples = opened(files["pole"]), quiet(9600)
    out = render(source, np.empty(0, MESSAGE), sample_rate=RATE, heard=samples)
    assert len(out) >= len(samples) + source.latency
    want = whole(files["pole"], samples)
    np.testing.assert_allclose(out[source.latency :][: len(want), 0], want, atol=1e-5)


def test_a_reset_silences_the_model_too(files: dict[str, Path], opened: Callable[..., LiveModel]) -> None:
    source, samples = opened(files["pole"]), quiet(4800)
    with Engine([source], RATE, heard=samples) as engine:
        first = played_offline(engine, [4800])
        source.reset()
        again = played_offline(engine, [4800])  # the file is over: what would sound is memory
    assert first.any()
    assert not again.any()


def test_the_same_rate_keeps_the_process_another_takes_a_new_one(
    files: dict[str, Path], opened: Callable[..., LiveModel]
) -> None:
    source, alive = opened(files["pole16"]), children()
    source.prepare(48000.0)
    worker, framing = source.worker, source.facts.framing
    source.prepare(48000.0)
    assert source.worker == worker
    source.prepare(44100.0)
    assert source.worker != worker
    assert source.facts.framing < framing
    assert children() - alive == {source.worker}
    samples = quiet(4410)
    with Engine([source], 44100.0, heard=samples) as engine:
        out = played_offline(engine, [4410])[:, 0]
    np.testing.assert_allclose(out, late(whole(files["pole16"], samples, 44100.0), source.latency), atol=1e-5)


def test_killed_in_mid_stream_it_comes_back(files: dict[str, Path], opened: Callable[..., LiveModel]) -> None:
    """The stream goes on with what was heard; every miss is in the engine's books; then the answer is back."""
    source, samples = opened(files["identity"], ahead_ms=AHEAD_MS, policy="silence"), quiet(48000 * 4)
    with Engine([source], RATE, heard=samples) as engine:
        recording = Recording(engine, 128)
        recording.until(12000)
        os.kill(source.worker or 0, signal.SIGKILL)
        wait_for(lambda: source.measurements().restarts == 1)
        wait_for(lambda: source.measurements().played.concealed > 0)
        frames = source.measurements().computed.frames
        wait_for(lambda: source.measurements().computed.frames > frames)
        back = engine.time + 12000
        got = recording.until(back)
        engine.stop_null()
        report = engine.report()
    counts = source.measurements().played
    assert counts.episodes >= 1
    assert report.late[Cause.WORKER] == counts.episodes
    assert sum(entry.cause is Cause.WORKER for entry in report.ledger) == counts.episodes
    right = equal_pieces(got, late(samples, source.latency)[: len(got)])
    assert right[: 12000 // PIECE].mean() > 0.5
    assert right[-12000 // PIECE :].mean() > 0.5
    assert not right.all()


def test_stopped_for_200_ms_it_is_in_step_again(
    files: dict[str, Path], opened: Callable[..., LiveModel]
) -> None:
    source, samples = opened(files["identity"], ahead_ms=AHEAD_MS, policy="silence"), quiet(48000 * 2)
    with Engine([source], RATE, heard=samples) as engine:
        recording = Recording(engine, 128)
        recording.until(9600)
        os.kill(source.worker or 0, signal.SIGSTOP)
        recording.until(9600 + 9600)
        os.kill(source.worker or 0, signal.SIGCONT)
        got = recording.until(48000)
        engine.stop_null()
    counts = source.measurements().played
    assert counts.episodes >= 1
    assert counts.concealed > 0.1 * RATE
    assert source.measurements().restarts == 0
    assert equal_pieces(got, late(samples, source.latency)[: len(got)])[-9600 // PIECE :].mean() > 0.5


def test_given_up_the_audio_goes_on(tmp_path: Path, opened: Callable[..., LiveModel]) -> None:
    path = networks.one_pole(tmp_path / "pole.onnx")
    said: list[str] = []
    source, samples = opened(path, ahead_ms=AHEAD_MS, say=said.append), quiet(48000 * 6)
    with Engine([source], RATE, heard=samples) as engine:
        recording = Recording(engine, 256)
        recording.until(4800)
        path.unlink()
        os.kill(source.worker or 0, signal.SIGKILL)
        wait_for(lambda: bool(said))
        got = recording.until(engine.time + 9600)
        engine.stop_null()
        assert isinstance(source.measurements().error, InputError)
        out = played_offline(engine, [4800])  # and offline nobody waits for it in vain
        assert out.any()
    assert len(said) == 1
    dry = late(samples, source.latency)[: len(got)]
    assert equal_pieces(got, dry)[-4800 // PIECE :].all()


def test_the_main_process_never_loads_onnxruntime(files: dict[str, Path]) -> None:
    script = f"""
        import sys
        import numpy as np
        from rtsynth.engine import Engine
        from rtsynth.inference.live import LiveModel
        source = LiveModel({str(files["pole"])!r})
        with Engine([source], 48000.0, heard=np.ones(4800, np.float32)) as engine:
            out = np.empty((4800, 2), np.float32)
            engine.process(out)
        source.close()
        assert out.any()
        print("onnxruntime" in sys.modules, "torch" in sys.modules)
    """
    assert run_script(script) == "False False\n"


def test_left_running_at_exit_it_ends_cleanly(files: dict[str, Path]) -> None:
    """Nobody closes anything: neither a crash of the audio thread, nor a word, nor a process left."""
    script = f"""
        import time
        import numpy as np
        from rtsynth.inference.live import LiveModel
        source = LiveModel({str(files["pole"])!r})
        from rtsynth.engine import Engine
        engine = Engine([source], 48000.0, heard=np.ones(480000, np.float32))
        engine.start_null(64)
        time.sleep(0.05)
        print(source.worker)
    """
    worker = int(run_script(script))
    wait_for(lambda: not runs(worker))


def run_script(script: str) -> str:
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        capture_output=True,
        text=True,
        env=environment(),
        timeout=60,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_dropped_it_takes_its_process_along(files: dict[str, Path]) -> None:
    source = LiveModel(files["pole"])
    source.prepare(RATE)
    worker = source.worker
    assert worker is not None
    del source
    gc.collect()
    wait_for(lambda: not runs(worker))


def test_closed_it_leaves_nothing_and_cannot_be_played(files: dict[str, Path]) -> None:
    alive, open_before = children(), descriptors()
    source = LiveModel(files["pole"])
    source.close()
    source.prepare(RATE)
    source.close()
    source.close()
    assert (children(), descriptors()) == (alive, open_before)
    assert (source.latency, source.active_voices, source.worker) == (0, 0, None)
    with pytest.raises(RuntimeError, match="prepare"):
        _ = source.loop


def test_what_fails_in_prepare_leaves_nothing(
    files: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    alive, open_before = children(), descriptors()

    def refuse(*_: object, **__: object) -> None:
        raise RateError("no")

    monkeypatch.setattr(live, "Remote", refuse)
    source = LiveModel(files["pole"])
    with pytest.raises(RateError, match="no"):
        source.prepare(RATE)
    assert (children(), descriptors()) == (alive, open_before)


@pytest.mark.parametrize(
    ("options", "kind", "code"),
    [
        ({"device": "tpu"}, DeviceError, 3),
        ({"resampling": "linear"}, UsageError, 2),
        ({"policy": "panic"}, UsageError, 2),
        ({"wet": 1.5}, UsageError, 2),
        ({"ahead_ms": -1.0}, UsageError, 2),
        ({"ahead_ms": math.nan}, UsageError, 2),
        ({"host_block": -1}, UsageError, 2),
        ({"manifest": "none-such"}, InputError, 5),
    ],
)
def test_what_cannot_be_is_one_line_of_its_kind(
    files: dict[str, Path], options: dict, kind: type[InputError], code: int
) -> None:
    alive = children()
    with pytest.raises(kind) as raised:
        LiveModel(files["pole16"], **options).prepare(RATE)
    assert raised.value.exit_code == code
    assert "\n" not in str(raised.value)
    assert children() == alive


def test_the_time_ahead_is_measured_or_told(files: dict[str, Path], opened: Callable[..., LiveModel]) -> None:
    """Told: to the sample, in whole blocks. Measured: never more than a frame's length beyond the least."""
    told = opened(files["pole"], ahead_ms=10.0)
    with Engine([told], RATE, heard=quiet(480)) as engine:
        engine.start_null(96)
        wait_for(lambda: engine.time > 0)
        engine.stop_null()
        assert told.latency == 63 - (32 - 1) + 480
    measured = opened(files["pole"])
    with Engine([measured], RATE, heard=quiet(480)) as engine:
        engine.start_null(64)
        wait_for(lambda: engine.time > 0)
        engine.stop_null()
        assert measured.latency == 64
