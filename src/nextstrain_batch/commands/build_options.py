"""The command line of ``nextstrain build``: its options, and what they mean together."""

from __future__ import annotations

from argparse import SUPPRESS, Action, Namespace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nextstrain_batch.arguments import checked, conflict, count
from nextstrain_batch.commands import aws_options
from nextstrain_batch.quantities import parse_bytes
from nextstrain_batch.runtimes.options import AWS_BATCH, NATIVE, SNAKEMAKE, BuildOptions

if TYPE_CHECKING:
    from argparse import ArgumentParser
    from collections.abc import Sequence

    from nextstrain_batch.arguments import Group, Parser
    from nextstrain_batch.batch_settings import BatchSettings
    from nextstrain_batch.config import Setting, Settings

__all__ = ["DESCRIPTION", "BuildOptions", "add_arguments", "read"]

DESCRIPTION = """\
Runs a pathogen build: Snakemake, or the program that --exec names, inside <directory>. Words after
<directory> are the program's own arguments.

With --aws-batch the build runs on AWS Batch and its new and changed files come back; Control-C
twice within ten seconds cancels it, Control-Z leaves it running and prints how to attach to it.
With --sandbox the same happens on an embedded AWS on this computer, without an account.
"""

_FOR_ATTACHING = (
    *("--cancel", "--detach-on-interrupt", "--no-logs", "--no-download"),
    *("--download", "--exclude-from-download"),
)
"""The options that say how to attach, and mean nothing to Snakemake."""

_GLOBS = (
    "Quote the pattern, which is relative to the pathogen's root; *, **, {a,b}, [ab], @(a|b) and a"
    " leading `!` for 'not' work; a directory's name stands for all that lies in it. Repeatable."
)


class _Download(Action):
    """Collects patterns; ``--no-download`` and patterns replace each other, the last one wins."""

    def __call__(
        self,
        parser: ArgumentParser,  # noqa: ARG002
        namespace: Namespace,
        values: str | Sequence[Any] | None,
        option_string: str | None = None,
    ) -> None:
        """Take one option's value; an empty list is what ``--no-download`` brings."""
        if not isinstance(values, str):
            namespace.download = False
            return
        negation = "!" if option_string and option_string.startswith("--e") else ""
        earlier = namespace.download if isinstance(namespace.download, tuple) else ()
        namespace.download = (*earlier, negation + values)


def add_arguments(parser: Parser) -> None:
    """Add every option; the parser itself finds the directory and what follows it."""
    parser.add_argument("--help-all", action="help", help=SUPPRESS)
    _add_size(parser.add_argument_group("size"))
    _add_runtime(parser.add_argument_group("where it runs"))
    _add_program(parser.add_argument_group("the program"))
    _add_job(parser.add_argument_group("the job (with --aws-batch)"))
    _add_files(parser.add_argument_group("the files (with --aws-batch)"))
    _add_aws(parser.add_argument_group("the AWS account (with --aws-batch)"))


def _add_size(group: Group) -> None:
    add = group.add_argument
    add(
        "--cpus",
        metavar="<count>",
        type=checked(count),
        help="CPUs for the build; Snakemake is told with --cores, and the job gets as many.",
    )
    add(
        "--memory",
        metavar="<amount>",
        type=checked(parse_bytes),
        help="Memory for the build, such as 16gib (units b, kb, mb, gb, kib, mib, gib; none means"
        " bytes); Snakemake is told with `--resources mem_mb=`, and the job gets as much.",
    )


def _add_runtime(group: Group) -> None:
    choice = group.add_mutually_exclusive_group()
    choice.add_argument(
        "--aws-batch",
        dest="runtime",
        action="store_const",
        const=AWS_BATCH,
        help="On AWS Batch, in the image that --image names.",
    )
    choice.add_argument(
        "--native",
        "--ambient",
        dest="runtime",
        action="store_const",
        const=NATIVE,
        help="In place, with the programs installed on this computer.",
    )
    choice.add_argument(
        "--docker",
        dest="runtime",
        action="store_const",
        const="docker",
        help="In a local container. Not in this version, nor are --conda and --singularity.",
    )
    for absent in ("conda", "singularity"):
        choice.add_argument(
            f"--{absent}", dest="runtime", action="store_const", const=absent, help=SUPPRESS
        )
    aws_options.add_sandbox(group, implies="; implies --aws-batch")


def _directory(text: str) -> str:
    if not Path(text).is_dir():
        raise ValueError(f"there is no directory {text}")
    return text


def _add_program(group: Group) -> None:
    add = group.add_argument
    add(
        "--env",
        metavar="<name>[=<value>]",
        action="append",
        default=[],
        help="Set an environment variable for the program, or pass on the one that is set here."
        " Repeatable. Without --env and --envdir a few well-known variables are passed on.",
    )
    add(
        "--envdir",
        metavar="<directory>",
        type=checked(_directory),
        action="append",
        default=[],
        help="Set a variable for each file in the directory, to the file's first line. Repeatable."
        " --env wins. NEXTSTRAIN_RUNTIME_ENVDIRS lists more, separated by colons.",
    )
    add(
        "--exec",
        metavar="<program>",
        default=SNAKEMAKE,
        help="Run another program than Snakemake, without Snakemake's default arguments.",
    )
    add(
        "--image",
        metavar="<image>",
        help="Container image; default: NEXTSTRAIN_DOCKER_IMAGE, `[docker] image` in the"
        " configuration file, nextstrain/base.",
    )
    for component in ("augur", "auspice", "fauna"):
        add(f"--{component}", metavar="<directory>", help=SUPPRESS)


def _add_job(group: Group) -> None:
    add = group.add_argument
    add(
        "--detach",
        action="store_true",
        help="Leave once the job is submitted; the last line printed is the command to attach.",
    )
    add(
        "--attach",
        metavar="<job>",
        help="Watch a job that runs or has run, and download. Its id or its run's.",
    )
    add("--cancel", action="store_true", help="Cancel the job that --attach names.")
    add(
        "--detach-on-interrupt",
        action="store_true",
        help="Control-C leaves the job running instead of cancelling it.",
    )
    add("--no-logs", dest="logs", action="store_false", help="Do not print the job's log.")


def _pattern(text: str) -> str:
    from nextstrain_batch import globs

    return globs.checked(text)


def _excluding(text: str) -> str:
    from nextstrain_batch import globs

    if globs.is_negated(text):
        raise ValueError(
            f"{text!r} says 'not' once more than the option does: leave its ! out, or name what is"
            " to come back with --download"
        )
    pattern = _pattern(text)
    # What begins with a bracket would become the wildcard !(…).
    return f"\\{pattern}" if pattern.startswith("(") else pattern


def _add_files(group: Group) -> None:
    add = group.add_argument
    add(
        "--dry-run",
        action="store_true",
        help="Only list what would be sent, what is left out and why, and what of it the bucket"
        " has already. Snakemake's own --dry-run goes after <directory>.",
    )
    add(
        "--exclude-from-upload",
        metavar="<pattern>",
        type=checked(_pattern),
        action="append",
        default=[],
        help="Leave matching files out of what is sent, besides those that .nextstrainignore at the"
        f" pathogen's root names. {_GLOBS}",
    )
    add(
        "--download",
        metavar="<pattern>",
        type=checked(_pattern),
        action=_Download,
        default=True,
        help=f"Bring back only matching files, of those that are new or changed. {_GLOBS}",
    )
    add(
        "--exclude-from-download",
        metavar="<pattern>",
        type=checked(_excluding),
        dest="download",
        action=_Download,
        default=True,
        help="Do not bring matching files back: the same as --download '!<pattern>'. Repeatable.",
    )
    add(
        "--no-download",
        dest="download",
        action=_Download,
        nargs=0,
        default=True,
        help="Bring nothing back.",
    )


def _add_aws(group: Group) -> None:
    add = group.add_argument
    add("--aws-batch-job", metavar="<name>", help="Job definition; default: nextstrain-job.")
    add("--aws-batch-queue", metavar="<name>", help="Job queue; default: nextstrain-job-queue.")
    aws_options.add_bucket(group)
    add(
        "--aws-batch-cpus",
        metavar="<count>",
        type=checked(count),
        help="vCPUs of the job, where they differ from --cpus; default: 4.",
    )
    add(
        "--aws-batch-memory",
        metavar="<MiB>",
        type=checked(count),
        help="Memory of the job in MiB, where it differs from --memory; default: 7200.",
    )
    aws_options.add_tag_jobs(group)


def read(arguments: Namespace, settings: Settings) -> BuildOptions:
    """Make the options of the parsed arguments and the settings.

    Raises ``UsageError`` for what does not go together and ``ConfigError`` for a malformed
    setting. The directory is not looked at.
    """
    from nextstrain_batch import environment
    from nextstrain_batch.runtimes import base

    runtime = base.chosen(arguments.runtime, settings, sandbox=bool(arguments.sandbox))
    batch = _batch(arguments, settings) if runtime.value == AWS_BATCH else None
    _check(arguments, runtime)
    return BuildOptions(
        directory=Path(arguments.directory) if arguments.directory is not None else None,
        program=arguments.exec,
        arguments=tuple(arguments.program_arguments),
        runtime=runtime,
        detach=arguments.detach,
        detach_on_interrupt=arguments.detach_on_interrupt,
        attach=arguments.attach,
        cancel=arguments.cancel,
        logs=arguments.logs,
        download=arguments.download,
        exclude_from_upload=tuple(arguments.exclude_from_upload),
        cpus=arguments.cpus,
        memory=arguments.memory,
        image=base.image(arguments.image, settings),
        environment=environment.resolve(
            arguments.env,
            arguments.envdir,
            settings.environ,
            # The user's keys are for another account than the sandbox's.
            with_credentials=not (batch and batch.sandbox.value),
        ),
        batch=batch,
        dry_run=arguments.dry_run,
    )


def _batch(arguments: Namespace, settings: Settings) -> BatchSettings:
    from nextstrain_batch import batch_settings

    given = batch_settings.Given(
        job=arguments.aws_batch_job,
        queue=arguments.aws_batch_queue,
        bucket=arguments.aws_batch_s3_bucket,
        cpus=arguments.aws_batch_cpus,
        memory_mib=arguments.aws_batch_memory,
        sandbox=arguments.sandbox,
        tag_jobs=arguments.aws_batch_tag_jobs,
        build_cpus=arguments.cpus,
        build_memory=arguments.memory,
    )
    return batch_settings.resolve(settings, given)


def _check(arguments: Namespace, runtime: Setting[str]) -> None:
    """Raise ``UsageError`` for options that contradict each other or need another one."""
    for component in ("augur", "auspice", "fauna"):
        if getattr(arguments, component) is not None:
            raise conflict(
                f"--{component}, a local copy instead of the image's, is not in this version."
            )
    if runtime.value == AWS_BATCH:
        _check_job(arguments)
    else:
        _check_in_place(arguments, runtime)
    if not arguments.directory and not _needs_no_directory(arguments):
        raise conflict(
            "The <directory> of the pathogen build is missing."
            " Only --attach with --no-download or --cancel can do without it."
        )


def _check_job(arguments: Namespace) -> None:
    if arguments.cancel and not arguments.attach:
        raise conflict("--cancel needs --attach <job>, which names the job to cancel.")
    if arguments.attach and arguments.detach:
        raise conflict("--attach and --detach contradict each other.")
    if arguments.dry_run and (arguments.attach is not None or arguments.detach):
        wrong = "--attach" if arguments.attach is not None else "--detach"
        raise conflict(f"--dry-run and {wrong} contradict each other: it starts no job.")
    if arguments.attach is not None:
        _check_attach(arguments)


def _check_attach(arguments: Namespace) -> None:
    if not arguments.attach.strip():
        raise conflict("--attach needs the id of a job.")
    # To take it for the program's, and watch a job that was to be cancelled, would cost money.
    for word in arguments.program_arguments:
        if (option := word.partition("=")[0]) in _FOR_ATTACHING:
            raise conflict(
                f"{option} comes after the directory, where it would be the program's, and --attach"
                f" starts none. Put it before the directory: {option} {arguments.directory}"
            )


def _check_in_place(arguments: Namespace, runtime: Setting[str]) -> None:
    only_batch = {
        "--attach": arguments.attach is not None,
        "--cancel": arguments.cancel,
        "--detach": arguments.detach,
        "--detach-on-interrupt": arguments.detach_on_interrupt,
        "--sandbox": bool(arguments.sandbox),
    }
    if wrong := [option for option, is_given in only_batch.items() if is_given]:
        raise conflict(
            f"{', '.join(wrong)}: only on AWS Batch, and this build's runtime is"
            f" {runtime.value} ({runtime.source}). Did you mean to add --aws-batch?"
        )
    if arguments.dry_run:
        raise conflict(
            "--dry-run lists what would be sent to AWS Batch, and this build's runtime is"
            f" {runtime.value} ({runtime.source}). Add --aws-batch for that; for Snakemake's own"
            " --dry-run, put it after the directory."
        )
    if runtime.value == NATIVE and arguments.image is not None:
        raise conflict("--image: the native runtime has no image. Did you mean --aws-batch?")


def _needs_no_directory(arguments: Namespace) -> bool:
    return bool(arguments.attach) and (arguments.cancel or arguments.download is False)
