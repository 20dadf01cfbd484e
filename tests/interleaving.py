"""Two or more programs at one bucket, their requests interleaved as a test says."""

import threading
from datetime import timedelta

from nextstrain_batch.errors import CredentialsError
from nextstrain_batch.store import pins

UPLOADER_SLEEPS = timedelta(hours=5)
"""The longest that an upload is taken to be away between two of its requests."""


class Stage:
    """Lets one actor at a time make one request; *choices* say who, and how much time passes.

    ``choices`` yields pairs of a number, which picks among those that wait, and a timedelta.
    *skews* are by how much the actors' clocks are fast, by the actors' names.
    """

    def __init__(self, bucket, choices, skews=None):
        self.bucket = bucket
        self.skews = skews or {}
        self._choices = iter(choices)
        self._condition = threading.Condition()
        self._waiting = {}
        self._running = {}
        self._actors = []
        self.errors = []

    def run(self, **actors):
        """Run functions, each given its own view of the bucket, to their ends."""
        views = {name: View(self, name) for name in actors}
        self._running = dict.fromkeys(actors, 0)
        self._idle_since = dict.fromkeys(actors, self.bucket.now)
        threads = [
            threading.Thread(target=self._act, args=(name, function, views[name]), daemon=True)
            for name, function in actors.items()
        ]
        self._alive = set(actors)
        for thread in threads:
            thread.start()
        self._direct()
        for thread in threads:
            thread.join(10)
            assert not thread.is_alive()
        if self.errors:
            raise self.errors[0]

    def _act(self, name, function, view):
        try:
            function(view)
        except BaseException as error:  # noqa: BLE001 - raised in the test's own thread
            self.errors.append(error)
        finally:
            with self._condition:
                self._alive.discard(name)
                self._condition.notify_all()

    def turn(self, name, work):
        """Wait for this actor's turn, then do *work*, alone."""
        ticket = object()
        with self._condition:
            self._waiting.setdefault(name, []).append(ticket)
            self._condition.notify_all()
            while self._granted is not ticket:
                self._condition.wait(10)
            try:
                return work()
            finally:
                self._granted = None
                self._condition.notify_all()

    _granted = None

    def _direct(self):
        """Grant turns until nobody is left, each time when all that are alive wait."""
        while True:
            with self._condition:
                self._condition.wait_for(
                    lambda: (
                        self._granted is None
                        and all(self._waiting.get(name) for name in self._alive)
                    ),
                    timeout=10,
                )
                names = sorted(name for name, tickets in self._waiting.items() if tickets)
                if not names:
                    if not self._alive:
                        return
                    raise AssertionError(f"nobody moves: {self._alive}")
                number, passes = next(self._choices, (0, timedelta(0)))
                name = names[number % len(names)]
                self._pass_time(passes)
                self._idle_since[name] = self.bucket.now
                self._granted = self._waiting[name].pop(0)
                self._condition.notify_all()
                self._condition.wait_for(lambda: self._granted is None, timeout=10)

    def _pass_time(self, time):
        """Let time pass, within what the protocol takes for granted of those that are at work."""
        for name in self._alive:
            if not name.startswith("prune"):  # which may be away for as long as it will
                time = min(time, UPLOADER_SLEEPS - (self.bucket.now - self._idle_since[name]))
        self.bucket.now += max(time, timedelta(0))


class View:
    """A bucket as one actor sees it: each request waits for its turn."""

    def __init__(self, stage, name):
        self._stage = stage
        self._name = name
        self.url = stage.bucket.url

    def clock(self):
        return self._stage.bucket.now + self._stage.skews.get(self._name, timedelta(0))

    def list(self, prefix):
        return iter(self._turn(lambda: list(self._stage.bucket.list(prefix))))

    def delete(self, key, *, may=None):
        """Date the request, ask, and send it: S3 refuses what comes too long after its date."""
        date = self.clock()
        if may is not None and not may():
            return False

        def arrive():
            if abs(self._stage.bucket.now - date) > pins.SIGNED:
                raise CredentialsError("The difference between the times is too large.")
            return self._stage.bucket.delete(key)

        return self._turn(arrive if may else lambda: self._stage.bucket.delete(key))

    def pause(self, _seconds):
        """Sleep: another actor may move meanwhile."""
        self._turn(lambda: None)

    def __getattr__(self, verb):
        method = getattr(self._stage.bucket, verb)
        return lambda *args, **options: self._turn(lambda: method(*args, **options))

    def _turn(self, work):
        return self._stage.turn(self._name, work)
