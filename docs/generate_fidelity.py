"""Writes ``docs/reference/sandbox-fidelity.md``: what the sandbox and plain moto do as AWS does.

    python docs/generate_fidelity.py           # run every case on both, and write it (minutes)
    python docs/generate_fidelity.py --check   # fail if it is not of these cases

The cases are those of ``tests/conformance``. That the sandbox's column is true is what that
suite tests; the check compares it, and leaves moto's column, which takes long, as it is.
"""

import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))

from conformance import place
from conformance.cases import Case, all_cases

PAGE = Path(__file__).parent / "reference" / "sandbox-fidelity.md"

INTRODUCTION = """\
# What the sandbox does as AWS does

<!-- Written by docs/generate_fidelity.py from tests/conformance: change the cases, not this. -->

Each line is a case of the conformance suite: something that AWS documents or is known to do, run
against the [embedded AWS](../explanation/sandbox.md) and against [moto](https://docs.getmoto.org),
on which it is built, as it comes ({version}). A dash is for what moto could not be asked here: it
runs jobs in containers, for which there was no container engine; and it has no clock that can be
moved on.
"""

YES, NO, CANNOT = "yes", "no", "–"


def outcome(case: Case, where: place.Place) -> str:
    """Run a case; return how it went."""
    try:
        case.function(where)
    except place.CannotError:
        return CANNOT
    except Exception as error:  # noqa: BLE001 (whatever it is, it is not as on AWS)
        sys.stderr.write(f"{case.area}: {case.name}: {type(error).__name__}: {error}\n")
        return NO
    return YES


def outcomes(cases: list[Case], where: place.Place) -> dict[str, str]:
    """Run every case; return how each went, by its sentence."""
    return {case.sentence: outcome(case, where) for case in cases}


def rows(cases: list[Case], ours: dict[str, str], motos: dict[str, str]) -> Iterator[str]:
    """Yield the page's tables, a line each."""
    area = ""
    for case in cases:
        if case.area != area:
            area = case.area
            yield from ("", f"## {area}", "", "| What AWS does | Sandbox | moto |", "|---|---|---|")
        own = ours[case.sentence] + (f": {case.missing}" if case.missing else "")
        yield f"| {case.sentence} | {own} | {motos.get(case.sentence, '?')} |"


def known_of_moto() -> dict[str, str]:
    """Return the last column of the page as it is, by sentence."""
    cells = [line.split(" | ") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    return {row[0].removeprefix("| "): row[-1].removesuffix(" |") for row in cells if len(row) == 3}


def page(cases: list[Case], ours: dict[str, str], motos: dict[str, str], version: str) -> str:
    """Return the page's text."""
    yes = [sum(each == YES for each in column.values()) for column in (ours, motos)]
    asked = sum(each != CANNOT for each in motos.values())
    summary = (
        f"Of {len(cases)} cases, {yes[0]} are in the sandbox as on AWS;"
        f" in moto, {yes[1]} of the {asked} that it could be asked."
    )
    lines = [INTRODUCTION.format(version=version), summary, *rows(cases, ours, motos)]
    return "\n".join(lines) + "\n"


def check(cases: list[Case]) -> int:
    """Compare the page with the cases; return the exit code."""
    ours = {case.sentence: NO if case.missing else YES for case in cases}
    motos = known_of_moto() if PAGE.exists() else {}
    wanted = list(rows(cases, ours, motos))
    found = PAGE.read_text().splitlines()[-len(wanted) :] if PAGE.exists() else []
    if found == wanted and not any("?" in line for line in found):
        return 0
    sys.stderr.write(f"{PAGE} is out of date: run `python docs/generate_fidelity.py`.\n")
    return 1


def main(arguments: list[str]) -> int:
    """Write the page, or compare it; return the exit code."""
    cases = all_cases()
    if arguments == ["--check"]:
        return check(cases)
    with place.sandbox() as where:
        ours = outcomes(cases, where)
    # Once moto is in place, it answers for every client of this process.
    with place.moto() as where:
        motos = outcomes(cases, where)
    PAGE.write_text(page(cases, ours, motos, f"version {metadata.version('moto')}"))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
