"""Presets: what an instrument is, as a TOML file. Read, validated, described; no code is ever run from one.

A preset states layers of rows (docs/presets.md): partials of a string, explicit modes, noise bands, the harmonics of a
periodic kernel, or strokes that were fitted to recordings and lie in a file of arrays beside the TOML. `rows.py` turns
a preset and a key into the rows of the bank; `Preset.kernel` is their law.
"""

from __future__ import annotations

import difflib
import itertools
import math
import re
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from rtsynth.errors import InputError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rtsynth.kernels.algebra import Kernel

    # (seconds since the note started, frequency ratio from then on), in order
    Bend = Sequence[tuple[float, float]]

SCHEMA = 1
MAX_ROWS = 512  # of a voice: 25 MB of tables

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
FILE_NAME = r"^[^/\\.\x00][^/\\\x00]*\.npz$"

# Bounds far outside what is of use, so that no valid file can make a row that is not finite.
Positive = Annotated[float, msgspec.Meta(gt=0, le=1e6)]
NonNegative = Annotated[float, msgspec.Meta(ge=0, le=1e4)]
Duration = Annotated[float, msgspec.Meta(ge=1e-4)]  # seconds; inf: for ever
Slope = Annotated[float, msgspec.Meta(ge=-16, le=16)]  # octaves per octave
Hertz = Annotated[float, msgspec.Meta(gt=0, le=96000)]
Decibel = Annotated[float, msgspec.Meta(ge=-120, le=60)]
DecibelRange = Annotated[float, msgspec.Meta(ge=0, le=120)]
Count = Annotated[int, msgspec.Meta(ge=1, le=256)]
NonNegativeCount = Annotated[int, msgspec.Meta(ge=0, le=256)]
Destination = Literal["none", "variance", "vibrato", "brightness", "level"]


class _Table(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    """A TOML table whose unknown fields are errors: a misspelt parameter must not be silently ignored."""


class Polyphony(_Table, kw_only=True, frozen=True):
    """How many notes sound at once."""

    voices: Annotated[int, msgspec.Meta(ge=1, le=512)] = 48
    per_key: Annotated[int, msgspec.Meta(ge=1, le=16)] = 2  # strikes of one key that may ring together


class Tuning(_Table, kw_only=True, frozen=True):
    """Equal temperament."""

    a4: Annotated[float, msgspec.Meta(ge=220, le=880)] = 440.0  # hertz


class Curve(_Table, kw_only=True, frozen=True):
    """A gain over the note's time: straight lines between points."""

    times: tuple[
        Annotated[float, msgspec.Meta(ge=0, le=600)], ...
    ]  # seconds since the note's start, increasing
    values: tuple[NonNegative, ...]  # linear


class Spectrum(_Table, kw_only=True, frozen=True):
    """A level over absolute frequency: straight lines between points on a logarithmic axis, held outside them."""

    hz: tuple[Hertz, ...]  # increasing
    db: tuple[Decibel, ...]


class Envelope(_Table, kw_only=True, frozen=True):
    """Gain of a whole voice."""

    attack_ms: NonNegative = 2.0
    release_ms: Positive = 150.0  # time to -60 dB once the damper is down, at key 60
    release_slope: Slope = 0.0  # octaves of release time per octave of key
    undamped_above: Annotated[int, msgspec.Meta(ge=0, le=128)] = 128  # keys from here on have no damper
    pedal: Literal["continuous", "switch"] = "continuous"
    level: Curve | Literal["flat", "seed"] = "flat"
    crossover: Literal["none", "seed"] = "none"  # between a periodic layer's two regimes


class Velocity(_Table, kw_only=True, frozen=True):
    """What a key's velocity does."""

    range_db: DecibelRange = 36.0  # from the loudest to the softest
    brightness_db: DecibelRange = 0.0  # per octave above the reference, from the loudest to the softest
    reference: Hertz = 500.0


class Controllers(_Table, kw_only=True, frozen=True):
    """What a hand on the keyboard does to notes, beside striking them."""

    modulation: Destination = "variance"  # CC 1
    channel_pressure: Destination = "vibrato"
    key_pressure: Destination = "vibrato"
    timbre: Destination = "brightness"  # CC 74
    vibrato_hz: Annotated[float, msgspec.Meta(gt=0, le=50)] = 5.5


class Stereo(_Table, kw_only=True, frozen=True):
    """Where the rows stand: -1 left … 1 right."""

    keys: Share = 0.0  # the lowest key to the left, the highest to the right
    width: Share = 0.0  # scatter of the single rows


class Layer(_Table, tag_field="kind", kw_only=True, frozen=True):
    """What every layer of rows has."""

    level_db: Decibel = 0.0
    variance: Share = (
        1.0  # share of the power that is drawn anew for every note; the rest is the same every time
    )
    life: Share = (
        0.0  # 0: rows ring and die; 1: noise keeps them alive for ever; between: a share of the start
    )


class Partials(Layer, tag="partials", kw_only=True, frozen=True):
    """A string: partials at k f0 sqrt((1 + B k²)/(1 + B)), so the first is in tune whatever B is."""

    count: Count = 40
    inharmonicity: NonNegative = 0.0  # B at key 60
    inharmonicity_slope: Slope = 0.0  # octaves of B per octave of key
    tilt_db: Decibel = -6.0  # per octave of k
    key_db: Decibel = 0.0  # level per octave of key
    body: Spectrum | None = None  # what the string sounds through
    strike: Share = (
        0.0  # where the string is struck, as a share of its length: |sin(pi k strike)|; 0: no comb
    )
    odd_db: Decibel = 0.0  # level of the even partials against the odd ones is -odd_db
    t60: Duration = 10.0  # of the first partial at key 60, seconds; inf: undamped
    t60_slope: Slope = 0.0  # octaves of t60 per octave of key
    t60_tilt: Slope = 0.0  # octaves of t60 per octave of k
    loss: NonNegative = 0.0  # damping added by frequency, 1/s at 1 kHz, growing as its square
    after_count: NonNegativeCount = 0  # partials that have a second mode, the string's other polarisation, …
    after_db: Decibel = -12.0  # … softer by this,
    after_t60: Positive = 3.0  # … this many times longer,
    after_cents: NonNegative = 0.0  # … and up to this far away


class Modes(Layer, tag="modes", kw_only=True, frozen=True):
    """Explicit modes: a bell, a bar, a plate."""

    ratios: tuple[Positive, ...]  # frequency over f0
    levels_db: tuple[Decibel, ...]
    t60: tuple[Duration, ...]  # seconds, at key 60
    t60_slope: Slope = 0.0  # octaves of t60 per octave of key
    split_cents: NonNegative = 0.0  # every mode is two, this far apart: it beats


class Noise(Layer, tag="noise", kw_only=True, frozen=True):
    """Noise bands, evenly spaced on the ERB-rate scale (Glasberg and Moore 1990); life 0: a knock, 1: wind."""

    bands: Count = 24
    low: Hertz = 50.0
    high: Hertz = 12000.0
    track: Share = 0.0  # 0: fixed in frequency; 1: moves with the key (low and high are meant at key 60)
    centre: Hertz = 1000.0  # the loudest band …
    tilt_db: NonNegative = 0.0  # … and the fall on both sides, per octave
    bandwidth: Positive = 0.5  # half-width of a band over the spacing of the bands (stationary bands)
    t60: Duration | None = None  # seconds: instead of the bandwidth, the decay of a knock
    poles: Literal[1, 2] = (
        1  # of a stationary band: 2 falls by 12 dB an octave instead of 6, and stays under the wheel
    )


class Periodic(Layer, tag="periodic", kw_only=True, frozen=True):
    """The periodic kernel 2 exp(-p sin² πft) - 1 + s sin⁸ πft, and another one after the cross-over."""

    before: tuple[NonNegative, NonNegative] = (2.0, 0.25)  # p, s
    after: tuple[NonNegative, NonNegative] | None = None
    harmonics: Count = 8
    coherence: Positive = 102.0  # periods: every row's lengthscale


class Recorded(Layer, tag="recorded", kw_only=True, frozen=True):
    """Strokes fitted to recordings (`stroke.py`): each key plays the nearest one, transposed."""

    file: Annotated[str, msgspec.Meta(pattern=FILE_NAME)]  # beside the TOML
    modes: Annotated[int, msgspec.Meta(ge=0, le=512)] = 96  # of a voice, at most: those of most energy
    bands: bool = True  # the noise too
    variance: Share = 0.0  # of modes and lines
    noise_variance: Share = 1.0
    damping_slope: Annotated[float, msgspec.Meta(ge=-4, le=4)] = 0.5  # damping goes as frequency to this
    in_tune: bool = True  # False: keys are as far out of tune as their strokes were
    strokes: Any = ()  # tuple[Stroke, ...], which `parse` reads from `file`: NumPy is not loaded before it is needed


AnyLayer = Partials | Modes | Noise | Periodic | Recorded


class Preset(_Table, kw_only=True, frozen=True):
    """An instrument: a value that can be printed, compared and saved; it holds no state."""

    schema: Literal[1]
    name: Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9-]*$")]
    title: str
    author: str = ""
    licence: str = ""
    description: str = ""
    tags: tuple[str, ...] = ()
    gain_db: Decibel = 0.0
    form: Literal["independent", "innovations", "block"] = "independent"
    polyphony: Polyphony = Polyphony()
    tuning: Tuning = Tuning()
    envelope: Envelope = Envelope()
    velocity: Velocity = Velocity()
    controllers: Controllers = Controllers()
    stereo: Stereo = Stereo()
    layers: Annotated[tuple[AnyLayer, ...], msgspec.Meta(min_length=1, max_length=16)]

    def __post_init__(self) -> None:
        for problem in _contradictions(self):
            raise ValueError(problem)

    def frequency(self, note: float) -> float:
        """Fundamental of a key, hertz."""
        return self.tuning.a4 * 2.0 ** ((note - 69.0) / 12.0)

    def kernel(
        self,
        note: int = 60,
        velocity: float = 1.0,
        *,
        sample_rate: float = 48000.0,
        channel: Literal["left", "right", "mid"] = "mid",
        alias: bool = False,
        variance: float | None = None,
        bend: Bend = (),
    ) -> Kernel:
        """The stated law of one held note: its covariance, times in seconds since the note's start.

        The rows' gains move in straight lines on the control grid of 32 samples, which is why the law knows the sample
        rate; `mid` is (left + right)/2. Volume, expression and pan stand at their MIDI defaults, 0 dB and centre.
        `variance` (0…1) is where the variance knob stands, CC1/127; None: untouched. `bend`: (seconds, ratio) each time
        the wheel was moved, in order; a time before 0 counts from the start, and all act at the next point of the grid.
        What a key draws once and for all, its take, counts as drawn.
        """
        from rtsynth.instrument.stated import HeldNote

        held = HeldNote(self, note, velocity, sample_rate, alias, variance, tuple(bend))
        return held.kernel(channel)

    def mean(
        self,
        note: int = 60,
        velocity: float = 1.0,
        *,
        sample_rate: float = 48000.0,
        channel: Literal["left", "right", "mid"] = "mid",
        alias: bool = False,
        variance: float | None = None,
        bend: Bend = (),
    ) -> Callable:
        """The stated mean of one held note: a function of times (N,) in seconds → (N,); arguments as of `kernel`."""
        from rtsynth.instrument.stated import HeldNote

        held = HeldNote(self, note, velocity, sample_rate, alias, variance, tuple(bend))
        return held.mean(channel)


def _rows(layer: AnyLayer) -> int:
    """How many rows a layer becomes."""
    if isinstance(layer, Partials):
        return layer.count + min(layer.after_count, layer.count)
    if isinstance(layer, Modes):
        return len(layer.ratios) * (2 if layer.split_cents else 1)
    if isinstance(layer, Noise):
        return layer.bands * layer.poles
    if isinstance(layer, Recorded):
        modes, lines, bands = most_of(layer)
        return modes + lines + 2 * bands
    return layer.harmonics + 1


def most_of(layer: Recorded) -> tuple[int, int, int]:
    """Modes, lines and bands of the stroke that has most of each: the rows every key has room for."""
    sizes = [stroke.sizes() for stroke in layer.strokes]
    modes, lines, bands = (max((size[of] for size in sizes), default=0) for of in "MLN")
    return min(modes, layer.modes), lines, bands if layer.bands else 0


def _contradictions(preset: Preset) -> list[str]:
    problems = []
    rows = sum(map(_rows, preset.layers))
    if rows > MAX_ROWS:
        problems.append(f"`layers`: {rows} rows a voice; at most {MAX_ROWS}")
    for i, layer in enumerate(preset.layers):
        where = f"layers[{i}]"
        if isinstance(layer, Modes) and not len(layer.ratios) == len(layer.levels_db) == len(layer.t60):
            problems.append(f"`{where}`: ratios, levels_db and t60 must be of one length")
        if isinstance(layer, Partials) and layer.body and not _is_curve(layer.body.hz, layer.body.db):
            problems.append(f"`{where}.body`: hz must increase, with as many db")
        if isinstance(layer, Noise) and layer.high <= layer.low:
            problems.append(f"`{where}.high`: must be above low")
        if isinstance(layer, Noise) and layer.t60 is None and layer.life == 0:
            problems.append(f"`{where}.t60`: a noise band without life needs a decay time")
        if isinstance(layer, Noise) and layer.poles == 2 and (layer.life != 1 or layer.t60 is not None):
            problems.append(f"`{where}.poles`: bands of two poles are stationary: life = 1, and no t60")
        if isinstance(layer, Noise) and layer.poles == 2 and preset.form == "innovations":
            problems.append(f"`{where}.poles`: the innovations form is for rows of one pole")
        if isinstance(layer, Recorded) and not layer.strokes:
            problems.append(f"`{where}.file`: a recorded layer without strokes")
        if isinstance(layer, Recorded) and layer.life != 0:
            problems.append(f"`{where}.life`: recorded modes ring and die, life = 0")
        if isinstance(layer, Periodic) and layer.life != 1:
            problems.append(f"`{where}.life`: a periodic kernel is stationary, life = 1")
        if preset.form == "innovations" and (layer.life != 1 or layer.variance != 1):
            problems.append(
                f"`{where}.life`: the innovations form is for stationary rows, life = variance = 1"
            )
        if preset.form == "innovations" and math.inf in _decays(layer):
            problems.append(f"`{where}.t60`: the innovations form is for damped rows")
        if preset.form == "innovations" and isinstance(layer, Periodic) and layer.after is not None:
            problems.append(f"`{where}.after`: the innovations form cannot cross over")
    if preset.form == "innovations" and (preset.stereo.width or preset.velocity.brightness_db):
        problems.append(
            "`stereo.width`, `velocity.brightness_db`: the innovations form has one gain for all rows"
        )
    level = preset.envelope.level
    if isinstance(level, Curve) and not _is_curve(level.times, level.values):
        problems.append("`envelope.level`: times must increase, with as many values")
    return problems


def _decays(layer: AnyLayer) -> tuple[float | None, ...]:
    """Every t60 a layer states."""
    if isinstance(layer, Periodic | Recorded):
        return ()
    return layer.t60 if isinstance(layer.t60, tuple) else (layer.t60,)


def _is_curve(x: tuple[float, ...], y: tuple[float, ...]) -> bool:
    return 0 < len(x) == len(y) and all(a < b for a, b in itertools.pairwise(x))


# --- files ------------------------------------------------------------------------------------------------------------


def directory() -> Path:
    """The folder of the presets that are shipped: inside the installed package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "presets"
    return inside if inside.is_dir() else package.parent / "presets"


def demo_piece() -> Path:
    """The bundled MIDI file."""
    return directory() / "pieces" / "lantern.mid"


def list_presets() -> list[str]:
    """Names of the presets that are shipped."""
    return sorted(path.stem for path in directory().glob("*.toml"))


def path_of(name_or_path: str | Path) -> Path:
    """Where a preset lies, by its name (a shipped one) or its path. Raises InputError where there is none."""
    text = str(name_or_path)
    if text.endswith(".toml") or "/" in text:
        path = Path(text)
        if not path.is_file():
            raise InputError(f"no preset file {text}. Shipped ones: rtsynth presets list")
        return path
    names = list_presets()
    if text in names:
        return directory() / f"{text}.toml"
    near = difflib.get_close_matches(text, names, 1)
    hint = f" Did you mean '{near[0]}'?" if near else ""
    raise InputError(f"no preset named '{text}'.{hint} List: rtsynth presets list")


def load(name_or_path: str | Path) -> Preset:
    """Read a preset by its name (a shipped one) or its path.

    Raises InputError with file, line and field where it is not a valid preset, or its file of strokes is not one.
    """
    path = path_of(name_or_path)
    return parse(path.read_bytes(), str(path), path.parent)


def parse(data: bytes, where: str, folder: Path | None = None) -> Preset:
    """A preset from the bytes of a TOML file called `where` in errors, with its files of strokes in `folder`.

    `folder` None: where the path `where` says the TOML lies. Raises InputError as `load` does.
    """
    try:
        text = data.decode()
        tree = tomllib.loads(text)
    except UnicodeDecodeError as error:
        raise InputError(f"{where}: not a text file (byte {error.start})") from None
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"{where}: not TOML: {_lower_first(str(error))}") from None
    except RecursionError:
        raise InputError(f"{where}: not TOML: nested too deeply") from None
    if tree.get("schema") != SCHEMA:
        line = _line_of(text, "schema") or 1
        found = tree.get("schema", "none")
        raise InputError(f"{where}:{line}: schema is {found}; this rtsynth reads schema = {SCHEMA}")
    _read_strokes(tree, text, where, Path(where).parent if folder is None else folder)
    try:
        return msgspec.convert(tree, Preset)
    except msgspec.ValidationError as error:
        raise InputError(_explain(str(error), text, where)) from None


def _read_strokes(tree: dict[str, Any], text: str, where: str, folder: Path) -> None:
    """Put the strokes of recorded layers into their tables; what is wrong with the tables is found later."""
    layers = tree.get("layers")
    for i, layer in enumerate(layers if isinstance(layers, list) else []):
        if not isinstance(layer, dict) or layer.get("kind") != Recorded.__struct_config__.tag:
            continue
        if "strokes" in layer:
            line = _line_of(text, "strokes", i)
            raise InputError(f"{where}:{line}: layers[{i}]: object contains unknown field `strokes`")
        file = layer.get("file")
        if not isinstance(file, str) or not _is_file_name(file):
            continue
        from rtsynth.instrument.strokes import load as load_strokes

        try:
            layer["strokes"] = load_strokes(folder / file)
        except InputError as error:
            raise InputError(f"{where}:{_line_of(text, 'file', i)}: layers[{i}].file: {error}") from None


def _is_file_name(file: str) -> bool:
    """Only a plain name: no preset reads what does not lie beside it."""
    return re.search(FILE_NAME, file) is not None


def validate(path: str | Path) -> list[str]:
    """What is wrong with a preset, a line each: empty where it can be played. Builds every key's rows too."""
    try:
        preset = load(path)
    except InputError as error:
        return [str(error)]
    from rtsynth.instrument.stated import problems

    return [f"{path}: {problem}" for problem in problems(preset)]


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:]


def _line_of(text: str, field: str, layer: int | None = None) -> int | None:
    """Line of a field's assignment (in the n-th [[layers]] where given), or None."""
    lines = text.splitlines()
    start, end = 0, len(lines)
    if layer is not None:
        starts = [i for i, line in enumerate(lines) if re.match(r"\s*\[\[\s*layers\s*\]\]", line)]
        if layer < len(starts):
            start, end = starts[layer], [*starts, end][layer + 1]
    for number, line in enumerate(lines[start:end], start + 1):
        if re.match(rf"\s*\[?\[?\s*{re.escape(field)}\b", line):
            return number
    return start + 1 if layer is not None else None


def _explain(error: str, text: str, where: str) -> str:
    """File, line and field of a msgspec error: `Expected … - at `$.layers[1].t60``."""
    match = re.search(r" - at `\$\.?([^`]*)`", error)
    field_path = match.group(1) if match else ""
    cause = error[: match.start()] if match else error
    quoted = re.search(r"`([A-Za-z_]\w*)`", cause)
    in_layer = re.search(r"layers\[(\d+)\]", field_path or cause)
    contradiction = re.match(r"`([^`]+)`", cause)
    path = contradiction.group(1) if contradiction else field_path
    names = [part for part in re.split(r"[.\[\]]+", path) if part and not part.isdigit()]
    last = quoted.group(1) if quoted and "unknown field" in cause else (names[-1] if names else None)
    line = None
    if last:
        line = _line_of(text, last, int(in_layer.group(1)) if in_layer else None)
    if line is None and in_layer:
        line = _line_of(text, "layers", int(in_layer.group(1)))
    place = f"{where}:{line}" if line else where
    field = field_path or (quoted.group(1) if quoted else "")
    cause = _lower_first(cause)
    return f"{place}: {field}: {cause}" if field and not cause.startswith("`") else f"{place}: {cause}"


def recorded_text(layer: Recorded) -> str:
    """What a recorded layer plays, in a line."""
    keys = sorted(stroke.key for stroke in layer.strokes)
    modes, lines, bands = most_of(layer)
    plural = "s" if len(keys) > 1 else ""
    span = f"{keys[0]:.2f} … {keys[-1]:.2f}" if plural else f"{keys[0]:.2f}"
    strokes = f"{len(keys)} stroke{plural} at key{plural} {span}"
    return f"{layer.file}: {strokes}, {modes} modes, {lines} lines, {bands} bands"


def describe(preset: Preset) -> list[tuple[str, str]]:
    """A preset for people: (label, text) rows."""
    from rtsynth.instrument.rows import clipped_weights, rows_of_key

    rows = rows_of_key(preset, 60, 48000.0)
    audible = int((rows.left**2 + rows.right**2 > 0).sum())
    noisy = int((rows.settled > 0).sum())
    layers = ", ".join(type(layer).__name__.lower() for layer in preset.layers)
    release = f"{preset.envelope.release_ms:g} ms to -60 dB, pedal {preset.envelope.pedal}"
    clipped = clipped_weights(preset)
    recorded = [recorded_text(layer) for layer in preset.layers if isinstance(layer, Recorded)]
    return [
        ("name", preset.name),
        ("title", preset.title),
        ("author", preset.author),
        ("licence", preset.licence),
        ("description", " ".join(preset.description.split())),
        ("tags", ", ".join(preset.tags)),
        ("layers", layers),
        *([("recorded", "; ".join(recorded))] if recorded else []),
        ("rows at key 60", f"{audible}, of them kept alive by noise: {noisy}"),
        *([("clipped weights", ", ".join(clipped))] if clipped else []),
        ("form", preset.form),
        ("polyphony", f"{preset.polyphony.voices} voices, {preset.polyphony.per_key} a key"),
        ("tuning", f"equal temperament, A4 = {preset.tuning.a4:g} Hz"),
        ("attack", f"{preset.envelope.attack_ms:g} ms"),
        ("release", release),
        (
            "velocity",
            f"{preset.velocity.range_db:g} dB, brightness {preset.velocity.brightness_db:g} dB/octave",
        ),
    ]
