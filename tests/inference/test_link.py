"""The link: absolute positions, overruns seen, what was left out never read, nobody waking in vain or never."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rtsynth.errors import RtsynthError
from rtsynth.inference.link import BUCKETS, Link, load

CAPACITY = 64


@pytest.fixture
def link() -> Link:
    return Link.create(CAPACITY, 2)


def hear(link: Link, samples: np.ndarray) -> None:
    samples = np.ascontiguousarray(samples, np.float32)
    load().rt_link_hear(link.address, samples.ctypes.data, len(samples))


def answer(link: Link, position: int, frames: int) -> np.ndarray:
    """What the audio thread finds at `position`: (n, 2)."""
    left, right = np.zeros(frames, np.float32), np.zeros(frames, np.float32)
    there = load().rt_link_answer(link.address, position, left.ctypes.data, right.ctypes.data, frames)
    return np.stack([left[:there], right[:there]], axis=1)


def ramp(start: int, length: int) -> np.ndarray:
    return np.arange(start, start + length, dtype=np.float32)


def pairs(start: int, length: int) -> np.ndarray:
    return np.stack([ramp(start, length), -ramp(start, length)], axis=1)


def test_capacity_is_rounded_up_and_seen_from_the_other_side(link: Link) -> None:
    other = Link.attach(link.fd)
    assert Link.create(65).capacity == 128
    assert (other.capacity, other.channels) == (CAPACITY, 2)
    hear(link, ramp(0, 10))
    got = np.zeros(10, np.float32)
    assert other.read(0, got) == 10
    assert got.tolist() == ramp(0, 10).tolist()
    other.write(0, pairs(0, 8))
    assert answer(link, 0, 10).tolist() == pairs(0, 8).tolist()


def test_one_channel_is_played_on_both() -> None:
    link = Link.create(CAPACITY, 1)
    hear(link, ramp(0, 8))
    link.write(0, ramp(0, 8)[:, None])
    assert answer(link, 0, 8).tolist() == np.stack([ramp(0, 8)] * 2, axis=1).tolist()


@pytest.mark.parametrize("content", [b"", b"x" * 100, b"\0" * 200_000])
def test_something_else_is_refused(content: bytes) -> None:
    fd = os.memfd_create("other")
    os.write(fd, content)
    before = set(os.listdir("/proc/self/fd"))
    with pytest.raises(RtsynthError, match="does not fit"):
        Link.attach(fd)
    assert set(os.listdir("/proc/self/fd")) == before
    os.close(fd)


def test_a_truncated_link_is_refused(link: Link) -> None:
    copy = os.memfd_create("copy")
    os.write(copy, os.pread(link.fd, os.fstat(link.fd).st_size - 4, 0))
    with pytest.raises(RtsynthError, match="does not fit"):
        Link.attach(copy)
    os.close(copy)


def test_a_closed_descriptor_is_refused() -> None:
    with pytest.raises(RtsynthError, match="not there"):
        Link.attach(1_000_000)


def test_impossible_sizes_are_refused() -> None:
    for capacity, channels in [(CAPACITY, 0), (CAPACITY, 3), (1 << 40, 1)]:
        with pytest.raises(RtsynthError, match="no shared memory"):
            Link.create(capacity, channels)


def test_closing_gives_memory_and_descriptors_back() -> None:
    def held() -> tuple[int, int]:
        with open("/proc/self/maps") as maps:
            return len(os.listdir("/proc/self/fd")), sum("rtsynth-link" in line for line in maps)

    before = held()
    links = [Link.create(CAPACITY) for _ in range(5)]
    links += [Link.attach(link.fd) for link in links]
    assert held() == (before[0] + 10, before[1] + 10)
    for link in links[:8]:
        link.close()
        link.close()
    del links, link  # the last two are given back by the collector
    assert held() == before


@settings(max_examples=150, deadline=None)
@given(
    heard=st.lists(st.integers(0, 100), min_size=1, max_size=12),
    position=st.integers(0, 400),
    most=st.integers(0, 80),
)
def test_reading_is_what_was_heard_or_overrun(heard: list[int], position: int, most: int) -> None:
    link = Link.create(CAPACITY)
    for length in heard:
        hear(link, ramp(link.in_written, length))
    total = sum(heard)
    assert link.in_written == total
    got = np.full(most, -1, np.float32)
    count = link.read(position, got)
    there = max(0, min(most, total - position))
    if there and position < total - CAPACITY:
        assert count == -1
    else:
        assert count == there
        assert got[:count].tolist() == ramp(position, there).tolist()


class Model:
    """The out ring as it should be: a dictionary of what is there."""

    def __init__(self) -> None:
        self.samples: dict[int, float] = {}
        self.written = 0

    def write(self, position: int, values: list[float]) -> None:
        if position > self.written:
            self.samples.clear()
        self.samples.update({position + i: value for i, value in enumerate(values)})
        self.written = max(self.samples, default=position - 1) + 1 if values else position
        self.samples = {p: v for p, v in self.samples.items() if p >= self.written - CAPACITY}

    def read(self, position: int, frames: int) -> list[float]:
        found = []
        while len(found) < frames and position + len(found) in self.samples:
            found.append(self.samples[position + len(found)])
        return found


@settings(max_examples=150, deadline=None)
@given(
    writes=st.lists(st.tuples(st.integers(0, 40), st.integers(1, 32)), max_size=12),
    read=st.tuples(st.integers(0, 300), st.integers(1, 70)),
)
def test_what_was_left_out_is_never_read(writes: list[tuple[int, int]], read: tuple[int, int]) -> None:
    link, model = Link.create(CAPACITY), Model()
    for gap, length in writes:
        position = link.out_written + gap
        hear(link, np.zeros(max(0, position + length - link.in_written)))
        values = ramp(1000 * position, length)
        link.write(position, values[:, None])
        model.write(position, values.tolist())
        assert link.out_written == model.written
    assert answer(link, *read)[:, 0].tolist() == model.read(*read)


def test_writing_back_or_far_ahead_is_refused(link: Link) -> None:
    hear(link, np.zeros(32))
    link.write(0, pairs(0, 32))
    with pytest.raises(ValueError, match="rings are at"):
        link.write(31, pairs(0, 1))
    with pytest.raises(ValueError, match="rings are at"):
        link.write(32, pairs(0, CAPACITY // 4 + 1))  # further ahead of its input than rounding explains
    with pytest.raises(ValueError, match="want"):
        link.write(32, np.zeros((3, 1), np.float32))
    with pytest.raises(ValueError, match="want"):
        link.write(32, np.zeros((2, 3), np.float32).T)
    with pytest.raises(ValueError, match="want"):
        link.read(0, np.zeros(3, np.float64))
    assert link.positions == (32, 0, 32, 0, 0)


def test_waiting_ends_when_the_input_is_there(link: Link) -> None:
    hear(link, np.zeros(10))
    assert link.wait(10, 0.0)
    assert not link.wait(11, 0.01)
    threading.Timer(0.02, hear, (link, np.zeros(5))).start()
    assert link.wait(15, 30.0)


def _asleep(link: Link, position: int) -> tuple[threading.Thread, list[bool]]:
    """A thread that waits for `position`, and what it says when it is woken."""
    done: list[bool] = []
    sleeper = threading.Thread(target=lambda: done.append(link.wait(position, 30.0)))
    sleeper.start()
    while not link.asleep:
        time.sleep(0.001)
    return sleeper, done


def _woken_once(link: Link) -> None:
    before, position = link.wakes, link.in_written
    sleeper, done = _asleep(link, position + 10)
    hear(link, np.zeros(9))
    assert (link.wakes, done) == (before, [])
    hear(link, np.zeros(1))
    sleeper.join(30)
    assert (link.wakes, done) == (before + 1, [True])
    hear(link, np.zeros(50))
    assert link.wakes == before + 1  # nobody is asleep


def test_a_sleeper_is_woken_once_and_only_for_what_it_waits_for(link: Link) -> None:
    _woken_once(link)


def test_closing_wakes_it(link: Link) -> None:
    sleeper, done = _asleep(link, 10)
    assert not link.closing
    link.close_worker()
    sleeper.join(30)
    assert done == [False]
    assert link.closing
    assert not link.wait(10, 30.0)  # at once
    link.begin_worker()
    assert not link.closing


def test_a_sleeper_that_was_killed_leaves_nothing_behind(link: Link) -> None:
    """kill -9 in the middle of its sleep: one wake goes nowhere, and the next sleeper is woken like the first."""
    script = (
        "import sys; from rtsynth.inference.link import Link; Link.attach(int(sys.argv[1])).wait(1 << 40, 60)"
    )
    with subprocess.Popen([sys.executable, "-c", script, str(link.fd)], pass_fds=[link.fd]) as process:
        while not link.asleep:
            time.sleep(0.001)
        process.kill()
    assert link.asleep  # it says so still
    hear(link, np.zeros(4))
    assert link.wakes == 0  # what it waited for is far away
    link.begin_worker()
    _woken_once(link)


def test_when_a_position_was_heard() -> None:
    link = Link.create(CAPACITY)
    start = time.monotonic_ns()
    hear(link, np.zeros(10))
    first = link.heard_ns(10)
    hear(link, np.zeros(10))
    second = link.heard_ns(11)
    assert start <= first <= second <= time.monotonic_ns()
    assert link.heard_ns(1) == first
    assert link.heard_ns(20) == second
    assert link.heard_ns(21) == np.iinfo(np.int64).max  # not yet
    for _ in range(600):
        hear(link, np.zeros(1))
    assert link.heard_ns(10) == 0  # long ago
    assert link.heard_ns(link.in_written) >= second


def test_what_the_worker_counts(link: Link) -> None:
    link.count_frame(1000, 900, 5000)
    link.count_frame(3000, 100, 1)
    link.skipped(4)
    link.idle()
    link.nan(7)
    measured = Link.attach(link.fd).measurements()
    assert (measured.frames, measured.skipped, measured.idle, measured.nan) == (2, 4, 1, 7)
    assert (measured.wall.max, measured.cpu.max, measured.turnaround.max) == (3000, 900, 5000)
    assert measured.wall.buckets.shape == (BUCKETS,)
    assert [int(d.buckets.sum()) for d in measured[4:]] == [2, 2, 2]
