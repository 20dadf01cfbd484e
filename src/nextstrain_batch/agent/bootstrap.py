"""The job's command: finds a Python that can run the agent, and has it fetch the agent.

It runs on the user's computer and returns text. The command must stay small: AWS Batch fails jobs
whose ``containerOverrides`` exceed 8192 characters, and expands ``Ref::name`` in it.
"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import TYPE_CHECKING

from nextstrain_batch import results

if TYPE_CHECKING:
    from collections.abc import Sequence

PYTHONS = (
    "python3",
    "python3.14",
    "python3.13",
    "python3.12",
    "python3.11",
    "python",
    "/usr/local/bin/python3",
    "/usr/bin/python3",
    "/opt/conda/bin/python3",
)
"""Where a Python may be, in the order of trying: what the image calls ``python3`` comes first."""

# -I: neither the image's PYTHON... variables nor the working directory have a say. -B: bytecode
# written in a container is never read again. Process 1 ignores SIGTERM unless it traps it.
SHELL = """\
trap 'exit {terminated}' TERM
for python in {pythons}; do
  if "$python" -IBc 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
    exec "$python" -IBc "$@"
  fi
done
echo "[nextstrain] The job's image has no Python 3.11 or newer, which the job side needs." >&2
echo "[nextstrain] Tried: {pythons}." >&2
echo "[nextstrain] Use an image that has one, such as nextstrain/base." >&2
exit {no_python}
"""


def command(digest: str, pythons: Sequence[str] = PYTHONS) -> tuple[str, ...]:
    """Return the command of a job that is to run the agent ``agents/<digest>``.

    The job's environment must hold ``NEXTSTRAIN_BATCH_RUN``: ``s3://bucket[/prefix]/runs/<id>``.
    """
    shell = SHELL.format(
        pythons=" ".join(pythons), terminated=results.TERMINATED, no_python=results.NO_PYTHON
    )
    return ("/bin/sh", "-c", shell, "nextstrain-batch", _python_text(), digest)


def _python_text() -> str:
    """Return ``fetch_agent.py`` without what only its readers need."""
    source = Path(__file__).with_name("fetch_agent.py").read_text(encoding="utf-8")
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Module | ast.FunctionDef) and ast.get_docstring(node):
            del node.body[0]
    return ast.unparse(tree)
