"""What signals mean while a job is watched: cancel it, leave it running, or stop waiting.

| signal | on a terminal | elsewhere |
|---|---|---|
| SIGINT | twice within 10 s cancels | cancels |
| SIGINT once the job is being cancelled | stops waiting | stops waiting |
| SIGTSTP (Control-Z), SIGHUP | detach | detach |

With *detach_on_interrupt*, SIGINT detaches. SIGTERM is left alone: it ends this command, and the
job goes on. So is a signal that whoever started this command has it ignore, as ``nohup`` does.
The handlers take note, and at most say so; what follows happens in ``wait``, between two requests
to AWS, because a request made inside a signal handler could find its client in the middle of
another one.

They are installed before the job is submitted, so that no signal comes between a job and the
knowledge of its id: what comes by then (``submitting``) is kept for the first ``wait``. Only a
third SIGINT is not, and raises ``KeyboardInterrupt``.
"""

from __future__ import annotations

import queue
import signal
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from nextstrain_batch.aws_errors import TRANSIENT
from nextstrain_batch.errors import UserError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import FrameType

CONFIRMATION_SECONDS = 10.0
_LONGEST_WAIT = 3600.0
MOST_HELD = 2
"""So many SIGINTs are kept while a job is submitted; whoever sends another one will not wait."""


class Detach(Exception):  # noqa: N818 - not an error: the user asked for it
    """The user leaves; the job goes on."""


class StopWaiting(Exception):  # noqa: N818 - not an error: the user asked for it
    """The user does not want to wait for a cancelled job to end. Exit code 130."""


@contextmanager
def saying(next_step: str) -> Iterator[None]:
    """Have a ``KeyboardInterrupt`` inside the ``with`` say what to do next, unless it does."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        interrupt.args = interrupt.args or (next_step,)
        raise


class Interrupts:
    """Turns signals into what the user means by them.

    *cancel* is called, at most once and not before the first ``wait``, when the user asks for the
    job's end. *tell* shows a line.
    """

    def __init__(
        self,
        *,
        cancel: Callable[[], None],
        tell: Callable[[str], None],
        on_terminal: bool,
        detach_on_interrupt: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._cancel = cancel
        self._tell = tell
        self._on_terminal = on_terminal
        self._detach_on_interrupt = detach_on_interrupt
        self._clock = clock
        # A signal may come in the middle of another one, for which an event's lock is not made.
        self._noticed: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._taken: list[str] = []
        self._interrupts = 0
        self._detach = False
        self._asked_at: float | None = None
        self._cancelled = False
        self._is_submitting = False

    @property
    def asked(self) -> bool:
        """Whether an interrupt was noticed that nothing has been done about yet."""
        return self._interrupts > 0

    def hint(self) -> str:
        """Say which keys or signals do what."""
        if not self._on_terminal:
            return self._hint_of_signals()
        if self._detach_on_interrupt:
            return "Press Control-C or Control-Z to detach from this job."
        return (
            f"Press Control-C twice within {CONFIRMATION_SECONDS:.0f} seconds to cancel this job, "
            "Control-Z to detach from it."
        )

    def _hint_of_signals(self) -> str:
        interrupt = "detach from" if self._detach_on_interrupt else "cancel"
        leaving = " or ".join(name for name in ("SIGHUP", "SIGTSTP") if name in self._taken)
        meant = [f"SIGINT to {interrupt} this job"] if "SIGINT" in self._taken else []
        meant += [f"{leaving} to detach from this job"] if leaving else []
        return (
            f"Send {', '.join(meant)}." if meant else "No signal but SIGTERM reaches this command."
        )

    @contextmanager
    def installed(self) -> Iterator[None]:
        """Handle the signals for as long as the context lasts, then as before."""
        handlers = {
            "SIGINT": self._on_interrupt,
            "SIGTSTP": self._on_leave,
            "SIGHUP": self._on_leave,
        }
        before: dict[int, Any] = {}
        self._taken = []
        for name, handler in handlers.items():
            number = getattr(signal, name, None)
            if number is not None and signal.getsignal(number) is not signal.SIG_IGN:
                before[number] = signal.signal(number, handler)
                self._taken.append(name)
        try:
            yield
        finally:
            for number, handler in before.items():
                signal.signal(number, handler)

    @contextmanager
    def submitting(self) -> Iterator[None]:
        """Keep what comes for the first ``wait``, and say so at SIGINT.

        To be used inside ``installed``. A third SIGINT raises ``KeyboardInterrupt``.
        """
        self._is_submitting = True
        try:
            yield
        finally:
            self._is_submitting = False

    def wait(self, seconds: float) -> None:
        """Wait, or do at once what a signal asks for.

        Raises ``Detach`` or ``StopWaiting``.
        """
        with suppress(queue.Empty):
            self._noticed.get(timeout=min(seconds, _LONGEST_WAIT))
            while True:
                self._noticed.get_nowait()
        if self._detach:
            raise Detach
        while self._interrupts:
            self._interrupts -= 1
            self._interrupted()

    def cancel(self) -> None:
        """Cancel the job, as two presses of Control-C would. More than once is no error."""
        if not self._cancelled:
            self._cancel()
            self._cancelled = True

    def _interrupted(self) -> None:
        if self._cancelled:
            raise StopWaiting
        now = self._clock()
        confirmed = self._asked_at is not None and now - self._asked_at <= CONFIRMATION_SECONDS
        if not self._on_terminal:
            self.cancel()
            return
        if confirmed:
            self._confirmed()
            return
        self._asked_at = now
        self._tell(
            f"Press Control-C again within {CONFIRMATION_SECONDS:.0f} seconds to cancel this job."
        )

    def _confirmed(self) -> None:
        try:
            self.cancel()
        except TRANSIENT as error:
            # Who watches rides such trouble out, too, and can ask again.
            what = str(error).partition("\n")[0]
            self._tell(f"{what} The job is not cancelled; press Control-C twice to try again.")
            self._asked_at = None

    def _on_interrupt(self, _number: int, _frame: FrameType | None) -> None:
        self._interrupts += 1
        if self._detach_on_interrupt:
            self._detach = True
        self._noticed.put(None)
        if self._is_submitting:
            self._hold()

    def _hold(self) -> None:
        if self._interrupts > MOST_HELD:
            raise KeyboardInterrupt
        words = (
            "The job is being submitted; this takes effect as soon as its id is known."
            " Press Control-C twice more to leave at once."
            if self._interrupts == 1
            else "Press Control-C once more to leave at once."
        )
        # Raised here, it would cut the request off that submits the job: whoever reads the output
        # may have got the signal as well, or this came in the middle of another line.
        with suppress(OSError, UserError, RuntimeError):
            self._tell(words)

    def _on_leave(self, _number: int, _frame: FrameType | None) -> None:
        self._detach = True
        self._noticed.put(None)
