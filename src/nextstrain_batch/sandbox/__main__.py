"""``python -m nextstrain_batch.sandbox --home DIR``: the server as a process of its own.

``manager`` starts it so; it puts itself into the background. ``--foreground`` is for debugging.
"""

from __future__ import annotations

import argparse
import logging
import os
import signal
import sys
from pathlib import Path

from .layout import Layout


def main() -> int:
    """Serve until told to stop; return the exit code."""
    parser = argparse.ArgumentParser(prog="python -m nextstrain_batch.sandbox")
    parser.add_argument("--home", type=Path, required=True, help="the ~/.nextstrain to serve")
    parser.add_argument("--path", default=os.defpath, help="where jobs find programs")
    parser.add_argument("--user-home", type=Path, default=Path.home(), help="what jobs do not see")
    parser.add_argument("--no-isolation", action="store_true", help="run jobs as plain processes")
    parser.add_argument("--foreground", action="store_true", help="stay in the foreground")
    options = parser.parse_args()
    if not options.foreground and os.fork():
        # Nobody's child but init's, so that whoever started it owes it nothing.
        os._exit(0)
    return _serve(options)


def _serve(options: argparse.Namespace) -> int:
    from .services import configure_environment

    logging.basicConfig(
        level=logging.INFO, format="%(asctime)s %(levelname)s %(threadName)s %(message)s"
    )
    configure_environment()
    signal.signal(signal.SIGTERM, _exit)
    signal.signal(signal.SIGINT, _exit)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    from . import server

    try:
        server.run(
            server.Options(
                layout=Layout(options.home),
                path=options.path,
                user_home=options.user_home,
                isolate=not options.no_isolation,
            )
        )
    except server.AlreadyRunningError:
        logging.info("Another server has this home")
        return 3
    except Exception:
        logging.exception("The sandbox failed")
        return 1
    return 0


def _exit(number: int, _: object) -> None:
    raise SystemExit(0 if number == signal.SIGTERM else 128 + number)


if __name__ == "__main__":
    sys.exit(main())
