"""The GPU's driver by ctypes, against a stand-in that does on the host what it is asked, and fails when told to."""

from __future__ import annotations

import ctypes
import gc
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from rtsynth import cuda
from rtsynth.errors import DeviceError

SOURCE = Path(__file__).parent / "fake_driver.c"


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    compiler = shutil.which("cc") or shutil.which("gcc")
    if compiler is None:
        pytest.skip("no C compiler here")
    path = tmp_path_factory.mktemp("driver") / "libcuda.so.1"
    subprocess.run([compiler, "-shared", "-fPIC", "-O1", "-o", path, SOURCE], check=True)
    return path


@pytest.fixture
def live(library: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[], int]]:
    """The stand-in in the driver's place; how many handles and buffers it has given out and not got back."""
    monkeypatch.setattr(cuda, "LIBRARY", str(library))
    cuda._driver.cache_clear()
    count = ctypes.CDLL(str(library)).fake_live

    def collected() -> int:
        gc.collect()
        return int(count())

    yield collected
    cuda._driver.cache_clear()


def test_the_gpu(live: Callable[[], int]) -> None:
    assert cuda.gpu() == cuda.Gpu("Fake 7", 141 << 30, (9, 0), 132, "13.1")


def test_copies_and_a_graph(live: Callable[[], int]) -> None:
    stream = cuda.Stream()
    up, down = cuda.pinned((2, 3)), cuda.pinned((2, 3))
    np.testing.assert_array_equal(up, np.zeros((2, 3)))
    device = np.zeros((2, 3), np.float32)
    up[...] = np.arange(6).reshape(2, 3)
    stream.upload(device.ctypes.data, up)
    stream.download(down, device.ctypes.data)
    stream.synchronize()
    np.testing.assert_array_equal(down, up)
    with stream.recording() as graphs:
        stream.upload(device.ctypes.data, up)
        stream.download(down, device.ctypes.data)
    up[...] = 7.0
    assert down[0, 0] == 0.0  # recorded, not done
    graphs[0].launch()
    np.testing.assert_array_equal(down, up)


def test_a_recording_that_fails_is_dropped(live: Callable[[], int]) -> None:
    before = live()
    stream = cuda.Stream()
    with pytest.raises(ZeroDivisionError), stream.recording() as graphs:
        raise ZeroDivisionError
    assert graphs == []
    stream.synchronize()  # the stream is no longer being recorded
    del stream
    assert live() == before


def test_everything_is_given_back(live: Callable[[], int]) -> None:
    before = live()
    stream, buffer = cuda.Stream(), cuda.pinned((1024,))
    view = buffer[10:20]
    with stream.recording() as graphs:
        stream.upload(buffer.ctypes.data, buffer)
    watch = cuda.Stopwatch(stream)
    watch.start()
    watch.stop()
    assert watch.nanoseconds() == 250_000
    assert live() == before + 5  # stream, buffer, graph, two events
    del buffer, graphs, watch
    assert live() == before + 2  # a view keeps the buffer
    assert view[0] == 0.0
    del view, stream
    assert live() == before


def test_a_buffer_of_other_numbers(live: Callable[[], int]) -> None:
    buffer = cuda.pinned((0, 4), np.int64)
    assert buffer.shape == (0, 4)
    assert cuda.pinned((5,), np.int64).tolist() == [0] * 5


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("cuInit", cuda.gpu),
        ("cuStreamCreate", cuda.Stream),
        ("cuMemHostAlloc", lambda: cuda.pinned((4,))),
        ("cuCtxSynchronize", cuda.synchronize),
    ],
)
def test_a_refusal_is_one_line(
    live: Callable[[], int], monkeypatch: pytest.MonkeyPatch, name: str, what: Callable[[], object]
) -> None:
    monkeypatch.setenv("FAKE_FAULT", name)
    with pytest.raises(DeviceError, match=rf"^the GPU refused {name}: out of memory\. Next: nvidia-smi$"):
        what()


def test_a_graph_that_cannot_be_made_leaves_nothing(
    live: Callable[[], int], monkeypatch: pytest.MonkeyPatch
) -> None:
    stream = cuda.Stream()
    before = live()
    monkeypatch.setenv("FAKE_FAULT", "cuGraphInstantiateWithFlags")
    with pytest.raises(DeviceError, match="cuGraphInstantiateWithFlags"), stream.recording():
        pass
    assert live() == before


def test_no_gpu(live: Callable[[], int], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FAKE_NONE", "1")
    with pytest.raises(DeviceError, match=r"lists none"):
        cuda.gpu()


def test_no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cuda, "LIBRARY", "libnowhere.so.1")
    cuda._driver.cache_clear()
    with pytest.raises(
        DeviceError, match=r"^no GPU: the NVIDIA driver \(libnowhere.so.1\) is not installed here"
    ):
        cuda.gpu()
    cuda._driver.cache_clear()


def test_an_old_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any library that lacks the functions."""
    monkeypatch.setattr(cuda, "LIBRARY", "libc.so.6")
    cuda._driver.cache_clear()
    with pytest.raises(DeviceError, match="too old"):
        cuda.gpu()
    cuda._driver.cache_clear()
