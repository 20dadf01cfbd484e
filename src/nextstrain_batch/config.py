"""Settings, each one knowing where it was set.

A command-line option wins over an environment variable, which wins over the configuration file
(``~/.nextstrain/config``; ``NEXTSTRAIN_HOME`` moves the directory, ``NEXTSTRAIN_CONFIG`` the file
alone), which wins over the default. An empty environment variable counts as one that is not set.
Nothing here reads the process's environment: callers pass it in.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Generic, Literal, TypeVar

from nextstrain_batch.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from configparser import RawConfigParser

T = TypeVar("T")

TRUE_WORDS = frozenset({"1", "true", "yes", "on"})
FALSE_WORDS = frozenset({"0", "false", "no", "off"})


@dataclass(frozen=True, slots=True)
class Source:
    """Where a value was set."""

    kind: Literal["option", "environment", "file", "default"]
    name: str
    """An option, a variable, a line of a file, or "the default"."""

    def __str__(self) -> str:
        return self.name if self.kind == "default" else f"set by {self.name}"


DEFAULT = Source("default", "the default")


@dataclass(frozen=True, slots=True)
class Setting(Generic[T]):
    """A value and its source."""

    value: T
    source: Source = DEFAULT


@dataclass(frozen=True, slots=True)
class Name:
    """The names of one setting; those that it does not have are None."""

    section: str
    key: str
    option: str | None = None
    variable: str | None = None


@dataclass(frozen=True)
class ConfigFile:
    """A configuration file's values. One that does not exist is an empty one."""

    path: Path
    values: Mapping[tuple[str, str], str] = field(default_factory=dict)
    """By section and key."""
    lines: Mapping[tuple[str, str], int] = field(default_factory=dict)
    """The line that sets the value, counted from 1; what ``[DEFAULT]`` sets has none."""

    def get(self, section: str, key: str) -> Setting[str] | None:
        """Return a value and the line that sets it; an empty one counts as none."""
        value = self.values.get((section, key))
        if not value:
            return None
        line = self.lines.get((section, key))
        where = f"{self.path}, line {line}" if line else str(self.path)
        return Setting(value, Source("file", f"[{section}] {key} in {where}"))


def home(environ: Mapping[str, str]) -> Path:
    """Return the directory of our files on this computer; it may not exist yet."""
    if moved := environ.get("NEXTSTRAIN_HOME"):
        return Path(moved)
    return _user_home(environ) / ".nextstrain"


def config_path(environ: Mapping[str, str]) -> Path:
    """Return the path of the configuration file, which may not exist."""
    if moved := environ.get("NEXTSTRAIN_CONFIG"):
        return Path(moved)
    return home(environ) / "config"


def _user_home(environ: Mapping[str, str]) -> Path:
    return Path(environ["HOME"]) if environ.get("HOME") else Path.home()


def read_config(path: Path) -> ConfigFile:
    """Read a configuration file.

    Raises ``ConfigError`` naming the file and, where there is one, the line.
    """
    try:
        content = path.read_bytes()
    except FileNotFoundError:
        return ConfigFile(path)
    except OSError as error:
        raise ConfigError(
            f"The configuration file {path} cannot be read: {error.strerror}."
        ) from error
    text = _decoded(content, path)
    parser = _parsed(text, path)
    return ConfigFile(
        path,
        {(section, key): value for section in parser for key, value in parser[section].items()},
        _line_numbers(text, parser),
    )


def _decoded(content: bytes, path: Path) -> str:
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise _malformed(path, line, "it is not UTF-8 text") from error


def _parsed(text: str, path: Path) -> RawConfigParser:
    import configparser

    parser = configparser.RawConfigParser()
    try:
        parser.read_string(text)
    except configparser.MissingSectionHeaderError as error:
        reason = f"{error.line.strip()!r} stands before the first [section]"
        raise _malformed(path, error.lineno, reason) from error
    except configparser.DuplicateSectionError as error:
        reason = f"there already is a section [{error.section}]"
        raise _malformed(path, error.lineno, reason) from error
    except configparser.DuplicateOptionError as error:
        reason = f"[{error.section}] has set {error.option} already"
        raise _malformed(path, error.lineno, reason) from error
    except configparser.ParsingError as error:
        line, content = error.errors[0]
        reason = f"{content.strip(chr(39)).strip()} is neither a [section] nor `name = value`"
        raise _malformed(path, line, reason) from error
    return parser


def _malformed(path: Path, line: int | None, reason: str) -> ConfigError:
    where = f"Line {line} of {path}" if line else str(path)
    return ConfigError(
        f"{where} is not valid: {reason}.\n\n"
        "The file consists of `[section]` lines, each followed by `name = value` lines;"
        " a comment is a line of its own that begins with `#`. Correct the line and try again."
    )


def _line_numbers(text: str, parser: RawConfigParser) -> dict[tuple[str, str], int]:
    """Find the line of each value; the parser has accepted the text already."""
    found: dict[tuple[str, str], int] = {}
    section = ""
    for number, line in enumerate(text.splitlines(), 1):
        if header := parser.SECTCRE.match(line.strip()):
            section = header.group("header")
        elif line[:1].strip() and line[0] not in "#;" and (option := parser.OPTCRE.match(line)):
            found.setdefault((section, parser.optionxform(option.group("option").rstrip())), number)
    return found


@dataclass(frozen=True)
class Settings:
    """Looks values up in the environment and the configuration file."""

    environ: Mapping[str, str]
    file: ConfigFile

    @classmethod
    def load(cls, environ: Mapping[str, str]) -> Settings:
        """Read the configuration file that *environ* points to, or raise ``ConfigError``."""
        return cls(environ, read_config(config_path(environ)))

    @property
    def home(self) -> Path:
        """The directory of our files on this computer; it may not exist yet."""
        return home(self.environ)

    def text(self, name: Name, option: str | None = None) -> Setting[str] | None:
        """Return the value as it was written, or None where nothing sets it."""
        if option is not None and name.option:
            return Setting(option, Source("option", name.option))
        if name.variable and (value := self.environ.get(name.variable)):
            return Setting(value, Source("environment", name.variable))
        return self.file.get(name.section, name.key)

    def number(self, name: Name, option: int | None = None) -> Setting[int] | None:
        """Return a whole number of at least 1, or raise ``ConfigError`` naming its source."""
        return self._converted(name, None if option is None else str(option), _whole_number)

    def flag(self, name: Name, *, option: bool | None = None) -> Setting[bool]:
        """Return a switch; off unless something sets it. Raises ``ConfigError``."""
        given = None if option is None else str(option).lower()
        return self._converted(name, given, _truth) or Setting(False)

    def bucket(self, name: Name, option: str | None = None) -> Setting[BucketUrl] | None:
        """Return a bucket, or None where nothing names it. Raises ``ConfigError``."""
        return self._converted(name, option, BucketUrl.parse)

    def _converted(
        self, name: Name, option: str | None, convert: Callable[[str], T]
    ) -> Setting[T] | None:
        setting = self.text(name, option)
        if setting is None:
            return None
        try:
            return Setting(convert(setting.value.strip()), setting.source)
        except ValueError as error:
            raise ConfigError(
                f"{setting.value!r} is not valid: {error}.\n\nIt was {setting.source}."
            ) from error


def _whole_number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise ValueError("a whole number of at least 1 is needed")
    return int(text)


def _truth(text: str) -> bool:
    if text.lower() not in TRUE_WORDS | FALSE_WORDS:
        raise ValueError("true or false is needed")
    return text.lower() in TRUE_WORDS


@dataclass(frozen=True, slots=True)
class BucketUrl:
    """A bucket, and the prefix below which everything of ours lies in it."""

    bucket: str
    prefix: str = ""
    """Without a slash at either end; empty for none."""

    def __str__(self) -> str:
        return f"s3://{self.bucket}/{self.prefix}" if self.prefix else f"s3://{self.bucket}"

    @classmethod
    def parse(cls, text: str) -> BucketUrl:
        """Read ``name``, ``s3://name`` or ``s3://name/prefix/``; ``ValueError`` says what is wrong.

        The ``s3://`` may be missing before a prefix, too.
        """
        scheme, separator, rest = text.partition("://")
        if separator and scheme.lower() != "s3":
            raise ValueError(f"a bucket's URL begins with s3://, not {scheme}://")
        bucket, _, prefix = (rest if separator else text).partition("/")
        _check_bucket_name(bucket)
        prefix = prefix.strip("/")
        _check_prefix(prefix)
        return cls(bucket, prefix)


# https://docs.aws.amazon.com/AmazonS3/latest/userguide/bucketnamingrules.html
_RESERVED_PREFIXES = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_SUFFIXES = ("-s3alias", "--ol-s3", ".mrap", "--x-s3", "--table-s3")
_BUCKET_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyz0123456789.-")
# A key has at most 1024 bytes; ours take less than 300 of them after the prefix.
_LONGEST_PREFIX = 700


def _check_bucket_name(name: str) -> None:
    """Raise ``ValueError`` for a name that no bucket can have."""
    if not 3 <= len(name) <= 63:
        raise ValueError(f"a bucket's name has 3 to 63 characters, and {name!r} has {len(name)}")
    if wrong := set(name) - _BUCKET_CHARACTERS:
        raise ValueError(
            "a bucket's name consists of lower-case letters, digits, dots and hyphens;"
            f" {min(wrong)!r} is none of them"
        )
    if not (name[0].isalnum() and name[-1].isalnum()) or ".." in name:
        raise ValueError(
            "a bucket's name begins and ends with a letter or a digit and has no two dots in a row"
        )
    if name.count(".") == 3 and name.replace(".", "").isdigit():
        raise ValueError("a bucket's name must not look like an IP address")
    if name.startswith(_RESERVED_PREFIXES) or name.endswith(_RESERVED_SUFFIXES):
        raise ValueError("AWS reserves bucket names that begin or end like this one")


def _check_prefix(prefix: str) -> None:
    if prefix and any(part in {"", ".", ".."} for part in prefix.split("/")):
        raise ValueError("the prefix has a part that is empty, `.` or `..`")
    if not prefix.isprintable():
        raise ValueError("the prefix has a character that cannot be printed")
    if len(prefix.encode()) > _LONGEST_PREFIX:
        raise ValueError(f"the prefix is longer than {_LONGEST_PREFIX} bytes")
