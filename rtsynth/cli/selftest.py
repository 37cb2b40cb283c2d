"""`rtsynth selftest`: the law of what is heard against the kernel that is stated, proved and then tested on takes."""

from __future__ import annotations

import itertools
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter

from rtsynth.cli.display import progress
from rtsynth.cli.flags import TALK, PresetName, Talk
from rtsynth.cli.loading import announce_compiling
from rtsynth.cli.output import columns, emit
from rtsynth.errors import ThresholdError

if TYPE_CHECKING:
    from rtsynth.instrument.law import Finding
    from rtsynth.instrument.trial import Verdict

STATISTICS = ("mean", "variance", "normality", "serial", "autocovariance", "spectrum")
NAMED = 3  # failures that the one line of the error has room for


def selftest(
    preset: PresetName,
    /,
    *,
    takes: Annotated[
        int, Parameter(help="Takes of every passage: four times as many see half as much.")
    ] = 512,
    seed: Annotated[int, Parameter(help="Other takes; the same seed gives the same verdict.")] = 1,
    talk: Talk = TALK,
) -> int:
    """Prove a preset's compiled loop by its responses, then test its takes against the kernel (docs/selftest.md)."""
    import rtsynth
    from rtsynth.instrument import scenarios, trial
    from rtsynth.instrument.law import check

    loaded = rtsynth.load_preset(preset)
    trial.check_arguments(takes, seed)
    announce_compiling(talk)
    findings = check(loaded)
    _show_findings(findings, talk)
    with progress("takes", talk) as update:
        verdicts = trial.examine(loaded, takes=takes, seed=seed, progress=update)
    _show_verdicts(verdicts, scenarios.left_out(loaded), takes, talk)
    failed = [finding.name for finding in findings if not finding.ok]
    failed += [verdict.text for verdict in sorted(verdicts, key=lambda v: v.p) if not verdict.ok]
    if failed or not findings or not verdicts:
        count = len(findings) + len(verdicts)
        more = f"; and {len(failed) - NAMED} more" if len(failed) > NAMED else ""
        raise ThresholdError(
            f"{preset}: {len(failed)} of {count} checks failed: {'; '.join(failed[:NAMED])}{more}"
        )
    return 0


def _show_findings(findings: list[Finding], talk: Talk) -> None:
    if talk.json:
        for finding in findings:
            emit({"part": "law", **asdict(finding), "ok": finding.ok})
        return
    rows = [(_word(f.ok), f.name, f"{f.figure:.2g}", f"limit {f.limit:.2g}") for f in findings]
    print(columns(rows), flush=True)


def _show_verdicts(verdicts: list[Verdict], left_out: dict[str, str], takes: int, talk: Talk) -> None:
    if talk.json:
        for verdict in verdicts:
            emit({"part": "takes", **asdict(verdict), "ok": verdict.ok})
        for passage, reason in left_out.items():
            emit({"part": "left out", "scenario": passage, "reason": reason})
        return
    print(f"\n{takes} takes of each passage: how often the law itself would look worse")
    print(columns([("", "passage", "window, ms", *STATISTICS), *map(_row, _by_window(verdicts))]))
    for passage, reason in left_out.items():
        print(f"left out: {passage}: {reason}")
    if verdicts:
        least = min(verdicts, key=lambda verdict: verdict.p)
        limit = f"a failure is below p {least.alarm / len(verdicts):.1g}"
        print(f"{len(verdicts)} questions, {limit}: one false alarm in {1.0 / least.alarm:.0f} runs")
        print(f"least: {least.text}")


def _by_window(verdicts: list[Verdict]) -> list[list[Verdict]]:
    groups = itertools.groupby(verdicts, key=lambda verdict: (verdict.scenario, verdict.start, verdict.end))
    return [list(group) for _, group in groups]


def _row(window: list[Verdict]) -> tuple[str, ...]:
    first, found = window[0], {verdict.statistic: f"{verdict.p:.2g}" for verdict in window}
    span = f"{1e3 * first.start:.0f}-{1e3 * first.end:.0f}"
    word = _word(all(verdict.ok for verdict in window))
    return (word, first.scenario, span, *(found.get(statistic, "") for statistic in STATISTICS))


def _word(ok: bool) -> str:
    return "ok" if ok else "FAILED"
