"""`rtsynth export` and `rtsynth train`: what streams is written, the rest is one line and an exit code."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from tests.cli.command import Inside

MODULES = Path(__file__).parents[1] / "training" / "modules.py"
needs_torch = pytest.mark.skipif(
    any(find_spec(name) is None for name in ("torch", "onnx", "onnxruntime")),
    reason="export needs torch, onnx and onnxruntime: docs/export.md",
)


@needs_torch
def test_a_module_that_streams_is_written(tmp_path: Path, inside: Inside) -> None:
    out = tmp_path / "sound.onnx"
    done = inside("export", "module", f"{MODULES}:Sound", "-o", out, "--json", "--runs", 20)
    assert done.code == 0, done.err
    found = json.loads(done.out)
    assert found["path"] == str(out)
    assert found["latency"] == 0
    assert found["runs"] == 20
    assert 0.0 < found["error"] <= found["tolerance"] == 1e-5
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sound.onnx", "sound.toml"]
    again = inside("export", "module", f"{MODULES}:Sound", "-o", out)
    assert (again.code, "-f" in again.complaint) == (2, True)
    spoken = inside("export", "module", f"{MODULES}:Sound", "-o", out, "-f", "--runs", 5)
    assert (spoken.code, spoken.out) == (0, f"{out}\n")
    assert "latency  0 samples" in spoken.err
    assert "worst of 5 chunkings" in spoken.err


@needs_torch
@pytest.mark.parametrize(
    ("place", "flags", "code", "says"),
    [
        (f"{MODULES}:Forgets", (), 6, "comes out as it went in"),
        (f"{MODULES}:LateByOne", (), 6, "latency says 10"),
        (f"{MODULES}:Raises", (), 5, "forward failed"),
        (f"{MODULES}:Nothing", (), 5, "has no Nothing"),
        (f"{MODULES}:NoRate", (), 5, "--rate 48000"),
        (f"{MODULES}:Sound", ("--rate", "44100"), 2, "leave --rate out"),
        (f"{MODULES}:Sound", ("--tolerance", "0"), 2, "--tolerance"),
        (f"{MODULES}:Sound", ("--runs", "0"), 2, "--runs"),
        (f"{MODULES}:Sound", ("-o", "x.pt"), 2, "x.onnx"),
        (f"{MODULES}:Sound", ("-o", "nowhere/x.onnx"), 5, "mkdir -p nowhere"),
        ("model.py", (), 2, "FILE.py:NAME"),
    ],
)
def test_what_does_not_is_one_line_and_writes_nothing(
    place: str,
    flags: tuple[str, ...],
    code: int,
    says: str,
    tmp_path: Path,
    inside: Inside,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    out = () if "-o" in flags else ("-o", "out.onnx")
    done = inside("export", "module", place, *out, *flags, "-q")
    assert (done.code, says in done.complaint) == (code, True), done.err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("missing", ["torch", "onnx"])
def test_without_torch_it_says_what_to_install(
    missing: str, tmp_path: Path, inside: Inside, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in [name for name in sys.modules if name.startswith("rtsynth.training")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, missing, None)  # type: ignore[arg-type]
    for verb in (("export", "module", f"{MODULES}:Sound"), ("train", "drive")):
        done = inside(*verb, "-o", tmp_path / "out.onnx")
        assert done.code == 1
        assert any(f"no {name}: pip install torch" in done.complaint for name in ("torch", missing))


def test_wrong_training_flags_are_one_line(tmp_path: Path, inside: Inside) -> None:
    done = inside("train", "drive", "-o", tmp_path / "out.onnx", "--updates", "0")
    assert (done.code, "--updates" in done.complaint) == (2, True)
