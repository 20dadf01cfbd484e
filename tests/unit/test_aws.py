"""The door to AWS."""

import gc
import subprocess
import sys
import threading
from functools import partial
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from botocore.awsrequest import AWSResponse

from nextstrain_batch.aws import Aws, Credentials, is_local
from nextstrain_batch.errors import ConfigError, CredentialsError
from nextstrain_batch.job import describe
from scripted_server import Handler, Scripted, serving

KEYS = Credentials("AKIDEXAMPLE", "sesame")


def test_the_region_defaults_to_us_east_1():
    """Where nothing names a region, it is us-east-1."""
    assert Aws().region == "us-east-1"


@pytest.mark.parametrize("name", ["AWS_DEFAULT_REGION", "AWS_REGION"])
def test_the_region_comes_from_the_environment(monkeypatch, name):
    """Both variables that tools use for the region are heeded."""
    monkeypatch.setenv(name, "eu-central-1")
    assert Aws().region == "eu-central-1"
    assert Aws().batch.meta.region_name == "eu-central-1"


def test_a_given_region_wins(monkeypatch):
    """A region that is given wins over the environment's."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-central-1")
    assert Aws(region="us-west-2").region == "us-west-2"


@pytest.mark.parametrize(
    ("url", "local"),
    [
        ("http://127.0.0.1:4711", True),
        ("http://127.8.0.1", True),
        ("http://[::1]:4711", True),
        ("https://localhost:4566", True),
        ("http://localhost.localstack.cloud:4566", True),
        ("http://s3.localhost:9000", True),
        ("http://0.0.0.0:9000", True),
        ("https://s3.eu-west-1.amazonaws.com", False),
        ("https://notlocalhost.example", False),
        ("http://10.0.0.1", False),
        (None, False),
    ],
)
def test_what_is_on_this_computer_is_known_by_its_address(url, local):
    """By a loopback address, or by a name that is meant for one."""
    assert is_local(url) == local


@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_BATCH"])
def test_an_endpoint_on_this_computer_is_found_as_botocore_finds_it(monkeypatch, tmp_path, name):
    """In a variable, also one service's, or in the profile; AWS itself is none."""
    assert Aws().local_endpoint is None
    monkeypatch.setenv(name, "http://localhost:4711")
    assert Aws().local_endpoint == "http://localhost:4711"
    monkeypatch.setenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")
    assert Aws().local_endpoint is None
    monkeypatch.delenv("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")
    monkeypatch.delenv(name)
    (tmp_path / "config").write_text("[default]\nendpoint_url = http://127.0.0.1:4711\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    assert Aws().local_endpoint == "http://127.0.0.1:4711"


def test_clients_are_made_once():
    """The same client serves every caller, whatever the thread."""
    aws, clients = Aws(), []
    threads = [threading.Thread(target=lambda: clients.append(aws.client("s3"))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len({id(client) for client in clients}) == 1


def test_making_a_client_leaves_the_garbage_collector_as_it_was():
    """The collector is off while a client is made, and on again afterwards if it was before."""
    Aws().client("s3")
    assert gc.isenabled()
    gc.disable()
    try:
        Aws().client("s3")
        assert not gc.isenabled()
    finally:
        gc.enable()


class _Nothing:
    """The empty body of an answer."""

    def stream(self):
        return iter(())


def test_writing_an_object_does_not_wait_for_a_go_ahead():
    """An object is sent at once, without a round trip to ask whether it may be."""
    sent = []

    def answer(request, **_):
        sent.append(request)
        return AWSResponse(request.url, 200, {}, _Nothing())

    client = Aws(region="us-east-1", credentials=KEYS).client("s3")
    client.meta.events.register("before-send.s3.PutObject", answer)
    client.put_object(Bucket="bucket", Key="key", Body=b"x" * 2_000_000)
    assert [each.method for each in sent] == ["PUT"]
    assert "Expect" not in sent[0].headers


def test_a_missing_profile_is_explained(monkeypatch):
    """A profile that does not exist is an error that names it."""
    monkeypatch.setenv("AWS_PROFILE", "lab")
    with pytest.raises(ConfigError, match="lab"):
        _ = Aws().region


def test_no_credentials_are_explained():
    """Without credentials, the first request says how to provide them."""
    with pytest.raises(CredentialsError, match="no AWS credentials"):
        describe(Aws().batch, "job-1")


def test_secrets_are_not_shown():
    """Credentials do not show their secrets when they are printed."""
    assert "sesame" not in repr(Credentials("key", "sesame", "sesame-token"))


def test_importing_is_cheap():
    """Neither botocore nor anything of its size is imported before the first use."""
    modules = [
        "aws",
        "aws_errors",
        "diagnose",
        "failure",
        "image",
        "job",
        "logs",
        "runs",
        "submit",
        "watch",
    ]
    imports = "; ".join(f"import nextstrain_batch.{module}" for module in modules)
    check = f"import sys; {imports}; assert 'botocore' not in sys.modules"
    subprocess.run([sys.executable, "-c", check], check=True)


class _Server(HTTPServer):
    """Drops every connection after it has read the request."""

    requests = 0


class _Dropper(BaseHTTPRequestHandler):
    def do_POST(self):
        self.server.requests += 1
        self.rfile.read(int(self.headers["Content-Length"]))
        self.connection.close()

    def log_message(self, *_):
        pass


@pytest.fixture
def dropper():
    """Return a server on this machine that never answers."""
    server = _Server(("127.0.0.1", 0), _Dropper)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_submission_is_sent_once(dropper):
    """A SubmitJob that may have arrived is never repeated by botocore, past any proxy."""
    from botocore.exceptions import HTTPClientError

    aws = Aws(endpoint=f"http://127.0.0.1:{dropper.server_port}", credentials=KEYS)
    with pytest.raises(HTTPClientError):
        aws.batch.submit_job(jobName="x", jobQueue="q", jobDefinition="d")
    assert dropper.requests == 1


@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_a_submission_that_aws_fails_is_sent_once(status):
    """An error of AWS's own may come after the job was made, so it is no reason to repeat."""
    from botocore.exceptions import ClientError

    with serving(Scripted((status, b"{}"), (200, b'{"jobId": "2"}'))) as server:
        aws = Aws(endpoint=server.url, credentials=KEYS)
        with pytest.raises(ClientError):
            aws.batch.submit_job(jobName="x", jobQueue="q", jobDefinition="d")
    assert len(server.asked) == 1


def test_a_submission_that_was_turned_down_is_sent_again():
    """AWS asks to slow down before it makes a job: that is repeated, as everywhere."""
    busy = partial(
        Handler.answer, status=429, body=b"{}", x_amzn_ErrorType="TooManyRequestsException"
    )
    with serving(Scripted(busy, (200, b'{"jobId": "2"}'))) as server:
        aws = Aws(endpoint=server.url, credentials=KEYS)
        assert aws.batch.submit_job(jobName="x", jobQueue="q", jobDefinition="d")["jobId"] == "2"
