"""`rtsynth selftest`: the law of what is heard against the kernel that is stated."""

from __future__ import annotations

from dataclasses import asdict

from rtsynth.cli.flags import TALK, PresetName, Talk
from rtsynth.cli.loading import announce_compiling
from rtsynth.cli.output import columns, emit
from rtsynth.errors import ThresholdError


def selftest(preset: PresetName, /, *, talk: Talk = TALK) -> int:
    """Compare a preset's compiled loop with its kernel: figures against limits."""
    import rtsynth
    from rtsynth.instrument.law import check

    loaded = rtsynth.load_preset(preset)
    announce_compiling(talk)
    findings = check(loaded)
    if talk.json:
        for finding in findings:
            emit(asdict(finding) | {"ok": finding.ok})
    else:
        rows = [
            ("ok" if f.ok else "FAILED", f.name, f"{f.figure:.2g}", f"limit {f.limit:.2g}") for f in findings
        ]
        print(columns(rows))
    failed = [finding.name for finding in findings if not finding.ok]
    if failed or not findings:
        raise ThresholdError(f"{preset}: {len(failed)} of {len(findings)} checks failed: {'; '.join(failed)}")
    return 0
