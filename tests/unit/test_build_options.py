"""The command line of build, and what it means together with the settings."""

from argparse import Namespace

import pytest

from nextstrain_batch import cli
from nextstrain_batch.commands.build_options import read
from nextstrain_batch.config import ConfigFile, Settings
from nextstrain_batch.errors import ConfigError, UsageError


def arguments(*words) -> Namespace:
    return cli.make_parser(["build"]).parse_args(["build", *words])


def options(*words, environ=None, values=None):
    return read(
        arguments(*words), Settings(environ or {"HOME": "/nowhere"}, ConfigFile("c", values or {}))
    )


def test_defaults():
    """A bare build runs Snakemake, shows the log and downloads everything."""
    found = options("--native", "dir")
    assert (str(found.directory), found.program, found.arguments) == ("dir", "snakemake", ())
    assert found.logs
    assert found.download is True
    assert found.exclude_from_upload == ()
    assert found.batch is None
    assert found.image.value == "nextstrain/base"


def test_everything_after_the_directory_is_the_programs():
    """Options of ours after the directory are the program's."""
    found = options("--aws-batch", "dir", "--cpus", "3", "--no-logs", "--", "x")
    assert found.arguments == ("--cpus", "3", "--no-logs", "--", "x")
    assert found.cpus is None
    assert found.logs


@pytest.mark.parametrize(
    ("words", "values", "runtime"),
    [
        (["--aws-batch"], {}, "aws-batch"),
        (["--native"], {}, "native"),
        (["--ambient"], {}, "native"),
        (["--docker"], {}, "docker"),
        (["--conda"], {}, "conda"),
        (["--singularity"], {}, "singularity"),
        ([], {}, "docker"),
        (["--sandbox"], {}, "aws-batch"),
        (["--sandbox"], {("core", "runner"): "native"}, "aws-batch"),
        ([], {("core", "runner"): "aws-batch"}, "aws-batch"),
        ([], {("core", "runner"): "AWS Batch"}, "aws-batch"),
        ([], {("core", "runner"): "ambient"}, "native"),
        (["--native"], {("core", "runner"): "aws-batch"}, "native"),
    ],
)
def test_which_runtime(words, values, runtime):
    """The option wins over --sandbox, which wins over [core] runner, which wins over docker."""
    assert options(*words, "dir", values=values).runtime.value == runtime


def test_the_sandbox_by_itself_does_not_choose_the_runtime():
    """The sandbox setting of the environment matters on AWS Batch only."""
    found = options("--native", "dir", environ={"NEXTSTRAIN_AWS_BATCH_SANDBOX": "1"})
    assert found.runtime.value == "native"


@pytest.mark.parametrize(
    ("words", "download"),
    [
        ([], True),
        (["--no-download"], False),
        (["--download", "a", "--download", "b"], ("a", "b")),
        (["--exclude-from-download", "a"], ("!a",)),
        (["--exclude-from-download", "(a)"], (r"!\(a)",)),
        (["--download=x", "--exclude-from-d", "a"], ("x", "!a")),
        (["--download", "a", "--no-download"], False),
        (["--no-download", "--download", "a"], ("a",)),
    ],
)
def test_what_to_download(words, download):
    """Patterns add up, excluding is negating, and of --no-download and patterns the last wins."""
    assert options("--aws-batch", *words, "dir").download == download


@pytest.mark.parametrize(
    "words",
    [
        ["--exclude-from-upload", ""], ["--exclude-from-upload=!"], ["--download", "results/["],
        ["--download", "data/{1..20000}.fasta"], ["--exclude-from-download", "{a"],
        ["--exclude-from-download", "!a"], ["--exclude-from-download", ""],
        ["--exclude-from-upload", "../a"], ["--download", "/a/*"],
        ["--exclude-from-download", "/a"],
    ],
)  # fmt: skip
def test_patterns_that_cannot_be_meant(words, capsys):
    """A pattern that can match nothing ends with exit code 2, the option's name and what it is."""
    with pytest.raises(SystemExit) as ended:
        options("--aws-batch", *words, "dir")
    assert ended.value.code == 2
    option, typed = words if len(words) > 1 else words[0].split("=")
    assert f"argument {option}: '{typed}' " in capsys.readouterr().err


def test_image_from_option_environment_file():
    """The image is the option's, else the environment's, else the file's."""
    values = {("docker", "image"): "from/file"}
    environ = {"HOME": "/nowhere", "NEXTSTRAIN_DOCKER_IMAGE": "from/env"}
    found = options("--aws-batch", "--image=opt", "dir", environ=environ, values=values)
    assert found.image.value == "opt"
    assert options("--aws-batch", "dir", environ=environ, values=values).image.value == "from/env"
    assert options("--aws-batch", "dir", values=values).image.value == "from/file"


def test_batch_settings_are_those_of_the_options():
    """The options of AWS Batch end up in its settings."""
    found = options(
        *("--aws-batch", "--aws-batch-job=j", "--aws-batch-queue", "q"),
        *("--aws-batch-s3-bucket", "s3://bucket/p/", "--aws-batch-cpus=16"),
        *("--aws-batch-memory=32000", "--cpus=2", "--memory=1gib", "dir"),
    )
    batch = found.batch
    assert (batch.job.value, batch.queue.value) == ("j", "q")
    assert str(batch.required_bucket) == "s3://bucket/p"
    assert (batch.cpus.value, batch.memory_mib.value) == (16, 32000)
    assert (found.cpus, found.memory) == (2, 2**30)
    assert found.warnings == ()


def test_a_size_from_elsewhere_that_wins_over_the_option_is_told():
    """A warning says where the job's size comes from when it is not --cpus' or --memory's."""
    environ = {"HOME": "/nowhere", "NEXTSTRAIN_AWS_BATCH_CPUS": "36"}
    (warning,) = options("--aws-batch", "--cpus=2", "--memory=1gib", "d", environ=environ).warnings
    assert "--cpus" in warning
    assert "NEXTSTRAIN_AWS_BATCH_CPUS" in warning


def test_credentials_do_not_go_into_the_sandbox():
    """The user's AWS keys are passed on to a real job as ever, not to the sandbox's."""
    environ = {"HOME": "/nowhere", "AWS_ACCESS_KEY_ID": "key", "AUGUR_DEBUG": "1"}
    assert "AWS_ACCESS_KEY_ID" in options("--aws-batch", "d", environ=environ).environment
    assert options("--sandbox", "d", environ=environ).environment == {"AUGUR_DEBUG": "1"}


def test_values_of_variables_do_not_show():
    """The options can be printed without the environment's values."""
    found = options("--aws-batch", "--env", "TOKEN=hush", "dir")
    assert found.environment == {"TOKEN": "hush"}
    assert "hush" not in repr(found)


@pytest.mark.parametrize(
    "words",
    [
        ["--aws-batch"],
        ["--aws-batch", "--attach", "id"],
        ["--aws-batch", "--no-download"],
        ["--aws-batch", "--cancel"],
        ["--aws-batch", "--cancel", "dir"],
        ["--aws-batch", "--attach", "id", "--detach", "dir"],
        ["--aws-batch", "--attach", " ", "dir"],
        ["--aws-batch", "--attach", "id", "dir", "--cancel"],
        ["--aws-batch", "--attach", "id", "dir", "--download=results/*"],
        ["--aws-batch", "--augur", "../augur", "dir"],
        ["--native", "--detach", "dir"],
        ["--native", "--attach", "id", "dir"],
        ["--native", "--sandbox", "dir"],
        ["--native", "--image", "x", "dir"],
        ["--detach-on-interrupt", "dir"],
        ["--native", ""],
    ],
)
def test_what_does_not_go_together(words):
    """Options that contradict each other, or a missing directory, are usage errors."""
    with pytest.raises(UsageError):
        options(*words)


def test_the_programs_arguments_may_stay_where_a_job_is_attached_to():
    """Whoever only adds --attach to the command that launched it need not take them out."""
    found = options("--aws-batch", "--attach", "id", "dir", "--configfile", "c.yaml")
    assert found.arguments == ("--configfile", "c.yaml")


@pytest.mark.parametrize("words", [["--cancel"], ["--no-download"], ["--cancel", "dir"]])
def test_attaching_may_do_without_a_directory(words):
    """--attach needs no directory where nothing comes back."""
    assert options("--aws-batch", "--attach", "id", *words).attach == "id"


def test_attaching_needs_no_bucket():
    """No bucket is no error by itself: a job that is attached to knows its own."""
    assert options("--aws-batch", "--attach", "id", "dir").batch.bucket is None


@pytest.mark.parametrize(
    "words", [["--aws-batch", "--native"], ["--cpus=x"], ["--memory=1tb"], ["--envdir=/nowhere"]]
)
def test_argparse_refuses(words, capsys):
    """Two runtimes at once, and values that are none, end with exit code 2."""
    with pytest.raises(SystemExit) as ended:
        options(*words, "dir")
    assert ended.value.code == 2
    assert "usage: nextstrain build" in capsys.readouterr().err


def test_a_bad_setting_matters_only_where_it_is_used():
    """A malformed AWS Batch setting does not get in the way of a native build."""
    values = {("aws-batch", "cpus"): "many"}
    assert options("--native", "dir", values=values).batch is None
    with pytest.raises(ConfigError):
        options("--aws-batch", "dir", values=values)


def test_another_program():
    """--exec names another program."""
    found = options("--native", "--exec", "augur", "dir", "--version")
    assert (found.program, found.is_snakemake) == ("augur", False)


def test_dry_run():
    """Before the directory --dry-run is ours, after it the program's."""
    assert options("--aws-batch", "--dry-run", "dir").dry_run
    found = options("--aws-batch", "dir", "--dry-run")
    assert not found.dry_run
    assert found.arguments == ("--dry-run",)


@pytest.mark.parametrize(
    ("words", "named"),
    [
        (["--aws-batch", "--dry-run", "--attach", "x", "dir"], "--attach"),
        (["--aws-batch", "--dry-run", "--detach", "dir"], "--detach"),
        (["--native", "--dry-run", "dir"], "after the directory"),
    ],
)
def test_dry_run_contradicts(words, named):
    """What makes no sense together with --dry-run is an error that says so."""
    with pytest.raises(UsageError, match=named):
        options(*words)
