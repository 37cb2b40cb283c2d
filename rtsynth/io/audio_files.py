"""Audio files: written as they are made, by a writer that knows when the disk is full; and read whole.

libsndfile says "System error" for a full disk and nothing at all for a short write in some formats, so its
bytes go through `Sink`, which keeps the operating system's own reason.
"""

from __future__ import annotations

import errno
import math
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from rtsynth.errors import InputError, RateError, RtsynthError, UsageError
from rtsynth.io.quiet import quiet_stderr
from rtsynth.io.sink import Sink
from rtsynth.target import check_target

if TYPE_CHECKING:
    import soundfile


@dataclass(frozen=True)
class _Format:
    container: str  # libsndfile's names
    subtype: str  # when the user names none
    recordable: bool = False  # uncompressed: what is written is readable at any moment
    ends_at_4_gib: bool = False  # sizes in the header have 32 bits


_FORMATS = {
    ".wav": _Format("WAV", "PCM_24", recordable=True, ends_at_4_gib=True),
    ".rf64": _Format("RF64", "PCM_24", recordable=True),
    ".aiff": _Format("AIFF", "PCM_24", recordable=True, ends_at_4_gib=True),
    ".aif": _Format("AIFF", "PCM_24", recordable=True, ends_at_4_gib=True),
    ".caf": _Format("CAF", "PCM_24"),
    ".flac": _Format("FLAC", "PCM_24"),
    ".ogg": _Format("OGG", "VORBIS"),
    ".opus": _Format("OGG", "OPUS"),
    ".mp3": _Format("MP3", "MPEG_LAYER_III"),
}
_BYTES_PER_SAMPLE = {"PCM_U8": 1, "PCM_S8": 1, "PCM_16": 2, "PCM_24": 3, "PCM_32": 4, "FLOAT": 4, "DOUBLE": 8}
_LARGEST_32_BIT = 2**32 - 65536  # bytes; leaves room for the header and the tags
_LONGEST_READ = 2**28  # values of all channels: 2 GiB of float64, 93 minutes of 48 kHz mono
_READ_FRAMES = 2**16  # at a time: a header is not believed before its samples are there
_DISK_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
# sndfile.h; soundfile has no names for them
_SFC_SET_ADD_PEAK_CHUNK, _SFC_UPDATE_HEADER_NOW, _SF_FALSE = 0x1050, 0x1060, 0


class DiskFullError(RtsynthError):
    """The disk, the quota or the largest possible file is used up; what was written before is readable."""


class AudioWriter:
    """A stereo audio file being written. `whole`: it appears at `path` only once it is complete and closed.

    Without `whole` (a recording) the header is brought up to date with every write, so that what was written
    before a crash can be read; only uncompressed formats can do that. The format is the suffix's; `subtype`
    is libsndfile's name (PCM_16, PCM_24, FLOAT, …). Raises UsageError for an existing file without `force`,
    InputError for a format or folder that cannot be written, RateError for a rate the format does not take,
    DiskFullError when the disk is full.
    """

    def __init__(
        self,
        path: str | Path,
        sample_rate: float,
        *,
        subtype: str | None = None,
        tags: dict[str, str] | None = None,
        force: bool = False,
        whole: bool = False,
    ) -> None:
        self.path = Path(path)
        self.sample_rate = sample_rate
        check_target(self.path, force)
        self._format = format_of(self.path)
        if not whole and not self._format.recordable:
            raise UsageError(
                f"{self.path}: a recording that survives a full disk needs one of {_recordable()}"
            )
        self._subtype = (subtype or self._format.subtype).upper()
        self._written_to = self.path.with_name(f".{self.path.name}.part") if whole else self.path
        self.frames = 0  # written and on the disk, as far as this process can know
        self.clipped = 0  # samples beyond full scale, which an integer format cuts
        self.peak = 0.0  # linear
        self._failed = False
        self._sink, self._file = self._open(tags or {})
        self._begin()

    def _open(self, tags: dict[str, str]) -> tuple[Sink, soundfile.SoundFile]:
        import soundfile

        _check_format(self._format.container, self._subtype, self.path)
        try:
            sink = Sink(self._written_to)
        except OSError as problem:
            raise InputError(f"cannot write {self.path}: {problem.strerror}") from problem
        try:
            file = soundfile.SoundFile(
                sink, "w", round(self.sample_rate), 2, subtype=self._subtype, format=self._format.container
            )
        except soundfile.SoundFileError as problem:
            sink.close()
            self._written_to.unlink(missing_ok=True)
            if sink.problem:
                raise self._failure(sink.problem) from problem
            raise RateError(
                f"{self.path.suffix} files do not take {self.sample_rate:g} Hz as {self._subtype}. "
                "Try --rate 48000"
            ) from problem
        # The peak chunk of float files holds the time of day: without it the same sound is the same bytes.
        soundfile._snd.sf_command(file._file, _SFC_SET_ADD_PEAK_CHUNK, soundfile._ffi.NULL, _SF_FALSE)
        for name, text in tags.items():
            setattr(file, name, text)
        return sink, file

    def _begin(self) -> None:
        """Put the header on the disk; a file that cannot even hold that is not left behind."""
        try:
            self._guarded(lambda: None)
        except RtsynthError:
            self.abandon()
            self._written_to.unlink(missing_ok=True)
            raise

    def write(self, samples: NDArray[np.float32]) -> None:
        """Append (frames, 2) float32; raises DiskFullError, or RtsynthError for another fault of the disk."""
        if len(samples) == 0:
            return
        self._check_size(len(samples))
        self._measure(samples)
        try:
            self._guarded(lambda: self._file.write(samples))
        except RtsynthError:
            self._failed = True
            self._sink.cut_back()
            raise
        self.frames += len(samples)

    def _check_size(self, more: int) -> None:
        size = (self.frames + more) * 2 * _BYTES_PER_SAMPLE.get(self._subtype, 4)
        if self._format.ends_at_4_gib and size > _LARGEST_32_BIT:
            raise RtsynthError(
                f"{self.path} has reached the 4 GiB that {self._format.container} files can hold: "
                f"{self.seconds:.0f} seconds are saved. For more, write to a .rf64 file"
            )

    def _measure(self, samples: NDArray[np.float32]) -> None:
        magnitude = np.abs(samples)
        self.peak = max(self.peak, float(magnitude.max()))
        if self._subtype not in ("FLOAT", "DOUBLE"):
            self.clipped += int(np.count_nonzero(magnitude > 1.0))

    def _guarded(self, act: Callable[[], None]) -> None:
        """Do `act` with libsndfile, and turn its silence or its "System error" into the real reason."""
        import soundfile

        try:
            act()
            if self._written_to == self.path and not self._file.closed:
                soundfile._snd.sf_command(self._file._file, _SFC_UPDATE_HEADER_NOW, soundfile._ffi.NULL, 0)
        except (soundfile.SoundFileError, AssertionError) as problem:  # the latter: a short write
            raise self._failure(self._sink.problem or problem) from problem
        if self._sink.problem:
            raise self._failure(self._sink.problem)
        if not self._sink.closed and not self._file.closed:
            self._sink.mark_good()

    def _failure(self, problem: Exception) -> RtsynthError:
        kept = self._written_to == self.path
        saved = f"{self.seconds:.1f} seconds are saved" if kept else "nothing was saved"
        if isinstance(problem, OSError) and problem.errno in _DISK_FULL:
            return DiskFullError(
                f"disk full while writing {self.path}: {saved}. Make room, or use another disk"
            )
        return RtsynthError(f"cannot write {self.path}: {problem}; {saved}")

    @property
    def seconds(self) -> float:
        """How much is written."""
        return self.frames / self.sample_rate

    def close(self) -> None:
        """Finish the file; a `whole` one appears at its path. After a failed write: `abandon`."""
        if self._failed:
            self.abandon()
        if self._sink.closed:
            return
        try:
            self._guarded(self._file.close)
            if self._written_to != self.path:
                os.replace(self._written_to, self.path)
        finally:
            self._sink.close()
            self._drop_part()

    def abandon(self) -> None:
        """Close without finishing: a `whole` file leaves nothing behind, another keeps what it has."""
        if self._sink.closed:
            return
        try:
            self._guarded(self._file.close)
        except RtsynthError:
            pass  # the fault that made the caller give up has been told
        finally:
            self._sink.close()
            self._drop_part()

    def _drop_part(self) -> None:
        if self._written_to != self.path:
            self._written_to.unlink(missing_ok=True)

    def __enter__(self) -> AudioWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        self.close() if kind is None else self.abandon()


def read_audio(path: str | Path, seconds: float | None = None) -> tuple[NDArray[np.float64], float]:
    """Samples (N, C), full scale ±1, N >= 1, and the sample rate in hertz, of whatever libsndfile reads.

    Only the first `seconds`, where they are given. A file that was cut short gives the samples it has; floats beyond
    full scale are kept. Raises InputError, one line, where there is no such file, it is not audio, breaks off in the
    middle of a frame that cannot be skipped, has no samples, has some that are infinite or not numbers, or more than
    2 GiB hold.
    """
    path = Path(path)
    _check_readable(path)
    chunks, sample_rate = _read_chunks(path, seconds)
    samples = np.concatenate(chunks)
    if not len(samples):
        raise InputError(f"{path} has no samples. Was it recorded to its end? rtsynth needs at least one")
    bad = np.count_nonzero(~np.isfinite(samples))
    if bad:
        raise InputError(
            f"{path}: {bad} samples are infinite or not numbers. Write it again as integers: "
            f"ffmpeg -i {path} -c:a pcm_s24le clean.wav"
        )
    return samples, sample_rate


def _check_readable(path: Path) -> None:
    """The system's own reason where `path` cannot be opened: libsndfile knows none."""
    if path.exists() and not path.is_file():
        raise InputError(
            f"cannot read {path}: it is not a file. Give the path of a .wav, .flac, .ogg or .mp3 file"
        )
    try:
        path.open("rb").close()
    except OSError as problem:
        raise InputError(
            f"cannot read {path}: {problem.strerror}. Look for it: ls {path.parent}"
        ) from problem


def _read_chunks(path: Path, seconds: float | None) -> tuple[list[NDArray[np.float64]], float]:
    import soundfile

    try:
        with quiet_stderr(), soundfile.SoundFile(path) as file:  # mpg123 talks
            chunks = [np.empty((0, file.channels))]
            left = math.inf if seconds is None else round(seconds * file.samplerate)
            for _ in range(0, _LONGEST_READ, _READ_FRAMES * file.channels):
                frames = int(min(_READ_FRAMES, left))
                chunks.append(file.read(frames, dtype="float64", always_2d=True))
                left -= frames
                if len(chunks[-1]) < _READ_FRAMES:
                    return chunks, float(file.samplerate)
    except TypeError as problem:  # a .raw file: soundfile asks for its rate
        raise InputError(
            f"cannot read {path}: it has no header. Say what it is and write it as wav: "
            f"ffmpeg -f s16le -ar 48000 -ac 1 -i {path} x.wav"
        ) from problem
    except soundfile.SoundFileError as problem:
        cause = (
            str(problem).removeprefix(f"Error opening {str(path)!r}: ").removeprefix("Error : ").rstrip(". ")
        )
        raise InputError(
            f"cannot read {path} as audio: {cause}. If another program plays it: ffmpeg -i {path} x.wav"
        ) from problem
    raise InputError(f"{path} is longer than 2 GiB hold. Take a part: ffmpeg -i {path} -t 600 part.wav")


def format_of(path: Path) -> _Format:
    """What the suffix of `path` stands for; raises UsageError with the suffixes that exist."""
    found = _FORMATS.get(path.suffix.lower())
    if found is None:
        known = ", ".join(_FORMATS)
        raise UsageError(f"{path}: no audio format has the suffix '{path.suffix}'. Use one of {known}")
    return found


def _recordable() -> str:
    return ", ".join(suffix for suffix, form in _FORMATS.items() if form.recordable)


def _check_format(container: str, subtype: str, path: Path) -> None:
    import soundfile

    if not soundfile.check_format(container, subtype):
        known = ", ".join(soundfile.available_subtypes(container))
        raise UsageError(f"{path.suffix} files have no subtype {subtype}. Use one of {known}")
