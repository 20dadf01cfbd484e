"""What instances run first, executed with stand-ins for the commands that it runs."""

import email
import shutil
import subprocess

import pytest

from nextstrain_batch.account.userdata import multipart

REAL = ("sh", "awk", "cat", "cp", "grep", "timeout")
FAKES = {
    "iptables": 'exit "$(cat iptables-status)"',
    "ip6tables": "",
    "mkdir": "",
    "lsblk": 'case "$1" in --nodeps) cat disks ;; *) cat arrays ;; esac',
    "mountpoint": "exit 1",
    "mkfs.xfs": 'echo "$2" >> formatted',
    "mount": 'grep --quiet "^$3\\$" formatted',
    "mdadm": """case "$1" in
  --assemble) [ -s remaining ] && cat remaining > arrays ;;
  --create) [ -e cannot-create ] && exit 1; echo "$2 raid0" > arrays ;;
esac""",
    "dnf": "[ -e mdadm-package ] && cp mdadm-package bin/mdadm",
}
"""What each command does besides being noted; its directory has what it knows."""
ONE = "nvme1n1 Amazon EC2 NVMe Instance Storage\n"
TWO = f"nvme0n1 Amazon Elastic Block Store\n{ONE}nvme2n1 Amazon EC2 NVMe Instance Storage\n"
ARRAY = "--create /dev/md0 --run --level=0 --raid-devices=2 /dev/nvme1n1 /dev/nvme2n1"


class Instance:
    """A machine on which parts of user data are run."""

    def __init__(self, directory, **options):
        self.directory = directory
        (directory / "bin").mkdir()
        for name in REAL:
            (directory / "bin" / name).symlink_to(shutil.which(name))
        for name, body in FAKES.items():
            self.command(directory / "bin" / name, name, body)
        files = {"disks": "", "arrays": "", "formatted": "", "iptables-status": "0", **options}
        for name, text in files.items():
            (directory / name).write_text(text)

    def command(self, path, name, body):
        path.write_text(f'#!/bin/sh\necho "{name} $*" >> log\n{body}\n')
        path.chmod(0o755)

    def boot(self, **choices):
        """Run all parts, one after the other, as cloud-init does; return their exit codes."""
        (self.directory / "log").write_text("")
        return [self.run(script) for script in scripts(**choices)]

    def run(self, script):
        environment = {"PATH": str(self.directory / "bin")}
        shell = self.directory / "bin" / "sh"
        done = subprocess.run(
            [shell, "-c", script], cwd=self.directory, env=environment, timeout=30, check=False
        )
        return done.returncode

    def did(self, name):
        lines = (self.directory / "log").read_text().splitlines()
        return [line.partition(" ")[2] for line in lines if line.partition(" ")[0] == name]

    @property
    def order(self):
        return [line.split()[0] for line in (self.directory / "log").read_text().splitlines()]

    @property
    def mounted(self):
        """What the last attempt to mount was about."""
        return self.did("mount")[-1].split()[-2]


def scripts(**choices):
    """Return the parts' scripts."""
    choices = {"local_nvme": True, "block_metadata": True, **choices}
    message = email.message_from_string(multipart(**choices))
    assert {part.get_content_type() for part in message.get_payload()} == {"text/cloud-boothook"}
    return [part.get_payload() for part in message.get_payload()]


@pytest.fixture
def instance(tmp_path):
    return lambda **options: Instance(
        tmp_path, **{k.replace("_", "-"): v for k, v in options.items()}
    )


@pytest.mark.parametrize("shell", [("sh",), ("bash", "--posix")], ids=" ".join)
def test_every_part_is_a_shell_script(shell):
    """Any POSIX shell can read it, and its first line names one."""
    found = scripts()
    assert len(found) == 2
    for script in found:
        assert script.startswith("#!/bin/sh\n")
        subprocess.run([*shell, "-n"], input=script, text=True, check=True)


def test_the_metadata_door_is_closed_whatever_becomes_of_the_disks(instance):
    """It comes first, in a part of its own; that a disk cannot be used does not reach it."""
    machine = instance(disks=TWO, cannot_create="", formatted="nothing\n")
    machine.command(machine.directory / "bin" / "mkfs.xfs", "mkfs.xfs", "exit 1")
    assert machine.boot() == [0, 1]
    assert machine.order[:2] == ["iptables", "ip6tables"]
    assert "--destination 169.254.169.254 " in machine.did("iptables")[0]
    assert "--destination fd00:ec2::254 " in machine.did("ip6tables")[0]


def test_the_disks_are_used_whatever_becomes_of_the_metadata_door(instance):
    """Neither part stops the other."""
    machine = instance(disks=ONE, iptables_status="1")
    assert machine.boot() == [1, 0]
    assert machine.mounted == "/dev/nvme1n1"


def test_without_local_disks_nothing_is_mounted(instance):
    """Docker's files stay on the instance's EBS volume."""
    machine = instance(disks="nvme0n1 Amazon Elastic Block Store\n")
    assert machine.boot(block_metadata=False) == [0]
    assert machine.order == ["lsblk"]


def test_a_disk_is_formatted_once(instance):
    """After a reboot it is mounted with what it holds; a single disk does not need mdadm."""
    machine = instance(disks=ONE)
    assert machine.boot(block_metadata=False) == [0]
    assert machine.did("mkfs.xfs") == ["-f /dev/nvme1n1"]
    assert machine.boot(block_metadata=False) == [0]
    assert machine.did("mkfs.xfs") == []
    assert machine.mounted == "/dev/nvme1n1"
    assert machine.did("mdadm") == machine.did("dnf") == []


def test_several_disks_become_one(instance):
    """They are joined where mdadm is there, and nothing is installed."""
    machine = instance(disks=TWO)
    assert machine.boot(block_metadata=False) == [0]
    assert machine.did("mdadm")[-1] == ARRAY
    assert (machine.did("mkfs.xfs"), machine.mounted) == (["-f /dev/md0"], "/dev/md0")
    assert machine.did("dnf") == []


def take_mdadm_away(machine, *, package):
    """Leave it out of the image, and in the repository only as a *package*."""
    mdadm = machine.directory / "bin" / "mdadm"
    if package:
        shutil.copy(mdadm, machine.directory / "mdadm-package")
    mdadm.unlink()


def test_mdadm_is_installed_where_it_is_missing(instance):
    """Images of Amazon Linux 2023 may lack it."""
    machine = instance(disks=TWO)
    take_mdadm_away(machine, package=True)
    assert machine.boot(block_metadata=False) == [0]
    assert machine.did("dnf") == ["--assumeyes --quiet install mdadm"]
    assert (machine.did("mdadm")[-1], machine.mounted) == (ARRAY, "/dev/md0")


def test_one_disk_is_used_where_they_cannot_be_joined(instance):
    """Neither an mdadm that cannot be had nor one that fails leaves jobs without a local disk."""
    machine = instance(disks=TWO, cannot_create="")
    assert machine.boot(block_metadata=False) == [0]
    assert (machine.did("mkfs.xfs"), machine.mounted) == (["-f /dev/nvme1n1"], "/dev/nvme1n1")
    take_mdadm_away(machine, package=False)
    assert machine.boot(block_metadata=False) == [0]
    assert machine.did("dnf")
    assert machine.mounted == "/dev/nvme1n1"


@pytest.mark.parametrize("state", ["arrays", "remaining"])
def test_an_array_that_remains_is_used(instance, state):
    """After a reboot, whether the system has assembled it or not, with the files on it."""
    machine = instance(disks=TWO, formatted="/dev/md127\n", **{state: "/dev/md127 raid0\n"})
    assert machine.boot(block_metadata=False) == [0]
    assert machine.mounted == "/dev/md127"
    assert machine.did("mkfs.xfs") == []
    assert not any("--create" in each for each in machine.did("mdadm"))
