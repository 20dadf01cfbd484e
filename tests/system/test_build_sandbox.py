"""`nextstrain build --aws-batch --sandbox`, as its users run it."""

import os
import re
import signal
import stat
from pathlib import Path

import pexpect
import pytest

SANDBOX = ("build", "--aws-batch", "--sandbox")


def files(directory):
    """Return path → content of what a user would call files."""
    return {
        str(path.relative_to(directory)): path.read_bytes()
        for path in sorted(directory.rglob("*"))
        if path.is_file() and ".snakemake" not in path.parts
    }


def job_id(text):
    """Return the job id that a command printed for attaching."""
    return re.findall(r"--attach[= ]([0-9a-f-]{36})", text)[-1]


def test_a_build_comes_back(nextstrain, pathogen):
    """A build's results are in the directory when the command ends, with exit code 0."""
    build = nextstrain(*SANDBOX, pathogen)
    assert build.returncode == 0, build.stdout + build.stderr
    assert (pathogen / "results" / "count.txt").read_text() == "n=3\n"
    assert (pathogen / "results" / "sorted.txt").read_text() == "ada\nbarbara\ngrace\n"


def test_the_log_is_shown_once_and_whole(nextstrain, pathogen):
    """What the build prints, on stdout or stderr, is shown line by line, each line once."""
    build = nextstrain(*SANDBOX, pathogen)
    for line in ("sorting", "to stderr"):
        shown = re.findall(rf"^\[batch\] \[\d{{4}}-\S+\] {line}$", build.stdout, re.MULTILINE)
        assert len(shown) == 1, build.stdout


def test_nothing_changed_sends_nothing_and_runs_nothing(nextstrain, pathogen):
    """A second run sends no content, and Snakemake finds nothing to do."""
    nextstrain(*SANDBOX, pathogen)
    before = files(pathogen)
    again = nextstrain(*SANDBOX, pathogen)
    assert again.returncode == 0, again.stdout + again.stderr
    assert "nothing to send" in again.stdout
    assert "Nothing to be done" in again.stdout
    assert files(pathogen) == before


@pytest.mark.parametrize("ignored", ["", ".snakemake/\n"])
def test_a_changed_parameter_reruns_its_rule(nextstrain, pathogen, ignored):
    """What Snakemake knows of earlier runs travels, so it notices more than changed files.

    Also where the ignored files are those of a ``.gitignore``.
    """
    (pathogen / ".nextstrainignore").write_text(ignored)
    nextstrain(*SANDBOX, pathogen)
    snakefile = pathogen / "Snakefile"
    status = snakefile.stat()
    snakefile.write_text(snakefile.read_text().replace("n=", "N="))
    os.utime(snakefile, ns=(status.st_atime_ns, status.st_mtime_ns))
    build = nextstrain(*SANDBOX, pathogen)
    assert (pathogen / "results" / "count.txt").read_text() == "N=3\n", build.stdout
    assert not re.search(r"\] sorting$", build.stdout, re.MULTILINE)


def test_a_part_of_the_results_is_not_taken_for_all(nextstrain, pathogen):
    """A result that came without what it was made of is made again once the parameter is old."""
    snakefile = pathogen / "Snakefile"
    ascending = snakefile.read_text()
    descending = ascending.replace("sort {input}", "sort -r {input}")
    count = 'shell: "(head -n 1 {input}) > {output}"'
    ascending, descending = (
        re.sub(r'shell: "\(printf.*', count, text) for text in (ascending, descending)
    )
    for text, options in (
        (ascending, ()),
        (descending, ("--download", "results/count.txt")),
        (ascending, ()),
    ):
        snakefile.write_text(text)
        build = nextstrain(*SANDBOX, *options, pathogen)
        assert build.returncode == 0, build.stdout + build.stderr
        first = "ada" if text == ascending else "grace"
        assert (pathogen / "results" / "count.txt").read_text() == f"{first}\n"
    assert (pathogen / "results" / "sorted.txt").read_text() == "ada\nbarbara\ngrace\n"


def test_an_input_edited_while_the_job_runs_is_named(nextstrain, pathogen):
    """Results that do not know of an edit are newer than it, and nothing else would tell."""
    names = pathogen / "data" / "names.txt"
    os.utime(names, ns=(0, 10**18))
    script = "wc -l < data/names.txt; echo ready; sleep 2; echo made > late"
    terminal = nextstrain.in_terminal(*SANDBOX, "--exec", "sh", pathogen, "-c", script)
    terminal.expect(r"\] ready")
    names.write_text("ada\n")
    terminal.expect(pexpect.EOF)
    assert "1 file was edited here while the job ran" in " ".join(terminal.before.split())


def test_a_failed_build_brings_results_and_its_exit_code(nextstrain, pathogen):
    """A build that fails still brings back what it made, and ends with its own exit code."""
    build = nextstrain(
        *SANDBOX, "--exec", "sh", pathogen, "-c", "mkdir results; echo half > results/half; exit 7"
    )
    assert build.returncode == 7, build.stdout + build.stderr
    assert (pathogen / "results" / "half").read_text() == "half\n"


def test_the_whole_pathogen_travels_and_the_workflow_runs_inside(nextstrain, pathogen):
    """Below a nextstrain-pathogen.yaml, the root travels and the named directory is the work's."""
    root = pathogen.rename(pathogen.with_name("workflow"))
    repository = root.parent / "repository"
    repository.mkdir()
    (repository / "nextstrain-pathogen.yaml").write_text("")
    (repository / "shared.txt").write_text("shared\n")
    root = root.rename(repository / "phylogenetic")
    build = nextstrain(*SANDBOX, "--exec", "sh", root, "-c", "pwd; cp ../shared.txt copy.txt")
    assert build.returncode == 0, build.stdout + build.stderr
    assert (root / "copy.txt").read_text() == "shared\n"
    assert re.search(r"\] \S*/phylogenetic$", build.stdout, re.MULTILINE)


def test_files_arrive_as_they_are(nextstrain, pathogen):
    """Modes, times, links, empty directories and odd names survive the way there."""
    script = pathogen / "run me.sh"
    script.write_text("#!/bin/sh\necho ran\n")
    script.chmod(0o755)
    (pathogen / "link").symlink_to("data/names.txt")
    (pathogen / "empty").mkdir()
    os.utime(pathogen / "data" / "names.txt", ns=(0, 315_000_000_123_456_789))
    shown = "stat -c '%n %a %Y %F' -- *; './run me.sh'; stat -c '%.9Y' data/names.txt"
    build = nextstrain(*SANDBOX, "--exec", "sh", pathogen, "-c", shown)
    assert build.returncode == 0, build.stdout + build.stderr
    for line in (
        "run me.sh 755",
        "link 777",
        "symbolic link",
        "empty",
        "] ran",
        "315000000.123456789",
    ):
        assert line in build.stdout


def test_results_keep_mode_and_time(nextstrain, pathogen):
    """A result has the mode and the modification time that the build gave it."""
    program = "echo x > out; chmod 750 out; touch -d '2001-02-03 04:05:06.789 UTC' out"
    nextstrain(*SANDBOX, "--exec", "sh", pathogen, "-c", program)
    status = (pathogen / "out").stat()
    assert stat.S_IMODE(status.st_mode) == 0o750
    assert status.st_mtime_ns == 981_173_106_789_000_000


def test_download_patterns(nextstrain, pathogen):
    """Only results that the patterns name come back."""
    program = "mkdir results; touch results/a.nwk results/b.json results/c.json other"
    build = nextstrain(
        *SANDBOX, "--download", "results/*.{nwk,json}", "--exclude-from-download", "**/c.json",
        "--exec", "sh", pathogen, "-c", program,
    )  # fmt: skip
    assert build.returncode == 0, build.stdout + build.stderr
    assert {path.name for path in (pathogen / "results").iterdir()} == {"a.nwk", "b.json"}
    assert not (pathogen / "other").exists()


@pytest.mark.parametrize("option", ["--download=results/**", "--exclude-from-download=nomatch.txt"])
def test_patterns_do_not_mislead_snakemake(nextstrain, pathogen, option):
    """What Snakemake knows of earlier runs is true of the results, whichever were brought back."""
    snakefile = pathogen / "Snakefile"
    first = snakefile.read_text()
    for prefix, options in [("n=", ()), ("N=", (option,)), ("n=", ())]:
        snakefile.write_text(first.replace("n=", prefix))
        build = nextstrain(*SANDBOX, *options, pathogen)
        assert build.returncode == 0, build.stdout + build.stderr
        assert (pathogen / "results" / "count.txt").read_text() == f"{prefix}3\n", build.stdout


def test_patterns_that_choose_nothing(nextstrain, pathogen):
    """Where no result matches, that is said, and how many there are."""
    build = nextstrain(*SANDBOX, "--download", "out/", pathogen)
    assert "None of the 2 new or changed files matches --download out/" in build.stdout
    assert not (pathogen / "results").exists()


def test_no_download(nextstrain, pathogen):
    """With --no-download the directory stays as it was; the last line fetches the results."""
    before = files(pathogen)
    build = nextstrain(*SANDBOX, "--no-download", pathogen)
    assert build.returncode == 0, build.stdout + build.stderr
    assert files(pathogen) == before
    fetched = nextstrain(*build.stdout.strip().splitlines()[-1].split()[1:])
    assert fetched.returncode == 0, fetched.stdout + fetched.stderr
    assert (pathogen / "results" / "count.txt").exists()


def test_what_is_excluded_does_not_travel(nextstrain, pathogen):
    """Excluded files, .git and secret settings stay at home; Conda environments travel."""
    (pathogen / ".git").mkdir()
    (pathogen / ".git" / "config").write_text("")
    (pathogen / "environment.sh").write_text("SECRET=1")
    (pathogen / "envs").mkdir()
    (pathogen / "envs" / "environment.yaml").write_text("")
    (pathogen / "data" / "raw.bin").write_text("")
    build = nextstrain(
        *SANDBOX,
        "--exclude-from-upload",
        "data/*.bin",
        "--exec",
        "find",
        pathogen,
        ".",
        "-type",
        "f",
    )
    assert "may hold secrets: 'environment.sh'." in build.stdout
    travelled = set(re.findall(r"\] \./(\S+)$", build.stdout, re.MULTILINE))
    assert travelled == {"Snakefile", "data/names.txt", "envs/environment.yaml"}


def test_environment_reaches_the_program_and_nobody_else(nextstrain, pathogen):
    """A value given by --env is the program's, and nothing that this computer keeps holds it."""
    build = nextstrain(
        *SANDBOX, "--env", "TOKEN=s3cr3t-value", "--env", "FROM_HERE", "--exec", "sh", pathogen,
        "-c", "echo $TOKEN $FROM_HERE | rev", env={"FROM_HERE": "abc"},
    )  # fmt: skip
    assert "cba eulav-t3rc3s" in build.stdout
    assert "s3cr3t-value" not in build.stdout
    ours = Path(nextstrain.environment["NEXTSTRAIN_HOME"], "aws-batch")
    # What is below "sandbox" is not this computer's memory but the bucket's.
    kept = [
        path for path in ours.rglob("*") if path.is_file() and ours / "sandbox" not in path.parents
    ]
    assert kept
    assert not [path for path in kept if b"s3cr3t-value" in path.read_bytes()]


def test_a_local_edit_is_kept(nextstrain, pathogen):
    """A file edited here while the job ran is kept beside the result and named."""
    terminal = nextstrain.in_terminal(
        *SANDBOX,
        "--exec",
        "sh",
        pathogen,
        "-c",
        "echo ready; sleep 3; echo theirs > data/names.txt",
    )
    terminal.expect("ready")
    (pathogen / "data" / "names.txt").write_text("mine\n")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    assert (pathogen / "data" / "names.txt").read_text() == "theirs\n"
    (kept,) = (pathogen / "data").glob("names.txt.before-*")
    assert kept.read_text() == "mine\n"
    assert kept.name in re.sub(r"\s+", "", terminal.before)


def test_detach_and_attach(nextstrain, pathogen):
    """--detach leaves at once; --attach, given what it printed, shows log and results."""
    detached = nextstrain(*SANDBOX, "--detach", pathogen)
    assert detached.returncode == 0, detached.stdout + detached.stderr
    last = detached.stdout.strip().splitlines()[-1].split()
    assert last[:2] == ["nextstrain", "build"]
    attached = nextstrain(*last[1:])
    assert attached.returncode == 0, attached.stdout + attached.stderr
    assert re.search(r"\] sorting$", attached.stdout, re.MULTILINE)
    assert (pathogen / "results" / "count.txt").exists()


def test_attach_to_a_finished_job_elsewhere(nextstrain, pathogen, tmp_path):
    """A directory that never sent anything is warned of, and gets log and results of the job."""
    build = nextstrain(*SANDBOX, "--no-download", pathogen)
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    attached = nextstrain(*SANDBOX, "--attach", job_id(build.stdout), elsewhere)
    assert attached.returncode == 0, attached.stdout + attached.stderr
    assert re.search(r"\] sorting$", attached.stdout, re.MULTILINE)
    assert (elsewhere / "results" / "count.txt").read_text() == "n=3\n"
    assert not (elsewhere / "Snakefile").exists()
    assert f"'{pathogen.name}', and its results are to come into 'elsewhere'" in attached.stderr


def test_attach_from_another_computer(nextstrain, no_sandbox, account, pathogen, tmp_path):
    """A computer that knows nothing but the account and the job's id gets log and results."""
    detached = nextstrain(*SANDBOX, "--detach", pathogen)
    copy = tmp_path / "copy"
    copy.mkdir()
    attach = ("build", "--aws-batch", "--attach", job_id(detached.stdout))
    attached = no_sandbox(*attach, copy, env=account)
    assert attached.returncode == 0, attached.stdout + attached.stderr
    assert re.search(r"\] sorting$", attached.stdout, re.MULTILINE)
    assert (copy / "results" / "count.txt").read_text() == "n=3\n"
    watched = no_sandbox(*attach, "--no-download", "--no-logs", env=account)
    assert watched.returncode == 0, watched.stdout + watched.stderr
    assert "sorting" not in watched.stdout


def test_cancel_from_elsewhere(nextstrain, pathogen):
    """--attach --cancel ends the job; whoever watches it gets what was made by then."""
    terminal = nextstrain.in_terminal(
        *SANDBOX, "--exec", "sh", pathogen, "-c", "echo some > partial; echo ready; exec sleep 60"
    )
    terminal.expect(r"--attach[= ]([0-9a-f-]{36})")
    job = terminal.match.group(1)
    terminal.expect(r"\] ready")
    cancelled = nextstrain(*SANDBOX, "--attach", job, "--cancel")
    assert cancelled.returncode == 143, cancelled.stdout + cancelled.stderr
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 143
    assert (pathogen / "partial").read_text() == "some\n"


def test_control_c_twice_cancels(nextstrain, pathogen):
    """Control-C asks, a second one cancels, and the results made by then come back."""
    terminal = nextstrain.in_terminal(
        *SANDBOX, "--exec", "sh", pathogen, "-c", "echo some > partial; echo ready; exec sleep 60"
    )
    terminal.expect("Control-C twice")
    terminal.expect(r"\] ready")
    terminal.sendintr()
    terminal.expect("again within 10 seconds")
    terminal.sendintr()
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 143
    assert (pathogen / "partial").exists()


def test_control_z_detaches(nextstrain, pathogen):
    """Control-Z leaves the job running and prints how to attach to it."""
    terminal = nextstrain.in_terminal(
        *SANDBOX, "--exec", "sh", pathogen, "-c", "echo ready; sleep 2; echo made > late"
    )
    terminal.expect(r"\] ready")
    terminal.send("\x1a")
    terminal.expect(pexpect.EOF)
    terminal.close()
    assert terminal.exitstatus == 0
    attached = nextstrain(*SANDBOX, "--attach", job_id(terminal.before), pathogen)
    assert attached.returncode == 0, attached.stdout
    assert (pathogen / "late").read_text() == "made\n"


def test_a_killed_client_loses_nothing(nextstrain, pathogen):
    """Whoever loses the client altogether attaches and gets log and results."""
    terminal = nextstrain.in_terminal(
        *SANDBOX, "--exec", "sh", pathogen, "-c", "echo ready; sleep 2; echo made > late"
    )
    terminal.expect(r"--attach[= ]([0-9a-f-]{36})")
    job = terminal.match.group(1)
    terminal.expect(r"\] ready")
    os.killpg(terminal.pid, signal.SIGKILL)
    terminal.close()
    attached = nextstrain(*SANDBOX, "--attach", job, pathogen)
    assert attached.returncode == 0, attached.stdout + attached.stderr
    assert (pathogen / "late").read_text() == "made\n"


def test_cpus_and_memory_reach_job_and_snakemake(nextstrain, pathogen):
    """--cpus and --memory size the job and are told to Snakemake."""
    build = nextstrain(*SANDBOX, "--cpus", "2", "--memory", "2gib", pathogen)
    assert "Provided cores: 2" in build.stdout
    assert re.search(r"mem_mb=2048", build.stdout)


@pytest.mark.parametrize("way", ["environment", "config"])
def test_the_sandbox_can_be_the_default(nextstrain, pathogen, way):
    """The sandbox and the runtime can be chosen by environment or configuration."""
    config = Path(nextstrain.environment["NEXTSTRAIN_HOME"], "config")
    extra = {}
    arguments = ["build", "--aws-batch", "--exec", "true", pathogen]
    if way == "environment":
        extra["NEXTSTRAIN_AWS_BATCH_SANDBOX"] = "1"
    else:
        config.write_text("[core]\nrunner = aws-batch\n[aws-batch]\nsandbox = true\n")
        arguments.remove("--aws-batch")
    try:
        build = nextstrain(*arguments, env=extra)
    finally:
        config.unlink(missing_ok=True)
    assert build.returncode == 0, build.stdout + build.stderr
