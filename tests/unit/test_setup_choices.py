"""What a set-up is to be, by everything that has a say."""

from nextstrain_batch.commands import setup_choices


def written(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
    return path


def chosen(asked):
    return setup_choices.options(setup_choices.find(asked), asked)


def test_the_region_is_the_one_that_was_said_most_clearly(asked, home, tmp_path):
    """The option, then the file, then what was chosen before, then the AWS settings."""
    file = written(tmp_path / "their.toml", 'region = "eu-west-2"\n')
    kept = written(home / "aws-batch" / "setup" / "our-jobs.toml", 'region = "eu-west-3"\n')
    words = ["--bucket=our-jobs", f"--file={file}", "--region=eu-west-1"]
    found = []
    for forgotten in (None, words.pop, words.pop, kept.unlink):
        if forgotten:
            forgotten()
        found.append(setup_choices.find(asked(*words, AWS_REGION="us-west-2"))["region"])
    assert found == ["eu-west-1", "eu-west-2", "eu-west-3", "us-west-2"]
    assert setup_choices.find(asked())["region"] == "us-east-1"


def test_what_was_chosen_for_one_bucket_is_not_meant_for_another(asked, home, tmp_path):
    """A file's bucket has its own earlier choices, not those of the bucket that builds use."""
    kept = home / "aws-batch" / "setup"
    written(home / "config", "[aws-batch]\ns3-bucket = our-jobs\n")
    written(kept / "our-jobs.toml", 'region = "eu-west-3"\n[names]\ngroup = "ours"\n')
    written(kept / "other-jobs.toml", "max-vcpus = 8\n")
    file = written(tmp_path / "other.toml", 'bucket = "other-jobs"\n')
    found = chosen(asked(f"--file={file}"))
    assert (found.bucket, found.region, found.max_vcpus) == ("other-jobs", "us-east-1", 8)
    assert found.names.group == "NextstrainJobsUsers"


def test_a_bucket_that_is_named_wins_over_the_files(asked, tmp_path):
    """As every option does; a URL names its bucket alone."""
    file = written(tmp_path / "our.toml", 'bucket = "our-jobs"\nmax-vcpus = 8\n')
    found = chosen(asked(f"--file={file}", "--bucket=s3://other-jobs/prefix/"))
    assert (found.bucket, found.max_vcpus) == ("other-jobs", 8)
    assert chosen(asked(f"--file={file}")).bucket == "our-jobs"
