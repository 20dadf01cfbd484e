"""Where Python enters the agent: ``python3 -IB <the unpacked bundle>``.

It is a file of the package, and the bundle's own ``__main__``.
"""

import os
import shutil
import signal
import sys
from pathlib import Path

TEMPORARY = "nextstrain-batch-"
"""How the name of the directory begins that ``fetch_agent`` makes for the bundle."""


def _main() -> None:
    # Process 1 gets no signal without a handler, and nothing is worth keeping yet.
    signal.signal(signal.SIGTERM, lambda _signum, _frame: os._exit(143))

    from nextstrain_batch.agent.main import main
    from nextstrain_batch.allocator import share_one_arena
    from nextstrain_batch.garbage import collect_rarely

    collect_rarely()
    share_one_arena()  # before there are threads, of which each may have its own later
    code = main(os.environ, sys.stdout.buffer)
    home = Path(__file__).parent
    if home.name.startswith(TEMPORARY):
        shutil.rmtree(home, ignore_errors=True)
    # Not sys.exit: that waits for threads, and after SIGTERM they may hang in the network.
    os._exit(code)


if __name__ == "__main__":
    _main()
