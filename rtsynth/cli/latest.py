"""How the latest performance went, kept beside the recordings so that `doctor` can say what was missed and why."""

from __future__ import annotations

import contextlib
import json
import os
import shlex
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from rtsynth.cli.measurements import as_json
from rtsynth.cli.output import finite

if TYPE_CHECKING:
    from rtsynth.io.performance import Outcome


def path() -> Path:
    """Where it is kept; it need not be there."""
    import platformdirs

    return platformdirs.user_state_path("rtsynth") / "latest.json"


def keep(outcome: Outcome) -> None:
    """Write down how it went. A disk that is full or not ours to write is no reason to fail."""
    kept = {
        "command": shlex.join(["rtsynth", *sys.argv[1:]]),
        "ended": time.time(),
        "seconds": outcome.seconds,
        "outages": outcome.outages,
        **as_json(outcome.report, outcome.voices),
    }
    with contextlib.suppress(OSError):
        path().parent.mkdir(parents=True, exist_ok=True)
        fresh = path().with_suffix(f".{os.getpid()}")
        fresh.write_text(json.dumps(finite(kept)))
        fresh.replace(path())


def load() -> dict[str, Any] | None:
    """What `keep` wrote; None where there is nothing, or nothing that can be read."""
    try:
        found = json.loads(path().read_text())
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and "late" in found else None
