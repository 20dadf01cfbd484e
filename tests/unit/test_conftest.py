"""The guard that keeps every other test on this machine."""

import socket

import pytest


@pytest.mark.parametrize("address", [("192.0.2.1", 443), ("10.0.0.1", 80)])
def test_a_connection_beyond_loopback_fails(address):
    """A test that would reach another machine fails instead, before a packet is sent."""
    with socket.socket() as connection, pytest.raises(AssertionError, match="tried to connect"):
        connection.connect(address)
