"""What holds for every test: an environment of its own, no way off this machine, no hurry."""

import ipaddress
import os
import signal
import socket
import sys

import pytest
from hypothesis import settings


class LeftTheMachineError(AssertionError):
    """A test tried to reach another machine."""


def refuse_other_machines(event, arguments):
    """Fail on any connection beyond loopback, whoever opens it."""
    if event not in {"socket.connect", "socket.sendto"}:
        return
    connection, address = arguments
    if connection.family not in {socket.AF_INET, socket.AF_INET6}:
        return
    host = address[0]
    if host == "localhost" or ipaddress.ip_address(host.split("%")[0]).is_loopback:
        return
    message = f"a test tried to connect to {address!r}"
    raise LeftTheMachineError(message)


sys.addaudithook(refuse_other_machines)

# No test is timed: the first example may import something, and the machine may be busy.
settings.register_profile("untimed", settings(), deadline=None)
settings.load_profile("untimed")

# What a script starts in the background ignores Control-C, and so would all that tests start.
signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch, tmp_path_factory):
    """Give each test a home of its own, no credentials, and a proxy that refuses all else.

    Programs that a test starts inherit it: what they would send beyond loopback goes to a proxy
    at a closed port and fails.
    """
    for name in set(os.environ) - {"NEXTSTRAIN_BATCH_TESTS_STRICT"}:
        if name.upper().startswith(("AWS_", "NEXTSTRAIN_", "HTTP_PROXY", "HTTPS_PROXY")):
            monkeypatch.delenv(name)
    home = tmp_path_factory.mktemp("home")
    monkeypatch.setenv("HOME", str(home))
    monkeypatch.setenv("NEXTSTRAIN_HOME", str(home / ".nextstrain"))
    monkeypatch.setenv("AWS_EC2_METADATA_DISABLED", "true")
    for proxy in ("HTTP_PROXY", "HTTPS_PROXY", "http_proxy", "https_proxy"):
        monkeypatch.setenv(proxy, "http://127.0.0.1:9")
    for excepted in ("NO_PROXY", "no_proxy"):
        monkeypatch.setenv(excepted, "127.0.0.1,localhost,::1")
