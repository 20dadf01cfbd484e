"""Whether S3 can be spoken to directly, and with what region and credentials.

botocore knows many ways to an account, and importing it takes longer than a small transfer. The
commonest ways are these; each means here exactly what it means to botocore:

* credentials that are given, or ``AWS_ACCESS_KEY_ID`` and its like in the environment;
* a pair of keys of the profile in use, in ``~/.aws/credentials`` or ``~/.aws/config``;
* those of a container's role.

Wherever anything else has a say (a variable or a line of the profile that is not known here, a
proxy, single sign-on, a role), the answer is None, and botocore serves. So does it where a setting
makes no sense, and says so.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from nextstrain_batch.store.direct.credentials import (
    ContainerAddress,
    ContainerCredentials,
    Credentials,
)
from nextstrain_batch.store.direct.place import LOOPBACK, is_known_region, is_plain_endpoint

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

DEFAULT_REGION = "us-east-1"

_KEYS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_RELATIVE, _FULL = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI", "AWS_CONTAINER_CREDENTIALS_FULL_URI"
_TOKEN, _TOKEN_FILE = (
    "AWS_CONTAINER_AUTHORIZATION_TOKEN",
    "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE",
)
_HEEDED = {
    *_KEYS,
    *(_RELATIVE, _FULL, _TOKEN, _TOKEN_FILE),
    *("AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"),
    *("AWS_REGION", "AWS_DEFAULT_REGION", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3"),
    "AWS_CA_BUNDLE",
}
_WITHOUT_MEANING = {
    # To botocore's S3 with credentials that are not an instance's.
    *("AWS_DEFAULT_OUTPUT", "AWS_PAGER", "AWS_SDK_LOAD_CONFIG", "AWS_EXECUTION_ENV"),
    *("AWS_EC2_METADATA_DISABLED", "AWS_EC2_METADATA_SERVICE_ENDPOINT"),
}
_WITHOUT_MEANING_PREFIX = "AWS_BATCH_"
_FOREIGN = ("AWS_", "BOTO")
_PROXIES = {"http_proxy", "https_proxy", "all_proxy"}
_PROFILE_KEYS = ("aws_access_key_id", "aws_secret_access_key", "aws_session_token")
_PROFILE_LINES = {*_PROFILE_KEYS, "region", "output"}
_ECS_HOST = "169.254.170.2"
# The third is EKS's. What botocore allows besides, by TLS or IPv6, is left to it.
_CONTAINER_HOSTS = {*LOOPBACK, _ECS_HOST, "169.254.170.23"}
_PLAIN = re.compile(r"[!-~]+")


class _Other(Exception):  # noqa: N818 - it is no error
    """Something that is for botocore to understand."""


@dataclass(frozen=True, slots=True)
class DirectSettings:
    """What it takes to speak to S3."""

    region: str
    endpoint: str | None
    """``scheme://host[:port]``; None for AWS itself."""
    credentials: Callable[[], Credentials]


@dataclass(frozen=True, slots=True)
class Given:
    """What the program says itself; None for what it leaves to the surroundings."""

    endpoint: str | None = None
    region: str | None = None
    credentials: Credentials | None = None


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What the process finds around it."""

    environ: Mapping[str, str]
    platform: str
    """As ``sys.platform`` has it."""
    system_proxies: Callable[[], Mapping[str, str]]
    """As ``urllib.request.getproxies``; asked on macOS alone."""


def find(given: Given, around: Surroundings) -> DirectSettings | None:
    """Return the settings, or None where botocore is to find them. Makes no request."""
    environ = around.environ
    try:
        _check_variables(environ)
        profile = _Profile.read(environ)
        profile.check(environ)
        endpoint = _endpoint(given, environ)
        _check_way(endpoint, around)
        return DirectSettings(
            _region(given, environ, profile), endpoint, _credentials(given, environ, profile)
        )
    except _Other:
        return None


def _check_variables(environ: Mapping[str, str]) -> None:
    for name, value in environ.items():
        if not name.startswith(_FOREIGN) or name.startswith(_WITHOUT_MEANING_PREFIX):
            continue
        # What an empty variable means differs from one to the next.
        if not value or name not in _HEEDED | _WITHOUT_MEANING:
            raise _Other


# --- the region, and the way there -------------------------------------------------------------


def _region(given: Given, environ: Mapping[str, str], profile: _Profile) -> str:
    configured = environ.get("AWS_DEFAULT_REGION") or profile.merged.get("region")
    # botocore itself leaves AWS_REGION to other programs; ``Aws`` does not.
    region = given.region or configured or environ.get("AWS_REGION") or DEFAULT_REGION
    if not is_known_region(region):
        raise _Other
    return region


def _endpoint(given: Given, environ: Mapping[str, str]) -> str | None:
    named = environ.get("AWS_ENDPOINT_URL_S3") or environ.get("AWS_ENDPOINT_URL")
    endpoint = given.endpoint or named
    if endpoint is None:
        return None
    endpoint = endpoint.removesuffix("/")
    if not is_plain_endpoint(endpoint):
        raise _Other
    return endpoint


def _check_way(endpoint: str | None, around: Surroundings) -> None:
    """Leave certificate authorities of one's own to botocore, and proxies.

    A proxy has no say about this computer itself, which it could not reach.
    """
    if around.platform not in {"linux", "darwin"}:
        raise _Other
    is_tls = endpoint is None or endpoint.startswith("https:")
    if is_tls and not {"AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"}.isdisjoint(around.environ):
        raise _Other
    if endpoint is not None and urlsplit(endpoint).hostname in LOOPBACK:
        return
    if any(name.lower() in _PROXIES and value for name, value in around.environ.items()):
        raise _Other
    if around.platform == "darwin" and around.system_proxies():
        raise _Other


# --- the profile -------------------------------------------------------------------------------


_FILES = {"config": "AWS_CONFIG_FILE", "credentials": "AWS_SHARED_CREDENTIALS_FILE"}


@dataclass(frozen=True, slots=True)
class _Profile:
    """The lines of the profile in use."""

    shared: Mapping[str, str]
    """In ``~/.aws/credentials``."""
    config: Mapping[str, str]
    """In ``~/.aws/config``."""

    @property
    def merged(self) -> Mapping[str, str]:
        """Both; botocore prefers the credentials file, even for the region."""
        return {**self.config, **self.shared}

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> _Profile:
        """Read the profile that *environ* names; one that is not there is botocore's to miss."""
        named = profile_name(environ)
        name = named or "default"
        home = _home(environ)
        shared = _sections(_path(environ, home, "credentials"))
        config = _sections(_path(environ, home, "config"))
        of_profile = [lines for section, lines in config.items() if _names(section, name)]
        if len(of_profile) > 1 or (named and not of_profile and name not in shared):
            raise _Other
        return cls(shared.get(name, {}), of_profile[0] if of_profile else {})

    def check(self, environ: Mapping[str, str]) -> None:
        """Leave to botocore what it alone knows the meaning of."""
        if not self.merged.keys() <= _PROFILE_LINES or not all(self.merged.values()):
            raise _Other
        if (_home(environ) / ".aws" / "models").exists():
            raise _Other  # botocore's description of S3, changed by hand


def profile_region(environ: Mapping[str, str]) -> str | None:
    """Return the region that the profile in use sets, as botocore reads it."""
    try:
        return _Profile.read(environ).merged.get("region")
    except _Other:
        pass
    import botocore.session
    from botocore.exceptions import BotoCoreError

    session = botocore.session.Session(profile=profile_name(environ))
    for variable, name in (("config_file", "config"), ("credentials_file", "credentials")):
        default = f"{environ.get('HOME', '~')}/.aws/{name}"
        session.set_config_variable(variable, environ.get(_FILES[name]) or default)
    try:
        region: str | None = session.get_scoped_config().get("region")
    except BotoCoreError:
        return None  # A profile that there is not: told as soon as keys are looked for.
    return region


def profile_name(environ: Mapping[str, str]) -> str | None:
    """Return the profile that the environment names, by botocore's order, which takes the keys."""
    return environ.get("AWS_DEFAULT_PROFILE") or environ.get("AWS_PROFILE") or None


def _home(environ: Mapping[str, str]) -> Path:
    home = Path(environ.get("HOME", ""))
    if not home.is_absolute():
        raise _Other
    return home


def _path(environ: Mapping[str, str], home: Path, name: str) -> Path:
    text = environ.get(_FILES[name])
    if text is None:
        return home / ".aws" / name
    if "$" in text or text.startswith("~"):
        raise _Other
    return Path(text)


def _sections(path: Path) -> Mapping[str, Mapping[str, str]]:
    """Read a file of AWS's as botocore does, or leave what is not plain in it to botocore."""
    if not path.is_file():
        return {}
    import configparser
    import io

    parser = configparser.RawConfigParser()
    try:
        # Which letters other bytes are depends on the surroundings.
        parser.read_file(io.TextIOWrapper(io.BytesIO(path.read_bytes()), "ascii"))
    except (OSError, ValueError, configparser.Error) as error:
        raise _Other from error
    sections = {section: dict(parser[section]) for section in parser.sections()}
    # A value that begins on the next line is a block of its own to botocore.
    if any(text.startswith("\n") for lines in sections.values() for text in lines.values()):
        raise _Other
    return sections


def _names(section: str, profile: str) -> bool:
    """Return whether a section of the configuration file is *profile*'s."""
    import shlex

    if section == "default":
        return profile == "default"
    if not section.startswith("profile"):
        return False
    try:
        words = shlex.split(section)
    except ValueError:
        return False
    return len(words) == 2 and words[1] == profile


# --- the credentials ---------------------------------------------------------------------------


def _credentials(
    given: Given, environ: Mapping[str, str], profile: _Profile
) -> Callable[[], Credentials]:
    """Return the first there are, in botocore's order."""
    if given.credentials is not None:
        keys = given.credentials
        return _fixed([keys.access_key, keys.secret_key, keys.token])
    for place, names in (
        (environ, _KEYS),
        (profile.shared, _PROFILE_KEYS),
        (profile.config, _PROFILE_KEYS),
    ):
        if any(name in place for name in names):
            return _fixed([place.get(name) for name in names])
    return _of_container(environ)


def _fixed(values: list[str | None]) -> Callable[[], Credentials]:
    access_key, secret_key, token = values
    if not (access_key and secret_key):
        raise _Other
    if not all(_PLAIN.fullmatch(value) for value in values if value is not None):
        raise _Other
    credentials = Credentials(access_key, secret_key, token)
    return lambda: credentials


def _of_container(environ: Mapping[str, str]) -> ContainerCredentials:
    if any(path.exists() for path in (Path("/etc/boto.cfg"), _home(environ) / ".boto")):
        raise _Other  # where boto's predecessor kept keys, which come first
    relative, full = environ.get(_RELATIVE), environ.get(_FULL)
    url = f"http://{_ECS_HOST}{relative}" if relative else full
    if not url or not _PLAIN.fullmatch(url) or (relative and not relative.startswith("/")):
        raise _Other
    try:
        parts = urlsplit(url)
        port = parts.port or 80
    except ValueError as error:
        raise _Other from error
    if parts.scheme != "http" or parts.hostname not in _CONTAINER_HOSTS or "@" in parts.netloc:
        raise _Other
    path = f"{parts.path or '/'}?{parts.query}" if parts.query else parts.path or "/"
    token, file = environ.get(_TOKEN), environ.get(_TOKEN_FILE)
    if token is not None and not _PLAIN.fullmatch(token):
        raise _Other
    address = ContainerAddress(parts.hostname, port, path, token, Path(file) if file else None)
    return ContainerCredentials(address)
