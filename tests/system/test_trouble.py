"""Bad input and trouble: a clear error, the promised exit code, nothing lost or half-written."""

import os
import socket

import pytest

SANDBOX = ("build", "--aws-batch", "--sandbox")
BATCH = ("build", "--aws-batch")
LARGEST_FILE = 4 * 1024 * 1024


def says(result, *words):
    """Assert that an error went to stderr as a message, not as a traceback, and says *words*."""
    assert "Traceback" not in result.stderr, result.stderr
    text = " ".join(result.stderr.split())
    for word in words:
        assert word in text, result.stderr


def test_no_such_directory(no_sandbox, tmp_path):
    """A directory that is not there is named."""
    build = no_sandbox(*BATCH, tmp_path / "absent")
    assert build.returncode == 1
    says(build, "absent")


def test_not_a_directory(no_sandbox, tmp_path):
    """A file in the directory's place is named."""
    (tmp_path / "file").write_text("")
    build = no_sandbox(*BATCH, tmp_path / "file")
    assert build.returncode == 1
    says(build, "file", "not a directory")


def test_no_directory_is_a_usage_error(no_sandbox):
    """Without a directory the command line makes no sense."""
    build = no_sandbox(*BATCH)
    assert build.returncode == 2
    says(build, "directory")


@pytest.mark.parametrize("option", ["--attach=x", "--detach", "--cancel"])
def test_batch_options_elsewhere(no_sandbox, pathogen, option):
    """What only AWS Batch can do is refused elsewhere, and says which option is missing."""
    build = no_sandbox("build", "--native", option, pathogen)
    assert build.returncode in {1, 2}
    says(build, "--aws-batch")


def test_no_bucket(no_sandbox, pathogen):
    """Without a bucket, the error says the three ways to set it."""
    build = no_sandbox(*BATCH, pathogen)
    assert build.returncode == 1
    says(build, "--aws-batch-s3-bucket", "NEXTSTRAIN_AWS_BATCH_S3_BUCKET", "s3-bucket")


def test_no_credentials(no_sandbox, pathogen):
    """Without credentials nothing is tried, and the error says where they can come from."""
    build = no_sandbox(*BATCH, "--aws-batch-s3-bucket", "some-bucket", pathogen)
    assert build.returncode == 1
    says(build, "credentials", "AWS_ACCESS_KEY_ID")


def test_malformed_configuration(no_sandbox, pathogen):
    """A configuration file that makes no sense is named, with the line."""
    home = pathogen.parent / ".nextstrain"
    home.mkdir()
    (home / "config").write_text("[aws-batch]\njob = a\nthis is no setting\n")
    build = no_sandbox(*BATCH, pathogen)
    assert build.returncode == 1
    says(build, str(home / "config"), "3")


def test_a_number_that_is_not_one(no_sandbox, pathogen):
    """A setting that should be a number is named with its source."""
    build = no_sandbox(*BATCH, pathogen, env={"NEXTSTRAIN_AWS_BATCH_CPUS": "four"})
    assert build.returncode == 1
    says(build, "NEXTSTRAIN_AWS_BATCH_CPUS", "four")


def test_an_option_that_is_not_a_number(no_sandbox, pathogen):
    """An option's value that should be a number is a usage error."""
    build = no_sandbox(*BATCH, "--cpus", "four", pathogen)
    assert build.returncode == 2
    says(build, "--cpus", "four")


def test_unreachable_endpoint(no_sandbox, pathogen):
    """An endpoint where nobody answers is named."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        endpoint = f"http://127.0.0.1:{free.getsockname()[1]}"
    environment = {
        "AWS_ENDPOINT_URL": endpoint, "AWS_ACCESS_KEY_ID": "AKIAEXAMPLE",
        "AWS_SECRET_ACCESS_KEY": "x", "NEXTSTRAIN_AWS_BATCH_S3_BUCKET": "some-bucket",
    }  # fmt: skip
    build = no_sandbox(*BATCH, pathogen, env=environment)
    assert build.returncode == 1
    says(build, endpoint)


def test_a_bucket_that_is_not_there(no_sandbox, pathogen, account):
    """A bucket that does not exist is named, with what to do."""
    build = no_sandbox(*BATCH, "--aws-batch-s3-bucket", "no-such-bucket-xyz", pathogen, env=account)
    assert build.returncode == 1
    says(build, "no-such-bucket-xyz")


@pytest.mark.parametrize(
    ("option", "name"), [("--aws-batch-job", "no-such-job"), ("--aws-batch-queue", "no-such-queue")]
)
def test_a_definition_or_queue_that_is_not_there(nextstrain, pathogen, option, name):
    """A job definition or queue that does not exist is named; before much is sent, if it is."""
    build = nextstrain(*SANDBOX, option, name, pathogen)
    assert build.returncode == 1
    says(build, name)
    assert "Sending" in build.stdout
    (pathogen / "big").touch()
    os.truncate(pathogen / "big", 100_000_000)
    build = nextstrain(*SANDBOX, option, name, pathogen)
    assert build.returncode == 1
    says(build, name)
    assert "Sending" not in build.stdout


def test_a_link_out_of_the_pathogen(nextstrain, pathogen):
    """A symlink that leaves the build root is an error that names it."""
    (pathogen / "data" / "outside").symlink_to("/etc/hostname")
    build = nextstrain(*SANDBOX, pathogen)
    assert build.returncode == 1
    says(build, "data/outside")


def test_links_in_a_circle(nextstrain, pathogen):
    """Symlinks that lead to each other are an error that names one."""
    (pathogen / "one").symlink_to("two")
    (pathogen / "two").symlink_to("one")
    build = nextstrain(*SANDBOX, pathogen)
    assert build.returncode == 1
    says(build, "one")


def test_a_file_that_cannot_be_read(nextstrain, pathogen):
    """A special file in the directory is an error that names it."""
    os.mkfifo(pathogen / "pipe")
    build = nextstrain(*SANDBOX, pathogen)
    assert build.returncode == 1
    says(build, "pipe")


def test_a_name_that_is_not_utf8(nextstrain, pathogen):
    """A file whose name is no UTF-8 travels both ways like any other."""
    name = os.fsencode(pathogen) + b"/caf\xe9.txt"
    with open(name, "w", encoding="utf-8") as file:  # noqa: PTH123 - the name is bytes
        file.write("there")
    build = nextstrain(
        *SANDBOX, "--exec", "sh", pathogen, "-c", "for f in caf*; do cp $f $f.copy; done"
    )
    assert build.returncode == 0, build.stdout + build.stderr
    assert os.path.exists(name + b".copy")  # noqa: PTH110 - the name is bytes


def test_a_program_that_is_not_there(nextstrain, pathogen):
    """A program that the job does not have ends the build with 127 and names it."""
    build = nextstrain(*SANDBOX, "--exec", "no-such-program", pathogen)
    assert build.returncode == 127
    assert "no-such-program" in build.stdout


def test_a_job_id_that_batch_does_not_know(nextstrain, pathogen):
    """An unknown job id is named, with why Batch may have forgotten it."""
    job = "00000000-0000-4000-8000-000000000000"
    build = nextstrain(*SANDBOX, "--attach", job, pathogen)
    assert build.returncode == 1
    says(build, job)


@pytest.mark.parametrize("full_at", ["Submitted", "Detached"])
def test_an_output_that_is_full_once_the_job_exists(nextstrain, pathogen, tmp_path, full_at):
    """A job that nobody could be told of is named by the error, with how to take it up."""
    command = (*SANDBOX, "--detach", "--exec", "true", pathogen.name)
    nextstrain(*command, cwd=tmp_path)
    again = nextstrain(*command, cwd=tmp_path)
    room = again.stdout.index(full_at) + 3
    with (tmp_path / "output").open("ab") as output:
        output.truncate(LARGEST_FILE - room)
        full = nextstrain(*command, cwd=tmp_path, stdout=output, largest_file=LARGEST_FILE)
    assert full.returncode == 1
    says(full, "standard output cannot be written", "build --aws-batch --sandbox --attach")
    assert full.stderr.count("--attach") == 1


def test_native_runs_in_place(no_sandbox, pathogen):
    """--native runs the same build here, with the same words."""
    build = no_sandbox("build", "--native", pathogen)
    assert build.returncode == 0, build.stdout + build.stderr
    assert (pathogen / "results" / "count.txt").read_text() == "n=3\n"


def test_native_passes_the_exit_code(no_sandbox, pathogen):
    """The program's own exit code is the command's."""
    build = no_sandbox("build", "--ambient", "--exec", "sh", pathogen, "-c", "exit 9")
    assert build.returncode == 9
