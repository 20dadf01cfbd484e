"""What setup asks on a terminal."""

from dataclasses import dataclass, field, replace

import pytest

from nextstrain_batch.account.place import Difference, Found
from nextstrain_batch.account.plan import Action, Plan, Step
from nextstrain_batch.account.resources import JobQueue, LogGroup, Policy
from nextstrain_batch.commands.setup_questions import Questions

NEW = Step(Action.MAKE, JobQueue("queue", ("here",)))
LACKS = (Difference("events expire", "never", "after 30 days"),)
THEIRS = Step(Action.CHANGE, LogGroup("/aws/batch/job", 30), Found(ours=False, differences=LACKS))
OURS = Step(Action.CHANGE, LogGroup("/aws/batch/job", 30), Found(ours=True, differences=LACKS))

SHARED = Step(
    Action.CHANGE,
    Policy("access", "{}", "read and write the bucket"),
    Found(ours=True, differences=LACKS, serves="the bucket first-jobs"),
)


@dataclass
class Person:
    """Types what was scripted, and remembers what was asked and told."""

    answers: list
    asked: list = field(default_factory=list)
    told: list = field(default_factory=list)

    def ask(self, prompt):
        self.asked.append(prompt)
        return self.answers.pop(0)

    def questions(self):
        return Questions(self.ask, self.told.append)


def test_return_takes_good_defaults():
    """A bare Return to each question gives a set-up that works."""
    person = Person(["", "", "", "", ""])
    found = person.questions().choices({}, bucket=None, account="123456789012")
    assert found == {
        "bucket": "nextstrain-jobs-123456789012",
        "max_vcpus": 256,
        "spot": False,
        "disk_gib": 100,
        "new_vpc": False,
    }


def test_an_answer_that_makes_no_sense_is_asked_for_again():
    """A mistake is named and the question repeated."""
    person = Person(["No Bucket", "our-jobs", "many", "64", "yes", "3", "200", "y"])
    found = person.questions().choices({}, bucket=None, account="1")
    wanted = {"bucket": "our-jobs", "max_vcpus": 64, "spot": True, "disk_gib": 200}
    assert found == wanted | {"new_vpc": True}
    assert len([line for line in person.told if line.startswith("  ")]) == 3


@pytest.mark.parametrize(
    "network", [{"new_vpc": True}, {"vpc": "vpc-1"}, {"subnets": ("subnet-1",)}]
)
def test_what_was_chosen_is_not_asked(network):
    """Options leave fewer questions; any network that was named is one."""
    known = {"bucket": "b-1", "max_vcpus": 8, "spot": False, "disk_gib": None, **network}
    person = Person([])
    assert person.questions().choices(known, bucket=None, account="1") == known


def test_without_consent_nothing_is_done():
    """Anything but yes is no."""
    assert Person(["maybe"]).questions().consent(Plan((NEW,)), removes=False) is None


def test_what_is_not_ours_is_asked_about_by_name():
    """What somebody else made is changed only after a question of its own; the rest is done."""
    plan = Plan((NEW, THEIRS))
    person = Person(["n", "y"])
    assert person.questions().consent(plan, removes=False) == Plan((NEW,))
    assert "/aws/batch/job" in person.told[0]
    assert Person(["y", "y"]).questions().consent(plan, removes=False) == plan


def test_what_another_set_up_would_lose_is_asked_about_by_itself():
    """Also where this command made it: the question tells what breaks and how to do without."""
    plan = Plan((NEW, SHARED))
    person = Person(["n", "y"])
    assert person.questions().consent(plan, removes=False) == Plan((NEW,))
    (told,) = person.told
    assert "policy access" in told
    assert "users of a set-up for the bucket first-jobs can no longer use it" in told
    assert "[names]" in told
    assert Person(["y", "y"]).questions().consent(plan, removes=False) == plan
    other = replace(SHARED, found=replace(SHARED.found, ours=False))
    assert Person(["y", "y"]).questions().consent(Plan((other,)), removes=False) == Plan((other,))


def test_what_is_ours_is_changed_with_one_yes():
    """What this command made needs no further question."""
    assert Person(["y"]).questions().consent(Plan((OURS,)), removes=False) == Plan((OURS,))


def test_nothing_left_to_do_asks_no_more():
    """When all there was to do is declined, there is no second question."""
    assert Person(["n"]).questions().consent(Plan((THEIRS,)), removes=False) is None


def test_removing_takes_a_word():
    """A reflex does not remove an account."""
    plan = Plan((Step(Action.REMOVE, JobQueue("queue", ()), Found(ours=True)),))
    assert Person(["y"]).questions().consent(plan, removes=True) is None
    assert Person(["remove"]).questions().consent(plan, removes=True) == plan
