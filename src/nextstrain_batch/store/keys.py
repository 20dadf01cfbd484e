"""The names of the objects in the bucket, relative to the bucket's optional prefix."""

from __future__ import annotations

import re

PACKS = "packs/"
AGENTS = "agents/"
RUNS = "runs/"
PINS = "pins/"
PRUNES = "prunes/"

RUN_ID = r"[A-Za-z0-9_-]+-[0-9]{8}T[0-9]{6}Z-[0-9a-f]{8}"
"""The shape of a run's id, as a regular expression; ``runs.new_id`` makes them."""

_OURS = re.compile(
    r"(packs|agents)/[0-9a-f]{64}"
    r"|(pins|prunes)/[0-9a-f]{16}"
    rf"|runs/{RUN_ID}/.*",
    re.DOTALL,
)


def is_ours(key: str) -> bool:
    """Whether this program may have made the object: other people's may lie beside ours."""
    return _OURS.fullmatch(key) is not None


def pack(pack_id: str) -> str:
    """Return the key of a pack; *pack_id* is 64 hexadecimal digits."""
    return f"{PACKS}{pack_id}"


def agent(digest: str) -> str:
    """Return the key of a job-side program; *digest* is the SHA-256 of its bytes."""
    return f"{AGENTS}{digest}"


def pin(token: str) -> str:
    """Return the key of a pin: the packs that an upload is about to refer to (``pins.py``).

    *token* is 16 random hexadecimal digits.
    """
    return f"{PINS}{token}"


def prune(token: str) -> str:
    """Return the key of what says that a pruning deletes right now (``pins.py``).

    *token* is 16 random hexadecimal digits.
    """
    return f"{PRUNES}{token}"


def is_manifest(key: str) -> bool:
    """Whether a run's object is a manifest, of its input, its output or anything between."""
    return key.endswith(".manifest")


def run_of(key: str) -> str:
    """Return the id of the run whose object *key* names."""
    return key.removeprefix(RUNS).partition("/")[0]


def run(run_id: str, name: str = "") -> str:
    """Return the key of a run's object, or the prefix of all of them without *name*."""
    return f"{RUNS}{run_id}/{name}"


def run_record(run_id: str) -> str:
    """Return the key of the record that says who ran what, when and with which options."""
    return run(run_id, "run.json")


def input_manifest(run_id: str) -> str:
    """Return the key of the manifest of what the user's computer sent."""
    return run(run_id, "input.manifest")


def environment(run_id: str) -> str:
    """Return the key of the environment values; the object is gone when the run is over."""
    return run(run_id, "env")


def attempts(run_id: str) -> str:
    """Return the prefix of the keys of everything that the run's attempts stored."""
    return run(run_id, "attempts/")


def attempt(run_id: str, number: int, name: str) -> str:
    """Return the key of an object of one attempt of the job; *number* counts from 1."""
    return f"{attempts(run_id)}{number}/{name}"


def attempt_number(run_id: str, key: str) -> int | None:
    """Return the number of the attempt whose object *key* names; None for somebody else's."""
    found = re.fullmatch(f"{re.escape(attempts(run_id))}([1-9][0-9]*)/[^/]+", key, re.ASCII)
    return int(found[1]) if found else None


def output_manifest(run_id: str, number: int) -> str:
    """Return the key of the manifest of the build directory as the attempt left it."""
    return attempt(run_id, number, "output.manifest")


def result(run_id: str, number: int) -> str:
    """Return the key of the attempt's result: the last object that an attempt writes."""
    return attempt(run_id, number, "result.json")


def log(run_id: str, number: int) -> str:
    """Return the key of the attempt's whole log, as the program wrote it."""
    return attempt(run_id, number, "log")
