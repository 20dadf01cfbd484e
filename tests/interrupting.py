"""Clients that are cut off after some calls that change something."""

READING = ("describe_", "get_", "list_", "head_", "simulate_")
# AWS tags a bucket as it makes it; moto takes a second call, between which and the first it would
# look like anybody's.
WHOLE_ON_AWS = ("create_bucket",)


class CutOffError(Exception):
    """Stands for a lost connection, a closed laptop, Ctrl-C."""


class Interrupting:
    """botocore clients by service; the last of some changes is made, and its answer is lost."""

    def __init__(self, clients, calls):
        self._clients = clients
        self.left = calls

    def __call__(self, service):
        return _Client(self._clients(service), self)


class _Client:
    def __init__(self, client, owner):
        self._client = client
        self._owner = owner

    def __getattr__(self, name):
        found = getattr(self._client, name)
        if name.startswith((*READING, *WHOLE_ON_AWS)) or not callable(found):
            return found

        def call(**arguments):
            answer = found(**arguments)
            self._owner.left -= 1
            if self._owner.left <= 0:
                raise CutOffError(name)
            return answer

        return call
