"""The sandbox's settings and images, as files that commands change."""

import math

import pytest

from nextstrain_batch.errors import SandboxError
from nextstrain_batch.sandbox import adjust, settings
from nextstrain_batch.sandbox.images import HOST, Image, Images
from nextstrain_batch.sandbox.quota import Quota
from nextstrain_batch.sandbox.settings import Settings


def test_settings_are_kept(tmp_path):
    """What was set is found again, by its name with either kind of dash."""
    adjust.change(tmp_path, {"instance-start": "90", "memory_limits": "off"})
    found = adjust.change(tmp_path, {"instances": "inf"})
    assert (found["instance_start"], found["memory_limits"]) == (90.0, False)
    assert adjust.change(tmp_path, {}) == found


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"nothing": "1"}, "no setting nothing"),
        ({"log-delay": "-1"}, "not negative"),
        ({"log-delay": "soon"}, "a number"),
        ({"memory-limits": "3"}, "on or off"),
    ],
)
def test_a_wrong_setting_changes_nothing(tmp_path, change, says):
    """The error names it, and a good one beside it is not taken either."""
    with pytest.raises(SandboxError, match=says):
        adjust.change(tmp_path, {"instance-start": "90", **change})
    assert adjust.change(tmp_path, {})["instance_start"] == 0


def test_settings_of_another_version_are_left_out(tmp_path):
    """A file with a setting that this version does not have is read all the same."""
    path = tmp_path / "settings.json"
    path.write_text('{"log_delay": 3, "unheard_of": 4}')
    assert settings.load(path) == Settings(log_delay=3)


@pytest.fixture
def images(tmp_path):
    return Images(tmp_path / "images.json")


@pytest.mark.parametrize(
    "name", ["nextstrain/base", "nextstrain/base:latest", "docker.io/nextstrain/base:build-1"]
)
def test_the_default_image_is_there_with_any_tag(images, name):
    """It stands for the host's programs."""
    assert images.find(name) == Image(None)


def test_a_tag_goes_before_the_name_alone(images, tmp_path):
    """A name without a tag is for all tags that are not named."""
    for name in ("new", "old"):
        (tmp_path / name).mkdir()
    images.add("python", str(tmp_path / "new"))
    images.add("python:3.8", str(tmp_path / "old"))
    assert images.find("library/python:3.12").directory == tmp_path / "new"
    assert images.find("python:3.8").directory == tmp_path / "old"
    assert images.find("other") is None


def test_images_are_forgotten(images):
    """The default one, too; naming it again brings it back."""
    images.remove("nextstrain/base")
    assert images.find("nextstrain/base") is None
    images.add("nextstrain/base", HOST)
    assert images.find("nextstrain/base:latest") == Image(None)
    with pytest.raises(SandboxError, match="no image other"):
        images.remove("other")


def test_an_image_is_a_directory(images, tmp_path):
    """Anything else is an error that says so."""
    with pytest.raises(SandboxError, match="no directory"):
        images.add("x", str(tmp_path / "missing"))


def test_a_registry_with_a_port_is_no_tag(images):
    """The colon of a port is told from that of a tag."""
    images.add("localhost:5000/x", HOST)
    assert images.find("localhost:5000/x:1") == Image(None)


def test_a_quota_refills():
    """A second's worth at once, then as many a second as it says; regions have their own."""
    now = [0.0]
    quota = Quota(lambda: 2.0, lambda: now[0])
    assert [quota.allows("a") for _ in range(3)] == [True, True, False]
    assert quota.allows("b")
    now[0] = 0.5
    assert [quota.allows("a") for _ in range(2)] == [True, False]


def test_no_quota_is_no_limit():
    """Infinity lets everything through."""
    quota = Quota(lambda: math.inf, lambda: 0.0)
    assert all(quota.allows("a") for _ in range(1000))
