"""`devices`, `presets` and `doctor`: what they print, as text and as JSON."""

from __future__ import annotations

import json

import pytest

import rtsynth as package
from rtsynth.cli import doctor, main
from rtsynth.cli.output import columns, emit
from rtsynth.errors import RtsynthError
from rtsynth.inference import cuda
from rtsynth.inference.cuda import Installation
from tests.cli.command import rtsynth


def test_devices_always_lists_null() -> None:
    done = rtsynth("devices")
    assert done.code == 0
    (line,) = [line for line in done.out.splitlines() if " null " in line]
    assert "48000 (its own)" in line
    listed = json.loads(rtsynth("devices", "--json").out)
    assert listed["audio"][-1]["name"] == "null"
    assert sum(device["default"] for device in listed["audio"]) == 1
    assert isinstance(listed["midi"], list)


def test_presets_list_show_and_validate() -> None:
    names = [line.split()[0] for line in rtsynth("presets", "list").out.splitlines()]
    assert names == package.presets()
    assert [preset["name"] for preset in json.loads(rtsynth("presets", "list", "--json").out)] == names
    shown = rtsynth("presets", "show", "piano")
    assert shown.code == 0
    assert "Grand piano" in shown.out
    assert json.loads(rtsynth("presets", "show", "piano", "--json").out)["name"] == "piano"
    valid = rtsynth("presets", "validate", *names)
    assert (valid.code, valid.err) == (0, "")
    assert valid.out.splitlines() == [f"{name}: fine" for name in names]


def test_doctor_has_a_line_for_everything(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    text = capsys.readouterr().out
    for subject in (
        "Python",
        "numba",
        "native engine",
        "sampler",
        "real-time priority",
        "processor",
        "PortAudio",
        "JACK",
        "MIDI",
    ):
        assert subject in text, subject
    assert main(["doctor", "--json"]) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert {line["state"] for line in lines} <= {"ok", "note"}


def test_doctor_fails_where_something_is_broken(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> None:
        raise RtsynthError("the compiled engine is missing. Build it")

    monkeypatch.setattr("rtsynth.engine.binding.load", missing)
    assert main(["doctor"]) == 1
    assert "- native engine: the compiled engine is missing. Build it" in capsys.readouterr().out


def test_doctor_says_what_to_do_without_priority(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "_takes_fifo", lambda: False)
    (finding,) = doctor._realtime_priority()
    assert (finding.state, "rtprio" in finding.next_step) == ("note", True)


def test_columns_align_and_do_not_trail() -> None:
    assert columns([("a", "bb", ""), ("ccc", "d", "e")]) == "a    bb\nccc  d   e"
    assert columns([]) == ""


def test_json_has_no_infinities(capsys: pytest.CaptureFixture[str]) -> None:
    emit({"level": float("-inf"), "list": [float("nan"), 1.5]})
    assert json.loads(capsys.readouterr().out) == {"level": None, "list": [None, 1.5]}


@pytest.mark.parametrize(
    ("found", "states", "text"),
    [
        (Installation("", "", "no GPU", ""), ["note"], "no onnxruntime"),
        (Installation("onnxruntime 1.31.1", "", "no GPU", ""), ["ok", "ok"], "none is needed"),
        (
            Installation("onnxruntime 1.31.1", "H200", "onnxruntime without CUDA", "pip …"),
            ["ok", "note"],
            "without CUDA",
        ),
    ],
)
def test_doctor_says_what_runs_networks(
    found: Installation, states: list[str], text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda, "installation", lambda: found)
    findings = doctor._models()
    assert [finding.state for finding in findings] == states
    assert text in findings[-1].text
