"""What the bucket holds, and what pruning takes away from it."""

import io
import json
from dataclasses import replace
from datetime import timedelta

import pytest

from fakes_aws import FakeBatch, job_detail
from memory_transport import BEGIN, MemoryTransport
from nextstrain_batch import prune, run_ends, runs, upload
from nextstrain_batch.aws_errors import BusyError
from nextstrain_batch.commands import storage_report
from nextstrain_batch.errors import (
    AccessDeniedError,
    CredentialsError,
    StoreError,
    UnreachableError,
)
from nextstrain_batch.inventory import Surveyor
from nextstrain_batch.runs import Run
from nextstrain_batch.store import codec, keys, pins
from nextstrain_batch.store.progress import silent
from nextstrain_batch.ui import Ui
from nextstrain_batch.upload import read_and_plan
from trees import reading, send, write

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


TOKEN = "0" * 16


def named(name):
    """Return a run's id, of the shape that all have."""
    return runs.new_id(name, BEGIN, "1a2b3c4d")


@pytest.fixture
def bucket():
    return MemoryTransport()


@pytest.fixture
def build(tmp_path, bucket):
    """Return a function that stores a run of some files."""

    def build(name, files, *, user="ada", env=False, **more):
        run_id = named(name)
        sent = send(write(tmp_path / run_id, files), bucket)
        codec.publish(sent.manifest, bucket, keys.input_manifest(run_id))
        if env:
            bucket.put(keys.environment(run_id), b"{}")
        run = replace(RUN, id=run_id, created=bucket.now, user=user, **more)
        runs.write_record(run, bucket)
        return sent.manifest

    return build


def inventory(bucket):
    return Surveyor(bucket, bucket.clock).take()


def plan(bucket, over=(), older_than=None):
    return prune.plan(inventory(bucket), frozenset(map(named, over)), older_than)


def removes(bucket, over=(), older_than=None, **options):
    """Prune, and return what was removed."""
    make = lambda: plan(bucket, over, older_than)  # noqa: E731
    before = set(bucket.objects)
    execute(make(), make, bucket, **options)
    return before - set(bucket.objects)


def execute(agreed, again, bucket, **options):
    return prune.execute(
        agreed,
        again,
        bucket,
        token=TOKEN,
        now=bucket.clock,
        progress=silent,
        pause=bucket.pause,
        **options,
    )


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
    of_runs = {keys.run_of(key) for key in gone if key.startswith(keys.RUNS)}
    assert of_runs == {named("old"), named("older")}


def test_a_run_that_may_not_be_over_stays(bucket, build):
    """A run of which it is not certain that it has ended stays, whatever its age."""
    build("waiting", {"a": "x"}, env=True)
    bucket.pass_days(25)
    assert removes(bucket, (), timedelta(0)) == set()


def test_environments_of_finished_runs_go(bucket, build):
    """Environment values go when the run is over, at once; the run stays."""
    build("over", {"a": "x"}, env=True)
    build("running", {"a": "x"}, env=True)
    assert removes(bucket, {"over"}) == {keys.environment(named("over"))}


def test_runs_without_manifests_go(bucket, build):
    """What is left of a run whose manifests are gone goes after a day, its packs with it."""
    manifest = build("expired", {"a": "x"})
    bucket.put(keys.log(named("expired"), 1), b"lines")
    bucket.delete(keys.input_manifest(named("expired")))
    assert removes(bucket, {"expired"}) == set()
    bucket.pass_days(1.1)
    run = {keys.run_record(named("expired")), keys.log(named("expired"), 1)}
    assert removes(bucket, {"expired"}) == run | packs(manifest)


def test_every_kind_of_manifest_counts(bucket, build, tmp_path):
    """Packs of an output, of any attempt, are needed as those of the input are."""
    build("one", {"a": "x"})
    output = send(write(tmp_path / "output", {"a": "x", "b": "y"}), bucket).manifest
    codec.publish(output, bucket, keys.output_manifest(named("one"), 2))
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
    bucket.put(keys.output_manifest(named("one"), 1), b"something newer")
    bucket.pass_days(10)
    before = set(bucket.objects)
    with pytest.raises(StoreError, match=r"runs/one-.*/attempts/1/output\.manifest cannot be read"):
        plan(bucket)
    assert set(bucket.objects) == before
    usage = storage_report.usage(inventory(bucket), bucket.url)
    assert "cannot be read" in str(usage.runs[0].problem)
    assert keys.output_manifest(named("one"), 1) in removes(bucket, {"one"}, timedelta(1))


def test_what_is_needed_again_when_it_comes_to_deleting_stays(bucket, tmp_path):
    """What was to go and has found a manifest since is not removed."""
    tree = write(tmp_path / "tree", {"a": "x"})
    sent = send(tree, bucket)
    bucket.pass_days(2)
    agreed = plan(bucket)
    assert agreed.packs
    codec.publish(sent.manifest, bucket, keys.input_manifest(named("new")))
    pruned = execute(agreed, lambda: plan(bucket), bucket)
    assert (pruned.objects, pruned.kept) == (0, 1)


def test_nothing_more_goes_than_was_agreed_to(bucket, build):
    """What has become unneeded only since the plan was shown waits for the next time."""
    build("one", {"a": "x"})
    bucket.pass_days(10)
    agreed = plan(bucket, {"one"})
    again = lambda: plan(bucket, {"one"}, timedelta(0))  # noqa: E731
    pruned = execute(agreed, again, bucket)
    assert pruned.objects == 0


@pytest.fixture
def again(bucket, build):
    """Return what makes the plan of removing a run that is there, whole."""
    build("one", {"a": "x"})
    bucket.pass_days(10)
    return lambda: plan(bucket, {"one"}, timedelta(0))


def test_a_mark_that_cannot_be_removed_is_told_with_what_was_removed(bucket, again):
    """The answer is not lost over it, and neither is an error that came before."""
    agreed = again()

    def before(verb, key):
        if verb == "delete" and key.startswith("prunes/"):
            raise UnreachableError("No network.")

    bucket.before = before
    pruned = execute(agreed, again, bucket)
    assert pruned.objects == len(agreed.objects)
    err = io.StringIO()
    storage_report.show_pruned(pruned, Ui(io.StringIO(), err))
    assert "No network. Until that is an hour old" in err.getvalue()

    def broken():
        raise StoreError("A manifest cannot be read.")

    with pytest.raises(StoreError, match="A manifest"):
        execute(agreed, broken, bucket)


def test_the_mark_stays_where_deletes_may_be_under_way(bucket, again):
    """After Control-C nobody waits for them, so uploads have to."""

    def before(verb, key):
        if verb == "delete" and key.startswith("packs/"):
            raise KeyboardInterrupt

    bucket.before = before
    with pytest.raises(KeyboardInterrupt):
        execute(again(), again, bucket)
    assert keys.prune(TOKEN) in bucket.objects


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
    assert [key for verb, key in bucket.requests if verb == "put"].count(keys.prune(TOKEN)) > 1


def test_other_peoples_objects_stay(bucket, build):
    """What lies among ours and was not made by this program is left alone, and told of."""
    theirs = {
        *("runs/2024-season/tree.nwk", "runs/README.txt", "packs/photos.zip", "packs/deep/x"),
        *("pins/thumb.jpg", "prunes/now", "agents/smith", f"packs/{'A' * 64}", "runs/"),
        f"runs/{named('one')}",
    }
    for key in theirs:
        bucket.put(key, b"x")
    build("one", {"a": "x"})
    bucket.pass_days(40)
    assert not theirs & removes(bucket, {"one", "2024-season"}, timedelta(0))
    found = inventory(bucket)
    assert {each.key for each in found.foreign} == theirs
    usage = storage_report.usage(found, bucket.url)
    assert (usage.foreign.objects, usage.total.objects) == (len(theirs), 0)
    assert "Not ours:         10 objects" in told(lambda ui: storage_report.show(usage, ui))
    text = told(lambda ui: storage_report.show_plan(plan(bucket), found, bucket.url, ui))
    assert "Left alone, as this program did not make them: 10 objects" in text
    assert f"such as 'packs/{'A' * 64}'" in text


def test_other_peoples_pins_and_marks_mean_nothing(bucket, tmp_path):
    """Neither is read, nor waited for."""
    pack = next(iter(send(write(tmp_path / "tree", {"a": "x"}), bucket).manifest.packs))
    bucket.pass_days(3)
    bucket.put("pins/list.txt", pack.encode())
    bucket.put("prunes/later", b"")
    pins.await_prunings(bucket, bucket.clock, pytest.fail)
    bucket.counted()
    assert keys.pack(pack) in removes(bucket)
    assert ("get", "pins/list.txt") not in bucket.requests


@pytest.fixture
def rebuilt(bucket, tmp_path):
    """Return what says how the first delete of a pack fares, and when the pack is sent again."""
    tree = write(tmp_path / "tree", {"a": "x"})
    send(tree, bucket)
    bucket.pass_days(2)

    def during(delete):
        def before(verb, key):
            if verb == "delete" and key.startswith(keys.PACKS):
                bucket.before = lambda *_: None
                delete(key, publish)

        def publish():
            planned = read_and_plan(reading(tree), bucket, now=bucket.clock)
            sent = upload.execute(planned, bucket, now=bucket.clock, pause=bucket.pause)
            codec.publish(sent.manifest, bucket, keys.input_manifest(named("new")))

        bucket.before = before

    return during


def missing(bucket):
    found = inventory(bucket)
    assert found.runs
    return set().union(*map(found.missing, found.runs))


def test_a_computer_that_slept_deletes_nothing_more(bucket, rebuilt):
    """A delete that comes hours after the look at the bucket is not sent."""

    def sleep(_key, publish):
        bucket.now += timedelta(hours=2)
        publish()

    rebuilt(sleep)
    with pytest.raises(StoreError, match="asleep"):
        removes(bucket)
    assert missing(bucket) == set()


def test_a_delete_is_not_repeated_by_the_same_list(bucket, rebuilt):
    """What was written again after a delete whose answer was lost is not deleted a second time."""

    def lose(key, publish):
        del bucket.objects[key], bucket.modified[key]
        publish()
        raise UnreachableError("The answer was lost.")

    rebuilt(lose)
    removes(bucket)
    assert missing(bucket) == set()


def test_trouble_that_passes(bucket, tmp_path):
    """After an error that passes, the bucket is listed anew and the rest deleted."""
    for number in range(3):
        send(write(tmp_path / str(number), {"a": str(number)}), bucket)
    bucket.pass_days(2)
    begun, failures = bucket.now, [BusyError("slow down")] * 2

    def fail(verb, key):
        if verb == "delete" and key.startswith(keys.PACKS) and failures:
            raise failures.pop()

    bucket.before = fail
    assert len(removes(bucket)) == 3
    assert timedelta(0) < bucket.now - begun < timedelta(minutes=1)


def test_an_error_of_a_late_request_starts_over(bucket, tmp_path):
    """S3's refusal of a request that was on its way while the computer slept is no failure."""
    send(write(tmp_path / "tree", {"a": "x"}), bucket)
    bucket.pass_days(2)

    def late(verb, key):
        if verb == "delete" and key.startswith(keys.PACKS):
            bucket.before = lambda *_: None
            bucket.now += timedelta(hours=2)
            raise CredentialsError("The difference between the times is too large.")

    bucket.before = late
    assert len(removes(bucket)) == 1


def test_a_refusal_ends_it_at_once(bucket, tmp_path):
    """An error that does not pass is raised as it is."""
    send(write(tmp_path / "tree", {"a": "x"}), bucket)
    bucket.pass_days(2)
    tried = []

    def deny(verb, key):
        if verb == "delete" and key.startswith(keys.PACKS):
            tried.append(key)
            raise AccessDeniedError("denied", "s3:DeleteObject")

    bucket.before = deny
    with pytest.raises(AccessDeniedError):
        removes(bucket)
    assert len(tried) == 1


AGENTS = {name: digit * 64 for name, digit in zip(("used", "over", "unused"), "abc", strict=True)}


@pytest.fixture
def agents(bucket, build):
    """Store three agents: one of a run that goes on, one of a run that is over, one of none."""
    for digest in AGENTS.values():
        bucket.put(keys.agent(digest), b"zip")
    build("going", {"a": "x"}, agent=AGENTS["used"])
    build("over", {"a": "x"}, agent=AGENTS["over"])


def removed_agents(bucket, older_than=None):
    gone = removes(bucket, {"over"}, older_than)
    return {name for name, digest in AGENTS.items() if keys.agent(digest) in gone}


@pytest.mark.usefixtures("agents")
def test_agents_that_no_run_needs_go(bucket):
    """An agent goes when no run in the bucket names it, a day after who needs it renews it."""
    bucket.pass_days(15.9)
    assert removed_agents(bucket) == set()
    bucket.pass_days(0.2)
    assert removed_agents(bucket) == {"unused"}
    assert removed_agents(bucket, timedelta(1)) == {"over"}


@pytest.mark.usefixtures("agents")
def test_agents_stay_where_nobody_can_tell_who_needs_them(bucket):
    """A run that may go on and whose record cannot be read may need any of them."""
    bucket.put(keys.run_record(named("going")), b"{")
    bucket.pass_days(20)
    assert removed_agents(bucket) == set()


def test_runs_that_may_go_on_are_told_of(bucket, build):
    """What an age spares because its job may go on is counted; younger runs are not."""
    for name in ("one", "two", "over"):
        build(name, {"a": "x"})
    bucket.pass_days(3)
    build("young", {"a": "x"})
    found, planned = inventory(bucket), plan(bucket, {"over"}, timedelta(days=2))
    text = told(lambda ui: storage_report.show_plan(planned, found, bucket.url, ui))
    assert "Left alone, as their jobs go on, or may: 2 runs." in text
    text = told(lambda ui: storage_report.show_plan(plan(bucket), found, bucket.url, ui))
    assert "jobs go on" not in text


def test_usage_names_jobs(bucket, build):
    """By its job's id a run can be attached to from anywhere; one that has none says so."""
    build("one", {"a": "x"}, job_id="5e2f-job")
    build("two", {"a": "x"})
    usage = storage_report.usage(inventory(bucket), bucket.url)
    assert [run.job_id for run in usage.runs] == ["5e2f-job", None]
    lines = told(lambda ui: storage_report.show(usage, ui)).splitlines()
    assert [line.split()[-1] for line in lines if "-20261123T" in line] == ["5e2f-job", "(unknown)"]


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
    assert run_ends.ends(inventory(bucket), batch).ids == {named("ended")}
    bucket.pass_days(8)
    over = {named(name) for name in ("ended", "forgotten", "never")}
    assert run_ends.ends(inventory(bucket), batch).ids == over


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
    by_run = {run.id.partition("-")[0]: run for run in usage.runs}
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
        *("bucket", "taken", "total", "packs", "unreferenced", "agents", "foreign", "runs"),
        "users",
    }
    assert set(found["total"]) == {"objects", "bytes"}
    assert set(found["runs"][0]) == {
        *("id", "user", "pathogen", "created", "age_seconds", "own", "packs_bytes", "alone_bytes"),
        *("missing_packs", "problem", "job_id"),
    }
    assert set(found["users"][0]) == {"user", "runs", "own", "packs_bytes", "alone_bytes"}


def test_usage_of_a_run_without_a_record(bucket, build):
    """A run whose record is gone or damaged is listed, as nobody's."""
    build("one", {"a": "x"})
    bucket.put(keys.run_record(named("one")), b"{")
    text = told(lambda ui: storage_report.show(
        storage_report.usage(inventory(bucket), bucket.url), ui))  # fmt: skip
    assert "(unknown)" in text


def test_the_plan_is_told(bucket, build, tmp_path):
    """What will go is told with names, ages and sizes, and what is left alone, too."""
    build("one", {"a": "x"}, env=True)
    bucket.pass_days(5)
    send(write(tmp_path / "tree", {"b": "y"}), bucket)
    found = inventory(bucket)
    planned = prune.plan(found, frozenset({named("one")}), timedelta(days=3))
    text = told(lambda ui: storage_report.show_plan(planned, found, bucket.url, ui))
    assert f"run {named('one')} of ada, 5 d old" in text
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
