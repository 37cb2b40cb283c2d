"""What can go wrong, one class an exit code (docs: design, "The command line").

Every message is one line that names the cause and, where there is one, the next command to type.
"""

from __future__ import annotations


class RtsynthError(Exception):
    """A failure with a cause the user can act on; the command line prints it without a traceback."""

    exit_code = 1


class UsageError(RtsynthError):
    """The command was put together wrongly."""

    exit_code = 2


class DeviceError(RtsynthError):
    """No such audio or MIDI device, or it is busy."""

    exit_code = 3


class RateError(RtsynthError):
    """The device or the source does not take this sample rate or block size."""

    exit_code = 4


class InputError(RtsynthError):
    """A preset, model or input file that cannot be used."""

    exit_code = 5


class ThresholdError(RtsynthError):
    """A measured figure missed the threshold the user set, or a self-test failed."""

    exit_code = 6
