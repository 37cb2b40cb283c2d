"""The rooms of the package, and who may import whom: a room imports only from its left, inside functions too."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "rtsynth"

# Low to high; rooms of one column do not know each other.
CHAINS = [
    [
        {"kernels"},
        {"statespace"},
        {"sampler"},
        {"instrument", "speech"},
        {"codec"},
        {"engine"},
        {"io"},
        {"cli"},
    ],
    [{"inference"}, {"codec", "sequence", "vocoder"}, {"engine"}],
]
TRAINING = "training"  # hangs off the side: it may know every room, and only the command line knows it
FREE = {
    "cuda",
    "errors",
    "messages",
    "source",
    "native",
    "target",
}  # modules that every room may import, and that import no room
FRONT = {"__init__", "__main__"}  # the package's front: it knows every room


def left_of(room: str) -> set[str]:
    """Rooms that a room may import from, itself included."""
    found = {room}
    for chain in CHAINS:
        for place, column in enumerate(chain):
            if column & found:
                found |= set().union(*chain[:place])
    return found


def rooms() -> set[str]:
    return {TRAINING}.union(*(column for chain in CHAINS for column in chain))


def imports(tree: ast.AST, package: list[str]) -> Iterator[tuple[int, str]]:
    """(line, dotted name) of every import in a module of `package`, at whatever depth; relative ones resolved."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield node.lineno, name
            yield from ((node.lineno, f"{name}.{alias.name}") for alias in node.names)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
            if called in ("import_module", "__import__") and node.args:
                argument = node.args[0]
                yield node.lineno, argument.value if isinstance(argument, ast.Constant) else "?"  # type: ignore[misc]


def trespasses(package: Path) -> list[str]:
    """Every import that may not be, as file:line: what; and every place that has no room."""
    found = []
    for path in sorted(package.rglob("*.py")):
        inside = path.relative_to(package)
        room = inside.parts[0] if len(inside.parts) > 1 else inside.stem
        if room not in rooms() | FREE | FRONT:
            found.append(f"{inside}: no such room")
            continue
        folder = [package.name, *inside.parts[:-1]]
        for line, name in imports(ast.parse(path.read_text()), folder):
            if problem := _problem(room, name, package.name):
                found.append(f"{inside}:{line}: {problem}")
    return list(dict.fromkeys(found))


def _problem(room: str, name: str, package: str) -> str | None:
    parts = name.split(".")
    if parts[0] == "torch" and room != TRAINING:
        return "torch outside training"
    if parts[0] == "?":
        return "an import by a name that is not written out"
    if parts[0] != package or len(parts) == 1 or room == TRAINING:
        return None
    target = parts[1]
    if target == TRAINING:
        return None if room == "cli" else f"{room} imports {TRAINING}"
    if target not in rooms() or room in FRONT:
        return None
    allowed = set() if room in FREE else left_of(room)
    return None if target in allowed else f"{room} imports {target}"


def test_every_import_goes_to_the_left() -> None:
    assert trespasses(PACKAGE) == []


def test_the_devices_and_files_know_no_instrument() -> None:
    """`io` plays a Source, whatever it is."""
    for path in sorted((PACKAGE / "io").glob("*.py")):
        names = [name for _, name in imports(ast.parse(path.read_text()), ["rtsynth", "io"])]
        known = {".".join(name.split(".")[:2]) for name in names if name.startswith("rtsynth.")}
        assert not known & {"rtsynth.instrument", "rtsynth.speech", "rtsynth.sampler"}, path.name


def test_the_order_is_the_one_of_the_design() -> None:
    assert left_of("kernels") == {"kernels"}
    assert left_of("sampler") == {"kernels", "statespace", "sampler"}
    assert "speech" not in left_of("instrument")
    assert "codec" in left_of("engine")
    assert {"sampler", "instrument", "speech", "inference"} < left_of("codec")
    assert "sequence" not in left_of("codec")
    assert left_of("cli") == rooms() - {TRAINING}


@pytest.mark.parametrize(
    ("module", "source", "complaint"),
    [
        ("kernels/a.py", "from rtsynth.sampler.bank import loops", "kernels/a.py:1: kernels imports sampler"),
        ("kernels/a.py", "import rtsynth.engine", "kernels/a.py:1: kernels imports engine"),
        ("kernels/a.py", "from rtsynth import sampler", "kernels/a.py:1: kernels imports sampler"),
        ("kernels/a.py", "from .. import sampler", "kernels/a.py:1: kernels imports sampler"),
        ("kernels/a.py", "from ..engine import render", "kernels/a.py:1: kernels imports engine"),
        ("sampler/b/c.py", "from ...io import sink", "sampler/b/c.py:1: sampler imports io"),
        ("engine/a.py", "def f():\n    from rtsynth.io import sink", "engine/a.py:2: engine imports io"),
        ("engine/a.py", "if True:\n    import rtsynth.cli.play as p", "engine/a.py:2: engine imports cli"),
        (
            "engine/a.py",
            "import importlib\nimportlib.import_module('rtsynth.io')",
            "engine/a.py:2: engine imports io",
        ),
        ("engine/a.py", "import_module(name)", "engine/a.py:1: an import by a name that is not written out"),
        (
            "instrument/a.py",
            "from rtsynth.speech import live",
            "instrument/a.py:1: instrument imports speech",
        ),
        ("errors.py", "from rtsynth.kernels import Cosine", "errors.py:1: errors imports kernels"),
        ("io/a.py", "from rtsynth.training import export", "io/a.py:1: io imports training"),
        (
            "inference/a.py",
            "from rtsynth.training import export",
            "inference/a.py:1: inference imports training",
        ),
        ("cli/a.py", "def f():\n    import torch", "cli/a.py:2: torch outside training"),
        ("__init__.py", "import rtsynth.training", "__init__.py:1: __init__ imports training"),
        ("codec/a.py", "def f():\n    import torch.nn", "codec/a.py:2: torch outside training"),
        ("utils/a.py", "", "utils/a.py: no such room"),
        ("misc.py", "", "misc.py: no such room"),
    ],
)
def test_a_planted_trespass_is_found(tmp_path: Path, module: str, source: str, complaint: str) -> None:
    package = tmp_path / "rtsynth"
    path = package / module
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert trespasses(package) == [complaint]


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("training/a.py", "import torch\nfrom rtsynth.cli import main\nfrom rtsynth.codec import event"),
        (
            "engine/a.py",
            "from rtsynth.instrument import Instrument\nfrom rtsynth import native\nimport numpy",
        ),
        ("cli/a.py", "from rtsynth.kernels import Cosine"),
        ("cli/a.py", "def f():\n    from rtsynth.training import export"),
        ("kernels/a.py", "from rtsynth.errors import InputError\nfrom . import value"),
        ("__init__.py", "from rtsynth.engine.render import render"),
    ],
)
def test_what_may_be_is_let_through(tmp_path: Path, module: str, source: str) -> None:
    path = tmp_path / "rtsynth" / module
    path.parent.mkdir(parents=True)
    path.write_text(source)
    assert trespasses(tmp_path / "rtsynth") == []
