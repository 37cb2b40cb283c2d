"""Choosing by name."""

from __future__ import annotations

import pytest

from rtsynth.errors import DeviceError
from rtsynth.io.names import choose

NAMES = ["Focusrite Scarlett 2i2", "HDA Intel: ALC295 Analog", "HDA Intel: HDMI 0", "hdmi"]


@pytest.mark.parametrize(
    ("wanted", "index"),
    [("focusrite scarlett 2i2", 0), ("scarlett", 0), ("analog", 1), ("HDMI", 3), (" alc ", 1)],
)
def test_exact_names_go_before_parts(wanted: str, index: int) -> None:
    assert choose(wanted, NAMES, what="output", hint="rtsynth devices") == index


@pytest.mark.parametrize(
    ("wanted", "complaint"),
    [
        ("Scarlet 2i4", "no output named 'Scarlet 2i4'. Did you mean 'Focusrite Scarlett 2i2'?"),
        ("Intel", "'Intel' could be more than one output: 'HDA Intel: ALC295 Analog', 'HDA Intel: HDMI 0'."),
        ("zzz", "no output named 'zzz'."),
        ("", "no output named ''."),
    ],
)
def test_what_is_not_there_is_said_in_one_line(wanted: str, complaint: str) -> None:
    with pytest.raises(DeviceError) as caught:
        choose(wanted, NAMES, what="output", hint="rtsynth devices")
    assert str(caught.value) == f"{complaint} List: rtsynth devices"
