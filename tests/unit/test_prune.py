"""What the bucket holds, and what pruning takes away from it."""

import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from fakes_aws import FakeBatch, job_detail
from memory_transport import BEGIN, MemoryTransport
from nextstrain_batch import prune, run_ends, runs
from nextstrain_batch.commands import storage_report
from nextstrain_batch.errors import StoreError, UnreachableError
from nextstrain_batch.inventory import Surveyor
from nextstrain_batch.runs import Run
from nextstrain_batch.store import codec, keys, pins
from nextstrain_batch.store.progress import silent
from nextstrain_batch.ui import Ui
from trees import send, write

RUN = Run(
    id="",
    created=BEGIN,
    pathogen="zika",
    working_directory="",
    program=("true",),
    queue="q",
    job_definition="d",
    input_manifest_digest="0" * 64,
)


@pytest.fixture
def bucket():
    return MemoryTransport()


@pytest.fixture
def build(tmp_path, bucket):
    """Return a function that stores a run of some files."""

    def build(run_id, files, *, user="ada", job_id=None, env=False):
        sent = send(write(tmp_path / run_id, files), bucket)
        codec.publish(sent.manifest, bucket, keys.input_manifest(run_id))
        if env:
            bucket.put(keys.environment(run_id), b"{}")
        run = replace(RUN, id=run_id, created=bucket.now, user=user, job_id=job_id)
        runs.write_record(run, bucket)
        return sent.manifest

    return build


def inventory(bucket):
    return Surveyor(bucket, bucket.clock).take()


def plan(bucket, over=(), older_than=None):
    return prune.plan(inventory(bucket), frozenset(over), older_than)


def removes(bucket, over=(), older_than=None, **options):
    """Prune, and return what was removed."""
    make = lambda: plan(bucket, over, older_than)  # noqa: E731
    before = set(bucket.objects)
    prune.execute(
        make(), make, bucket, token="t", now=bucket.clock, progress=silent, **options
    )  # fmt: skip
    return before - set(bucket.objects)


def packs(manifest):
    return {keys.pack(each) for each in manifest.packs}


def test_what_a_manifest_refers_to_stays(bucket, build):
    """Nothing that a run needs is removed, however old it is."""
    build("one", {"a": "x"})
    bucket.pass_days(20)
    assert removes(bucket, {"one"}) == set()


def test_what_nothing_refers_to_goes_after_a_day(bucket, tmp_path):
    """A pack without a manifest is left alone for a day, and then goes."""
    sent = send(write(tmp_path / "tree", {"a": "x"}), bucket)
    bucket.pass_days(0.9)
    assert removes(bucket) == set()
    assert len(plan(bucket).young) == 1
    bucket.pass_days(0.2)
    assert removes(bucket) == packs(sent.manifest)


def test_old_runs_go_with_what_they_alone_need(bucket, build):
    """With an age, finished runs of that age go, and the packs that no other run needs."""
    shared = {"a": "x" * 100_000, "b": "y"}
    alone = build("old", {"c": "only here"})
    both = build("older", shared)
    bucket.pass_days(5)
    build("new", shared)
    week = timedelta(days=5)
    gone = removes(bucket, {"old", "older", "new"}, week)
    assert packs(alone) <= gone
    assert not packs(both) & gone
    assert {keys.run_of(key) for key in gone if key.startswith(keys.RUNS)} == {"old", "older"}


def test_a_run_that_may_not_be_over_stays(bucket, build):
    """A run of which it is not certain that it has ended stays, whatever its age."""
    build("waiting", {"a": "x"}, env=True)
    bucket.pass_days(25)
    assert removes(bucket, (), timedelta(0)) == set()


def test_environments_of_finished_runs_go(bucket, build):
    """Environment values go when the run is over, at once; the run stays."""
    build("over", {"a": "x"}, env=True)
    build("running", {"a": "x"}, env=True)
    assert removes(bucket, {"over"}) == {keys.environment("over")}


def test_runs_without_manifests_go(bucket, build):
    """What is left of a run whose manifests are gone goes after a day, its packs with it."""
    manifest = build("expired", {"a": "x"})
    bucket.put(keys.log("expired", 1), b"lines")
    bucket.delete(keys.input_manifest("expired"))
    assert removes(bucket, {"expired"}) == set()
    bucket.pass_days(1.1)
    run = {keys.run_record("expired"), keys.log("expired", 1)}
    assert removes(bucket, {"expired"}) == run | packs(manifest)


def test_every_kind_of_manifest_counts(bucket, build, tmp_path):
    """Packs of an output, of any attempt, are needed as those of the input are."""
    build("one", {"a": "x"})
    output = send(write(tmp_path / "output", {"a": "x", "b": "y"}), bucket).manifest
    codec.publish(output, bucket, keys.output_manifest("one", 2))
    bucket.pass_days(10)
    assert removes(bucket, {"one"}) == set()


def test_a_pin_counts_for_a_day(bucket, tmp_path):
    """Packs that an upload is about to refer to stay; its pin does not count for ever."""
    sent = send(write(tmp_path / "tree", {"a": "x"}), bucket)
    bucket.pass_days(3)
    pins.pin(sent.manifest.packs, bucket)
    assert removes(bucket) == set()
    bucket.pass_days(1.1)
    gone = removes(bucket)
    assert packs(sent.manifest) < gone
    assert {key for key in bucket.objects if key.startswith(keys.PINS)} == set()


def test_a_manifest_that_cannot_be_read_ends_it(bucket, build):
    """Where a manifest cannot be read, nobody can tell what is needed, and nothing is removed."""
    build("one", {"a": "x"})
    bucket.put(keys.output_manifest("one", 1), b"something newer")
    bucket.pass_days(10)
    before = set(bucket.objects)
    with pytest.raises(StoreError, match=r"runs/one/attempts/1/output\.manifest cannot be read"):
        plan(bucket)
    assert set(bucket.objects) == before
    usage = storage_report.usage(inventory(bucket), bucket.url)
    assert "cannot be read" in str(usage.runs[0].problem)
    assert keys.output_manifest("one", 1) in removes(bucket, {"one"}, timedelta(1))


def test_what_is_needed_again_when_it_comes_to_deleting_stays(bucket, tmp_path):
    """What was to go and has found a manifest since is not removed."""
    tree = write(tmp_path / "tree", {"a": "x"})
    sent = send(tree, bucket)
    bucket.pass_days(2)
    agreed = plan(bucket)
    assert agreed.packs
    codec.publish(sent.manifest, bucket, keys.input_manifest("new"))
    pruned = prune.execute(
        agreed, lambda: plan(bucket), bucket, token="t", now=bucket.clock, progress=silent
    )
    assert (pruned.objects, pruned.kept) == (0, 1)


def test_nothing_more_goes_than_was_agreed_to(bucket, build):
    """What has become unneeded only since the plan was shown waits for the next time."""
    build("one", {"a": "x"})
    bucket.pass_days(10)
    agreed = plan(bucket, {"one"})
    again = lambda: plan(bucket, {"one"}, timedelta(0))  # noqa: E731
    pruned = prune.execute(
        agreed, again, bucket, token="t", now=bucket.clock, progress=silent
    )  # fmt: skip
    assert pruned.objects == 0


def test_manifests_go_before_their_packs(bucket, build):
    """Wherever a pruning is cut off, no manifest is left whose packs are gone."""
    for number in range(3):
        build(f"run{number}", {"a": str(number)})
    bucket.pass_days(10)
    deleted = []

    def cut(verb, key):
        if verb == "delete" and not key.startswith(keys.PRUNES):
            deleted.append(key)
            if len(deleted) > 5:
                raise UnreachableError("gone")

    bucket.before = cut
    with pytest.raises(UnreachableError):
        removes(bucket, {"run0", "run1", "run2"}, timedelta(0))
    bucket.before = lambda *_: None
    left = inventory(bucket)
    assert all(not left.missing(run) for run in left.runs)
    assert not [key for key in bucket.objects if key.startswith(keys.PRUNES)]


def test_deleting_for_long_starts_over(bucket, tmp_path):
    """After some minutes of deleting the bucket is listed anew before more is deleted."""
    for number in range(40):
        send(write(tmp_path / str(number), {"a": str(number)}), bucket)
    bucket.pass_days(2)

    def slow(verb, _key):
        if verb == "delete":
            bucket.now += timedelta(minutes=1)

    bucket.before = slow
    bucket.counted()
    assert len(removes(bucket)) == 40
    assert [key for verb, key in bucket.requests if verb == "put"].count(keys.prune("t")) > 1


def test_which_runs_are_over(bucket, build):
    """Over is what AWS Batch says is over, or what it does not know and is silent for a week."""
    for run_id in ("ended", "runs", "forgotten"):
        build(run_id, {"a": "x"}, job_id=f"job-{run_id}")
    build("never", {"a": "x"})
    batch = FakeBatch(states=[(-1, job_detail("RUNNING"))])
    batch.describe_jobs = lambda **_: {
        "jobs": [
            {**job_detail(status), "jobId": f"job-{run_id}"}
            for run_id, status in (("ended", "FAILED"), ("runs", "RUNNING"))
        ]
    }
    assert run_ends.ends(inventory(bucket), batch).ids == {"ended"}
    bucket.pass_days(8)
    assert run_ends.ends(inventory(bucket), batch).ids == {"ended", "forgotten", "never"}


def told(show):
    out = io.StringIO()
    show(Ui(out, io.StringIO()))
    return out.getvalue()


def test_usage_counts_shared_packs_once(bucket, build):
    """Packs that runs share count once for a user, and as nobody's alone."""
    one = build("one", {"a": "x" * 10})
    build("two", {"a": "x" * 10})
    other = build("three", {"b": "other"}, user="grace")
    bucket.put(keys.agent("0" * 64), b"agent")
    usage = storage_report.usage(inventory(bucket), bucket.url)
    size = sum(pack.stored_size for pack in one.packs.values())
    by_run = {run.id: run for run in usage.runs}
    assert by_run["one"].packs_bytes == by_run["two"].packs_bytes == size
    assert by_run["one"].alone_bytes == 0
    assert by_run["three"].alone_bytes == sum(pack.stored_size for pack in other.packs.values())
    ada = next(user for user in usage.users if user.user == "ada")
    assert (ada.runs, ada.packs_bytes, ada.alone_bytes) == (2, size, size)
    assert usage.packs.objects == len(one.packs | other.packs)
    assert usage.total.bytes == sum(map(len, bucket.objects.values()))


def test_usage_as_json_has_a_stable_shape(bucket, build):
    """Programs may rely on these names."""
    build("one", {"a": "x"})
    found = json.loads(storage_report.as_json(storage_report.usage(inventory(bucket), bucket.url)))
    assert set(found) == {
        *("bucket", "taken", "total", "packs", "unreferenced", "agents", "runs", "users")
    }
    assert set(found["total"]) == {"objects", "bytes"}
    assert set(found["runs"][0]) == {
        *("id", "user", "pathogen", "created", "age_seconds", "own", "packs_bytes", "alone_bytes"),
        *("missing_packs", "problem"),
    }
    assert set(found["users"][0]) == {"user", "runs", "own", "packs_bytes", "alone_bytes"}


def test_usage_of_a_run_without_a_record(bucket, build):
    """A run whose record is gone or damaged is listed, as nobody's."""
    build("one", {"a": "x"})
    bucket.put(keys.run_record("one"), b"{")
    text = told(lambda ui: storage_report.show(
        storage_report.usage(inventory(bucket), bucket.url), ui))  # fmt: skip
    assert "(unknown)" in text


def test_the_plan_is_told(bucket, build, tmp_path):
    """What will go is told with names, ages and sizes, and what is left alone, too."""
    build("one", {"a": "x"}, env=True)
    bucket.pass_days(5)
    send(write(tmp_path / "tree", {"b": "y"}), bucket)
    found = inventory(bucket)
    planned = prune.plan(found, frozenset({"one"}), timedelta(days=3))
    text = told(lambda ui: storage_report.show_plan(planned, found, bucket.url, ui))
    assert "run one of ada, 5 d old" in text
    assert "packs of files that nothing else refers to: 1 object" in text
    assert "younger than a day, 1 object" in text


def test_an_empty_bucket(bucket):
    """There is nothing to show or remove, and that is no error."""
    assert plan(bucket).objects == []
    found = inventory(bucket)
    assert "No runs." in told(
        lambda ui: storage_report.show(storage_report.usage(found, bucket.url), ui)
    )
    assert "Nothing to remove" in told(
        lambda ui: storage_report.show_plan(plan(bucket), found, bucket.url, ui)
    )
