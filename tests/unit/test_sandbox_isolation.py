"""What jobs see of the host."""

import os
from pathlib import Path

import pytest

from nextstrain_batch.sandbox.isolation import Host, visible


def host(home, *path, prefixes=()):
    return Host(tuple(map(str, path)), home, Path("/usr/bin/python3"), prefixes)


def test_the_home_is_never_shown(tmp_path):
    """Neither the home nor what lies above it, even where PATH names them."""
    home = tmp_path / "user"
    (home / "bin").mkdir(parents=True)
    (home / "secret").touch()
    found = visible(host(home, home / "bin", home, tmp_path, prefixes=(home,)))
    assert found == [home / "bin"]


@pytest.mark.parametrize(
    ("entry", "mark"), [("bin", "conda-meta/"), ("bin", "pyvenv.cfg"), ("shims", "versions/")]
)
def test_environments_inside_the_home_are_shown_whole(tmp_path, entry, mark):
    """Those of conda and venv, and what version managers have installed: programs, all of it."""
    home = tmp_path / "user"
    (home / "tools" / entry).mkdir(parents=True)
    if mark.endswith("/"):
        (home / "tools" / mark).mkdir()
    else:
        (home / "tools" / mark).touch()
    assert home / "tools" in visible(host(home, home / "tools" / entry))


def test_the_running_python_is_shown_whole(tmp_path):
    """Wherever it was installed."""
    home = tmp_path / "user"
    (home / "python" / "bin").mkdir(parents=True)
    found = visible(host(home, home / "python" / "bin", prefixes=(home / "python",)))
    assert found[0] == home / "python"


def test_of_other_tools_in_the_home_no_settings_are_shown(tmp_path):
    """``~/.cargo`` and ``~/.docker`` have credentials beside the programs."""
    home = tmp_path / "user"
    for name in ("bin", "lib", "libexec", "share", "registry"):
        (home / ".cargo" / name).mkdir(parents=True)
    (home / ".cargo" / "credentials.toml").touch()
    found = visible(host(home, home / ".cargo" / "bin"))
    assert found == [home / ".cargo" / name for name in ("bin", "lib", "libexec", "share")]


def test_links_do_not_show_more_of_the_home(tmp_path):
    """Neither one outside that leads into it, nor a home that is one itself."""
    real, home, outside = tmp_path / "real", tmp_path / "user", tmp_path / "tools"
    for name in (".cargo/bin", ".local/bin", ".local/share/keyrings", "bin", "share"):
        (real / name).mkdir(parents=True)
    home.symlink_to(real)
    outside.symlink_to(real / ".cargo")
    entries = [home / ".cargo" / "bin", outside / "bin", home / ".local" / "bin", home / "bin"]
    found = {path.resolve() for path in visible(host(home, *entries))}
    assert found == {real / ".cargo" / "bin", real / ".local" / "bin", real / "bin"}


def test_installations_outside_the_home_are_shown_whole(tmp_path):
    """A program needs the libraries beside it."""
    (tmp_path / "tools" / "bin").mkdir(parents=True)
    found = visible(host(tmp_path / "user", tmp_path / "tools" / "bin"))
    assert found == [tmp_path / "tools", tmp_path / "tools" / "bin"]


@pytest.mark.skipif(os.geteuid() == 0, reason="root may enter any directory")
def test_what_the_user_may_not_enter_is_left_out(tmp_path):
    """PATH may name directories of somebody else's, as after ``su``."""
    closed = tmp_path / "other"
    (closed / "bin").mkdir(parents=True)
    closed.chmod(0)
    found = visible(host(tmp_path / "user", closed / "bin", prefixes=(closed,)))
    closed.chmod(0o700)
    assert found == []


def test_a_name_that_no_file_system_takes_is_left_out(tmp_path):
    """The same for an entry of PATH that cannot be looked up."""
    assert visible(host(tmp_path / "user", Path("/", "x" * 300))) == []


@pytest.mark.parametrize("named", ["/tmp", "/tmp/bin"])
def test_the_jobs_own_directories_stay_its_own(named):
    """Where PATH names ``/tmp`` or a ``bin`` in it, jobs see the latter at most."""
    home = Path("/home/somebody")  # Below /tmp, it would itself keep that from being shown.
    assert Path("/tmp") not in visible(host(home, Path(named)))


def test_of_local_only_programs_are_shown(tmp_path):
    """``~/.local`` also holds keyrings and mail."""
    home = tmp_path / "user"
    for name in ("bin", "lib", "share/keyrings"):
        (home / ".local" / name).mkdir(parents=True)
    found = visible(host(home, home / ".local" / "bin"))
    assert found == [home / ".local" / "bin", home / ".local" / "lib"]


def test_the_path_begins_with_the_running_python_and_ends_with_the_system(tmp_path):
    """Jobs find what the user finds, whatever else is missing from PATH."""
    found = Host.of("/opt/tools/bin:relative::/usr/bin", tmp_path).path
    assert found[1:] == ("/opt/tools/bin", "/usr/bin", "/usr/local/bin", "/bin")
