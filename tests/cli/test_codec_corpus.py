"""A folder of recordings to events: resumed, on local processes whose workers die, on a Dask cluster that loses one."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import numpy as np
import pytest
import soundfile

from rtsynth.cli import codec_corpus
from rtsynth.cli.codec_corpus import Job, jobs, on_cluster, on_this_machine, work
from rtsynth.cli.codec_encoding import Wish
from rtsynth.codec.storage import read_events
from rtsynth.errors import InputError, RtsynthError, UsageError
from tests.cli.command import Inside

RATE = 16000
QUICK = Wish(scheme="retarget")


def sound(seed: int, seconds: float = 0.3) -> np.ndarray:
    return 0.1 * np.random.default_rng(seed).standard_normal(round(seconds * RATE))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    inside = tmp_path / "in" / "deeper"
    inside.mkdir(parents=True)
    for number in range(3):
        soundfile.write(tmp_path / "in" / f"{number}.wav", sound(number), RATE)
    soundfile.write(inside / "x.flac", sound(9), RATE)
    (tmp_path / "in" / "notes.txt").write_text("no sound")
    return tmp_path / "in"


def test_every_recording_below_a_folder_has_its_place(folder: Path, tmp_path: Path) -> None:
    listed = jobs(folder, tmp_path / "out")
    places = [str(job.out.relative_to(tmp_path / "out")) for job in listed]
    assert places == ["0.events", "1.events", "2.events", "deeper/x.events"]
    (folder / "0.flac").write_bytes(b"")
    with pytest.raises(UsageError, match="both become"):
        jobs(folder, tmp_path / "out")
    with pytest.raises(UsageError, match="folder"):
        jobs(folder, tmp_path / "out.events")
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match="no recordings"):
        jobs(tmp_path / "empty", tmp_path / "out")


def test_a_folder_is_encoded_once_and_gone_on_with(folder: Path, tmp_path: Path, inside: Inside) -> None:
    out = tmp_path / "out"
    (folder / "bad.wav").write_text("hello")
    done = inside("codec", "encode", folder, "-o", out, "--workers", 2, "--scheme", "retarget")
    assert done.code == 1
    assert "bad.wav" in done.err
    assert "4 encoded, 0 there already, 1 failed" in done.err
    made = {path: path.stat().st_mtime_ns for path in out.rglob("*.events")}
    assert len(made) == 4
    for job in jobs(folder, tmp_path / "here"):
        if job.recording.name != "bad.wav":
            assert work(job, QUICK, force=False).told
            there = out / job.out.relative_to(tmp_path / "here")
            assert job.out.read_bytes() == there.read_bytes()  # whichever process made it
    (folder / "bad.wav").unlink()
    (out / "1.events").write_bytes((out / "1.events").read_bytes()[:50])  # what a full disk may leave
    done = inside(
        "codec", "encode", folder, "-o", out, "--workers", 1, "--scheme", "retarget", "--json", "-q"
    )
    assert done.code == 0
    told = [json.loads(line) for line in done.out.splitlines()]
    assert [Path(t["recording"]).name for t in told if not t["done_before"]] == ["1.wav"]
    changed = {path.name for path, time in made.items() if path.stat().st_mtime_ns != time}
    assert changed == {"1.events"}
    assert not list(out.rglob("*.part"))


def deadly(job: Job, asked: Wish, force: bool) -> codec_corpus.Outcome:
    """As `work`, but that recording 1 kills its process."""
    if job.recording.name == "1.wav":
        os.kill(os.getpid(), signal.SIGKILL)
    return work(job, asked, force)


def test_a_recording_that_kills_its_worker_is_left_and_the_others_are_made(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(codec_corpus, "work", deadly)
    monkeypatch.setattr(codec_corpus, "ATTEMPTS", 1)
    outcomes = list(on_this_machine(jobs(folder, tmp_path / "out"), QUICK, False, 1))
    assert sorted(o.job.recording.name for o in outcomes) == ["0.wav", "1.wav", "2.wav", "x.flac"]
    assert [o.job.recording.name for o in outcomes if o.problem] == ["1.wav"]
    assert len(list((tmp_path / "out").rglob("*.events"))) == 3


def test_a_cluster_that_loses_a_worker_loses_nothing_and_does_nothing_twice(tmp_path: Path) -> None:
    distributed = pytest.importorskip("distributed", reason="no Dask here: pip install 'rtsynth[corpus]'")
    (tmp_path / "in").mkdir()
    count = 6
    for number in range(count):
        soundfile.write(tmp_path / "in" / f"{number}.wav", sound(number, 0.5), RATE)
    listed = jobs(tmp_path / "in", tmp_path / "out")
    with distributed.LocalCluster(
        n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None, protocol="tcp"
    ) as cluster:
        seen = []
        for outcome in on_cluster(listed, QUICK, False, cluster.scheduler_address):
            seen.append(outcome)
            if len(seen) == 2:
                os.kill(next(iter(cluster.workers.values())).pid, signal.SIGKILL)
        assert sorted(o.job.recording.name for o in seen) == sorted(f"{n}.wav" for n in range(count))
        assert [o.problem for o in seen] == [""] * count
        for number in range(count):
            assert read_events(tmp_path / "out" / f"{number}.events").seconds == 0.5
        before = {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}
        assert len(before) == count
        assert all(o.done for o in on_cluster(listed, QUICK, False, cluster.scheduler_address))
        assert before == {path: path.stat().st_mtime_ns for path in (tmp_path / "out").iterdir()}


def test_no_cluster_is_one_line(folder: Path, tmp_path: Path, inside: Inside) -> None:
    pytest.importorskip("distributed", reason="no Dask here: pip install 'rtsynth[corpus]'")
    with pytest.raises(RtsynthError, match="no Dask scheduler"):
        list(on_cluster(jobs(folder, tmp_path / "out"), QUICK, False, "nonsense://x"))
    for flags, code in ((["--midi", "x.mid"], 2), (["--workers", 0], 2)):
        assert inside("codec", "encode", folder, "-o", tmp_path / "out", *flags).code == code
    assert inside("codec", "encode", folder / "0.wav", "-o", tmp_path / "x.events", "--workers", 2).code == 2
