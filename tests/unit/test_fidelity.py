"""The generated page that compares the sandbox with AWS."""

import importlib.util
from pathlib import Path

DOCS = Path(__file__).parents[2] / "docs"


def test_the_page_is_of_the_conformance_suites_cases():
    """Every case has its line, with what the suite expects of the sandbox."""
    spec = importlib.util.spec_from_file_location("fidelity", DOCS / "generate_fidelity.py")
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert generator.main(["--check"]) == 0, "run `python docs/generate_fidelity.py`"
