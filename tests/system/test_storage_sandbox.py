"""What travels, and what is in the bucket afterwards, as users ask for it."""

import json

import pexpect
import pytest

SANDBOX = ("build", "--aws-batch", "--sandbox")


@pytest.fixture
def bucket(pathogen):
    """Return options that name a part of the bucket for this test alone."""
    return ("--aws-batch-s3-bucket", f"s3://nextstrain-jobs/{pathogen.parent.name}")


def usage(nextstrain, bucket):
    done = nextstrain("storage", "usage", "--sandbox", *bucket, "--json")
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_a_dry_run_sends_nothing(nextstrain, pathogen, bucket):
    """It lists what would travel and why not the rest; no object is written and no job made."""
    (pathogen / ".git").mkdir()
    (pathogen / ".git" / "config").write_text("x")
    dry = nextstrain(*SANDBOX, "--dry-run", *bucket, "--exclude-from-upload", "*.bam", pathogen)
    assert dry.returncode == 0, dry.stderr
    for words in (
        "to be sent            data/names.txt",
        ".git/",
        "Nothing was sent or submitted.",
    ):
        assert words in dry.stdout
    assert "snakemake" in dry.stdout
    assert usage(nextstrain, bucket)["total"] == {"objects": 0, "bytes": 0}


def test_a_dry_run_after_a_build(nextstrain, pathogen, bucket):
    """What is in the bucket already is said to be there, and an edited file is to be sent."""
    built = nextstrain(*SANDBOX, *bucket, pathogen)
    assert built.returncode == 0, built.stdout + built.stderr
    (pathogen / "data" / "names.txt").write_text("ada\n")
    before = usage(nextstrain, bucket)["total"]
    dry = nextstrain(*SANDBOX, "--dry-run", *bucket, pathogen)
    assert "to be sent            data/names.txt" in dry.stdout
    assert "in the bucket         Snakefile" in dry.stdout
    assert "before compression, in 1 pack." in dry.stdout
    assert usage(nextstrain, bucket)["total"] == before


def test_a_dry_run_has_the_same_errors(nextstrain, pathogen):
    """What would end a build ends its dry run, with the same message and exit code."""
    nowhere = ("--aws-batch-s3-bucket", "no-such-bucket-here")
    (pathogen / "out").symlink_to("/etc/passwd")
    for options in (nowhere, ()):
        real = nextstrain(*SANDBOX, *options, pathogen)
        dry = nextstrain(*SANDBOX, "--dry-run", *options, pathogen)
        assert (dry.returncode, dry.stderr) == (real.returncode, real.stderr)
        assert dry.returncode == 1


def test_snakemakes_own_dry_run(nextstrain, pathogen, bucket):
    """After the directory, --dry-run is Snakemake's: the job runs and nothing is made."""
    built = nextstrain(*SANDBOX, *bucket, pathogen, "--dry-run")
    assert built.returncode == 0, built.stdout + built.stderr
    assert "This was a dry-run" in built.stdout
    assert not (pathogen / "results").exists()


def test_what_the_ignore_file_names_does_not_travel(nextstrain, pathogen, bucket):
    """Files that `.nextstrainignore` names are not in the job; the file itself is."""
    (pathogen / ".nextstrainignore").write_text("# too big\nraw/*\n!raw/keep.txt\n")
    (pathogen / "raw").mkdir()
    (pathogen / "raw" / "big.bin").write_bytes(b"x" * 1000)
    (pathogen / "raw" / "keep.txt").write_text("kept\n")
    program = "ls -A; ls raw"
    built = nextstrain(
        *SANDBOX, *bucket, "--exclude-from-upload", "Snakefile", "--exec", "sh", pathogen,
        "-c", program,
    )  # fmt: skip
    assert built.returncode == 0, built.stdout + built.stderr
    assert "] keep.txt" in built.stdout
    assert "] .nextstrainignore" in built.stdout
    assert "big.bin" not in built.stdout
    assert "] Snakefile" not in built.stdout
    dry = nextstrain(*SANDBOX, "--dry-run", *bucket, pathogen)
    assert ".nextstrainignore, line 2: raw/*" in dry.stdout


def test_a_malformed_ignore_file(nextstrain, pathogen, bucket):
    """A line that means nothing ends the build with its file and number; nothing is sent."""
    (pathogen / ".nextstrainignore").write_text("ok\n[oops\n")
    built = nextstrain(*SANDBOX, *bucket, pathogen)
    assert built.returncode == 1
    assert f"Line 2 of {pathogen / '.nextstrainignore'}" in built.stderr
    assert usage(nextstrain, bucket)["total"]["objects"] == 0


def test_usage(nextstrain, pathogen, bucket):
    """What a build leaves in the bucket is shown by user and by run, and adds up."""
    for _ in range(2):
        assert nextstrain(*SANDBOX, *bucket, pathogen).returncode == 0
    found = usage(nextstrain, bucket)
    assert len(found["runs"]) == 2
    assert all(run["pathogen"] == "toy" for run in found["runs"])
    assert found["unreferenced"]["objects"] == 0
    assert found["users"][0]["runs"] == 2
    own = sum(run["own"]["bytes"] for run in found["runs"])
    parts = own + found["packs"]["bytes"] + found["agents"]["bytes"]
    assert found["total"]["bytes"] == parts
    shown = nextstrain("storage", "usage", "--sandbox", *bucket)
    assert shown.returncode == 0, shown.stderr
    for run in found["runs"]:
        assert run["id"] in shown.stdout
        assert run["job_id"] in shown.stdout


def test_prune(nextstrain, pathogen, bucket):
    """Finished runs go when old enough, after consent; the next build is none the worse."""
    nextstrain(*SANDBOX, *bucket, pathogen)
    prune = ("storage", "prune", "--sandbox", *bucket)
    nothing = nextstrain(*prune, "--yes")
    assert nothing.returncode == 0, nothing.stderr
    assert "Nothing to remove" in nothing.stdout
    unasked = nextstrain(*prune, "--older-than", "0")
    assert unasked.returncode == 2
    assert "--yes" in unasked.stderr
    shown = nextstrain(*prune, "--older-than", "0", "--dry-run")
    assert shown.returncode == 0, shown.stderr
    assert len(usage(nextstrain, bucket)["runs"]) == 1
    done = nextstrain(*prune, "--older-than", "0", "--yes")
    assert done.returncode == 0, done.stderr
    assert "Removed" in done.stdout
    left = usage(nextstrain, bucket)
    assert left["runs"] == []
    assert left["packs"]["objects"] > 0, "a pack younger than a day is left alone"
    again = nextstrain(*SANDBOX, *bucket, pathogen)
    assert again.returncode == 0, again.stdout + again.stderr


def test_prune_leaves_what_runs(nextstrain, pathogen, bucket):
    """A job that runs keeps its run and its environment, and ends as if nobody had pruned."""
    program = ("--exec", "sh", pathogen, "-c", "sleep 4; echo $WORD > out")
    detached = nextstrain(*SANDBOX, "--detach", "--env", "WORD=kept", *bucket, *program)
    assert detached.returncode == 0, detached.stderr
    prune = nextstrain("storage", "prune", "--sandbox", *bucket, "--older-than", "0", "--yes")
    assert "Nothing to remove" in prune.stdout, prune.stdout + prune.stderr
    assert "Left alone, as their jobs go on, or may: 1 run." in prune.stdout
    attach = detached.stdout.splitlines()[-1].split()[1:]
    assert nextstrain(*attach).returncode == 0
    assert (pathogen / "out").read_text() == "kept\n"


def test_prune_asks(nextstrain, pathogen, bucket):
    """On a terminal it asks, and a bare Return removes nothing."""
    nextstrain(*SANDBOX, *bucket, pathogen)
    terminal = nextstrain.in_terminal(
        "storage", "prune", "--sandbox", *bucket, "--older-than", "0"
    )  # fmt: skip
    terminal.expect_exact("Remove this? [y/N]")
    terminal.send("\r")
    terminal.expect_exact("Nothing was removed.")
    terminal.expect(pexpect.EOF)
    assert len(usage(nextstrain, bucket)["runs"]) == 1


def test_a_bucket_is_needed(no_sandbox):
    """Without a bucket there is nothing to look at, and the ways to name one are told."""
    done = no_sandbox("storage", "usage")
    assert done.returncode == 1
    assert "no S3 bucket that builds are sent through" in done.stderr
    assert "--aws-batch-s3-bucket" in done.stderr
