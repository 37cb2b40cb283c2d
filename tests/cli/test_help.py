"""Help: complete, and without loading what only sound needs."""

from __future__ import annotations

import json
import re
import sys

import pytest

from rtsynth import __version__
from rtsynth.cli import _VERBS
from tests.cli.command import Done, rtsynth

HEAVY = {"numba", "scipy", "torch", "sounddevice", "rtmidi", "soundfile", "numpy", "mido"}
LOADED = """
import json, sys
from contextlib import redirect_stdout
{before}
from rtsynth.cli import main
with redirect_stdout(sys.stderr):
    code = main({arguments})
print(json.dumps([code, sorted(set(sys.modules) & set({heavy}))]))
"""


def loaded_by(arguments: list[str], before: str = "") -> tuple[int, list[str]]:
    """The exit code of a command line, and which heavy modules it loaded."""
    script = LOADED.format(before=before, arguments=arguments, heavy=sorted(HEAVY))
    done = rtsynth(program=(sys.executable, "-c", script))
    code, modules = json.loads(done.out.splitlines()[-1])
    return code, modules


@pytest.mark.parametrize(
    "arguments", [["--help"], [], ["--version"], ["play", "--help"], ["presets", "show", "--help"]]
)
def test_help_loads_nothing_heavy(arguments: list[str]) -> None:
    assert loaded_by(arguments) == (0, [])


def test_the_check_sees_a_heavy_import() -> None:
    assert "numba" in loaded_by(["--help"], before="import numba")[1]


def test_usage_errors_load_nothing_heavy() -> None:
    assert loaded_by(["play"]) == (2, [])


def helped(*arguments: str) -> Done:
    done = rtsynth(*arguments, "--help")
    assert done.code == 0
    assert done.err == ""
    return done


def test_every_verb_is_listed_and_has_help() -> None:
    listed = helped().out
    for verb in _VERBS:
        assert verb in listed
        assert f"Usage: rtsynth {verb}" in helped(verb).out


def test_shared_flags_have_the_same_names_everywhere() -> None:
    for verb in ("play", "render"):
        text = helped(verb).out
        for flag in (
            "--rate",
            "--block",
            "--seed",
            "--gain-db",
            "--seconds",
            "--subtype",
            "--force",
            "-f",
            "--json",
        ):
            assert flag in text, (verb, flag)
    for flag in ("--audio-out", "--midi-in", "--record"):
        assert flag in helped("play").out
    assert "--out" in helped("render").out
    negative = {"--no-wait", "--no-log"}  # no flag has a negative form beside it
    assert set(re.findall(r"--no-\w+", helped("play").out)) == negative


def test_version() -> None:
    assert rtsynth("--version").out.strip() == __version__
