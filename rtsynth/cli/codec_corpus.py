"""All recordings of a folder to events: on the local cores, or on a Dask cluster. It can be stopped and begun again.

A file of events appears whole or not at all, and one that is there and sound is not made again. So whatever dies
(a worker, the cluster, the machine), the same command goes on where it was, and nothing is lost or done twice.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rtsynth.cli.codec_encoding import Wish, encode_recording
from rtsynth.errors import InputError, RtsynthError, UsageError

SUFFIXES = {".wav", ".flac", ".ogg", ".mp3", ".aiff", ".aif", ".rf64", ".w64", ".caf", ".opus"}
ATTEMPTS = (
    3  # at a recording whose worker died; locally, after so many deaths recordings are tried one by one
)
DASK = "no distributed: pip install 'rtsynth[corpus]', or leave --scheduler out"


@dataclass(frozen=True)
class Job:
    """One recording, and where its events go."""

    recording: Path
    out: Path


@dataclass(frozen=True)
class Outcome:
    """Of a job: figures of the file, or why there is none; `done`: it was there already."""

    job: Job
    told: dict[str, Any] | None = None
    problem: str = ""
    done: bool = False
    warnings: tuple[str, ...] = ()

    def as_dict(self) -> dict[str, Any]:
        """For --json."""
        told = self.told or {"path": str(self.job.out), "problem": self.problem or None}
        return {"recording": str(self.job.recording), "done_before": self.done, **told}


def jobs(folder: Path, out: Path) -> list[Job]:
    """Every recording below a folder; its events go to the same place below `out`. Raises UsageError, InputError."""
    if out.suffix == ".events" or out.is_file():
        raise UsageError(f"{folder} is a folder, so its events go to one: -o {out.with_suffix('')}")
    found = [
        Job(path, (out / path.relative_to(folder)).with_suffix(".events"))
        for path in sorted(folder.rglob("*"))
        if path.suffix.lower() in SUFFIXES and path.is_file()
    ]
    if not found:
        raise InputError(f"{folder} has no recordings: no .wav, .flac, .ogg, .mp3, … in it or below it")
    places: dict[Path, Path] = {}
    for job in found:
        if (other := places.setdefault(job.out, job.recording)) != job.recording:
            raise UsageError(
                f"{other} and {job.recording} would both become {job.out}: move one to another folder"
            )
    return found


def work(job: Job, asked: Wish, force: bool) -> Outcome:
    """Do one job, unless it is done. Runs in a worker; every problem with the recording is in the outcome."""
    if not force and _sound(job.out):
        return Outcome(job, done=True)
    try:
        job.out.parent.mkdir(parents=True, exist_ok=True)
        encoded = encode_recording(job.recording, job.out, asked, force=True)
    except (RtsynthError, OSError) as problem:
        return Outcome(job, problem=" ".join(str(problem).split()))
    return Outcome(job, encoded.as_dict(), warnings=tuple(encoded.warnings))


def _sound(path: Path) -> bool:
    from rtsynth.codec.storage import read_events

    try:
        read_events(path)
    except InputError:
        return False
    return True


def on_this_machine(listed: list[Job], asked: Wish, force: bool, workers: int | None) -> Iterator[Outcome]:
    """Outcomes as they come, from worker processes. A recording that workers die of is found and left."""
    count = workers or len(os.sched_getaffinity(0))
    left, deaths = dict.fromkeys(listed), 0
    while left:
        batch = list(left) if deaths < ATTEMPTS else [next(iter(left))]
        try:
            for outcome in _pooled(batch, asked, force, min(count, len(batch))):
                del left[outcome.job]
                yield outcome
        except BrokenProcessPool:
            deaths += 1
            if deaths > ATTEMPTS:  # it was at work alone
                del left[batch[0]]
                yield Outcome(batch[0], problem=f"{batch[0].recording}: its worker died")


def _pooled(batch: list[Job], asked: Wish, force: bool, count: int) -> Iterator[Outcome]:
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(count, mp_context=context, initializer=_one_thread) as pool:
        futures: list[Future[Outcome]] = [pool.submit(work, job, asked, force) for job in batch]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _one_thread() -> None:
    """The recordings are what runs side by side, not the arithmetic within one."""
    for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"


def on_cluster(listed: list[Job], asked: Wish, force: bool, scheduler: str) -> Iterator[Outcome]:
    """The same from the workers of a Dask cluster, which see the same folders; a dead one's jobs go to others."""
    try:
        from dask.distributed import Client
        from dask.distributed import as_completed as completed
    except ImportError:
        raise RtsynthError(DASK) from None
    absolute = [Job(job.recording.resolve(), job.out.resolve()) for job in listed]
    try:
        client = Client(scheduler, timeout="10s")
    except (OSError, ValueError) as problem:
        raise RtsynthError(
            f"no Dask scheduler at {scheduler}: {' '.join(str(problem).split())}. Start one: dask scheduler"
        ) from None
    with client:
        futures = client.map(work, absolute, asked=asked, force=force, pure=False, retries=ATTEMPTS)
        for future in completed(futures):
            if future.status == "finished":
                yield future.result()
            else:
                job = absolute[futures.index(future)]
                yield Outcome(job, problem=f"{job.recording}: {' '.join(str(future.exception()).split())}")
