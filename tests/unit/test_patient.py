"""A bucket that answers only now and then, and what is made of that."""

import threading
from collections import defaultdict

import pytest

from memory_transport import MemoryTransport
from nextstrain_batch.aws_errors import BusyError
from nextstrain_batch.errors import AccessDeniedError, MissingObjectError, UnreachableError
from nextstrain_batch.store import parallel
from nextstrain_batch.store.patient import Patient

GONE = UnreachableError("Cannot read x: there is no network.\n\nIs it plugged in?")
BEGUN = "Cannot read x: there is no network. Trying again for up to 10 minutes."
OVER = "The bucket answers again."


class Place:
    """A bucket with something in it, seen patiently; nobody really waits."""

    def __init__(self, **options):
        self.failures = []
        self.slept = []
        self.told = []
        self.bucket = MemoryTransport(before=self._before)
        self.patient = Patient(
            self.bucket,
            self.told.append,
            clock=lambda: sum(self.slept),
            sleep=self.slept.append,
            **options,
        )
        for name in "abcde":
            self.bucket.put(f"some/{name}", name.encode())
        self.patient.get("some/a")

    def _before(self, _verb, _key):
        if self.failures:
            raise self.failures.pop(0)


@pytest.fixture
def place():
    return Place()


REQUESTS = {
    "get": lambda bucket: bucket.get("some/b"),
    "part": lambda bucket: bucket.get("some/b", -1, 1),
    "put": lambda bucket: bucket.put("some/f", b"f"),
    "put new": lambda bucket: bucket.put("some/f", b"f", if_absent=True),
    "put old": lambda bucket: bucket.put("some/a", b"f", if_absent=True),
    "list": lambda bucket: [each.key for each in bucket.list("some/")],
    "list nothing": lambda bucket: list(bucket.list("other/")),
    "renew": lambda bucket: bucket.renew("some/a"),
}


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
@pytest.mark.parametrize("error", [GONE, BusyError("Cannot read x: there is no network.")])
def test_trouble_is_ridden_out(place, request_, error):
    """Each request has the answer in the end that it has without trouble."""
    expected = request_(Place().bucket)
    place.failures += [error] * 7
    assert request_(place.patient) == expected
    assert place.slept == [1, 2, 4, 8, 16, 30, 30]
    assert place.told == [BEGUN, OVER]


@pytest.mark.parametrize("request_", REQUESTS.values(), ids=REQUESTS)
def test_no_trouble(place, request_):
    """Where all is well, nobody waits, and nothing is told."""
    assert request_(place.patient) == request_(Place().bucket)
    assert (place.slept, place.told) == ([], [])
    assert place.patient.url == place.bucket.url


def test_what_never_worked_is_told_at_once():
    """A bucket that has not answered yet may not be there at all."""
    failures = [GONE]

    def before(_verb, _key):
        if failures:
            raise failures.pop()

    patient = Patient(MemoryTransport(before=before), print, sleep=pytest.fail)
    with pytest.raises(UnreachableError) as raised:
        patient.get("x")
    assert raised.value is GONE
    with pytest.raises(MissingObjectError):
        patient.get("x")


def test_an_empty_listing_is_an_answer():
    """A bucket that says that it holds nothing works."""
    slept, failures = [], []

    def before(_verb, _key):
        if failures:
            raise failures.pop()

    patient = Patient(MemoryTransport(before=before), print, sleep=slept.append)
    assert not list(patient.list(""))
    failures.append(GONE)
    assert not list(patient.list(""))
    assert slept == [1]


def test_lasting_trouble_is_told(place):
    """After ten minutes it is given up, and what was wrong is still said."""
    place.failures += [GONE] * 1000
    with pytest.raises(UnreachableError, match="lasted for 10 minutes") as raised:
        place.patient.get("some/a")
    assert "Is it plugged in?" in str(raised.value)
    assert 600 <= sum(place.slept) < 630
    assert place.told == [BEGUN]


def test_each_request_has_its_own_patience(place):
    """What failed for nine minutes and passed leaves the next one its ten."""
    for _ in range(3):
        place.failures += [GONE] * 22
        assert place.patient.get("some/a") == b"a"
    assert sum(place.slept) > 1500
    assert place.told == [BEGUN, OVER] * 3


def test_other_errors_pass_through(place):
    """What does not pass by itself is not waited for, even amid trouble."""
    place.failures += [GONE, AccessDeniedError("You may not.")]
    with pytest.raises(AccessDeniedError):
        place.patient.get("some/a")
    assert place.slept == [1]
    assert place.told == [BEGUN]
    place.failures.append(GONE)
    assert place.patient.get("some/a") == b"a"
    assert place.told == [BEGUN, BEGUN, OVER]


def test_a_listing_goes_on_where_it_was(place):
    """A listing that breaks in the middle yields each object once, and what has come since."""

    class Breaking:
        def __init__(self, bucket, after):
            self.bucket = bucket
            self.after = list(after)

        def list(self, prefix):
            left = self.after.pop(0) if self.after else None
            for number, found in enumerate(self.bucket.list(prefix)):
                if number == left:
                    raise GONE
                yield found

    told = []
    breaking = Breaking(place.bucket, [3, 1, 4])
    patient = Patient(breaking, told.append, clock=lambda: 0, sleep=lambda _seconds: None)
    listing = patient.list("some/")
    keys = [next(listing).key, next(listing).key]
    place.bucket.put("some/c2", b"")
    keys += [each.key for each in listing]
    assert keys == [f"some/{name}" for name in ("a", "b", "c", "c2", "d", "e")]
    assert told == [BEGUN, OVER] * 2


def test_a_listing_that_always_breaks_at_the_same_place_is_given_up(place):
    """What comes again from the beginning does not count as an answer."""

    class Breaking:
        def list(self, prefix):
            yield next(place.bucket.list(prefix))
            raise GONE

    patient = Patient(
        Breaking(), place.told.append, clock=lambda: sum(place.slept), sleep=place.slept.append
    )
    with pytest.raises(UnreachableError, match="lasted for 10 minutes"):
        list(patient.list("some/"))
    assert place.told == [BEGUN]


def test_requests_in_trouble_together_are_told_of_once(place):
    """The first of them says that there is trouble, the last that it is over."""
    inner = []

    def sleep(seconds):
        if not inner:
            inner.append(seconds)
            place.failures.append(GONE)
            assert patient.get("some/b") == b"b"
            assert place.told == [BEGUN]

    patient = Patient(place.bucket, place.told.append, clock=lambda: 0, sleep=sleep)
    patient.get("some/a")
    place.failures.append(GONE)
    assert patient.get("some/a") == b"a"
    assert place.told == [BEGUN, OVER]


def test_many_requests_share_the_patience():
    """When the first of many is given up, those that begin only then are not waited for as long."""
    lock, slept = threading.Lock(), defaultdict(list)

    def before(verb, _key):
        if verb == "get":
            raise GONE

    def sleep(seconds):
        with lock:
            slept[threading.get_ident()].append(seconds)

    patient = Patient(
        MemoryTransport(before=before),
        lambda _line: None,
        has_answered=True,
        clock=lambda: sum(slept[threading.get_ident()]),
        sleep=sleep,
    )
    with pytest.raises(UnreachableError, match="lasted for 10 minutes"):
        parallel.run(patient.get, [str(number) for number in range(30)], 3)
    assert max(map(sum, slept.values())) < 700
    patient.put("x", b"")
    slept.clear()
    with pytest.raises(UnreachableError, match="lasted for 10 minutes"):
        patient.get("x")
    assert sum(slept[threading.get_ident()]) >= 600


def test_a_bucket_known_to_answer():
    """Who has spoken to the bucket already has patience from the first request on."""
    failures, slept = [GONE, GONE], []

    def before(_verb, _key):
        if failures:
            raise failures.pop()

    bucket = MemoryTransport(before=before)
    patient = Patient(bucket, lambda _line: None, has_answered=True, sleep=slept.append)
    assert patient.put("x", b"")
    assert slept == [1, 2]


def test_removing_is_not_repeated(place):
    """What cannot be removed stays, and is told at once."""
    place.failures.append(GONE)
    with pytest.raises(UnreachableError):
        place.patient.delete("some/a")
    assert place.slept == []
    asked = []
    assert place.patient.delete("some/a", may=lambda: bool(asked.append(1))) is False
    assert asked == [1]
    assert place.patient.delete("some/a")


def test_at_once(place):
    """Who does not want to wait has the bucket itself."""
    assert place.patient.at_once is place.bucket
