"""What is stored as JSON, field by field."""

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, timezone

import pytest

from nextstrain_batch.errors import CorruptError
from nextstrain_batch.records import Record
from nextstrain_batch.results import AttemptResult
from nextstrain_batch.runs import Ledger, LedgerEntry, Run

INSTANT = datetime(2026, 11, 23, 4, 15, 0, 123456, tzinfo=UTC)

RUN = Run(
    id="zika-20261123T041500Z-1a2b3c4d",
    created=INSTANT,
    pathogen="z\udcffka",
    working_directory="",
    program=("snakemake", "--cores=4"),
    queue="nextstrain-job-queue",
    job_definition="nextstrain-job",
    input_manifest_digest="0" * 64,
    cpus=4,
    has_environment=True,
    user="ada",
)
STORED_RUN = rb"""{
  "format": "nextstrain-batch run",
  "version": 1,
  "id": "zika-20261123T041500Z-1a2b3c4d",
  "created": "2026-11-23T04:15:00.123456+00:00",
  "pathogen": "z\udcffka",
  "working_directory": "",
  "program": [
    "snakemake",
    "--cores=4"
  ],
  "queue": "nextstrain-job-queue",
  "job_definition": "nextstrain-job",
  "input_manifest_digest": "0000000000000000000000000000000000000000000000000000000000000000",
  "image": null,
  "cpus": 4,
  "memory_mib": null,
  "has_environment": true,
  "exclude_from_upload": [],
  "agent": null,
  "user": "ada",
  "host": "",
  "client_version": "",
  "job_id": null
}
"""
RESULT = AttemptResult(
    attempt=2,
    exit_code=1,
    started=INSTANT,
    finished=INSTANT.replace(hour=5, microsecond=0),
    log_lines=17,
    output_manifest="a" * 64,
    error="Außer Atem",
)
STORED_RESULT = rb"""{
  "format": "nextstrain-batch result",
  "version": 1,
  "attempt": 2,
  "exit_code": 1,
  "started": "2026-11-23T04:15:00.123456+00:00",
  "finished": "2026-11-23T05:15:00+00:00",
  "log_lines": 17,
  "output_manifest": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
  "error": "Au\u00dfer Atem",
  "not_stored": null
}
"""


@pytest.mark.parametrize(("record", "stored"), [(RUN, STORED_RUN), (RESULT, STORED_RESULT)])
def test_every_stored_byte(record, stored):
    """Records are written byte for byte as they always were, and are read so."""
    assert record.to_json() == stored
    assert type(record).from_json(stored) == record


def test_every_byte_of_the_ledger(tmp_path):
    """An entry of the ledger is where the run belongs, and the run's record last."""
    entry = LedgerEntry(RUN, "s3://jobs/ours", "us-east-1", "/home/ada/zika")
    Ledger(tmp_path).write(entry)
    record = STORED_RUN.rstrip().replace(b"\n", b"\n  ")
    place = rb"""{
  "bucket": "s3://jobs/ours",
  "region": "us-east-1",
  "directory": "/home/ada/zika",
  "endpoint": null,
  "run": """
    (path,) = tmp_path.iterdir()
    assert path.read_bytes() == place + record + b"\n}\n"
    assert Ledger(tmp_path).all() == [entry]


@dataclass(frozen=True, slots=True)
class Sample(Record):
    """One field of each type."""

    FORMAT = "sample"
    VERSION = 3
    CALLED = "The sample"

    name: str
    taken: datetime
    hosts: tuple[str, ...]
    reads: int
    kept: bool = True
    lineage: str | None = None
    depth: int | None = 4


SAMPLE = Sample("A1", INSTANT, ("human",), 10)


def changed(**changes):
    return json.dumps({**json.loads(SAMPLE.to_json()), **changes}).encode()


def lacking(name):
    values = json.loads(SAMPLE.to_json())
    del values[name]
    return json.dumps(values).encode()


@pytest.mark.parametrize(
    "change",
    [{"lineage": "B.1"}, {"lineage": None}, {"depth": None}, {"kept": False}, {"hosts": ()}],
)
def test_values_of_the_right_type(change):
    """A value that a field can have is read as it was."""
    assert Sample.from_json(changed(**change)) == replace(SAMPLE, **change)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("name", None),
        ("name", 1),
        ("taken", None),
        ("taken", 20261123),
        ("taken", "yesterday"),
        ("taken", "2026-11-23T04:15:00"),
        ("hosts", "human"),
        ("hosts", None),
        ("hosts", [1]),
        ("reads", True),
        ("reads", 10.0),
        ("reads", None),
        ("kept", 1),
        ("kept", None),
        ("lineage", ["B.1"]),
        ("depth", "4"),
        ("depth", False),
    ],
)
def test_values_of_another_type(name, value):
    """A value of any other type is damage, and the error names the field and the value."""
    with pytest.raises(CorruptError, match=f"The sample is damaged: {name} is ") as caught:
        Sample.from_json(changed(**{name: value}))
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("name", ["kept", "lineage", "depth"])
def test_a_field_that_may_be_missing(name):
    """A field that has a default has it where an earlier version wrote none."""
    assert Sample.from_json(lacking(name)) == SAMPLE


@pytest.mark.parametrize("name", ["name", "taken", "hosts", "reads"])
def test_a_field_that_must_be_there(name):
    """A record that lacks any other field is damaged, and the error names the field."""
    with pytest.raises(CorruptError, match=f"The sample is damaged: {name} is missing"):
        Sample.from_json(lacking(name))


def test_what_later_versions_add():
    """A field that this version does not know is ignored."""
    assert Sample.from_json(changed(weather="fair")) == SAMPLE


def test_an_instant_of_another_time_zone():
    """An instant is written in UTC, whatever its time zone."""
    local = INSTANT.astimezone(timezone(timedelta(hours=13)))
    assert replace(SAMPLE, taken=local).to_json() == SAMPLE.to_json()


@pytest.mark.parametrize("kind", [Run, AttemptResult, Sample])
def test_another_version(kind):
    """A record of another version is not called damaged: the error names both and what to do."""
    data = json.dumps({"format": kind.FORMAT, "version": 7}).encode()
    expected = f"{kind.CALLED} has the format version 7, .* reads version {kind.VERSION}.*update"
    with pytest.raises(CorruptError, match=expected):
        kind.from_json(data)


@pytest.mark.parametrize(
    "data", [b"", b"{", b"\xff", b"[" * 100_000, b"[]", b"null", b"{}", STORED_RUN]
)
def test_what_is_no_such_record(data):
    """Bytes that are no record, or one of another kind, are damaged ones."""
    with pytest.raises(CorruptError, match="The sample is damaged"):
        Sample.from_json(data)
