"""Panic: what silences an instrument that plays on, whatever holds its notes."""

from __future__ import annotations

from typing import Protocol

import numpy as np

from rtsynth.io.midi_bytes import ALL_SOUND_OFF
from rtsynth.messages import Kind, Messages, message

CHANNELS = 16
RESET_ALL_CONTROLLERS = 121


class Receiver(Protocol):
    """An engine, or what stands before one."""

    def send(self, messages: Messages) -> int: ...
    def stamp(self, monotonic_ns: int | None = None) -> int: ...


def panic_messages(time: int = 0) -> Messages:
    """(32,) All sound off on every channel (5 ms); then pedals up, wheel and pressure at rest, volume kept (RP-015)."""
    numbers = (ALL_SOUND_OFF, RESET_ALL_CONTROLLERS)
    return np.concatenate(
        [message(Kind.CONTROL, time, channel, number) for channel in range(CHANNELS) for number in numbers]
    )


def panic(receiver: Receiver) -> None:
    """Silence within a block and 5 ms. Takes a lock: not for a signal handler."""
    receiver.send(panic_messages(receiver.stamp()))
