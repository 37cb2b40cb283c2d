"""A corpus read by flite, in the format of LJ Speech: DIR/metadata.csv, DIR/wavs/ID.wav, and DIR/segments.csv.

segments.csv has one line a recording: ID|phone:end phone:end …, ends in seconds. Where a corpus has none (LJ Speech
itself), a training guesses that sentences are read evenly, and finds out.
"""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path

from rtsynth.errors import RtsynthError

VOICE = "slt"  # of CMU Arctic
CREDIT = """Read aloud by flite 2.2 (Carnegie Mellon University) with its voice slt, made from CMU Arctic's recordings
of SLT: free for any use, the notice kept. No recording of a person was used directly.
"""


def read_aloud(texts: Sequence[str], folder: Path, progress: Callable[[float], None] | None = None) -> None:
    """Have flite read sentences; a folder that was begun is gone on with."""
    if shutil.which("flite") is None:
        raise RtsynthError("flite is not installed: apt-get install flite")
    (folder / "wavs").mkdir(parents=True, exist_ok=True)
    metadata, segments = [], []
    for index, text in enumerate(texts):
        name = f"T{index:06d}"
        command = ["flite", "-voice", VOICE, "-psdur", "-o", str(folder / "wavs" / f"{name}.wav"), "-t", text]
        told = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        metadata.append(f"{name}|{text}|{text}\n")
        segments.append(f"{name}|{' '.join(told.split())}\n")
        if progress is not None:
            progress((index + 1) / len(texts))
    (folder / "CREDIT.txt").write_text(CREDIT, encoding="utf-8")
    (folder / "metadata.csv").write_text("".join(metadata), encoding="utf-8")
    (folder / "segments.csv").write_text("".join(segments), encoding="utf-8")
