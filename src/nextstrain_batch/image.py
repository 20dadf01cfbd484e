"""Another image for a job: found or registered as a job definition derived from the given one.

Batch takes a job's image from its definition alone, so a build with ``--image`` needs a
definition of its own, equal to the usual one in all else. Its name is made from the usual one's
and the image, and it is used again for as long as the usual one stays as it is.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from nextstrain_batch.aws_errors import error_text, explaining, paragraphs
from nextstrain_batch.errors import AccessDeniedError, JobError
from nextstrain_batch.job import region_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from nextstrain_batch.clients import BatchClient

LONGEST_NAME = 128
_CONTAINER = "containerProperties"


@dataclass(frozen=True)
class Definition:
    """A job definition that may be used."""

    name: str
    """Its name, ``name:revision`` or ARN."""
    attempts: int
    """How often Batch starts its jobs at most, unless a job says otherwise."""


# What a derived definition takes over. Tags stay behind: they need a permission of their own.
_KEPT = (
    "type",
    "parameters",
    "schedulingPriority",
    "retryStrategy",
    "propagateTags",
    "timeout",
    "platformCapabilities",
    "consumableResourceProperties",
)


def same_image(one: str, other: str) -> bool:
    """Tell whether two names mean one image: ``nextstrain/base`` is ``nextstrain/base:latest``."""
    return normal_image(one) == normal_image(other)


def normal_image(image: str) -> str:
    """Return an image's name without Docker Hub's address, and with its tag or digest."""
    name = re.sub(r"^(index\.|registry-1\.|registry\.)?docker\.io/(library/)?", "", image.strip())
    tagged = "@" in name or ":" in name.rpartition("/")[2]
    return name if tagged else f"{name}:latest"


def definition_with_image(batch: BatchClient, definition: str, image: str) -> Definition:
    """Return a definition like *definition* whose image is *image*.

    *definition* is a name, ``name:revision`` or an ARN. Registers a definition when there is none
    yet. Raises ``JobError`` when *definition* does not exist or is of a kind that has no single
    image, and ``AccessDeniedError`` when AWS denies to register one.
    """
    base = find_definition(batch, definition)
    if base is None:
        raise no_such_definition(definition, region_of(batch))
    container = base.get(_CONTAINER)
    if not container:
        raise JobError(
            f"The job definition {definition} does not describe a single container, so its image"
            " cannot be chosen. Use another definition (--aws-batch-job), or leave out --image."
        )
    attempts = int((base.get("retryStrategy") or {}).get("attempts", 1))
    if same_image(container["image"], image):
        return Definition(definition, attempts)
    wanted = {key: base[key] for key in _KEPT if base.get(key)}
    wanted[_CONTAINER] = {**container, "image": image}
    name = derived_name(base["jobDefinitionName"], image)
    for existing in _active(batch, jobDefinitionName=name):
        if {key: existing[key] for key in (*_KEPT, _CONTAINER) if existing.get(key)} == wanted:
            return Definition(f"{name}:{existing['revision']}", attempts)
    return Definition(_register(batch, name, wanted, definition, image), attempts)


def derived_name(name: str, image: str) -> str:
    """Return the name of the definition derived from the one called *name* for *image*."""
    digest = hashlib.sha256(normal_image(image).encode()).hexdigest()[:16]
    return f"{name[: LONGEST_NAME - len(digest) - 7]}-image-{digest}"


def find_definition(batch: BatchClient, definition: str) -> dict[str, Any] | None:
    """Return the newest active revision of a definition as AWS describes it, or None."""
    name = definition.rpartition("job-definition/")[2] or definition
    query = {"jobDefinitions": [name]} if ":" in name else {"jobDefinitionName": name}
    found = sorted(_active(batch, **query), key=lambda found: int(found["revision"]))
    return found[-1] if found else None


def no_such_definition(definition: str, region: str | None) -> JobError:
    """Return the error for a definition that does not exist."""
    where = f" in the region {region}" if region else ""
    return JobError(
        paragraphs(
            f"There is no active job definition {definition}{where}.",
            "Check its name (--aws-batch-job, NEXTSTRAIN_AWS_BATCH_JOB, or `job` under [aws-batch]"
            " in ~/.nextstrain/config) and the region (AWS_DEFAULT_REGION). If the account is not"
            " set up yet, `nextstrain setup aws-batch` does it.",
        )
    )


def _active(batch: BatchClient, **query: object) -> Iterator[dict[str, Any]]:
    # Status is asked for and checked: with `jobDefinitions`, AWS ignores the parameter.
    parameters = {"status": "ACTIVE", **query}
    while True:
        with explaining("read the job definitions", region_of(batch)):
            answer = batch.describe_job_definitions(**parameters)
        yield from (
            found
            for found in answer.get("jobDefinitions", ())
            if found.get("status", "ACTIVE") == "ACTIVE"
        )
        if not answer.get("nextToken"):
            return
        parameters["nextToken"] = answer["nextToken"]


def _register(
    batch: BatchClient, name: str, wanted: Mapping[str, object], definition: str, image: str
) -> str:
    try:
        with explaining("register a job definition for the image", region_of(batch)):
            answer = batch.register_job_definition(jobDefinitionName=name, **wanted)
    except AccessDeniedError as error:
        raise _ways_out(error, definition, image) from error
    return f"{answer['jobDefinitionName']}:{answer['revision']}"


def _ways_out(error: AccessDeniedError, definition: str, image: str) -> AccessDeniedError:
    action = error.action or "batch:RegisterJobDefinition"
    said = error_text(error.__cause__) if isinstance(error.__cause__, Exception) else ""
    return AccessDeniedError(
        paragraphs(
            f"Cannot use the image {image}: the job definition {definition} has another one, and"
            f" AWS denies to register a definition for it ({action}).",
            "There are two ways out:\n"
            "  1. Get the permissions batch:RegisterJobDefinition and, for the job's role,"
            " iam:PassRole; they are the optional policy for other images.\n"
            "  2. Ask whoever administers the AWS account for a job definition with this image,"
            " and name it with --aws-batch-job. Then leave out --image, or give the same one.",
            f"AWS said: {said}" if said else None,
        ),
        action,
    )
