"""`selftest`: what it prints, as text and as JSON, and when it fails."""

from __future__ import annotations

import inspect
import json
from typing import Any

import pytest

from rtsynth.cli import selftest as verb
from rtsynth.instrument import Instrument, law, scenarios, trial
from rtsynth.statespace.goodness import holm
from tests.cli.command import Inside, rtsynth


def finding(figure: float) -> law.Finding:
    return law.Finding("covariance, key 60", figure, 1e-12)


def verdict(p: float, statistic: str = "variance", **fields: Any) -> trial.Verdict:
    given = {"where": "523 Hz", "measured": 1.122, "stated": 1.0} | fields
    return trial.Verdict("bent", 0.2, 0.21, statistic, p, float(holm([p, 0.9])[0]), 1e-4, **given)


@pytest.fixture
def planned(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Sets what the two parts find."""

    def plan(findings: list[law.Finding], verdicts: list[trial.Verdict]) -> None:
        monkeypatch.setattr(law, "check", lambda preset: findings)
        monkeypatch.setattr(trial, "examine", lambda preset, **given: verdicts)

    return plan


@pytest.mark.parametrize(
    ("figure", "code", "word"), [(1e-15, 0, "ok"), (1e-3, 6, "FAILED"), (float("nan"), 6, "FAILED")]
)
def test_it_fails_beyond_a_limit_of_the_law(
    planned: Any, inside: Inside, figure: float, code: int, word: str
) -> None:
    planned([finding(1e-16), finding(figure)], [verdict(0.5)])
    done = inside("selftest", "piano")
    assert done.code == code
    assert done.out.splitlines()[1].startswith(word)
    assert ("1 of 3 checks failed" in done.err) == (code == 6)


@pytest.mark.parametrize(("p", "code"), [(0.5, 0), (6e-5, 0), (4e-5, 6), (0.0, 6), (float("nan"), 6)])
def test_it_fails_where_takes_are_not_of_the_law(planned: Any, inside: Inside, p: float, code: int) -> None:
    """The verdict goes by the p-value that has paid for all questions, here two."""
    planned([finding(1e-16)], [verdict(p), verdict(0.9, "mean")])
    done = inside("selftest", "piano", "-q")
    assert done.code == code
    assert ("FAILED" in done.out) == (code == 6)
    assert ("bent, 200-210 ms: variance at 523 Hz: +0.50 dB" in done.err) == (code == 6)


@pytest.mark.parametrize("nothing", [([], [verdict(0.5)]), ([finding(0.0)], [])], ids=["law", "takes"])
def test_without_any_check_is_no_pass(planned: Any, inside: Inside, nothing: Any) -> None:
    planned(*nothing)
    assert inside("selftest", "piano", "-q").code == 6


def test_the_error_names_the_worst_and_counts_the_rest(planned: Any, inside: Inside) -> None:
    planned([finding(0.0)], [verdict(p, where=f"{1e9 * p:.0f} Hz") for p in (5e-9, 2e-9, 1e-9, 3e-9, 4e-9)])
    err = inside("selftest", "piano", "-q").err
    assert [err.index(f"at {hertz} Hz") for hertz in (1, 2, 3)] == sorted(
        err.index(f"at {hertz} Hz") for hertz in (1, 2, 3)
    )
    assert "at 4 Hz" not in err
    assert "; and 2 more" in err


@pytest.mark.parametrize(
    ("statistic", "measured", "stated", "text"),
    [
        ("mean", -6.26, 0.0, "mean at 523 Hz: off by -6.3 standard deviations (p 0.5)"),
        ("spectrum", 0.5, 1.0, "spectrum at 523 Hz: -3.01 dB (p 0.5)"),
        ("normality", 2.5, 3.0, "normality at 523 Hz: 2.500 for 3.000 (p 0.5)"),
        ("autocovariance", 0.4, 0.41, "autocovariance at 523 Hz: 0.400 for 0.410 (p 0.5)"),
        ("finite", float("nan"), float("nan"), "finite at 523 Hz (p 0.5)"),
    ],
)
def test_every_statistic_has_its_unit(statistic: str, measured: float, stated: float, text: str) -> None:
    said = verdict(0.5, statistic, measured=measured, stated=stated).text
    assert said == f"bent, 200-210 ms: {text}"


def test_a_shipped_preset_from_end_to_end() -> None:
    done = rtsynth("selftest", "vibraphone", "--takes", 16, "--seed", 3, "--json", "-q")
    assert (done.code, done.err) == (0, "")
    lines = [json.loads(line) for line in done.out.splitlines()]
    parts = {part: [line for line in lines if line["part"] == part] for part in ("law", "takes")}
    assert sum(map(len, parts.values())) == len(lines)
    assert parts["law"]
    assert all(line["ok"] and line["figure"] <= line["limit"] for line in parts["law"])
    assert len(parts["takes"]) > 50
    assert all(line["ok"] and 0.0 < line["adjusted_p"] <= 1.0 for line in parts["takes"])


@pytest.fixture
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Windows of 64 samples, and no first part."""
    given = scenarios.scenarios
    monkeypatch.setattr(law, "check", lambda preset: [finding(0.0)])
    monkeypatch.setattr(trial, "scenarios", lambda preset, **options: given(preset, window=64))


@pytest.mark.usefixtures("short")
def test_what_is_left_out_is_told(inside: Inside) -> None:
    text, data = (inside("selftest", "wind", "--takes", 8, *flags) for flags in ((), ("--json",)))
    assert (text.code, data.code) == (0, 0)
    assert "left out: bent: the innovations form" in text.out
    told = [json.loads(line) for line in data.out.splitlines()]
    assert [line["scenario"] for line in told if line["part"] == "left out"] == ["bent"]
    assert text.out.splitlines()[-1].startswith("least: ")


@pytest.mark.usefixtures("short")
def test_a_fault_from_end_to_end(monkeypatch: pytest.MonkeyPatch, inside: Inside) -> None:
    """A voice that forgets its state at every block."""
    run = Instrument.run

    def forgetful(self: Instrument, *arguments: Any) -> None:
        self.bank.state.x[...] = 0.0
        run(self, *arguments)

    monkeypatch.setattr(Instrument, "run", forgetful)
    done = inside("selftest", "glass", "--takes", 16)
    assert done.code == 6
    assert "checks failed: " in done.err
    table = done.out.splitlines()
    assert any(line.startswith("FAILED  held, key 60") for line in table)


def test_takes_are_those_of_the_examination() -> None:
    assert inspect.signature(verb.selftest).parameters["takes"].default == trial.TAKES


@pytest.mark.parametrize("flags", [("--takes", 7), ("--seed", -1), ("--takes", "many")])
def test_wrong_flags_are_a_usage_error(inside: Inside, flags: tuple[Any, ...]) -> None:
    done = inside("selftest", "piano", *flags)
    assert done.code == 2
    assert "rtsynth selftest --help" in done.complaint
