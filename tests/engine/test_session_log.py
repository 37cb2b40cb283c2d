"""Logs of sessions: read back to the bit, whole or cut off; kept in a folder that does not grow."""

from __future__ import annotations

import json
import math
import os
from pathlib import Path

import numpy as np
import pytest

from rtsynth.engine import Engine, session_files
from rtsynth.engine.session_log import SessionLog, read_header, read_log
from rtsynth.engine.thru import Thru
from rtsynth.errors import InputError
from rtsynth.messages import MESSAGE, Kind, Messages, message

RATE = 48000.0
HEADER = {"source": {"kind": "thru"}, "note": "a\u2028b\x85ü"}


@pytest.fixture(autouse=True)
def _state_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def any_messages(count: int) -> Messages:
    """Every field at random, floats of all bits but infinite ones; some are not a number, some kinds unknown."""
    rng = np.random.default_rng(3)
    messages = np.zeros(count, MESSAGE)
    bits = rng.integers(0, 2**32, count, np.uint32).view(np.float32)
    messages["value"] = np.where(np.isfinite(bits), bits, np.nan)
    messages["time"] = np.sort(rng.integers(0, 1000, count))
    messages["number"] = rng.integers(-(2**15), 2**15, count)
    messages["kind"] = rng.choice([*(set(Kind) - {Kind.GAIN, Kind.FADE}), 99], count)
    messages["channel"] = rng.integers(0, 16, count)
    messages["option"] = rng.integers(-(2**31), 2**31, count)
    messages["source"] = rng.integers(-1, 1, count)
    return messages


def logged(path: Path, messages: Messages, frames: int = 1000) -> None:
    out = np.empty((frames, 2), np.float32)
    with Engine([Thru()], RATE) as engine, SessionLog(engine, path, HEADER) as log:
        engine.send(messages)
        engine.process(out)
        log.note({"remark": 1})
        log.stop(ending="over")


def test_what_was_applied_is_read_back_to_the_bit(tmp_path: Path) -> None:
    sent = any_messages(2000)
    logged(tmp_path / "a.log", sent)
    take = read_log(tmp_path / "a.log")
    assert take.messages.dtype == MESSAGE
    for name in ("time", "number", "kind", "channel", "source", "option"):
        np.testing.assert_array_equal(take.messages[name], sent[name])
    np.testing.assert_array_equal(take.messages["value"], sent["value"])  # not-a-numbers too
    assert np.isnan(sent["value"]).any()
    assert (take.frames, take.rate, take.lost, take.remarks) == (1000, RATE, 0, [{"remark": 1}])
    assert take.end is not None
    assert take.end["ending"] == "over"
    assert (
        {name: take.header[name] for name in HEADER}
        == HEADER
        == {name: read_header(take.path)[name] for name in HEADER}
    )


def test_it_is_json_a_line_each(tmp_path: Path) -> None:
    logged(tmp_path / "a.log", message(Kind.TUNE, 5, number=60, value=math.nan))
    lines = [json.loads(line) for line in (tmp_path / "a.log").read_text("ascii").splitlines()]
    assert [5, "tune", 0, 60, None, -1, 0] in lines


def test_a_log_that_was_cut_off_is_read_up_to_there(tmp_path: Path) -> None:
    """At a hundred places: whatever message is there is one that was applied, in order."""
    logged(tmp_path / "a.log", any_messages(50))
    whole, data = read_log(tmp_path / "a.log"), (tmp_path / "a.log").read_bytes()
    cut = tmp_path / "cut.log"
    counts = set()
    for length in range(len(data) - 700, len(data) - 2, 7):
        cut.write_bytes(data[:length])
        take = read_log(cut)
        counts.add(len(take.messages))
        assert take.messages.tobytes() == whole.messages[: len(take.messages)].tobytes()
        assert take.end is None
    assert len(counts) > 5


def test_what_is_no_log_or_is_damaged_is_refused_by_line(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    with pytest.raises(InputError, match=r"no log .*rtsynth log list"):
        read_log(path)
    path.write_text("hello\n")
    with pytest.raises(InputError, match=r"a\.log:1: not a log"):
        read_log(path)
    path.write_text('{"rtsynth log": 2, "rate": 1}\n')
    with pytest.raises(InputError, match="version 2"):
        read_log(path)
    logged(tmp_path / "b.log", any_messages(3))
    lines = (tmp_path / "b.log").read_text().splitlines()
    for wrong in ('[1, "no such kind", 0, 0, 0, 0, 0]', "[1, 2]", "{", "7"):
        path.write_text("\n".join([lines[0], wrong, *lines[1:]]))
        with pytest.raises(InputError, match=r"a\.log:2: "):
            read_log(path)
    path.write_text("\n".join([lines[0], '[1, "note_on", 0, 99999, 0, 0, 0]', lines[-1]]))
    with pytest.raises(InputError, match="cannot be"):
        read_log(path)


def test_a_full_disk_is_told_once_and_the_playing_goes_on(tmp_path: Path) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    said: list[str] = []
    out = np.empty((10, 2), np.float32)
    with Engine([Thru()], RATE) as engine:
        log = SessionLog(engine, tmp_path / "a.log", {}, say=said.append)
        log._file.close()
        log._file = open("/dev/full", "w")  # noqa: SIM115
        log.start()
        for _ in range(3):
            engine.send(message(Kind.NOTE_ON, -1))
            engine.process(out)
            log._drain()
        log.stop()
        assert engine.time == 30
    (line,) = said
    assert "No space left" in line
    assert "the playing goes on" in line


def test_where_nothing_was_played_no_log_is_left(tmp_path: Path) -> None:
    with Engine([Thru()], RATE) as engine, SessionLog(engine, tmp_path / "a.log", {}):
        assert (tmp_path / "a.log").exists()
    assert not (tmp_path / "a.log").exists()


# ---- the folder ----


def begun(names: list[str]) -> list[Path]:
    paths = [session_files.new_path("x").with_name(f"{name}.log") for name in names]
    for number, path in enumerate(paths):
        path.write_text(json.dumps({"rtsynth log": 1, "rate": 1, "files": {"a": f"{number}"}}) + "\n")
        os.utime(path, (number, number))
    return paths


def test_the_latest_is_found_and_others_by_name_or_path() -> None:
    paths = begun(["20260101-000000-a", "20260102-000000-b", "20260101-120000-c"])
    assert session_files.find("last") == paths[1]
    assert session_files.listed() == [paths[1], paths[2], paths[0]]
    assert session_files.find("20260101-000000-a.log") == session_files.find(str(paths[0])) == paths[0]
    with pytest.raises(InputError, match="rtsynth log list"):
        session_files.find("nothing.log")


def test_with_none_there_is_no_last() -> None:
    with pytest.raises(InputError, match="nothing has been played"):
        session_files.find("last")


def test_two_in_a_second_have_names_of_their_own() -> None:
    first = session_files.new_path("piano")
    first.write_text("")
    assert session_files.new_path("piano") != first


def test_the_oldest_go_and_what_they_alone_needed() -> None:
    paths = begun([f"2026010{day}-000000-x" for day in range(1, 6)])
    folder = session_files.kept_file("0").parent
    folder.mkdir()
    for number in range(6):
        (folder / f"{number}").write_text("")
    session_files.prune(kept=5)
    assert len(list(folder.iterdir())) == 6  # nothing is looked through while there are few
    session_files.prune(kept=2)
    assert session_files.listed() == [paths[4], paths[3]]
    assert {path.name for path in folder.iterdir()} == {"3", "4"}


def test_a_file_is_kept_once_under_its_hash() -> None:
    digest = session_files.keep_file(b"strokes")
    assert session_files.keep_file(b"strokes") == digest
    assert session_files.kept_file(digest).read_bytes() == b"strokes"
    assert len(list(session_files.kept_file(digest).parent.iterdir())) == 1
