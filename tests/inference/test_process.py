"""The worker's life: born, killed, hung, born again or given up; nothing of it left behind."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from rtsynth.errors import InputError, RtsynthError
from rtsynth.inference import process as supervision
from rtsynth.inference import spawn
from rtsynth.inference.handshake import Ending, Failed, Order, decode_answer, encode, error_of
from rtsynth.inference.link import Link
from rtsynth.inference.process import InferenceProcess
from tests.inference import networks
from tests.inference.host import hear
from tests.inference.identity import noise

pytest.importorskip("onnxruntime", reason="models run in onnxruntime: pip install onnxruntime")

RATE = 48000.0
FRAME = 64
PATIENCE_SECONDS = 20.0


@pytest.fixture
def model(tmp_path: Path) -> Path:
    return networks.one_pole(tmp_path / "pole.onnx", FRAME)


def wait_for(happened: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not happened():
        assert time.monotonic() < deadline, "it does not happen"
        time.sleep(0.002)


class Kept:
    """A process for a model, and the stream that a test plays to it."""

    def __init__(self, path: Path, **options: float) -> None:
        self.link = Link.create(1 << 16, 1)
        self.said: list[str] = []
        # As if resuming: without the long warm-up, which is not what is tested here.
        order = Order(self.link.fd, os.getpid(), str(path), None, RATE, "cpu", "polyphase", resuming=True)
        self.process = InferenceProcess(self.link, order, say=self.said.append, **options)  # type: ignore[arg-type]

    def play(self, seed: int = 1) -> None:
        """One frame of noise, as the audio thread writes it."""
        hear(self.link, noise(FRAME, seed), delay=FRAME)

    def play_until_answered(self) -> None:
        """Frame by frame until one of them is answered: by then a worker is at work."""
        frames = self.link.measurements().frames
        deadline = time.monotonic() + PATIENCE_SECONDS
        while self.link.measurements().frames == frames:
            assert time.monotonic() < deadline, f"no answer: {self.process.error}"
            self.play()
            time.sleep(0.002)

    def kill(self, number: signal.Signals = signal.SIGKILL) -> None:
        """Its worker, and wait until that is known."""
        restarts, pid = self.process.restarts, self.process.pid
        assert pid is not None
        os.kill(pid, number)
        wait_for(lambda: self.process.restarts > restarts or self.process.error is not None)


@pytest.fixture
def kept(model: Path) -> Iterator[Kept]:
    kept = Kept(model)
    kept.process.start()
    yield kept
    kept.process.close()
    kept.link.close()


def children() -> set[int]:
    """Of this process, the dead that nobody has reaped among them."""
    found = set()
    for task in os.listdir("/proc/self/task"):
        with contextlib.suppress(FileNotFoundError):  # a thread that has just ended
            found |= {int(pid) for pid in Path(f"/proc/self/task/{task}/children").read_text().split()}
    return found - strangers


strangers: set[int] = set()  # children that were there before a test: another test's pool of processes


@pytest.fixture(autouse=True)
def only_its_own() -> Iterator[None]:
    """What a test counts are its own children."""
    strangers.update(children())
    yield
    strangers.clear()


def runs(pid: int) -> bool:
    """Dead is dead, whether init has reaped it or not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        return False


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_it_says_what_it_has_loaded(kept: Kept) -> None:
    ready = kept.process.ready
    assert ready is not None
    assert (ready.name, ready.frame, ready.framing, ready.hop, ready.channels) == ("pole", 64, 63, 64, 1)
    assert (ready.states, ready.provider, ready.rate_stated, ready.latency_stated) == (1, "CPU", False, False)
    assert ready.tail == -1
    assert ready.flushes_denormals
    assert 0 < ready.compute_ns.p50 <= ready.compute_ns.p99
    assert 1 << 20 < ready.memory < 1 << 30


def test_it_answers_and_ends_when_it_is_asked(kept: Kept) -> None:
    kept.play_until_answered()
    pid = kept.process.pid
    assert pid in children()
    begun = time.monotonic()
    kept.process.close()
    kept.process.close()
    assert time.monotonic() - begun < supervision.CLOSING_SECONDS  # of itself, not by force
    assert pid not in children()
    assert kept.said == []
    assert kept.process.restarts == 0


def test_killed_five_times_it_is_back_and_nothing_is_left_of_the_dead(kept: Kept) -> None:
    kept.play_until_answered()
    kept.kill()
    kept.play_until_answered()  # the first of each may leave something behind for good: what counts comes now
    before, threads = descriptors(), threading.active_count()
    for _ in range(4):
        kept.kill()
        kept.play_until_answered()
    assert kept.process.restarts == 5
    assert descriptors() == before
    assert threading.active_count() == threads
    assert children() == {kept.process.pid}
    assert kept.process.error is None


def test_the_one_that_takes_over_goes_on_where_the_stream_is(kept: Kept) -> None:
    kept.play_until_answered()
    kept.kill()
    for _ in range(100):
        kept.play()
    needed = kept.link.needed
    kept.play_until_answered()
    wait_for(lambda: kept.link.out_written == kept.link.in_written)
    assert kept.link.positions.out_start >= needed - 2 * FRAME


def test_nothing_is_left_when_it_is_closed(model: Path) -> None:
    before, alive = descriptors(), children()
    kept = Kept(model)
    kept.process.start()
    kept.play_until_answered()
    kept.process.close()
    kept.link.close()
    assert descriptors() == before
    assert children() == alive


@pytest.mark.parametrize("seconds", [0.2])
def test_a_stopped_worker_goes_on_where_it_is_needed(kept: Kept, seconds: float) -> None:
    """SIGSTOP: what it owes meanwhile is made up for or left out, and it is the same process."""
    kept.play_until_answered()
    pid = kept.process.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    for _ in range(100):
        kept.play()
    time.sleep(seconds)
    written = kept.link.out_written
    os.kill(pid, signal.SIGCONT)
    wait_for(lambda: kept.link.out_written == kept.link.in_written)
    assert kept.link.out_written >= written + 99 * FRAME
    assert (kept.process.pid, kept.process.restarts) == (pid, 0)


def test_a_worker_that_hangs_is_replaced(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "HANGING_SECONDS", 0.2)
    monkeypatch.setattr(supervision, "TICK_SECONDS", 0.05)
    kept = Kept(model)
    kept.process.start()
    kept.play_until_answered()
    pid = kept.process.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    kept.play()
    kept.play()
    wait_for(lambda: kept.process.hung == 1)
    kept.play_until_answered()
    assert kept.process.pid != pid
    assert kept.process.restarts == 1
    kept.process.close()


def test_one_that_nobody_plays_to_does_not_hang(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(supervision, "HANGING_SECONDS", 0.05)
    monkeypatch.setattr(supervision, "HANGING_FRAMES", 0)
    monkeypatch.setattr(supervision, "TICK_SECONDS", 0.02)
    kept = Kept(model)
    kept.process.start()
    kept.play_until_answered()
    time.sleep(0.3)
    assert kept.process.hung == 0
    kept.process.close()


def test_a_model_that_is_gone_is_given_up_in_one_line(kept: Kept, model: Path) -> None:
    """Every new worker dies at once; five of them, and that was all."""
    kept.play_until_answered()
    model.unlink()
    os.kill(kept.process.pid or 0, signal.SIGKILL)
    wait_for(lambda: kept.process.error is not None)
    assert kept.process.restarts == 5
    wait_for(lambda: bool(kept.said))
    assert len(kept.said) == 1
    assert "\n" not in kept.said[0]
    assert kept.said[0].startswith("the model pole is out, ")
    assert "pole.onnx" in kept.said[0]
    assert kept.link.closing  # nobody waits for it
    assert children() == set()


def test_no_more_failures_than_it_may_have(model: Path) -> None:
    kept = Kept(model, most_failures=2)
    kept.process.start()
    kept.play_until_answered()
    model.unlink()
    os.kill(kept.process.pid or 0, signal.SIGKILL)
    wait_for(lambda: kept.process.error is not None)
    assert kept.process.restarts == 2
    kept.process.close()


def test_a_model_that_cannot_be_used_is_the_callers_error(tmp_path: Path) -> None:
    path = tmp_path / "broken.onnx"
    path.write_bytes(b"nothing of the kind")
    before, alive = descriptors(), children()
    kept = Kept(path)
    with pytest.raises(InputError, match=r"broken\.onnx") as raised:
        kept.process.start()
    assert raised.value.exit_code == 5
    assert "\n" not in str(raised.value)
    kept.link.close()
    assert (descriptors(), children()) == (before, alive)


def test_what_it_last_said_is_in_the_error(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawn.sys, "executable", "/bin/sh")  # which knows none of the arguments
    kept = Kept(model)
    with pytest.raises(RtsynthError, match=r"the process of a model ended with code \d+: .*-P"):
        kept.process.start()


def test_an_interpreter_that_is_not_there(model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(spawn.sys, "executable", "/nowhere/python")
    with pytest.raises(RtsynthError, match="cannot start a process for the model: No such file"):
        Kept(model).process.start()


def test_it_is_out_of_the_terminals_reach(kept: Kept) -> None:
    """Ctrl-C goes to the foreground group; a SIGINT sent to it all the same is not obeyed."""
    pid = kept.process.pid
    assert pid is not None
    assert os.getpgid(pid) != os.getpgid(0)
    os.kill(pid, signal.SIGINT)
    kept.play_until_answered()
    assert kept.process.pid == pid


def test_it_outlives_the_thread_that_asked_for_it(model: Path) -> None:
    """PR_SET_PDEATHSIG is about threads: the worker must not be born from one that ends."""
    kept = Kept(model)
    thread = threading.Thread(target=kept.process.start)
    thread.start()
    thread.join()
    time.sleep(0.05)
    kept.play_until_answered()
    assert kept.process.restarts == 0
    kept.process.close()


@pytest.mark.parametrize(
    "ending", ["os.kill(os.getpid(), 9)", "os._exit(0)", "sys.exit(0)", "raise SystemError"]
)
def test_it_ends_with_its_parent_however_that_ends(model: Path, ending: str) -> None:
    script = f"""
        import os, sys
        from rtsynth.inference.live import LiveModel
        source = LiveModel({str(model)!r})
        source.prepare(48000.0)
        print(source.worker, flush=True)
        {ending}
    """
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=spawn.environment(),
        timeout=60,
        check=False,
    )
    wait_for(lambda: not runs(int(done.stdout)))


def test_it_is_found_from_any_folder(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And a file beside the user that happens to be called numpy.py is not taken for numpy."""
    (tmp_path / "numpy.py").write_text("raise SystemExit('the wrong numpy')")
    monkeypatch.chdir(tmp_path)
    kept = Kept(model)
    kept.process.start()
    kept.process.close()


def test_a_fork_leaves_its_parents_worker_alone(kept: Kept) -> None:
    kept.play_until_answered()
    forked = os.fork()
    if forked == 0:
        kept.process.close()
        os._exit(0)
    os.waitpid(forked, 0)
    assert not kept.link.closing
    kept.play_until_answered()
    assert kept.process.restarts == 0


def test_an_answer_that_is_none() -> None:
    with pytest.raises(RtsynthError, match="something else"):
        decode_answer(b"hello")
    failed = decode_answer(encode(Failed("no such file", 5)))
    assert isinstance(failed, Failed)
    assert isinstance(error_of(failed), InputError)
    assert type(error_of(Failed("?", 77))) is RtsynthError


def test_endings_in_words() -> None:
    assert str(Ending(-9, "")) == "killed by signal 9"
    assert str(Ending(1, "out of memory")) == "ended with code 1: out of memory"
