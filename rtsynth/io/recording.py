"""What is played, written to a file while it is played; on a full disk, to the user's state folder."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import platformdirs

from rtsynth.engine import Engine, Recorder
from rtsynth.errors import RtsynthError
from rtsynth.io.audio_files import AudioWriter


@dataclass(frozen=True)
class Recorded:
    """What became of a recording; it is whole where `rescued` is None and nothing is lost."""

    path: Path
    seconds: float  # in `path`
    rescued: Path | None  # the file the rest went to
    rescued_seconds: float
    lost_seconds: float

    @property
    def whole(self) -> bool:
        """Whether all that was played is in the one file that was asked for."""
        return self.rescued is None and self.lost_seconds == 0


def rescue_path(path: Path) -> Path:
    """A new file in the user's state folder for what `path` had no room for."""
    folder = platformdirs.user_state_path("rtsynth", ensure_exists=True) / "recordings"
    folder.mkdir(exist_ok=True)
    return folder / f"{path.stem}-rest-{time.strftime('%Y%m%d-%H%M%S')}.wav"


class Recording:
    """Records `engine` into `path` from `start` to `stop`; `say` gets one line when something goes wrong.

    Raises what AudioWriter raises when the file cannot be begun.
    """

    def __init__(
        self,
        engine: Engine,
        path: str | Path,
        *,
        subtype: str | None = None,
        tags: dict[str, str] | None = None,
        force: bool = False,
        say: Callable[[str], None] = lambda line: None,
    ) -> None:
        self._engine = engine
        self._tags = tags
        self._say = say
        self._writer = AudioWriter(path, engine.sample_rate, subtype=subtype, tags=tags, force=force)
        self._rescue: AudioWriter | None = None
        self._recorded: Recorded | None = None
        self._recorder = Recorder(engine, self._writer.write, on_error=self._failed)

    def start(self) -> None:
        """Record from the engine's next block on."""
        self._recorder.start()

    def stop(self) -> Recorded:
        """Write what is left and close; tells in one line what could not be saved. Again is harmless."""
        if self._recorded is None:
            self._recorder.stop()
            if self._recorder.kept_frames:
                self._rescue_rest()
            self._close(self._writer)
            if self._rescue is not None:
                self._close(self._rescue)
            self._recorded = self._outcome()
        return self._recorded

    def _failed(self, problem: Exception) -> None:
        """[recorder's thread] Tell why, in one line, and where what follows goes."""
        self._say(f"{problem}. {self._rescue_rest()}; the playing goes on")

    def _rescue_rest(self) -> str:
        """Send what is unwritten, and what follows, to the state folder; returns where it went."""
        try:
            if self._rescue is None:
                path = rescue_path(self._writer.path)
                self._rescue = AudioWriter(path, self._engine.sample_rate, tags=self._tags)
            self._recorder.rescue(self._rescue.write)
        except (RtsynthError, OSError):
            return "The rest is kept in memory for now"
        return f"The rest goes to {self._rescue.path}"

    def _close(self, writer: AudioWriter) -> None:
        try:
            writer.close()
        except RtsynthError as problem:
            self._say(str(problem))

    def _outcome(self) -> Recorded:
        rate = self._engine.sample_rate
        recorder = self._recorder
        dropped = self._engine.report().dropped_record_frames
        lost = recorder.lost_frames + recorder.kept_frames + dropped
        if lost:
            self._say(f"{lost / rate:.1f} seconds of the recording could not be saved anywhere")
        return Recorded(
            path=self._writer.path,
            seconds=self._writer.seconds,
            rescued=self._rescue.path if self._rescue else None,
            rescued_seconds=self._rescue.seconds if self._rescue else 0.0,
            lost_seconds=lost / rate,
        )
