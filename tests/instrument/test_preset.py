"""Preset files: what is shipped, what comes back from a round trip, and where every mistake is said to be."""

from __future__ import annotations

import math
import re
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

import rtsynth
from rtsynth.errors import InputError
from rtsynth.instrument import Instrument, list_presets, load
from rtsynth.instrument.preset import Preset, Recorded, describe, directory, parse, validate
from rtsynth.instrument.rows import rows_of_key

PLAIN = """\
schema = 1
name = "plain"
title = "Plain"

[envelope]
attack_ms = 3

[[layers]]
kind = "partials"
count = 3

[[layers]]
kind = "noise"
t60 = 0.1
"""


def complaint(text: str | bytes) -> str:
    """What is wrong with a file of this text, called x.toml."""
    with pytest.raises(InputError) as caught:
        parse(text.encode() if isinstance(text, str) else text, "x.toml")
    assert caught.value.exit_code == 5
    assert "\n" not in str(caught.value)
    return str(caught.value)


def with_line(old: str, new: str) -> str:
    assert PLAIN.count(old) == 1
    return PLAIN.replace(old, new)


# ---- what is shipped ----


def test_the_presets_that_are_shipped() -> None:
    modelled = {"bell", "bowed", "glass", "piano-faithful", "piano-modelled", "wind"}
    fitted = {"flute", "guitar", "handbell", "piano", "soprano", "trumpet", "vibraphone", "violin"}
    assert list_presets() == rtsynth.presets() == sorted(modelled | fitted)


@pytest.mark.parametrize("name", rtsynth.presets())
def test_every_shipped_preset_is_valid_and_described(name: str) -> None:
    preset = load(name)
    assert preset.name == name
    assert validate(directory() / f"{name}.toml") == []
    rows = dict(describe(preset))
    assert rows["name"] == name
    assert all(rows[label] for label in ("title", "author", "licence", "description", "layers", "polyphony"))
    sounding = rows_of_key(preset, 60, 48000.0)
    assert rows["rows at key 60"].startswith(f"{int((sounding.left > 0).sum())}, ")


@pytest.mark.parametrize("name", rtsynth.presets())
def test_a_preset_comes_back_from_a_round_trip(name: str) -> None:
    preset = load(name)
    tree = msgspec.to_builtins(preset, enc_hook=lambda array: None)
    for layer, table in zip(preset.layers, tree["layers"], strict=True):
        if isinstance(layer, Recorded):
            table["strokes"] = (
                layer.strokes
            )  # which a file of its own keeps: tests/instrument/test_strokes.py
    assert msgspec.convert(tree, Preset) == preset
    if not any(isinstance(layer, Recorded) for layer in preset.layers):
        assert msgspec.json.decode(msgspec.json.encode(_finite(preset)), type=Preset) == _finite(preset)
    assert hash(preset) == hash(load(name))


def _finite(preset: Preset) -> Preset:
    """JSON knows no infinity."""
    layers = tuple(
        msgspec.structs.replace(x, t60=1e3) if getattr(x, "t60", None) == math.inf else x
        for x in preset.layers
    )
    return msgspec.structs.replace(preset, layers=layers)


def test_a_preset_is_a_value() -> None:
    preset = parse(PLAIN.encode(), "x.toml")
    assert (preset.envelope.attack_ms, len(preset.layers)) == (3.0, 2)
    with pytest.raises(AttributeError):
        preset.envelope.attack_ms = 4.0  # type: ignore[misc]
    assert preset != load("piano")


def test_piano_and_its_neighbours_are_found_by_name_and_by_path(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(PLAIN)
    assert load(path) == load(str(path)) == parse(PLAIN.encode(), "elsewhere")
    assert rtsynth.load_preset("piano") == load(directory() / "piano.toml")
    assert load("piano").frequency(69) == 440.0
    assert load("piano").frequency(60) == pytest.approx(261.6256, abs=1e-4)


# ---- what is wrong, and where ----


@pytest.mark.parametrize(
    ("old", "new", "line", "words"),
    [
        ("count = 3", "cuont = 3", 10, "layers[0]: object contains unknown field `cuont`"),
        ("t60 = 0.1", "t60 = 0.1\nwidth = 1", 15, "layers[1]: object contains unknown field `width`"),
        ("attack_ms = 3", "atack_ms = 3", 6, "unknown field `atack_ms`"),
        ("[envelope]", "[envelop]", 5, "unknown field `envelop`"),
        ("count = 3", 'count = "3"', 10, "layers[0].count: expected `int`, got `str`"),
        ("count = 3", "count = 3.5", 10, "layers[0].count: expected `int`, got `float`"),
        ("count = 3", "count = 300", 10, "layers[0].count: expected `int` <= 256"),
        ("count = 3", "count = 0", 10, "layers[0].count: expected `int` >= 1"),
        ("count = 3", "t60 = nan", 10, "layers[0].t60: expected `float` >= 0.0001"),
        ("count = 3", "t60_slope = inf", 10, "layers[0].t60_slope: expected `float` <= 16.0"),
        ("count = 3", "tilt_db = -1e9", 10, "layers[0].tilt_db: expected `float` >= -120.0"),
        ("t60 = 0.1", "t60 = -1", 14, "layers[1].t60: expected `float` >= 0.0001"),
        ("t60 = 0.1", "t60 = 0.1\nhigh = 97000", 15, "layers[1].high: expected `float` <= 96000.0"),
        ("attack_ms = 3", "attack_ms = true", 6, "envelope.attack_ms: expected `float`, got `bool`"),
        ("attack_ms = 3", "attack_ms = inf", 6, "envelope.attack_ms: expected `float` <= 10000.0"),
        ("attack_ms = 3", 'pedal = "half"', 6, "envelope.pedal: invalid enum value 'half'"),
        ('kind = "partials"', 'kind = "partial"', 9, "layers[0].kind: invalid value 'partial'"),
        ('kind = "partials"', "", 8, "layers[0]: object missing required field `kind`"),
        ('name = "plain"', 'name = "Plain Jane"', 2, "name: expected `str` matching regex"),
        ("schema = 1", "schema = 2", 1, "schema is 2; this rtsynth reads schema = 1"),
        ("schema = 1", "# no schema", 1, "schema is none; this rtsynth reads schema = 1"),
        ("schema = 1", "schema = true", 1, "schema: expected `int`, got `bool`"),
        ("t60 = 0.1", "# no t60", 12, "`layers[1].t60`: a noise band without life needs a decay time"),
        ("t60 = 0.1", "t60 = 0.1\nlow = 90\nhigh = 80", 16, "`layers[1].high`: must be above low"),
    ],
)
def test_a_mistake_is_named_with_file_line_and_field(old: str, new: str, line: int, words: str) -> None:
    text = complaint(with_line(old, new))
    assert text.startswith(f"x.toml:{line}: ")
    assert words in text


def test_a_field_is_looked_for_in_its_own_layer() -> None:
    """The first noise layer lacks a t60; the next one has it."""
    text = with_line("count = 3\n", 'count = 3\n\n[[layers]]\nkind = "noise"\n')
    assert complaint(text).startswith("x.toml:12: `layers[1].t60`: a noise band without life")


@pytest.mark.parametrize("missing", ["name", "title", "layers"])
def test_a_missing_field_is_named(missing: str) -> None:
    kept = (
        PLAIN[: PLAIN.index("[[layers]]")] if missing == "layers" else re.sub(f"{missing} = .*\n", "", PLAIN)
    )
    assert complaint(kept) == f"x.toml: {missing}: object missing required field `{missing}`"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"", "x.toml:1: schema is none"),
        (b"\xff\xfe\x00", "x.toml: not a text file (byte 0)"),
        (b"schema = 1\n\xe9", "x.toml: not a text file (byte 11)"),
        (b"schema = 1\nname = \n", "x.toml: not TOML: invalid value (at line 2, column 8)"),
        (b"RIFF\x00\x01\x02", "x.toml: not TOML:"),
        (b"schema = 1\nschema = 1\n", "x.toml: not TOML: cannot overwrite a value"),
        (b"a = " + b"[" * 100_000, "x.toml: not TOML:"),
        (b'schema = 1\nname = "x"\ntitle = "y"\nlayers = 3', "x.toml:4: layers: expected `array`, got `int`"),
        (
            b'schema = 1\nname = "x"\ntitle = "y"\nlayers = []',
            "x.toml:4: layers: expected `array` of length >= 1",
        ),
        (b'schema = 1\nname = "x"\ntitle = "y"\nlayers = [3]', "x.toml:4: layers[0]: expected `object`"),
    ],
    ids=[
        "empty",
        "UTF-16",
        "Latin-1",
        "no value",
        "binary",
        "twice",
        "deep",
        "number",
        "no layers",
        "not tables",
    ],
)
def test_what_is_no_preset_at_all(text: bytes, words: str) -> None:
    assert complaint(text).startswith(words)


WIND = """\
schema = 1
name = "w"
title = "W"
form = "innovations"

[[layers]]
kind = "noise"
life = 1.0
"""


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("life = 1.0", "life = 0.5", "`layers[0].life`: the innovations form is for stationary rows"),
        (
            "life = 1.0",
            "life = 1.0\nvariance = 0.5",
            "`layers[0].life`: the innovations form is for stationary",
        ),
        ("life = 1.0", "life = 1.0\n[stereo]\nwidth = 0.5", "the innovations form has one gain for all rows"),
        ("life = 1.0", "life = 1.0\n[velocity]\nbrightness_db = 3", "the innovations form has one gain"),
        (
            'kind = "noise"',
            'kind = "partials"\nt60 = inf',
            "`layers[0].t60`: the innovations form is for damped",
        ),
        (
            'kind = "noise"',
            'kind = "periodic"\nafter = [5, 1.7]',
            "`layers[0].after`: the innovations form cannot",
        ),
        (
            '"innovations"',
            '"independent"\nenvelope = { level = { times = [], values = [] } }',
            "`envelope.level`",
        ),
        (
            '"innovations"',
            '"independent"\nenvelope = { level = { times = [0, 1, 1], values = [1, 1, 1] } }',
            "`envelope.level`: times must increase",
        ),
        (
            'form = "innovations"\n\n[[layers]]\nkind = "noise"\nlife = 1.0',
            '[[layers]]\nkind = "modes"\nratios = [1, 2]\nlevels_db = [0]\nt60 = [1, 1]',
            "`layers[0]`: ratios, levels_db and t60 must be of one length",
        ),
        (
            'form = "innovations"\n\n[[layers]]\nkind = "noise"\nlife = 1.0',
            '[[layers]]\nkind = "periodic"\nlife = 0.5',
            "`layers[0].life`: a periodic kernel is stationary",
        ),
        (
            'form = "innovations"\n\n[[layers]]\nkind = "noise"\nlife = 1.0',
            '[[layers]]\nkind = "partials"\nbody = { hz = [100, 50], db = [0, 0] }',
            "`layers[0].body`: hz must increase",
        ),
    ],
)
def test_contradictions(old: str, new: str, words: str) -> None:
    parse(WIND.encode(), "x.toml")
    assert WIND.count(old) == 1
    assert words in complaint(WIND.replace(old, new))


def test_a_voice_has_a_largest_size() -> None:
    layer = '[[layers]]\nkind = "partials"\ncount = 256\n'
    parse((PLAIN.split("[[layers]]")[0] + 2 * layer).encode(), "x.toml")
    words = complaint(
        PLAIN.split("[[layers]]")[0] + 2 * layer + '[[layers]]\nkind = "noise"\nbands = 1\nlife = 1\n'
    )
    assert "513 rows a voice; at most 512" in words


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("pianno", "no preset named 'pianno'. Did you mean 'piano'? List: rtsynth presets list"),
        ("zither", "no preset named 'zither'. List: rtsynth presets list"),
        ("", "no preset named ''"),
        ("missing.toml", "no preset file missing.toml. Shipped ones: rtsynth presets list"),
        ("a/folder/piano", "no preset file a/folder/piano"),
        ("../presets", "no preset file ../presets"),
    ],
)
def test_a_preset_that_is_not_there(name: str, words: str) -> None:
    with pytest.raises(InputError, match=re.escape(words)):
        load(name)


def test_a_folder_is_no_preset(tmp_path: Path) -> None:
    folder = tmp_path / "folder.toml"
    folder.mkdir()
    with pytest.raises(InputError, match="no preset file"):
        load(folder)
    assert len(validate(folder)) == 1


def test_validate_finds_silence_and_what_is_too_loud(tmp_path: Path) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(with_line("t60 = 0.1", "t60 = 0.1\nlevel_db = 20"))
    assert [line.split(": ")[1] for line in validate(path)] == [
        f"key {note} has 17 dB of power above full scale" for note in (21, 60, 108)
    ]
    silent = (
        PLAIN[: PLAIN.index("[[layers]]")]
        + '[[layers]]\nkind = "modes"\nratios = [40]\nlevels_db = [0]\nt60 = [1]\n'
    )
    path.write_text(silent + "[stereo]\nwidth = 0\n")
    assert [line.split(": ")[1] for line in validate(path)] == ["key 108 has no sounding row"]
    path.write_text("schema = 3")
    assert validate(path) == [f"{path}:1: schema is 3; this rtsynth reads schema = 1"]


# ---- bounds ----


def test_no_number_within_the_bounds_makes_a_row_that_is_not_finite() -> None:
    """Every bounded number of the first layer at its ends, in every combination of two."""
    ends: dict[str, tuple[float, float]] = {
        "inharmonicity": (0.0, 1e4),
        "inharmonicity_slope": (-16.0, 16.0),
        "tilt_db": (-120.0, 60.0),
        "key_db": (-120.0, 60.0),
        "t60": (1e-4, math.inf),
        "t60_slope": (-16.0, 16.0),
        "t60_tilt": (-16.0, 16.0),
        "loss": (0.0, 1e4),
        "after_t60": (1e-6, 1e6),
        "after_cents": (0.0, 1e4),
    }
    names = list(ends)
    for i, first in enumerate(names):
        for second in names[i + 1 :]:
            for fields in ({first: a, second: b} for a in ends[first] for b in ends[second]):
                text = "".join(f"{name} = {value}\n" for name, value in fields.items())
                preset = parse(
                    with_line("count = 3\n", f"count = 256\nafter_count = 9\n{text}").encode(), "x.toml"
                )
                assert all_finite(preset), text


def all_finite(preset: Preset) -> bool:
    rows = [rows_of_key(preset, note, 48000.0) for note in (0, 60, 127)]
    return all(np.isfinite(column).all() for row in rows for column in vars(row).values())


def test_infinity_where_it_is_not_meant_would_be_found() -> None:
    layer = msgspec.structs.replace(parse(PLAIN.encode(), "x.toml").layers[0], t60_slope=math.inf)
    with np.errstate(invalid="ignore", divide="ignore"):
        assert not all_finite(msgspec.structs.replace(load("piano"), layers=(layer,)))


# ---- trust ----


@pytest.mark.parametrize(
    "text",
    [
        "__import__('os').abort()",
        "${HOME}",
        "{{7*7}}",
        "!!python/object/apply:os.abort []",
        "=cmd|' /C calc'!A0",
    ],
)
def test_no_code_is_run(text: str) -> None:
    """Texts stay texts, and anything else where a number belongs is an error."""
    preset = parse(with_line('"Plain"', f'"{text}"').encode(), "x.toml")
    assert preset.title == text
    assert dict(describe(preset))["title"] == text
    assert "expected `int`, got `str`" in complaint(with_line("count = 3", f'count = "{text}"'))


def test_a_preset_can_be_played_as_read() -> None:
    instrument: Any = Instrument(parse(PLAIN.encode(), "x.toml"))
    instrument.prepare(8000.0)
    assert instrument.bank.shape.rows == 32
