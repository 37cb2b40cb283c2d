"""The pages of docs/ run: every Python block of a page, one after the other, in one namespace."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from rtsynth.sampler.cuda import why_not

DOCS = Path(__file__).parent.parent / "docs"
BLOCK = re.compile(r"^```python\n(.*?)^```", re.DOTALL | re.MULTILINE)


def run(page: str, name: str) -> int:
    """Run the blocks of a page's text; how many there were. Errors name the page and the line in it."""
    names: dict[str, Any] = {"__name__": "docs"}
    found = 0
    for block in BLOCK.finditer(page):
        above = page.count("\n", 0, block.start(1))
        exec(compile("\n" * above + block[1], name, "exec"), names)
        found += 1
    return found


@pytest.mark.parametrize("path", sorted(DOCS.glob("*.md")), ids=lambda path: path.name)
def test_the_examples_of_a_page_run(path: Path) -> None:
    if "import sympy" in path.read_text():
        pytest.importorskip("sympy")
    if "sampler.cuda" in path.read_text() and (reason := why_not()):
        pytest.skip(reason)
    found = run(path.read_text(), str(path))
    if path.name == "kernels.md":
        assert found >= 10


def test_an_example_that_fails_is_found() -> None:
    with pytest.raises(AssertionError):
        run("text\n```python\nx = 1\n```\n\n```python\nassert x == 2\n```\n", "page")
