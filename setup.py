"""The one part of the build that pyproject.toml cannot say: the audio-thread engine, in C, from native/.

It is a plain shared library with no Python in it (loaded by rtsynth/native.py through ctypes), so
it needs a C compiler but no Python headers. It is not optional: without it nothing sounds, so a missing
compiler stops the build.
"""

from __future__ import annotations

import shutil
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

ENGINE = Extension(
    "rtsynth._native",
    sources=sorted(str(path) for path in Path("native").glob("*.c")),
    depends=sorted(str(path) for path in Path("native").glob("*.h")),
    # No -ffast-math and no contraction: the same samples from every block size, vectorised or not.
    # Loops that clear a segment stay loops: gcc's `rep stos` takes longer than a voice's segment may (13 ns of 80).
    extra_compile_args=[
        "-O3",
        "-std=c11",
        "-pthread",
        "-fvisibility=hidden",
        "-ffp-contract=off",
        "-fno-tree-loop-distribute-patterns",
    ],
    extra_link_args=["-pthread", "-lm", "-ldl"],
)

NO_COMPILER = """rtsynth needs a C compiler, and {compiler!r} is not there. Install one and try again:
    apt install build-essential     (Debian, Ubuntu)
    dnf install gcc                 (Fedora)
    pacman -S gcc                   (Arch)
    apk add build-base              (Alpine)"""


class BuildEngine(build_ext):
    """Say what to install where there is no compiler."""

    def build_extension(self, ext: Extension) -> None:
        compiler = self.compiler.compiler_so[0]
        if shutil.which(compiler) is None:
            raise SystemExit(NO_COMPILER.format(compiler=compiler))
        super().build_extension(ext)


setup(ext_modules=[ENGINE], cmdclass={"build_ext": BuildEngine})
