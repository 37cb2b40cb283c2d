"""Settings: flags over variables over ./rtsynth.toml over the user's file over what is built in; and who says so."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from rtsynth.cli import _VERBS, build_app, config
from rtsynth.cli.doctor_config import verbs
from rtsynth.errors import InputError
from tests.cli.command import Inside


@pytest.fixture(autouse=True)
def _nothing_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name in [name for name in os.environ if name.startswith(config.PREFIX)]:
        monkeypatch.delenv(name)


def project(text: str) -> None:
    Path(config.PROJECT_FILE).write_text(text)


def user(text: str) -> None:
    config.user_file().parent.mkdir(parents=True, exist_ok=True)
    config.user_file().write_text(text)


def told(*arguments: str) -> dict[str, Any]:
    """What the verb of a command line is called with."""
    _, bound, _ = build_app().parse_args(arguments, exit_on_error=False, print_error=False)
    return bound.arguments


def block(*arguments: str) -> int:
    return told("play", "piano", *arguments)["take"].block


def test_each_place_wins_over_those_behind_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "take" not in told("play", "piano")  # as built in
    user("block = 1")
    assert block() == 1
    user("block = 1\n[play]\nblock = 2")
    assert block() == 2
    project("block = 3")
    assert block() == 3
    project("block = 3\n[play]\nblock = 4")
    assert block() == 4
    monkeypatch.setenv("RTSYNTH_BLOCK", "5")
    assert block() == 5
    monkeypatch.setenv("RTSYNTH_PLAY_BLOCK", "6")
    assert block() == 6
    assert block("--block", "7") == 7


def test_a_table_is_for_its_verb_alone() -> None:
    project('[play]\nblock = 4\naudio-out = "null"\n[live.vocoder]\nwet = 0.5\n')
    assert told("play", "piano")["audio_out"] == "null"
    assert "take" not in told("render", "piano", "x.mid", "-o", "x.wav")
    assert told("live", "vocoder")["wet"] == 0.5
    assert "wet" not in told("live", "drive")


def test_values_of_every_type_arrive_as_typed() -> None:
    project('gain_db = -3\nquiet = true\nverbose = false\n[play]\nmidi-in = "Key Lab"\n')
    arguments = told("play", "piano", "--no-wait")
    assert arguments["take"].gain_db == -3.0
    assert (arguments["talk"].quiet, arguments["talk"].verbose, arguments["no_wait"]) == (True, False, True)
    assert arguments["midi_in"] == "Key Lab"
    assert told("play", "piano", "--quiet=false")["talk"].quiet is False


def test_it_reaches_what_runs(inside: Inside) -> None:
    project("[presets.list]\njson = true")
    assert isinstance(json.loads(inside("presets", "list").out), list)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("blok = 3", "./rtsynth.toml: blok: not for all verbs. Did you mean block?"),
        ("seconds = 3", "./rtsynth.toml: seconds: not for all verbs."),
        ("[pley]\nblock = 3", "./rtsynth.toml: [pley]: no such verb. Did you mean play?"),
        ("[presets.list]\njsn = 3", "[presets.list] jsn: no such flag. Did you mean json?"),
        ("[presets]\nlist = 3", "presets.list is a verb: want a table [list]"),
        ("json = 2020-01-01", "./rtsynth.toml: json: want text, a number, true or false"),
        ("json", "./rtsynth.toml: Expected '=' after a key"),
    ],
)
def test_what_means_nothing_is_one_line_with_5(text: str, complaint: str, inside: Inside) -> None:
    project(text)
    done = inside("presets", "list")
    assert (done.code, done.out) == (5, "")
    assert complaint in done.complaint


def test_doctor_runs_beside_a_broken_file_and_says_so(inside: Inside) -> None:
    project("json")
    user("block = 3")
    found = inside("doctor", "--config")
    assert found.code == 5
    assert "./rtsynth.toml: Expected '=' after a key" in found.out
    assert f"block in {config.user_file()}" in found.out


def test_a_value_that_does_not_fit_names_where_it_was_said(
    inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("RTSYNTH_PLAY_BLOCK", "many")
    done = inside("play", "piano")
    assert done.code == 2
    assert "RTSYNTH_PLAY_BLOCK" in done.complaint


def test_doctor_shows_where_each_value_comes_from(inside: Inside, monkeypatch: pytest.MonkeyPatch) -> None:
    user("seed = 2")
    project("block = 32\n[play]\nseconds = 1.5")
    monkeypatch.setenv("RTSYNTH_GAIN_DB", "-6")
    monkeypatch.setenv("RTSYNTH_NOBODY", "1")
    *rows, end = [
        json.loads(line) for line in inside("doctor", "--config", "play", "--json").out.splitlines()
    ]
    shown = {row["flag"]: (row["value"], row["origin"]) for row in rows}
    assert shown["block"] == ("32", "block in ./rtsynth.toml")
    assert shown["seconds"] == ("1.5", "[play] seconds in ./rtsynth.toml")
    assert shown["seed"] == ("2", f"seed in {config.user_file()}")
    assert shown["gain-db"] == ("-6", "RTSYNTH_GAIN_DB")
    assert shown["midi-in"] == ("all", "default")
    assert end == {"problems": [], "unread": ["RTSYNTH_NOBODY"]}
    text = inside("doctor", "--config").out
    (line,) = [line for line in text.splitlines() if "--seconds" in line]
    assert line.split() == ["--seconds", "1.5", "[play]", "seconds", "in", "./rtsynth.toml", "play"]
    assert "default" not in text
    assert "Nothing reads these variables: RTSYNTH_NOBODY" in text


def test_doctor_takes_a_verb_that_there_is(inside: Inside) -> None:
    assert "no verb 'plei'" in inside("doctor", "--config", "plei").complaint
    assert inside("doctor", "play").code == 2


def test_shared_flags_are_those_of_several_verbs() -> None:
    known = dict(verbs(build_app()))
    assert {verb[0] for verb in known} == set(_VERBS)
    taken = [
        {config.flag_of(argument) for argument in app.assemble_argument_collection()}
        for app in known.values()
    ]
    for flag in config.SHARED:
        assert sum(flag in flags for flags in taken) > 1, flag


def test_a_broken_file_is_told_from_a_missing_one(tmp_path: Path) -> None:
    assert [place.name for place in config.layers()] == ["RTSYNTH_*"]
    project("x = ")
    with pytest.raises(InputError):
        config.layers()
