"""Where logs of sessions lie: in the user's state folder, the newest of them kept, and what they need beside them."""

from __future__ import annotations

import hashlib
import os
import time
from pathlib import Path

import platformdirs

from rtsynth.engine.session_log import read_header
from rtsynth.errors import InputError

KEPT = 200  # logs; older ones are deleted
SUFFIX = ".log"
LATEST = "last"
_STAMP = "%Y%m%d-%H%M%S"
_STAMP_LENGTH = 15


def folder() -> Path:
    """`$XDG_STATE_HOME/rtsynth/logs`, or where the system wants it."""
    return platformdirs.user_state_path("rtsynth") / "logs"


def new_path(name: str) -> Path:
    """A path for a log begun now (UTC) that plays `name`; it is not made yet, its folder is. Raises OSError."""
    folder().mkdir(parents=True, exist_ok=True)
    stem = f"{time.strftime(_STAMP, time.gmtime())}-{name}"
    path, number = folder() / f"{stem}{SUFFIX}", 1
    while path.exists():
        number += 1
        path = folder() / f"{stem}-{number}{SUFFIX}"
    return path


def listed() -> list[Path]:
    """All logs, the newest first."""
    return sorted(folder().glob(f"*{SUFFIX}"), key=_begun, reverse=True)


def _begun(path: Path) -> tuple[str, int]:
    try:
        return path.name[:_STAMP_LENGTH], path.stat().st_mtime_ns
    except OSError:
        return path.name[:_STAMP_LENGTH], 0


def find(wanted: str) -> Path:
    """The log that `last`, a name from the list, or a path means. InputError where there is none."""
    if wanted == LATEST:
        if logs := listed():
            return logs[0]
        raise InputError("nothing has been played yet, or not logged. Play: rtsynth play PRESET")
    for path in (Path(wanted), folder() / wanted, folder() / f"{wanted}{SUFFIX}"):
        if path.is_file():
            return path
    raise InputError(f"no log {wanted}. Those there are: rtsynth log list")


def is_log(wanted: str) -> bool:
    """Whether this names a log rather than a preset."""
    return wanted == LATEST or wanted.endswith(SUFFIX)


# ---- files that logs need, by what is in them ----


def keep_file(content: bytes) -> str:
    """Keep a file beside the logs, once however often; its SHA-256, which is its name there. Raises OSError."""
    digest = hashlib.sha256(content).hexdigest()
    path = kept_file(digest)
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_name(f"{digest}.{os.getpid()}")
        partial.write_bytes(content)
        partial.replace(path)
    return digest


def kept_file(digest: str) -> Path:
    """Where that file lies, if it does."""
    return folder() / "files" / digest


def prune(kept: int = KEPT) -> None:
    """Delete all logs but the newest, and files that no log needs any more.

    Newest is what was written to last: a session that is still played goes on.
    """
    logs = sorted(folder().glob(f"*{SUFFIX}"), key=lambda path: path.stat().st_mtime_ns, reverse=True)
    if len(logs) <= kept:
        return
    for path in logs[kept:]:
        path.unlink(missing_ok=True)
    needed = set().union(*(_needs(path) for path in logs[:kept]))
    for path in (folder() / "files").glob("*"):
        if path.name not in needed:
            path.unlink(missing_ok=True)


def _needs(path: Path) -> set[str]:
    try:
        return set(read_header(path).get("files", {}).values())
    except InputError:
        return set()
