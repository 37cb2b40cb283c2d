"""Which model is meant, where its manifest lies, and what they say together: `load_manifest`.

A manifest is a TOML file beside the network, one that is shipped (by name), or `rtsynth.*` among the network's
metadata. Whatever it leaves out is read from the graph (`completion.py`), without onnxruntime.
"""

from __future__ import annotations

import difflib
import hashlib
import re
from collections.abc import Mapping
from pathlib import Path

import msgspec

from rtsynth.errors import InputError, UsageError
from rtsynth.inference.completion import complete
from rtsynth.inference.graph import Graph, read_graph
from rtsynth.inference.schema import SCHEMA, Manifest, parse

METADATA = "rtsynth."  # prefix of a manifest's fields among an ONNX file's metadata


def directory() -> Path:
    """The folder of the models and manifests that are shipped: in the installed package, or beside it in a checkout."""
    package = Path(__file__).parent.parent
    inside = package / "presets"
    return (inside if inside.is_dir() else package.parent / "presets") / "models"


def list_models() -> list[str]:
    """Names of the manifests that are shipped."""
    return sorted(path.stem for path in directory().glob("*.toml"))


def load_manifest(model: str | Path, manifest: str | Path | None = None) -> Manifest:
    """A model by its .onnx file, its .toml, or the name of a shipped one; `manifest`: a file, or a shipped name.

    Without `manifest` it is the file x.toml beside x.onnx, the metadata `rtsynth.*` in the file, or the graph alone.
    Everything the manifest leaves out comes from the graph; shapes and names are checked against it. Raises InputError.
    """
    network, description = _find(str(model), None if manifest is None else str(manifest))
    graph = read_graph(network)
    if description is None:
        return complete(_from_metadata(graph, network), graph, network, str(network))
    stated = parse(_read(description), str(description))
    if stated.sha256 is not None and hashlib.sha256(_read(network)).hexdigest() != stated.sha256:
        raise InputError(
            f"{description}: sha256: {network} is not the file that this manifest was written for"
        )
    return complete(stated, graph, network, str(description))


def started(manifest: Manifest, start: Mapping[str, float]) -> Manifest:
    """The same model, states of these names starting as other numbers. Raises UsageError where there is no such."""
    states = manifest.states or ()
    for name in start:
        if name not in [state.input for state in states]:
            raise UsageError(f"{manifest.name} has no state '{name}' that could start as {start[name]:g}")
    changed = (msgspec.structs.replace(state, start=start.get(state.input, state.start)) for state in states)
    return msgspec.structs.replace(manifest, states=tuple(changed)) if start else manifest


# --- where it lies ----------------------------------------------------------------------------------------------------


def _find(model: str, manifest: str | None) -> tuple[Path, Path | None]:
    """(network, manifest or None) of what the user typed."""
    path = Path(model)
    if path.suffix == ".toml" or (not path.suffix and "/" not in model and not path.exists()):
        described = path if path.suffix == ".toml" else _shipped(model)
        network = described.parent / parse(_read(described), str(described)).file
        if not network.is_file():
            raise InputError(
                f"{described.stem}: {network.name} is not there; this manifest comes without its network. "
                f"Fetch it (docs/models.md), then: rtsynth live path/to/{network.name} --manifest {manifest or model}"
            )
        return network, described if manifest is None else _manifest_path(manifest)
    if not path.is_file():
        raise InputError(f"no model file {model}. Shipped ones: {', '.join(list_models())}")
    beside = path.with_suffix(".toml")
    if manifest is None:
        return path, beside if beside.is_file() else None
    return path, _manifest_path(manifest)


def _manifest_path(text: str) -> Path:
    path = Path(text)
    if path.suffix != ".toml" and "/" not in text and not path.exists():
        return _shipped(text)
    if not path.is_file():
        raise InputError(f"no manifest file {text}")
    return path


def _shipped(name: str) -> Path:
    names = list_models()
    if name in names:
        return directory() / f"{name}.toml"
    near = difflib.get_close_matches(name, names, 1)
    hint = f" Did you mean '{near[0]}'?" if near else f" Shipped ones: {', '.join(names)}"
    raise InputError(f"no model named '{name}'.{hint}")


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InputError(f"cannot read {path}: {error.strerror}") from None


def _from_metadata(graph: Graph, network: Path) -> Manifest:
    """The fields among the file's metadata, each value written as in TOML; none: only the name is known."""
    if kind := graph.metadata.get(f"{METADATA}kind"):
        verb = f"rtsynth live vocoder --model {network}" if kind == "vocoder" else "rtsynth generate --help"
        raise InputError(f"{network} is a network of the kind '{kind}', and takes no sound. Next: {verb}")
    name = re.sub(r"[^A-Za-z0-9._-]", "-", network.stem).lstrip("._-") or "model"
    lines = {"schema": str(SCHEMA), "name": f'"{name}"'}
    for key, value in graph.metadata.items():
        if key.startswith(METADATA):
            lines[key[len(METADATA) :]] = value
    lines["file"] = '"model.onnx"'  # the file that says so, whatever it is called now
    text = "\n".join(f"{key} = {value}" for key, value in lines.items())
    return parse(text.encode(), f"{network} (its metadata)")
