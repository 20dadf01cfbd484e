"""Connections to a server: used again, closed meanwhile, slow, and by TLS."""

import ipaddress
import socket
import ssl
import time
from datetime import UTC, datetime, timedelta

import pytest

from nextstrain_batch.errors import AccessDeniedError
from nextstrain_batch.store.direct.connections import BrokenError, Connections, Server
from scripted_server import Handler, error, then_close
from transports import directly

KEYS = ("AKID", "sesame")


@pytest.fixture
def waits():
    return []


@pytest.fixture
def made(waits):
    """Return what makes a transport to a server."""
    return lambda server, **options: directly(
        server.url, KEYS, "bucket", "a/prefix", sleep=waits.append, **options
    )


def test_a_connection_is_used_again(serve, made):
    """One connection serves one request after the other."""
    server = serve(*[(200, b"x")] * 3)
    transport = made(server)
    for _ in range(3):
        transport.get("key")
    assert len({each.client_address for each in server.asked}) == 1


def test_a_connection_that_the_server_closed(serve, made, waits):
    """A connection that was closed while nobody used it costs neither a pause nor an attempt."""
    server = serve(then_close, then_close, (200, b"content"))
    transport = made(server, attempts=1)
    for _ in range(2):
        assert transport.get("key") == b"content"
        time.sleep(0.05)  # the server closes it meanwhile
    assert transport.get("key") == b"content"
    assert waits == []
    assert len({each.client_address for each in server.asked}) == 3


def test_connections_that_nobody_used_for_long_are_not_used_again(serve):
    """After a computer slept their path may be dead, which each would show by its timeout alone."""
    server = serve(*[(200, b"x")] * 3)
    now = [1000.0]
    host, _, port = server.url.removeprefix("http://").partition(":")
    place = Server(host, int(port), is_tls=False, connect_timeout=5, read_timeout=5, kept=4)
    connections = Connections(place, now=lambda: now[0])
    for seconds in (0, 19, 21):
        now[0] += seconds
        connections.ask("GET", "/", dict, b"")
    first, second, third = [each.client_address for each in server.asked]
    assert first == second != third


def test_an_early_refusal(serve, made):
    """A server that refuses a body before it has read it is heard."""

    class Early(Handler):
        def do_PUT(self):  # noqa: N802 - the base class's name
            self.answer(403, error("AccessDenied"), Connection="close")
            self.connection.shutdown(1)
            self.rfile.read(10_000_000)

    server = serve()
    server.RequestHandlerClass = Early
    with pytest.raises(AccessDeniedError):
        made(server).put("key", b"x" * 5_000_000)


def test_a_slow_link_is_no_silence(serve, made):
    """A timeout counts for a piece of a body, not for all of it."""

    class Slow(Handler):
        def do_PUT(self):  # noqa: N802 - the base class's name
            left = int(self.headers["Content-Length"])
            while left:
                left -= len(self.rfile.read(min(left, 2_000_000)))
                time.sleep(0.1)
            self.answer(200)

    server = serve()
    server.RequestHandlerClass = Slow
    # What lies in buffers counts as sent, and the answer takes as long as they take to drain.
    server.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
    begun = time.monotonic()
    assert made(server, read_timeout=1, attempts=1).put("key", b"x" * 40_000_000)
    assert time.monotonic() - begun > 1.5


def test_an_answer_in_pieces(serve, made):
    """A body without a length is read to its end, and one that breaks off is noticed."""

    def chunked(handler, end=b"0\r\n\r\n"):
        handler.send_response(200)
        handler.send_header("Transfer-Encoding", "chunked")
        handler.end_headers()
        handler.wfile.write(b"3\r\nabc\r\n4\r\ndefg\r\n" + end)
        handler.close_connection = not end

    server = serve(lambda handler: chunked(handler, b""), chunked)
    assert made(server).get("key") == b"abcdefg"
    assert len(server.asked) == 2


@pytest.fixture(scope="module")
def certificate(tmp_path_factory):
    """Return the file of a certificate for 127.0.0.1 and its key."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test")])
    now = datetime.now(UTC)
    address = x509.IPAddress(ipaddress.ip_address("127.0.0.1"))
    made = (
        x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([address]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = tmp_path_factory.mktemp("tls") / "both.pem"
    pem = serialization.Encoding.PEM
    private = serialization.PrivateFormat.PKCS8
    secret = key.private_bytes(pem, private, serialization.NoEncryption())
    file.write_bytes(made.public_bytes(pem) + secret)
    return str(file)


@pytest.fixture
def tls(serve, certificate):
    """Return a server that speaks TLS."""
    server = serve(then_close, (200, b"x"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    return server


def to(server):
    return Server("127.0.0.1", server.server_port, True, 5, 5, 4)


def test_tls(tls, certificate):
    """TLS works with whom is trusted, on a connection that was closed meanwhile, too."""
    connections = Connections(to(tls), lambda: ssl.create_default_context(cafile=certificate))
    assert connections.ask("GET", "/", dict, b"").body == b"content"
    time.sleep(0.05)
    assert connections.ask("GET", "/", dict, b"").body == b"x"


def test_tls_with_a_stranger(tls):
    """A certificate that nobody vouches for is not accepted."""
    with pytest.raises(BrokenError, match="self-signed") as broken:
        Connections(to(tls)).ask("GET", "/", dict, b"")
    assert broken.value.phase == "connecting"
