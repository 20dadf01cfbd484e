"""Which settings are simple enough to speak to S3 directly, and that they mean the same."""

import contextlib
import os
import string
from pathlib import Path

import pytest
from botocore.awsrequest import AWSResponse
from botocore.exceptions import BotoCoreError
from botocore.session import Session
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from nextstrain_batch.aws import Aws
from nextstrain_batch.direct_settings import Given, Surroundings, find
from nextstrain_batch.store.direct.credentials import ContainerCredentials, Credentials
from nextstrain_batch.store.direct.place import Place, is_plain_bucket
from nextstrain_batch.store.direct.transport import DirectTransport
from nextstrain_batch.store.s3 import S3Transport

KEYS = {"AWS_ACCESS_KEY_ID": "AKIDENV", "AWS_SECRET_ACCESS_KEY": "sesame"}
ECS = {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "/v2/credentials/x"}


def around(home, environ, *, platform="linux", proxies=()):
    everything = {"HOME": str(home), **environ}
    return Surroundings(everything, platform, lambda: dict(proxies))


def found(home, environ, said=Given(), **options):  # noqa: B008 - it is frozen
    return find(said, around(home, environ, **options))


def write(home, *, config=None, credentials=None):
    (home / ".aws").mkdir(exist_ok=True)
    for name, text in (("config", config), ("credentials", credentials)):
        if text is not None:
            (home / ".aws" / name).write_text(text)


def pair(key, *more):
    return "\n".join([f"aws_access_key_id = {key}", "aws_secret_access_key = s/x+", *more, ""])


def test_keys_in_the_environment(tmp_path):
    """A pair of keys in the environment is simple, with or without a token."""
    got = found(tmp_path, KEYS)
    assert got.credentials() == Credentials("AKIDENV", "sesame")
    assert (got.region, got.endpoint) == ("us-east-1", None)
    with_token = found(tmp_path, {**KEYS, "AWS_SESSION_TOKEN": "t"})
    assert with_token.credentials().token == "t"


def test_keys_of_a_profile(tmp_path):
    """A pair of keys of the profile in use is simple; the credentials file comes first."""
    write(
        tmp_path,
        config=f"[profile lab]\nregion = eu-west-1\n{pair('CONFIG')}[profile p]\nrole_arn = x\n",
        credentials=f"[default]\n{pair('DEFAULT')}[lab]\n{pair('LAB')}",
    )
    lab = found(tmp_path, {"AWS_PROFILE": "lab"})
    assert (lab.credentials().access_key, lab.region) == ("LAB", "eu-west-1")
    assert found(tmp_path, {}).credentials().access_key == "DEFAULT"


def test_a_region_in_both_files(tmp_path):
    """A profile's region in the credentials file wins over the one in the configuration file."""
    write(
        tmp_path,
        config="[default]\nregion = eu-west-1\n",
        credentials=f"[default]\nregion = us-west-2\n{pair('DEFAULT')}",
    )
    assert found(tmp_path, {}).region == "us-west-2"
    with environment({"HOME": str(tmp_path)}):
        assert botocores(Given())[1] == "us-west-2"


def test_credentials_of_a_container(tmp_path):
    """A container's role is simple, and asking for it makes no request yet."""
    assert isinstance(found(tmp_path, ECS).credentials, ContainerCredentials)
    uri = {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://127.0.0.1:8080/x?y=1"}
    assert isinstance(found(tmp_path, uri).credentials, ContainerCredentials)


def test_what_is_given_wins(tmp_path):
    """Endpoint, region and credentials that are given win over the environment's."""
    said = Given("http://127.0.0.1:1", "eu-west-1", Credentials("GIVEN", "s"))
    environ = {**KEYS, "AWS_ENDPOINT_URL": "http://x.example", "AWS_DEFAULT_REGION": "us-west-2"}
    got = found(tmp_path, environ, said)
    assert got.credentials() == Credentials("GIVEN", "s")
    assert (got.endpoint, got.region) == ("http://127.0.0.1:1", "eu-west-1")


@pytest.mark.parametrize(
    "environ",
    [
        {},
        {"AWS_ACCESS_KEY_ID": "x"},
        {"AWS_ACCESS_KEY_ID": "x y", "AWS_SECRET_ACCESS_KEY": "z"},
        {**KEYS, "AWS_SESSION_TOKEN": ""},
        {**KEYS, "AWS_PROFILE": "missing"},
        {**KEYS, "AWS_CREDENTIAL_EXPIRATION": "2030-01-01T00:00:00Z"},
        {**KEYS, "AWS_CA_BUNDLE": "/x"},
        {**KEYS, "REQUESTS_CA_BUNDLE": "/x"},
        {**KEYS, "AWS_USE_FIPS_ENDPOINT": "true"},
        {**KEYS, "AWS_SOMETHING_NEW": "x"},
        {**KEYS, "BOTO_CONFIG": "/x"},
        {**KEYS, "AWS_DEFAULT_REGION": "us-iso-east-1"},
        {**KEYS, "AWS_DEFAULT_REGION": "aws-global"},
        {**KEYS, "AWS_ENDPOINT_URL": "https://s3.eu-west-1.amazonaws.com"},
        {**KEYS, "AWS_ENDPOINT_URL": "http://minio.example/below"},
        {**KEYS, "AWS_ENDPOINT_URL": "minio.example"},
        {**KEYS, "https_proxy": "http://proxy.example:3128"},
        {**KEYS, "ALL_PROXY": "socks5://proxy.example"},
        {**KEYS, "HOME": ""},
        {"AWS_ROLE_ARN": "x", "AWS_WEB_IDENTITY_TOKEN_FILE": "/x", **ECS},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "http://elsewhere.example/x"},
        {"AWS_CONTAINER_CREDENTIALS_FULL_URI": "https://127.0.0.1/x"},
        {"AWS_CONTAINER_CREDENTIALS_RELATIVE_URI": "@elsewhere.example/x"},
        {**ECS, "AWS_CONTAINER_AUTHORIZATION_TOKEN": "a\nb"},
    ],
)
def test_what_is_left_to_botocore(tmp_path, environ):
    """Whatever is not known to be simple is botocore's."""
    assert found(tmp_path, environ) is None


@pytest.mark.parametrize(
    "config",
    [
        "[default]\nrole_arn = x\nsource_profile = y\n",
        "[default]\nsso_session = x\n",
        "[default]\ncredential_process = x\n",
        "[default]\nca_bundle = x\n",
        "[default]\nregion =\n",
        "[default]\ns3 =\n  addressing_style = path\n",
        "[DEFAULT]\nendpoint_url = http://x\n[default]\nregion = us-west-2\n",
        "[default]\nregion = us-west-2\n[profile default]\nregion = eu-west-1\n",
        "[profile other]\ns3 =\n  nonsense\n",
        "[default]\naws_access_key_id = x\n[default]\n",
        "[default]\n# Zürich\nregion = eu-central-2\n",
        "nonsense\n",
    ],
)
def test_configuration_that_is_left_to_botocore(tmp_path, config):
    """A configuration file with more than keys and a region is botocore's, even with keys."""
    write(tmp_path, config=config)
    assert found(tmp_path, KEYS) is None


def test_old_places_of_keys_are_left_to_botocore(tmp_path):
    """A file of boto's, or changed service descriptions, are botocore's to read."""
    (tmp_path / ".boto").write_text("")
    assert found(tmp_path, ECS) is None
    assert found(tmp_path, KEYS) is not None
    (tmp_path / ".aws" / "models").mkdir(parents=True)
    assert found(tmp_path, KEYS) is None


def test_proxies_and_loopback(tmp_path):
    """A proxy has no say about this computer; macOS's own proxies count elsewhere."""
    local = {**KEYS, "AWS_ENDPOINT_URL": "http://localhost:8333", "HTTP_PROXY": "http://p.example"}
    assert found(tmp_path, local).endpoint == "http://localhost:8333"
    proxies = {"https": "http://p.example"}
    assert found(tmp_path, KEYS, platform="darwin", proxies=proxies) is None
    assert found(tmp_path, KEYS, platform="darwin") is not None
    assert found(tmp_path, KEYS, platform="win32") is None


@pytest.mark.parametrize("name", ["a.b", "Bucket", "ab", "x--use1-az4--x-s3", "a-s3alias", "a_b"])
def test_buckets_that_are_left_to_botocore(name):
    """A bucket with a dot, of another kind, or with an impossible name is botocore's."""
    assert not is_plain_bucket(name)


class Bucket:
    bucket, prefix = "my-bucket", "a/prefix"


def test_the_choice_of_the_transport(monkeypatch):
    """``Aws`` speaks directly where that is simple, and by botocore else."""
    for name, value in KEYS.items():
        monkeypatch.setenv(name, value)
    local = Aws(endpoint="http://127.0.0.1:9")
    assert isinstance(local.bucket(Bucket()), DirectTransport)
    assert local.bucket(Bucket()).url == "s3://my-bucket/a/prefix"
    assert isinstance(Aws().bucket(Bucket()), S3Transport)  # the tests' proxy is set
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "3")
    assert isinstance(local.bucket(Bucket()), S3Transport)


# --- the same as botocore ----------------------------------------------------------------------


def mostly(usual, *rare):
    """Return a strategy for *usual*, or in one case of eight for something *rare*."""
    return st.integers(0, 7).flatmap(lambda chance: st.one_of(rare) if chance == 7 else usual)


words = st.text(string.ascii_letters + string.digits + "/+=", min_size=1, max_size=12)
regions = mostly(
    st.sampled_from(["us-east-1", "eu-west-1", "ap-southeast-3", "cn-north-1", "us-gov-west-1"]),
    st.sampled_from(["us-iso-east-1", "eusc-de-east-1", "nonsense", "mx-central-1"]),
)
endpoints = mostly(
    st.sampled_from(["http://127.0.0.1:8333", "https://minio.example", "http://localhost:80/"]),
    st.sampled_from(["https://s3.amazonaws.com", "http://x_y", "https://minio.example:9000/"]),
)
profiles = st.sampled_from(["default", "lab", "other one"])


def key_lines(access, secret, token):
    """Return a strategy for a pair of keys under these names; seldom for something else."""
    tokens = st.fixed_dictionaries({}, optional={token: mostly(words, st.just(""))})
    pairs = st.fixed_dictionaries({access: words, secret: words})
    odd = st.fixed_dictionaries({}, optional={access: words, secret: words})
    return st.builds(lambda keys, token: keys | token, mostly(pairs, odd), tokens)


def some(values, rare=()):
    """Return a strategy for some of *values*, and seldom for some of *rare*."""
    usual = st.fixed_dictionaries({}, optional=values)
    odd = st.fixed_dictionaries({}, optional=dict(rare))
    return st.builds(lambda one, two: one | two, usual, mostly(st.just({}), odd))


environs = st.builds(
    lambda keys, others: keys | others,
    st.just({}) | key_lines("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN"),
    some(
        {
            "AWS_DEFAULT_REGION": regions,
            "AWS_REGION": regions,
            "AWS_ENDPOINT_URL": endpoints,
            "AWS_ENDPOINT_URL_S3": endpoints,
            "AWS_EXECUTION_ENV": words,
        },
        {
            "AWS_PROFILE": profiles,
            "AWS_DEFAULT_PROFILE": profiles,
            "AWS_CONFIG_FILE": st.sampled_from(["{home}/config", "{home}/none", "~/.aws/config"]),
            "AWS_SHARED_CREDENTIALS_FILE": st.sampled_from(["{home}/.aws/config", "/nowhere"]),
            "AWS_MAX_ATTEMPTS": words,
            "AWS_CA_BUNDLE": st.just("/nowhere"),
        },
    ),
)
lines = st.builds(
    lambda keys, others: keys | others,
    st.just({}) | key_lines("aws_access_key_id", "aws_secret_access_key", "aws_session_token"),
    some(
        {"region": regions, "output": words},
        {
            "Role_ARN": words,
            "endpoint_url": endpoints,
            "s3": st.just("\n  addressing_style = virtual"),
        },
    ),
)
sections = mostly(
    st.sampled_from(["default", "lab", "profile lab", 'profile "other one"', "other one"]),
    st.sampled_from(
        ["DEFAULT", "profile default", "profiles lab", "profile 'lab", "sso-session x"]
    ),
)
files = st.dictionaries(sections, lines, max_size=4)


def text_of(file):
    return "".join(
        f"[{section}]\n" + "".join(f"{name} = {value}\n" for name, value in values.items())
        for section, values in file.items()
    )


@contextlib.contextmanager
def environment(values):
    """Put *values* in the place of what begins with ``AWS_``, and of the home."""
    before = dict(os.environ)
    for name in before:
        if name.upper().startswith("AWS_") or name.lower().endswith("_proxy"):
            del os.environ[name]
    os.environ.update(values)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


class Nothing:
    """The empty body of an answer."""

    def stream(self):
        return iter(())


def botocores(said):
    """Return what botocore makes of the same: credentials, and where and how it asks for a key."""
    session = Session()
    region = said.region or session.get_config_variable("region") or os.environ.get("AWS_REGION")
    keys = said.credentials
    client = session.create_client(
        "s3",
        region_name=region or "us-east-1",
        endpoint_url=said.endpoint,
        aws_access_key_id=keys.access_key if keys else None,
        aws_secret_access_key=keys.secret_key if keys else None,
        aws_session_token=keys.token if keys else None,
    )
    asked = []

    def answer(request, **_):
        asked.append(request)
        return AWSResponse(request.url, 200, {}, Nothing())

    client.meta.events.register("before-send.s3.HeadObject", answer)
    client.head_object(Bucket="my-bucket", Key="a/key")
    used = client._request_signer._credentials
    return (
        Credentials(used.access_key, used.secret_key, used.token),
        client.meta.region_name,
        client.meta.endpoint_url.removesuffix("/"),
        asked[0].url,
        asked[0].headers["Authorization"].decode().split("/")[-3],
    )


@given(
    environs,
    files,
    files,
    st.builds(
        Given,
        st.none() | endpoints,
        st.none() | regions,
        st.none() | st.builds(Credentials, words, words, st.none() | words),
    ),
)
@settings(max_examples=100, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_simple_settings_mean_what_they_mean_to_botocore(
    tmp_path_factory, environ, config, credentials, said
):
    """Wherever S3 is spoken to directly, it is where, and as whom, botocore would do it."""
    home = tmp_path_factory.mktemp("home")
    write(home, config=text_of(config), credentials=text_of(credentials))
    (home / "config").write_text(text_of(credentials))
    environ = {name: value.replace("{home}", str(home)) for name, value in environ.items()}
    direct = found(home, environ, said)
    event("direct" if direct else "botocore")
    if direct is None:
        return
    with environment({"HOME": str(home), "AWS_EC2_METADATA_DISABLED": "true", **environ}):
        keys, region, endpoint, url, signed_for = botocores(said)
    assert direct.credentials() == keys
    assert direct.region == region == signed_for
    place = Place("my-bucket", direct.region, direct.endpoint)
    assert place.base.replace("//my-bucket.", "//") == endpoint
    assert f"{place.base}{place.path}/a/key".replace(":80/", "/") == url.replace(":80/", "/")
    assert place.host in url.replace(":80", "")


def test_what_botocore_refuses_is_never_direct(tmp_path):
    """A profile that does not exist is no simple case, as botocore refuses it."""
    environ = {**KEYS, "AWS_PROFILE": "missing"}
    assert found(tmp_path, environ) is None
    with environment({"HOME": str(tmp_path), **environ}), pytest.raises(BotoCoreError):
        botocores(Given())


def test_paths_are_taken_as_they_are(tmp_path):
    """A file may be named by a path; what a shell would expand in it is botocore's."""
    file = Path(tmp_path, "keys")
    file.write_text(f"[default]\n{pair('FILE')}")
    got = found(tmp_path, {"AWS_SHARED_CREDENTIALS_FILE": str(file)})
    assert got.credentials().access_key == "FILE"
    assert found(tmp_path, {**KEYS, "AWS_CONFIG_FILE": "~/x"}) is None
    assert found(tmp_path, {**KEYS, "AWS_CONFIG_FILE": "$HOME/x"}) is None


def test_a_job_is_simple(tmp_path):
    """What ECS and AWS Batch tell a job, and what the sandbox does, is all understood."""
    environ = {
        "AWS_BATCH_CE_NAME": "jobs",
        "AWS_BATCH_JOB_ATTEMPT": "1",
        "AWS_BATCH_JOB_ID": "4c2e",
        "AWS_BATCH_JQ_NAME": "queue",
        "AWS_EXECUTION_ENV": "AWS_ECS_EC2",
        "ECS_CONTAINER_METADATA_URI_V4": "http://169.254.170.2/v4/x",
        **ECS,
    }
    assert found(tmp_path, environ) is not None
    environ["AWS_EC2_METADATA_SERVICE_ENDPOINT"] = "http://127.0.0.1:1/_sandbox/metadata/x"
    assert found(tmp_path, environ) is not None
