"""The MIDI systems of this machine, through python-rtmidi: which work, their ports, opening one."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from types import ModuleType
from typing import Any

from rtsynth.errors import DeviceError
from rtsynth.io.jack import quieten_copies
from rtsynth.io.quiet import quiet_stderr

CLIENT = "rtsynth"
QUEUE = 16384  # messages RtMidi keeps for us
_ALSA_NUMBERS = re.compile(r" \d+:\d+$")  # client and port, given anew at every plugging in


@cache
def rtmidi() -> ModuleType | None:
    """The python-rtmidi module; None where it is missing."""
    try:
        import rtmidi as module
    except ImportError:
        return None
    quieten_copies()
    return module


def jack_api() -> int:
    """RtMidi's number for JACK; -1 where python-rtmidi is missing."""
    module = rtmidi()
    return module.API_UNIX_JACK if module else -1


def usable_apis() -> dict[int, str]:
    """RtMidi's APIs that work here now, by number: {3: "Jack"}; empty without a MIDI system."""
    module = rtmidi()
    return {api: module.get_api_display_name(api) for api in _compiled_apis() if module and _works(api)}


def _compiled_apis() -> list[int]:
    module = rtmidi()
    return module.get_compiled_api() if module else []


def _works(api: int) -> bool:
    """A MidiIn that is merely forgotten stays a client of JACK's server, which waits for it at our exit."""
    midi_in = new_input(api)
    if midi_in is not None:
        midi_in.delete()
    return midi_in is not None


def new_input(api: int) -> Any:
    """A fresh MidiIn that filters nothing; None where this API has no server or device node."""
    module = rtmidi()
    if module is None:
        return None
    with quiet_stderr():
        try:
            midi_in = module.MidiIn(api, name=CLIENT, queue_size_limit=QUEUE)
        except module.RtMidiError:
            return None
    midi_in.ignore_types(False, False, False)  # system exclusive, clock, active sensing
    return midi_in


def stable_names(raw: list[str]) -> list[str]:
    """Names that stay when a port comes back: without ALSA's numbers, and counted where they repeat."""
    plain = [_ALSA_NUMBERS.sub("", name) for name in raw]
    seen: Counter[str] = Counter()
    names = []
    for name in plain:
        seen[name] += 1
        names.append(f"{name} ({seen[name]})" if seen[name] > 1 else name)
    return names


class Scanner:
    """Lists the ports of every usable API, by name; the same port heard through two APIs is listed twice."""

    def __init__(self) -> None:
        self._scanners = {api: new_input(api) for api in usable_apis()}

    @property
    def apis(self) -> list[int]:
        """The APIs in use."""
        return list(self._scanners)

    def ports(self) -> dict[tuple[int, str], str]:
        """{(api, stable name): the name RtMidi knows it by now}, in the system's order."""
        found: dict[tuple[int, str], str] = {}
        for api, scanner in self._scanners.items():
            raw = _port_names(scanner)
            found |= {(api, name): raw_name for name, raw_name in zip(stable_names(raw), raw, strict=True)}
        return found

    def drop(self, api: int) -> None:
        """Use this API no more; harmless where it was not in use."""
        if api in self._scanners:
            self._scanners.pop(api).delete()

    def add(self, api: int) -> bool:
        """Use this API from now on; False where it does not work."""
        scanner = new_input(api)
        if scanner is not None:
            self._scanners[api] = scanner
        return scanner is not None

    def close(self) -> None:
        """Let go of the MIDI system."""
        for scanner in self._scanners.values():
            scanner.delete()
        self._scanners = {}


def _port_names(scanner: Any) -> list[str]:
    """What RtMidi lists; nothing where the system behind it has gone."""
    module = rtmidi()
    if module is None:
        return []
    try:
        return scanner.get_ports()
    except module.RtMidiError:
        return []


def list_inputs() -> list[str]:
    """Names of the MIDI inputs there are now."""
    scanner = Scanner()
    try:
        return [name for _, name in scanner.ports()]
    finally:
        scanner.close()


def open_port(api: int, raw: str) -> Any:
    """An open MidiIn on the port RtMidi calls `raw`; None where it cannot be had."""
    module = rtmidi()
    midi_in = new_input(api)
    if module is None or midi_in is None:
        return None
    names = midi_in.get_ports()
    try:
        if raw in names:
            return midi_in.open_port(names.index(raw), name="in")
    except (module.RtMidiError, ValueError):
        pass
    midi_in.delete()
    return None


def open_virtual(api: int, name: str) -> Any:
    """A MidiIn on a new port that other programs connect to; DeviceError where there are none."""
    module = rtmidi()
    midi_in = new_input(api)
    if module is None or midi_in is None:
        raise DeviceError("the MIDI system has gone. See: rtsynth doctor")
    try:
        midi_in.open_virtual_port(name)
    except (module.RtMidiError, NotImplementedError) as problem:
        midi_in.delete()
        raise DeviceError(
            f"this system has no virtual MIDI ports ({problem}). On Windows, install loopMIDI"
        ) from problem
    return midi_in
