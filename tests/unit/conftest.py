"""What several unit tests share."""

from contextlib import ExitStack

import pytest

from scripted_server import Scripted, serving


@pytest.fixture
def serve():
    """Return what starts a server with a script."""
    with ExitStack() as stack:
        yield lambda *script: stack.enter_context(serving(Scripted(*script)))
