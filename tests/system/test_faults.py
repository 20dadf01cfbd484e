"""Builds by the real command while AWS is not well: they end right, or say how to go on."""

import re
import time

import pexpect
import pytest

SANDBOX = ("build", "--aws-batch", "--sandbox")


@pytest.fixture
def pathogen(tmp_path):
    directory = tmp_path / "toy"
    directory.mkdir()
    (directory / "data.txt").write_text("ada\n")
    return directory


def run(nextstrain, pathogen, script, *options, **named):
    return nextstrain(*SANDBOX, *options, "--exec", "sh", pathogen, "-c", script, **named)


def lines(build):
    """Return what the program printed, as it was shown."""
    return re.findall(r"^\[batch\] (?:\[\d{4}-\S+\] )?(\w+)$", build.stdout, re.MULTILINE)


def attach_words(text):
    """Return the arguments of the command that a message says to go on with."""
    (line,) = set(re.findall(r"^ *(nextstrain build .*--attach.*)$", text, re.MULTILINE))
    return line.split()[1:]


def no_part_of_a_file(pathogen):
    return not [path for path in pathogen.rglob("*") if "nextstrain-batch" in path.name]


@pytest.mark.parametrize("api", ["DescribeJobs", "GetLogEvents", "PutObject", "ListObjectsV2"])
def test_throttled(nextstrain, pathogen, broken, api):
    """Throttling that passes costs time alone."""
    fault = broken.add("throttle", api=api, times=2)
    build = run(nextstrain, pathogen, "echo one; echo 1 > out")
    assert build.returncode == 0, build.stdout + build.stderr
    assert (pathogen / "out").read_text() == "1\n"
    assert lines(build) == ["one"]
    assert fault.struck == 2


def test_throttled_for_longer_than_requests_are_repeated(nextstrain, pathogen, broken):
    """Watching goes on when AWS does not answer for a while, and says so once."""
    fault = broken.add("throttle", api="DescribeJobs", after=2, times=4)
    build = run(nextstrain, pathogen, "echo one; sleep 2; echo 1 > out")
    assert build.returncode == 0, build.stdout + build.stderr
    assert build.stderr.count("Trying again; the job itself is not affected.") == 1
    assert lines(build) == ["one"]
    assert fault.struck == 4


@pytest.mark.parametrize("caller", ["user", "job"])
def test_the_bucket_fails_for_a_moment(nextstrain, pathogen, broken, caller):
    """Errors of S3's own side during upload and results are ridden out."""
    fault = broken.add("error", api="s3:*Object", caller=caller, every=3, times=3)
    build = run(nextstrain, pathogen, "echo 1 > out")
    assert build.returncode == 0, build.stdout + build.stderr
    assert (pathogen / "out").read_text() == "1\n"
    assert fault.struck == 3


@pytest.mark.parametrize(
    ("api", "key", "caller"),
    [
        ("PutObject", "packs/*", "user"),
        ("PutObject", "*/input.manifest", "user"),
        ("GetObject", "packs/*", "job"),
        ("GetObject", "packs/*", "user"),
    ],
    ids=["sending", "recording", "the job's fetch", "fetching results"],
)
def test_the_bucket_fails_for_longer(nextstrain, pathogen, broken, api, key, caller):
    """What lasts for longer than requests are repeated is told, and transfers go on after it."""
    (pathogen / "new.txt").write_text(str(time.time()))
    fault = broken.add("error", api=api, key=key, caller=caller, times=5)
    build = run(nextstrain, pathogen, "head -c 3000000 /dev/urandom > out; cat new.txt > copy")
    assert build.returncode == 0, build.stdout + build.stderr
    assert fault.struck == 5
    assert (pathogen / "copy").read_text() == (pathogen / "new.txt").read_text()
    said = build.stdout if caller == "job" else build.stderr
    assert said.count("AWS is busy or asks to slow down") == 1
    assert said.count("Trying again for up to") == 1
    assert said.count("The bucket answers again.") == 1


def test_giving_up_on_the_bucket_before_the_job(nextstrain, pathogen, broken):
    """Control-C ends the waiting for a bucket that takes nothing, before a job exists."""
    broken.add("error", api="PutObject", caller="user")
    (pathogen / "new.txt").write_text(str(time.time()))
    terminal = nextstrain.in_terminal(*SANDBOX, "--exec", "sh", pathogen, "-c", "true")
    terminal.expect("Trying again for up to 10 minutes")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 130
    assert "No job was submitted" in terminal.before
    assert "Traceback" not in terminal.before


def test_an_upload_is_cut(nextstrain, pathogen, broken):
    """A connection that breaks while files are sent is made anew."""
    fault = broken.add("cut", api="PutObject", key="packs/*", way="request", times=1)
    (pathogen / "new.txt").write_text(str(time.time()))
    build = run(nextstrain, pathogen, "cat new.txt > out")
    assert build.returncode == 0, build.stdout + build.stderr
    assert (pathogen / "out").read_text() == (pathogen / "new.txt").read_text()
    assert fault.struck == 1


def test_a_download_is_cut(nextstrain, pathogen, broken):
    """A connection that breaks while results come is made anew."""
    fault = broken.add("cut", api="GetObject", key="packs/*", caller="user", times=2)
    build = run(nextstrain, pathogen, "head -c 3000000 /dev/urandom | tee out | sha256sum")
    assert build.returncode == 0, build.stdout + build.stderr
    assert (pathogen / "out").stat().st_size == 3_000_000
    assert fault.struck == 2
    assert no_part_of_a_file(pathogen)


def test_giving_up_on_a_download(nextstrain, pathogen, broken):
    """Control-C while results cannot be fetched leaves nothing half-written, and a way back."""
    (pathogen / "out").write_text("before\n")
    fault = broken.add("cut", api="GetObject", key="packs/*", caller="user")
    script = "head -c 3000000 /dev/urandom > out"
    terminal = nextstrain.in_terminal(*SANDBOX, "--exec", "sh", pathogen, "-c", script)
    terminal.expect("Trying again for up to 10 minutes")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    said = terminal.before.replace("\r", "")
    assert terminal.exitstatus == 130
    assert "Traceback" not in said
    assert (pathogen / "out").read_text() == "before\n"
    assert no_part_of_a_file(pathogen)
    fault.clear()
    attached = nextstrain(*attach_words(said))
    assert attached.returncode == 0, attached.stdout + attached.stderr
    assert (pathogen / "out").stat().st_size == 3_000_000


def test_credentials_expire_while_watching(nextstrain, pathogen, broken):
    """Expired credentials end the watching, name the way back, and cost nothing of the build."""
    terminal = nextstrain.in_terminal(
        *SANDBOX, "--exec", "sh", pathogen, "-c", "echo ready; sleep 2; echo made > out; echo done"
    )
    terminal.expect(r"\] ready")
    fault = broken.add("expire", caller="user")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 1
    said = terminal.before.replace("\r", "")
    assert "credentials have expired" in said
    assert "Traceback" not in said
    assert fault.struck
    fault.clear()
    attached = nextstrain(*attach_words(said))
    assert attached.returncode == 0, attached.stdout + attached.stderr
    assert lines(attached) == ["ready", "done"]
    assert (pathogen / "out").read_text() == "made\n"


def test_credentials_expire_before_the_results(nextstrain, pathogen, broken):
    """Credentials that expire when results are to be fetched lead back to them, too."""
    fault = broken.add("expire", caller="user", api="GetObject", key="packs/*")
    build = run(nextstrain, pathogen, "echo made > out")
    assert build.returncode == 1
    assert "credentials have expired" in " ".join(build.stderr.split())
    fault.clear()
    attached = nextstrain(*attach_words(build.stderr))
    assert attached.returncode == 0, attached.stdout + attached.stderr
    assert (pathogen / "out").read_text() == "made\n"


def test_the_jobs_credentials_expire_at_its_end(nextstrain, pathogen, broken):
    """A job whose credentials are refused when it stores its results gets new ones."""
    fault = broken.add("expire", caller="job", api="PutObject", key="packs/*", times=1)
    build = run(nextstrain, pathogen, "date +%s%N | tee out")
    assert build.returncode == 0, build.stdout + build.stderr
    assert (pathogen / "out").read_text().strip() in lines(build)
    assert fault.struck == 1


def test_the_agent_is_killed(nextstrain, pathogen, broken):
    """A job that is killed fails with its code and reason, and brings what it printed."""
    broken.add("kill-agent", line="ready")
    build = run(nextstrain, pathogen, "echo ready; sleep 60")
    assert build.returncode == 137, build.stdout + build.stderr
    assert lines(build) == ["ready"]
    assert "no results" in " ".join((build.stdout + build.stderr).split())


def test_the_host_is_reclaimed(nextstrain, pathogen, broken):
    """A host that is lost is said to be, with what to do."""
    broken.add("reclaim-host", line="ready", seconds=0.2)
    build = run(nextstrain, pathogen, "echo ready; sleep 60")
    assert build.returncode == 1
    assert "Build again" in " ".join((build.stdout + build.stderr).split())


def test_the_disk_is_full(nextstrain, pathogen, broken):
    """A job whose disk is full fails as its program does, and still brings what fits."""
    fault = broken.add("fill-disk", size=24 * 1024**2)
    script = "echo made > out; head -c 40000000 /dev/zero > big || { echo full; rm big; exit 9; }"
    build = run(nextstrain, pathogen, script)
    assert fault.struck == 1
    assert build.returncode == 9, build.stdout + build.stderr
    assert "No space left on device" in build.stdout
    assert (pathogen / "out").read_text() == "made\n"


def test_the_disk_is_too_small_for_the_files(nextstrain, pathogen, broken):
    """Files that do not fit into the job are an error that says so."""
    (pathogen / "big").write_bytes(b"x" * 40_000_000)
    broken.add("fill-disk", size=24 * 1024**2)
    build = run(nextstrain, pathogen, "echo never")
    assert build.returncode == 66, build.stdout + build.stderr
    assert "disk is full" in " ".join((build.stdout + build.stderr).split())
    assert "never" not in lines(build)


def test_log_events_are_lost(nextstrain, pathogen, broken):
    """What CloudWatch loses is shown from the bucket, each line once."""
    fault = broken.add("lose-log", line="line*", every=2)
    build = run(nextstrain, pathogen, "for i in 1 2 3 4 5 6; do echo line$i; done")
    assert build.returncode == 0, build.stdout + build.stderr
    assert set(lines(build)) == {f"line{i}" for i in range(1, 7)}
    assert fault.struck == 3


def test_the_end_of_the_log_is_lost(nextstrain, pathogen, broken):
    """A log whose end CloudWatch loses is completed in order."""
    broken.add("lose-log", line="*", after=8)
    build = run(nextstrain, pathogen, "for i in 1 2 3 4 5 6 7 8 9; do echo line$i; done")
    assert build.returncode == 0, build.stdout + build.stderr
    assert lines(build) == [f"line{i}" for i in range(1, 10)]


def test_log_events_change_places(nextstrain, pathogen, broken):
    """Lines that arrive late or in another order are all shown, each once."""
    broken.add("reorder-log", line="line[25]")
    broken.add("delay-log", line="line3", seconds=0.5)
    build = run(nextstrain, pathogen, "for i in 1 2 3 4 5 6; do echo line$i; done")
    assert build.returncode == 0, build.stdout + build.stderr
    assert sorted(lines(build)) == [f"line{i}" for i in range(1, 7)]


def test_a_clock_that_is_off(nextstrain, pathogen, broken):
    """A clock that differs too much is named as the reason."""
    broken.add("skew", seconds=7200)
    build = run(nextstrain, pathogen, "true")
    assert build.returncode == 1
    assert "clock" in build.stderr
    assert "Traceback" not in build.stderr
