"""What processes cost, from /proc: processor time of all their threads, memory, descriptors, children."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


def cpu_seconds(pid: int) -> float:
    """Time that the threads of a process have run, those that have ended not counted; to the nanosecond where the
    kernel keeps schedstat, else to the tick.
    """
    return sum(_thread_seconds(task) for task in Path(f"/proc/{pid}/task").iterdir())


def _thread_seconds(task: Path) -> float:
    with contextlib.suppress(FileNotFoundError):
        return int((task / "schedstat").read_text().split()[0]) / 1e9
    with contextlib.suppress(FileNotFoundError):
        user, system = (task / "stat").read_text().rpartition(")")[2].split()[11:13]
        return (int(user) + int(system)) / os.sysconf("SC_CLK_TCK")
    return 0.0  # it has ended meanwhile


def resident(pid: int) -> int:
    """Bytes of memory in use."""
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def descriptors(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/fd"))


def threads(pid: int) -> int:
    return len(os.listdir(f"/proc/{pid}/task"))


def children(pid: int) -> int:
    """Zombies among them."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(len((task / "children").read_text().split()) for task in tasks if (task / "children").exists())


@dataclass
class Spent:
    """Share of one core that processes took; `share` is set when the measurement is over."""

    share: float = 0.0


@contextlib.contextmanager
def spending(pids: list[int], seconds: float) -> Iterator[Spent]:
    """What `pids` spend inside, which lasts `seconds`."""
    spent, before = Spent(), sum(map(cpu_seconds, pids))
    yield spent
    spent.share = (sum(map(cpu_seconds, pids)) - before) / seconds
