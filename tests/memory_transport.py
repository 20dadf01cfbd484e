"""A bucket in memory, which counts what is asked of it and fails as a test wants it to."""

import threading
from collections import Counter
from datetime import UTC, datetime, timedelta

from nextstrain_batch.errors import MissingObjectError
from nextstrain_batch.store.transport import StoredObject

BEGIN = datetime(2026, 11, 23, tzinfo=UTC)


class MemoryTransport:
    """Implements ``store.transport.Transport``.

    *before(verb, key)* is called first in each request (``get put list renew delete``); what it
    raises, the caller gets. *change(key, data)* may give a reader other bytes than are stored.
    """

    def __init__(self, *, now=BEGIN, before=None, change=None):
        self.url = "s3://memory/prefix"
        self.objects = {}
        self.modified = {}
        self.now = now
        self.before = before or (lambda _verb, _key: None)
        self.change = change or (lambda _key, data: data)
        self.requests = []
        self.bytes_sent = 0
        self.bytes_fetched = 0
        self._lock = threading.RLock()

    def get(self, key, start=0, length=None):
        self._ask("get", key)
        data = self.change(key, self._there(key))
        if start < 0:
            data = data[start:]
        else:
            data = data[start:] if length is None else data[start : start + length]
        with self._lock:
            self.bytes_fetched += len(data)
        return data

    def put(self, key, data, *, if_absent=False):
        self._ask("put", key)
        assert isinstance(data, bytes)
        with self._lock:
            self.bytes_sent += len(data)
            if if_absent and key in self.objects:
                return False
            self.objects[key] = data
            self.modified[key] = self.now
            return True

    def list(self, prefix):
        self._ask("list", prefix)
        for key in sorted(self.objects):
            if key.startswith(prefix):
                yield StoredObject(key, len(self.objects[key]), self.modified[key])

    def renew(self, key):
        self._ask("renew", key)
        self._there(key)
        self.modified[key] = self.now

    def delete(self, key, *, may=None):
        self._ask("delete", key)
        if may is not None and not may():
            return False
        with self._lock:
            self.objects.pop(key, None)
            self.modified.pop(key, None)
        return True

    # --- for tests

    def clock(self):
        """Return the bucket's time; pass it where something asks for ``now``."""
        return self.now

    def pass_days(self, days):
        """Let time pass."""
        self.now += timedelta(days=days)

    def expire(self, days=30):
        """Remove what is older than *days*, as the bucket's lifecycle rule would."""
        for key, modified in list(self.modified.items()):
            if self.now - modified >= timedelta(days=days):
                del self.objects[key], self.modified[key]

    def counted(self):
        """Return how many requests of each verb there were since the last call."""
        with self._lock:
            counts = Counter(verb for verb, _ in self.requests)
            self.requests.clear()
            self.bytes_sent = self.bytes_fetched = 0
        return dict(counts)

    def _ask(self, verb, key):
        with self._lock:
            self.requests.append((verb, key))
        self.before(verb, key)

    def _there(self, key):
        try:
            return self.objects[key]
        except KeyError:
            raise MissingObjectError(f"Cannot read {self.url}/{key}: it is not there.") from None

    def pause(self, seconds):
        """Sleep, as where something asks for it."""
        self.now += timedelta(seconds=seconds)
