"""Records of runs, in the bucket and on this computer."""

import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fakes_aws import FakeBucket
from nextstrain_batch.errors import CorruptError, LocalFilesError, MissingObjectError
from nextstrain_batch.runs import Ledger, LedgerEntry, Run, new_id, read_record, write_record
from nextstrain_batch.store import keys

NOW = datetime(2026, 11, 23, 4, 15, tzinfo=UTC)
RUN = Run(
    id="zika-20261123T041500Z-1a2b3c4d",
    created=NOW,
    pathogen="zika",
    working_directory="",
    program=("snakemake", "--cores=4"),
    queue="nextstrain-job-queue",
    job_definition="nextstrain-job",
    input_manifest_digest="0" * 64,
)
ENTRY = LedgerEntry(RUN, "s3://jobs/ours", "us-east-1", "/home/ada/zika")

TEXT = st.text(max_size=20)
TEXTS = st.lists(TEXT, max_size=4).map(tuple)
RUNS = st.builds(
    Run,
    id=TEXT,
    created=st.datetimes(timezones=st.just(UTC)),
    pathogen=TEXT,
    working_directory=TEXT,
    program=TEXTS,
    queue=TEXT,
    job_definition=TEXT,
    input_manifest_digest=TEXT,
    image=st.none() | TEXT,
    cpus=st.none() | st.integers(1, 100),
    memory_mib=st.none() | st.integers(1),
    has_environment=st.booleans(),
    exclude_from_upload=TEXTS,
    agent=st.none() | TEXT,
    job_id=st.none() | TEXT,
)


@given(RUNS)
def test_a_record_survives_being_written(run):
    """What is read from a record is what was written."""
    assert Run.from_json(run.to_json()) == run


def test_a_record_keeps_names_that_are_not_text():
    """A directory's name that is not valid UTF-8 survives."""
    run = replace(RUN, pathogen="z\udcffka", program=("\udcfe",))
    assert Run.from_json(run.to_json()) == run


def test_an_instant_elsewhere_is_the_same_instant():
    """An instant of another time zone is written in UTC."""
    local = NOW.astimezone(timezone(timedelta(hours=13)))
    assert b'"2026-11-23T04:15:00+00:00"' in replace(RUN, created=local).to_json()


def test_what_later_versions_add_is_ignored():
    """Fields that this version does not know do not hinder it, and missing ones have defaults."""
    values = json.loads(RUN.to_json())
    values["colour"] = "red"
    del values["cpus"]
    assert Run.from_json(json.dumps(values).encode()) == RUN


@pytest.mark.parametrize(
    "change",
    [
        {"created": "yesterday"},
        {"created": "2026-11-23T04:15:00"},
        {"program": "snakemake"},
        {"program": [1]},
        {"cpus": "4"},
        {"cpus": True},
        {"queue": None},
        {"has_environment": 1},
    ],
)
def test_a_damaged_record_is_named(change):
    """A record with a field of the wrong kind is damaged, and the error names what is wrong."""
    values = {**json.loads(RUN.to_json()), **change}
    with pytest.raises(CorruptError, match="|".join(change)):
        Run.from_json(json.dumps(values).encode())


@pytest.mark.parametrize(
    "data",
    [b"", b"[]", b"{", b"\xff", b'{"format": "other"}', b'{"format": "nextstrain-batch run"}'],
)
def test_what_is_no_record(data):
    """Bytes that are no record are damaged ones."""
    with pytest.raises(CorruptError):
        Run.from_json(data)


def test_a_missing_field_is_named():
    """A record that lacks a field is damaged, and the error names the field."""
    values = json.loads(RUN.to_json())
    del values["program"]
    with pytest.raises(CorruptError, match="program"):
        Run.from_json(json.dumps(values).encode())


@given(st.text(max_size=300))
def test_ids_are_valid_job_names(name):
    """Whatever a pathogen's directory is called, the run's id is a valid name of a Batch job."""
    run_id = new_id(name, NOW, "1a2b3c4d")
    assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}", run_id)
    assert run_id.endswith("-20261123T041500Z-1a2b3c4d")
    assert keys.is_ours(keys.run_record(run_id))


def test_an_id_shows_what_it_is():
    """A run's id begins with the pathogen's name."""
    assert new_id("zika", NOW, "1a2b3c4d") == RUN.id
    assert new_id("my zika (2)", NOW, "1").startswith("my-zika-2-2026")


def test_a_record_in_the_bucket():
    """A record is read from where it was written, and can be written again with the job's id."""
    bucket = FakeBucket()
    write_record(RUN, bucket)
    write_record(replace(RUN, job_id="job-1"), bucket)
    assert list(bucket.objects) == [f"runs/{RUN.id}/run.json"]
    assert read_record(RUN.id, bucket).job_id == "job-1"
    with pytest.raises(MissingObjectError):
        read_record("other", bucket)


def test_the_ledger_remembers(tmp_path):
    """The ledger gives back what was written, by run and by job."""
    ledger = Ledger(tmp_path / "deep" / "runs")
    assert ledger.all() == []
    ledger.write(ENTRY)
    entry = replace(ENTRY, run=replace(RUN, job_id="job-1"), endpoint="http://127.0.0.1:1/")
    ledger.write(entry)
    assert ledger.read(RUN.id) == entry
    assert ledger.by_job("job-1") == entry
    assert ledger.read("other") is None
    assert ledger.by_job("job-2") is None


def test_the_ledgers_newest_come_first(tmp_path):
    """All runs are given, the newest first."""
    ledger = Ledger(tmp_path)
    for hours in (2, 5, 3):
        run = replace(RUN, id=f"run-{hours}", created=NOW + timedelta(hours=hours))
        ledger.write(replace(ENTRY, run=run))
    assert [entry.run.id for entry in ledger.all()] == ["run-5", "run-3", "run-2"]


@pytest.mark.parametrize("damage", [b"", b"{}", b"[]", b'{"run": {}, "bucket": 1}', b"\xff"])
def test_a_damaged_entry_is_none(tmp_path, damage):
    """A damaged file of the ledger does not hide the others."""
    ledger = Ledger(tmp_path)
    ledger.write(ENTRY)
    (tmp_path / "bad.json").write_bytes(damage)
    assert ledger.all() == [ENTRY]
    assert ledger.read("bad") is None


def test_ids_do_not_lead_out_of_the_ledger(tmp_path):
    """An id from the command line reads nothing outside the ledger."""
    Ledger(tmp_path).write(ENTRY)
    assert Ledger(tmp_path / "runs").read(f"../{RUN.id}") is None


def test_a_ledger_that_cannot_be_written(tmp_path):
    """Where the ledger cannot be written, the error names the place."""
    (tmp_path / "file").write_text("")
    with pytest.raises(LocalFilesError, match="file"):
        Ledger(tmp_path / "file").write(ENTRY)
