"""The agent as a file."""

import io
import os
import subprocess
import sys
import zipfile

import pytest

from memory_transport import MemoryTransport
from nextstrain_batch.agent import bundle
from nextstrain_batch.store import keys, pins


@pytest.fixture(scope="module")
def data():
    return bundle.build()


@pytest.fixture(scope="module")
def archive(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        yield archive


@pytest.fixture
def sources(tmp_path):
    """Sources that are quick to build: an entry, what it imports and something else."""
    texts = {
        "nextstrain_batch/__init__.py": "",
        "nextstrain_batch/agent/__init__.py": "",
        "nextstrain_batch/agent/__main__.py": "from nextstrain_batch import needed\n",
        "nextstrain_batch/needed.py": (
            "from typing import TYPE_CHECKING\n"
            "if TYPE_CHECKING:\n    from . import for_types\n"
            "else:\n    from . import relative\n"
            "def later():\n    import nextstrain_batch.inside\n"
        ),
        "nextstrain_batch/inside/__init__.py": "from .module import name\n",
        "nextstrain_batch/inside/module.py": "name = 1\n",
        "nextstrain_batch/relative.py": "",
        "nextstrain_batch/for_types.py": "",
        "nextstrain_batch/cli.py": "",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    return [bundle.Source(name, tmp_path / name) for name in texts]


def names(data):
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name for name in archive.namelist() if not name.startswith("licences/")}


def test_same_sources_same_bytes(data):
    """The same modules make the same bytes, so all users share one object."""
    assert bundle.build() == data


def test_nothing_compiled(archive):
    """Nothing in it depends on a processor, an operating system or a version of Python."""
    endings = (".py", ".json", ".json.gz", ".pem")
    for name in archive.namelist():
        assert name.endswith(endings) or name.startswith("licences/"), name
        assert not archive.read(name).startswith((b"\x7fELF", b"\xcf\xfa\xed\xfe", b"MZ"))


def test_only_the_job_side_of_ours(archive):
    """What only the user's computer needs stays there."""
    own = {name for name in archive.namelist() if name.startswith("nextstrain_batch/")}
    for absent in ("cli", "config", "ui", "globs", "pathogen", "agent/bundle", "agent/bootstrap"):
        assert f"nextstrain_batch/{absent}.py" not in own
    assert not [name for name in own if name.startswith(("nextstrain_batch/commands/",))]
    assert "nextstrain_batch/agent/main.py" in own


def test_small(data):
    """Every job fetches it, so it is little more than a megabyte."""
    assert len(data) < 1_200_000


def test_imports_are_followed(sources):
    """Whatever the agent may import at run time is in it, and nothing else of ours."""
    expected = {source.name for source in sources} | {"__main__.py"}
    expected -= {"nextstrain_batch/for_types.py", "nextstrain_batch/cli.py"}
    assert names(bundle.build(sources)) == expected


def test_kept_and_found_again(tmp_path, sources):
    """Unchanged sources are not built again."""
    cache = tmp_path / "cache"
    first = bundle.ensure(cache, sources)
    [kept] = cache.iterdir()
    os.utime(kept, (1, 1))
    assert bundle.ensure(cache, sources) == first
    assert kept.stat().st_mtime == 1


def test_a_changed_source_is_noticed(tmp_path, sources):
    """A changed source file makes another agent, though its size is the same."""
    first = bundle.ensure(tmp_path / "cache", sources)
    path = sources[5].path
    path.write_text("name = 2\n")
    os.utime(path, ns=(0, path.stat().st_mtime_ns + 1))
    assert bundle.ensure(tmp_path / "cache", sources) != first


def test_a_damaged_cache_is_not_sent(tmp_path, sources):
    """A kept file that was cut off is built again."""
    first = bundle.ensure(tmp_path / "cache", sources)
    [kept] = (tmp_path / "cache").iterdir()
    kept.write_bytes(b"")
    assert bundle.ensure(tmp_path / "cache", sources) == first
    assert kept.read_bytes() == first.data


def test_a_cache_that_cannot_be_read_is_done_without(tmp_path, sources):
    """What another user has put there, or a second build has tidied away meanwhile."""
    first = bundle.ensure(tmp_path / "cache", sources)
    [kept] = (tmp_path / "cache").iterdir()
    kept.unlink()
    kept.symlink_to("gone")
    assert bundle.ensure(tmp_path / "cache", sources) == first


def test_cache_stays_small(tmp_path, sources):
    """Old agents are removed from the cache."""
    for number in range(8):
        sources[0].path.write_text("#" * number)
        bundle.ensure(tmp_path / "cache", sources)
    assert len(list((tmp_path / "cache").iterdir())) == bundle.KEPT_IN_CACHE


def test_without_a_cache(tmp_path, sources):
    """A cache that cannot be written is done without."""
    (tmp_path / "file").write_text("")
    assert bundle.ensure(tmp_path / "file" / "cache", sources).data == bundle.build(sources)


def test_sent_once_and_kept_alive():
    """The agent is sent unless it is there, and renewed when half of its life is over."""
    transport = MemoryTransport()
    agent = bundle.Bundle("d" * 64, b"data")
    key = keys.agent(agent.digest)
    assert bundle.publish(agent, transport, transport.clock)
    transport.pass_days(14)
    assert not bundle.publish(agent, transport, transport.clock)
    assert transport.counted() == {"list": 2, "put": 1}
    transport.pass_days(2)
    assert not bundle.publish(agent, transport, transport.clock)
    assert transport.modified[key] == transport.now
    assert transport.counted() == {"list": 3, "renew": 1}


def test_an_old_one_is_kept_from_a_pruning():
    """One that a pruning may have listed before it was renewed is sent again if it was removed."""
    transport = MemoryTransport()
    agent = bundle.Bundle("d" * 64, b"data")
    bundle.publish(agent, transport, transport.clock)
    transport.pass_days(20)
    pins.mark("0" * 16, transport)

    def pause(_seconds):
        transport.delete(keys.agent(agent.digest))
        pins.unmark("0" * 16, transport)

    assert bundle.publish(agent, transport, transport.clock, pause)
    assert keys.agent(agent.digest) in transport.objects


def test_one_that_expires_just_now_is_sent_again():
    """An agent that is gone between listing and renewal is no error."""
    transport = MemoryTransport()
    agent = bundle.Bundle("d" * 64, b"data")
    bundle.publish(agent, transport, transport.clock)
    transport.pass_days(29.9)

    def expire(verb, _key):
        if verb == "renew":
            transport.expire(29)

    transport.before = expire
    assert bundle.publish(agent, transport, transport.clock)
    assert keys.agent(agent.digest) in transport.objects


def test_light_to_import():
    """Importing the client's part of it loads nothing of what it packs."""
    code = (
        "import sys, nextstrain_batch.agent.bundle, nextstrain_batch.agent.bootstrap;"
        "print({'botocore', 'urllib3', 'importlib.metadata'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"
