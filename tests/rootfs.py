"""Small root file systems to use as images: some of this computer's programs, and nothing else."""

import re
import shutil
import subprocess
from pathlib import Path


def make(directory, *programs, scripts=None):
    """Return a root file system with programs and the libraries that they need.

    *scripts* are programs by name, each a shell script's text.
    """
    for name in ("bin", "usr/bin", "etc", "lib64"):
        (directory / name).mkdir(parents=True)
    for program in ("sh", *programs):
        _copy(Path(shutil.which(program)), directory, directory / "bin" / program)
    for name, text in (scripts or {}).items():
        path = directory / "usr/bin" / name
        path.write_text(f"#!/bin/sh\n{text}\n")
        path.chmod(0o755)
    return directory


def _copy(program, directory, target):
    shutil.copy(program.resolve(), target)
    found = subprocess.run(["ldd", program], capture_output=True, text=True, check=True)
    for library in re.findall(r"(/\S+) \(0x", found.stdout):
        inside = directory / library.lstrip("/")
        inside.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(Path(library).resolve(), inside)
