"""`rtsynth doctor` on machines that lack something: what it says, and what to do about it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from rtsynth.cli import doctor, doctor_sound, latest
from rtsynth.errors import DeviceError
from rtsynth.io import jack
from tests.cli.command import Inside

QUANTUM = (
    'Found "settings" metadata 32\n'
    "update: id:0 key:'clock.rate' value:'48000' type:''\n"
    "update: id:0 key:'clock.quantum' value:'{quantum}' type:''\n"
    "update: id:0 key:'clock.force-quantum' value:'{force}' type:''\n"
)


@pytest.mark.parametrize(
    ("rate", "period", "state", "step"),
    [
        (48000, 64, "ok", ""),
        (48000, 1024, "note", "jack_bufsize 256"),
        (96000, 1024, "note", "jack_bufsize 512"),
        (44100, 256, "ok", ""),
    ],
)
def test_a_long_cycle_of_jack_is_noted(rate: int, period: int, state: str, step: str) -> None:
    found = doctor_sound.cycle_finding(rate, period)
    assert found.state == state
    assert found.next_step.endswith(step)
    assert f"{rate} Hz / {period} frames" in found.text


def test_a_server_that_hangs_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang() -> None:
        raise DeviceError("the JACK server does not answer. Start it anew")

    monkeypatch.setattr(jack, "has_library", lambda: True)
    monkeypatch.setattr(jack, "look", hang)
    (found,) = doctor_sound.jack()
    assert (found.state, found.next_step) == ("note", "the JACK server does not answer. Start it anew")


@pytest.mark.parametrize(
    ("quantum", "force", "state", "text"),
    [
        (1024, 0, "note", "quantum 1024 at 48000 Hz (21.3 ms)"),
        (1024, 128, "ok", "quantum 128 at 48000 Hz (2.7 ms)"),
        (256, 0, "ok", "quantum 256"),
    ],
)
def test_the_quantum_of_pipewire_is_read(quantum: int, force: int, state: str, text: str) -> None:
    found = doctor_sound.quantum_finding(QUANTUM.format(quantum=quantum, force=force))
    assert found.state == state
    assert text in found.text
    assert ("clock.force-quantum 256" in found.next_step) == (state == "note")
    assert doctor_sound.quantum_finding("nothing").state == "note"


def test_pipewire_is_asked_where_it_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIPEWIRE_RUNTIME_DIR", str(tmp_path))
    assert doctor_sound.pipewire() == []
    (tmp_path / "pipewire-0").touch()
    monkeypatch.setenv("PATH", str(tmp_path))
    (found,) = doctor_sound.pipewire()
    assert "pipewire-bin" in found.next_step
    program = tmp_path / "pw-metadata"
    program.write_text(f"#!/bin/sh\n/bin/cat <<'.'\n{QUANTUM.format(quantum=2048, force=0)}.\n")
    program.chmod(0o755)
    (found,) = doctor_sound.pipewire()
    assert "quantum 2048" in found.text


def test_an_output_of_a_telephone_is_noted() -> None:
    assert doctor_sound.output_finding("ALSA: Headset", 16000.0, 20.0).state == "note"
    assert doctor_sound.output_finding("ALSA: Scarlett", 48000.0, 3.0).state == "ok"


@pytest.mark.parametrize(
    ("text", "state", "told"),
    [
        ('audio-out = "null"', "ok", "rtsynth: null, 48000 Hz"),
        ('audio-out = "Scarlett Nowhere"', "note", "Scarlett Nowhere"),
        ("blok = 1", "note", "blok"),
    ],
)
def test_the_output_that_settings_ask_for_is_looked_for(
    text: str, state: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert doctor_sound.chosen_output() == []
    Path("rtsynth.toml").write_text(text)
    (found,) = doctor_sound.chosen_output()
    assert found.state == state
    assert told in found.text


def kept(**more: Any) -> dict[str, Any]:
    late = {"engine": 0, "preempted": 0, "host": 0, "worker": 0}
    wall = {"p50": 90.0, "max": 5000.0}
    return {
        "command": "rtsynth play piano",
        "ended": 0.0,
        "blocks": 1000,
        "budget_us": 1333.0,
        "wall_us": wall,
        "late": late | more,
    }


@pytest.mark.parametrize(
    ("late", "step"),
    [
        ({"engine": 3, "host": 1}, "a larger block"),
        ({"preempted": 2}, "rtprio 95"),
        ({"host": 9, "engine": 1}, "sound server"),
        ({"worker": 1}, "--ahead-ms"),
    ],
)
def test_the_cause_of_what_was_missed_decides_the_next_step(late: dict[str, int], step: str) -> None:
    found = doctor_sound.performance_finding(kept(**late), now=7300.0)
    assert found.state == "note"
    assert f"rtsynth play piano, 2 hours ago: {sum(late.values())} of 1000 blocks late" in found.text
    assert "the slowest took 5000 of 1333 µs" in found.text
    assert step in found.next_step
    assert doctor_sound.performance_finding(kept(), now=30.0).state == "ok"


def test_a_performance_leaves_what_doctor_shows(inside: Inside, tmp_path: Path) -> None:
    (found,) = doctor_sound.latest_performance()
    assert found.text == "none is known of"
    assert (
        inside("play", "piano", "--audio-out", "null", "--midi-in", "none", "--seconds", 0.05, "-q").code == 0
    )
    known = latest.load()
    assert known is not None
    assert known["blocks"] > 0
    assert known["peak_db"] is None  # silence has no level
    (found,) = doctor_sound.latest_performance()
    assert f"of {known['blocks']} blocks late" in found.text
    latest.path().write_text("{broken")
    assert latest.load() is None


def test_a_state_folder_that_cannot_be_written_is_no_reason_to_fail(
    inside: Inside, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "taken").write_text("a file where the folder should be")
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "taken"))
    done = inside(
        "play", "piano", "--audio-out", "null", "--midi-in", "none", "--seconds", 0.05, "--json", "-q"
    )
    assert done.code == 0
    assert json.loads(done.out.splitlines()[-1])["event"] == "end"


def test_broken_settings_are_a_finding(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert doctor._settings()[0].text == "as built in"
    Path("rtsynth.toml").write_text("x = ")
    (found,) = doctor._settings()
    assert (found.state, "doctor --config" in found.next_step) == ("broken", True)
