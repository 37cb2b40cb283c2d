"""One thing that `doctor` looked at."""

from __future__ import annotations

from dataclasses import dataclass

LIMITS_HINT = "echo '@audio - rtprio 95' | sudo tee /etc/security/limits.d/audio.conf, and join group audio"


@dataclass(frozen=True)
class Finding:
    """`state`: "ok", "note" (it goes without), "broken" (nothing plays until it is mended)."""

    state: str
    subject: str
    text: str
    next_step: str = ""
