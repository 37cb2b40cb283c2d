"""PortAudio, by way of sounddevice: found or missed without a crash, and running only while it is needed."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from rtsynth.io.quiet import quiet_stderr

_INSTALL = {
    "linux": "apt install libportaudio2 (Debian, Ubuntu), dnf install portaudio (Fedora)",
    "darwin": "brew install portaudio",
}

# PortAudio cannot be started afresh while a stream is open. A stream that had to be given up stays in here, and
# with it its engine, whose callback may be called yet.
open_streams: set[Any] = set()

# Whether the program around us uses sounddevice itself: then its streams must not be ended under it.
_shared: bool | None = None


def portaudio() -> ModuleType | None:
    """The sounddevice module; None where the PortAudio library is missing (see `install_hint`)."""
    global _shared
    if _shared is None:
        _shared = "sounddevice" in sys.modules
    try:
        import sounddevice
    except (OSError, ImportError):
        return None
    return sounddevice


def install_hint() -> str:
    """How to get PortAudio on this system."""
    return _INSTALL.get(sys.platform, "pip install --force-reinstall sounddevice")


@contextmanager
def running(library: Any) -> Iterator[None]:
    """PortAudio started afresh, to see the devices there are now, and ended unless a stream opens.

    Left running without a stream, it would abort the whole process at exit if a JACK server had gone by then.
    """
    with quiet_stderr():
        end_if_idle()
        if not library._initialized:
            library._initialize()
        try:
            yield
        finally:
            end_if_idle()


def end_if_idle() -> None:
    """End PortAudio unless a stream is open on it or the program around us uses it."""
    library = portaudio()
    while library is not None and library._initialized and not open_streams and not _shared:
        library._terminate()
