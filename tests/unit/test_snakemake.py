"""The arguments that Snakemake gets, checked against Snakemake's own parser."""

from functools import cache

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nextstrain_batch.snakemake import SNAKEFILES, command, cores_option, looks_for_snakefile, other

MIB = 1024**2


@cache
def parser():
    from snakemake.cli import get_argument_parser

    return get_argument_parser()


def understood(words):
    """Return what Snakemake itself makes of a command."""
    assert words[0] == "snakemake"
    found, unknown = parser().parse_known_args(list(words[1:]))
    assert not unknown
    return found


CORES = [
    ("--cores", "2"), ("--cores=2",), ("--core", "2"), ("--cor=2",), ("-c", "2"), ("-c2",),
    ("-call",), ("--jobs", "2"), ("--jobs=2",), ("-j", "2"), ("-j2",), ("-npc2",), ("-Fj", "2"),
]  # fmt: skip
OTHERS = [
    ("--configfile=c.yaml",), ("--config", "cores=2"), ("-n",), ("--snakefile", "job.smk"),
    ("-sc2",), ("-dj4",), ("--jobname", "x"), ("--conda-prefix", "j"), ("-k",), ("--quiet",),
    ("--printshellcmds",), ("--rerun-incomplete",), ("--forceall",), ("--container-image", "c"),
]  # fmt: skip


@pytest.mark.parametrize("option", CORES)
def test_every_way_to_say_cores_is_seen(option):
    """However the user says cores or jobs, Snakemake is not told a second time."""
    made = command(option, cpus=7)
    assert made.words == ("snakemake", "--printshellcmds", "--rerun-incomplete", *option)
    (warning,) = made.warnings
    assert "--cpus=7" in warning
    assert command(option).warnings == ()
    assert understood(made.words).cores != 7


@pytest.mark.parametrize("option", OTHERS)
def test_other_options_are_not_taken_for_cores(option):
    """An option that only looks similar does not keep --cores away."""
    assert cores_option(option) is None


@given(st.lists(st.sampled_from(CORES + OTHERS), max_size=5), st.sampled_from([None, 3]))
def test_cores_are_always_said_once(options, cpus):
    """Snakemake is told about cores exactly once, by the user or by us; no word is lost."""
    words = [word for option in options for word in option]
    made = command(words, cpus=cpus)
    ours = [word for word in made.words if word in {"--cores=3", "--cores=all"}]
    assert len(ours) == (0 if any(option in CORES for option in options) else 1)
    assert made.words[len(made.words) - len(words) :] == tuple(words)


def test_all_cores_without_a_number():
    """Without --cpus Snakemake uses all cores."""
    assert command([]).words[-1] == "--cores=all"
    assert command([], cpus=2).words[-1] == "--cores=2"


def test_words_after_two_dashes_are_targets():
    """What follows -- is no option, even if it looks like one."""
    made = command(["--", "-j4", "--resources", "mem_mb=1"], cpus=2, memory=MIB)
    assert made.words[-4:] == ("--", "-j4", "--resources", "mem_mb=1")
    assert "--cores=2" in made.words
    assert "--resources=mem_mb=1" in made.words
    assert understood(made.words).targets == ["-j4", "--resources", "mem_mb=1"]


RESOURCES = [
    (), ("--resources", "disk=1"), ("--resources=disk=1",), ("--res", "disk=1", "net=2"),
    ("--resources=net=2", "--resources", "disk=1"), ("--reso=disk=1",),
]  # fmt: skip


@given(
    st.sampled_from(RESOURCES),
    st.sampled_from([(), ("target",), ("-n", "target"), ("--", "target")]),
    st.sampled_from([(), ("--dry-run",), ("--until", "rule", "--keep-going")]),
)
def test_memory_is_told_beside_the_users_resources(resources, after, before):
    """Snakemake understands mem_mb, the user's resources and the targets, however written."""
    words = [*before, *resources]
    is_list = resources and not resources[-1].startswith("--")
    if is_list and after[:1] == ("target",):
        words.append("-p")  # the user's own list would swallow the target otherwise
    words += after
    made = command(words, memory=8 * 1024**3)
    plain = understood(command(words).words)
    found = understood(made.words)
    assert found.resources == {**plain.resources, "mem_mb": 8192}
    assert found.targets == plain.targets
    assert made.warnings == ()


@pytest.mark.parametrize(
    "words", [["--resources=mem_mb=5"], ["--res", "a=1", "mem_mb=5"], ["--resources", "mem_mb=5"]]
)
def test_the_users_memory_wins(words):
    """The user's own mem_mb stays, and a warning says so."""
    made = command(words, memory=MIB)
    assert understood(made.words).resources["mem_mb"] == 5
    (warning,) = made.warnings
    assert "--memory" in warning


def test_a_memory_below_one_mebibyte_is_one():
    """Snakemake is never told that there is no memory at all."""
    assert "--resources=mem_mb=1" in command([], memory=5).words


def test_a_storage_prefix_is_warned_about_on_aws_batch():
    """Moving Snakemake's storage directory is warned about where results have to come back."""
    words = ["--local-storage-prefix=x"]
    assert command(words).warnings == ()
    assert len(command(words, stores_remotely=True).warnings) == 1


def test_another_program_gets_nothing_of_ours():
    """A program that is not Snakemake gets the user's arguments only."""
    assert other("augur", ["--version"]).words == ("augur", "--version")


def test_where_snakemake_looks():
    """Where Snakemake looks for a workflow is where Snakemake says."""
    from snakemake.common import SNAKEFILE_CHOICES

    assert tuple(map(str, SNAKEFILE_CHOICES)) == SNAKEFILES


@pytest.mark.parametrize(
    "words",
    [
        ("--snakefile", "x"), ("--snakefile=x",), ("--sn", "x"), ("-s", "x"), ("-sx",),
        ("-ns", "x"), ("--profile", "x"), ("--prof=x",), ("--workflow-profile", "x"), ("--wo=x",),
    ],
)  # fmt: skip
def test_a_workflow_that_is_named(words):
    """Snakemake looks for no workflow where the arguments name one, or a profile that may."""
    assert not looks_for_snakefile(words)
    found = understood(command(words).words)
    assert {"x"} & {str(found.snakefile), str(found.profile), str(found.workflow_profile)} or (
        found.profile == ["x"]
    )


@pytest.mark.parametrize("words", [("--version",), ("-v",), ("--help",), ("-h",)])
def test_no_workflow_is_needed(words):
    """Nor does it where it only tells about itself."""
    assert not looks_for_snakefile(words)


@pytest.mark.parametrize("words", [(), ("-n",), ("--set-threads", "a=1"), ("--", "-s"), *OTHERS])
def test_the_workflow_is_looked_for(words):
    """Other arguments leave it to Snakemake to find the workflow."""
    assert looks_for_snakefile(words) is (words[0:1] not in [("--snakefile",), ("-sc2",)])
