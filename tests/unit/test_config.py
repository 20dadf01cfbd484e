"""Where settings come from."""

import pytest

from nextstrain_batch.config import (
    BucketUrl,
    ConfigFile,
    Name,
    Settings,
    config_path,
    home,
    read_config,
)
from nextstrain_batch.errors import ConfigError

NAME = Name("aws-batch", "cpus", "--aws-batch-cpus", "NEXTSTRAIN_AWS_BATCH_CPUS")
SWITCH = Name("aws-batch", "sandbox", "--sandbox", "NEXTSTRAIN_AWS_BATCH_SANDBOX")
BUCKET = Name("aws-batch", "s3-bucket")


def settings(environ=None, text=None, tmp_path=None):
    if text is None:
        return Settings(environ or {}, ConfigFile(None))
    path = tmp_path / "config"
    path.write_text(text)
    return Settings(environ or {}, read_config(path))


def test_option_wins_over_environment_over_file(tmp_path):
    """An option wins over the environment, which wins over the file."""
    looked_up = settings({NAME.variable: "3"}, "[aws-batch]\ncpus = 2\n", tmp_path)
    assert looked_up.number(NAME, 4).value == 4
    assert looked_up.number(NAME, 4).source.kind == "option"
    assert looked_up.number(NAME).value == 3
    assert looked_up.number(NAME).source.name == "NEXTSTRAIN_AWS_BATCH_CPUS"
    only_file = settings({}, "[aws-batch]\ncpus = 2\n", tmp_path)
    assert only_file.number(NAME).value == 2
    assert only_file.number(NAME).source.kind == "file"


def test_nothing_set_is_none():
    """What nothing sets is None."""
    assert settings().number(NAME) is None


def test_an_empty_variable_counts_as_unset(tmp_path):
    """An empty environment variable does not hide the file's value."""
    looked_up = settings({NAME.variable: ""}, "[aws-batch]\ncpus = 2\n", tmp_path)
    assert looked_up.number(NAME).value == 2


@pytest.mark.parametrize("bad", ["four", "0", "-1", "1.5", "\uff14", "1e3"])
def test_a_bad_number_names_its_source(bad, tmp_path):
    """A number that is none is an error that names the variable, or the file and line."""
    with pytest.raises(ConfigError, match="NEXTSTRAIN_AWS_BATCH_CPUS"):
        settings({NAME.variable: bad}).number(NAME)
    with pytest.raises(ConfigError, match=r"\[aws-batch\] cpus in .*/config, line 4"):
        settings({}, f"# mine\n\n[aws-batch]\ncpus = {bad}\n", tmp_path).number(NAME)


@pytest.mark.parametrize("word", ["1", "true", "YES", "on", "True"])
def test_true_words(word):
    """A switch is on for the usual words, in either case."""
    assert settings({SWITCH.variable: word}).flag(SWITCH).value is True


@pytest.mark.parametrize("word", ["0", "false", "No", "off"])
def test_false_words_win_over_the_file(word, tmp_path):
    """A switch that the environment turns off is off, whatever the file says."""
    looked_up = settings({SWITCH.variable: word}, "[aws-batch]\nsandbox = true\n", tmp_path)
    assert looked_up.flag(SWITCH).value is False
    assert looked_up.flag(SWITCH, option=True).value is True


def test_a_bad_switch_names_its_source():
    """A switch that is neither on nor off is an error that names its source."""
    with pytest.raises(ConfigError, match="NEXTSTRAIN_AWS_BATCH_SANDBOX"):
        settings({SWITCH.variable: "maybe"}).flag(SWITCH)


def test_a_missing_file_is_empty(tmp_path):
    """A configuration file that does not exist sets nothing and is no error."""
    assert read_config(tmp_path / "none").get("core", "runner") is None


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("runner = native\n", 1),
        ("[core]\nrunner = native\nnonsense\n", 3),
        ("[core]\nrunner = native\n\n[core]\n", 4),
        ("[core]\nrunner = native\nrunner = docker\n", 3),
    ],
)
def test_a_malformed_file_is_an_error_with_its_line(text, line, tmp_path):
    """A malformed file is an error that names the file and the line."""
    path = tmp_path / "config"
    path.write_text(text)
    with pytest.raises(ConfigError, match=f"Line {line} of {path}"):
        read_config(path)


def test_a_file_that_is_not_utf8_is_an_error_with_its_line(tmp_path):
    """Bytes that are not UTF-8 are an error that names the line."""
    path = tmp_path / "config"
    path.write_bytes(b"[core]\nrunner = \xff\n")
    with pytest.raises(ConfigError, match="Line 2 of"):
        read_config(path)


def test_a_directory_in_the_files_place_is_an_error(tmp_path):
    """A file that cannot be read is an error that names it."""
    with pytest.raises(ConfigError, match="cannot be read"):
        read_config(tmp_path)


def test_names_ignore_case_values_keep_percent_signs_and_later_lines(tmp_path):
    """Keys ignore case, as INI files do; a percent sign and a continued line are just text."""
    looked_up = settings({}, "[docker]\nIMAGE = a%20b\n  more\n", tmp_path)
    assert looked_up.file.get("docker", "image").value == "a%20b\nmore"
    assert looked_up.file.lines["docker", "image"] == 2


def test_home_and_config_can_be_moved(tmp_path):
    """NEXTSTRAIN_HOME moves the directory, NEXTSTRAIN_CONFIG the file alone."""
    environ = {"HOME": str(tmp_path)}
    assert home(environ) == tmp_path / ".nextstrain"
    assert config_path(environ) == tmp_path / ".nextstrain" / "config"
    environ["NEXTSTRAIN_HOME"] = str(tmp_path / "n")
    assert config_path(environ) == tmp_path / "n" / "config"
    environ["NEXTSTRAIN_CONFIG"] = str(tmp_path / "c")
    assert config_path(environ) == tmp_path / "c"
    assert home(environ) == tmp_path / "n"


@pytest.mark.parametrize(
    ("text", "url"),
    [
        ("name", "s3://name"),
        ("s3://name", "s3://name"),
        ("s3://name/", "s3://name"),
        ("S3://name/a", "s3://name/a"),
        ("s3://name/prefix/", "s3://name/prefix"),
        ("name/a/b/", "s3://name/a/b"),
        ("my.bucket-1", "s3://my.bucket-1"),
    ],
)
def test_a_bucket_may_be_a_name_or_a_url(text, url):
    """A bucket may be a name or a URL, with a prefix or not; slashes at the end do not matter."""
    assert str(BucketUrl.parse(text)) == url


def test_bucket_and_prefix_are_apart():
    """The bucket's name and the prefix come without slashes."""
    assert BucketUrl.parse("s3://name/a/b/") == BucketUrl("name", "a/b")


@pytest.mark.parametrize(
    "text",
    [
        *("", "s3://", "ab", "a" * 64, "Upper", "under_score", "-a-b", "a..b", "192.168.1.1"),
        *("xn--abc", "abc-s3alias", "https://name", "gs://name", "s3:name", "na me"),
        *("name/a//b", "name/../x", "name/a\nb", "s3://name/" + "p" * 800, "arn:aws:s3:::b"),
    ],
)
def test_what_no_bucket_can_be_called_is_refused(text):
    """A name that no bucket can have, another kind of URL or an odd prefix is refused."""
    with pytest.raises(ValueError, match=r"bucket|prefix"):
        BucketUrl.parse(text)


def test_a_bad_bucket_names_its_source(tmp_path):
    """A bucket's name that cannot be one is an error that names its source."""
    with pytest.raises(ConfigError, match=r"\[aws-batch\] s3-bucket in .*, line 2"):
        settings({}, "[aws-batch]\ns3-bucket = Upper\n", tmp_path).bucket(BUCKET)
