"""What instances run when they start, before any job: a closed metadata door, and local disks."""

from __future__ import annotations

# AWS Batch adds parts of its own, so it takes user data only in this form. cloud-init runs each
# part, in order, whatever became of the one before.
_HEAD = """\
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="==NEXTSTRAIN=="
"""
_PART = """
--==NEXTSTRAIN==
Content-Type: text/cloud-boothook; charset="us-ascii"

#!/bin/sh
# Before Docker and the ECS agent start, at every boot.
set -eu
"""
_TAIL = """
--==NEXTSTRAIN==--
"""

# AWS Batch runs jobs in the host's network, where a hop limit on the metadata service changes
# nothing. Root needs it (the ECS agent is root); what the stock image runs is not root.
_METADATA = """
for tables in iptables ip6tables; do
  address=169.254.169.254
  [ "$tables" = iptables ] || address=fd00:ec2::254
  "$tables" --wait --insert OUTPUT --destination "$address" \\
    --match owner ! --uid-owner 0 --jump REJECT
done
"""

# Several disks become one; without any, the instance works with its EBS volume as usual. Images of
# Amazon Linux 2023 may lack mdadm: without it, one disk is used. After a reboot, the disks still
# have their array, perhaps assembled already and under another name, and their files.
_NVME = """
array() {
  lsblk --list --noheadings --paths --output NAME,TYPE $disks | awk '$2 ~ /^raid/ {print $1; exit}'
}
join() {
  command -v mdadm || timeout 180 dnf --assumeyes --quiet install mdadm || return
  mdadm --assemble --scan || true
  [ -n "$(array)" ] || mdadm --create /dev/md0 --run --level=0 --raid-devices="$#" "$@"
}

disks=$(lsblk --nodeps --noheadings --output NAME,MODEL \\
  | awk '/Instance Storage/ {print "/dev/" $1}')
if [ -n "$disks" ] && ! mountpoint --quiet /var/lib/docker; then
  set -- $disks
  device=$1
  if [ "$#" -gt 1 ]; then
    [ -n "$(array)" ] || join "$@" || echo "the disks cannot be joined: using $device alone"
    whole=$(array)
    device=${whole:-$device}
  fi
  mkdir --parents /var/lib/docker
  if ! mount --types xfs "$device" /var/lib/docker; then
    mkfs.xfs -f "$device"
    mount --types xfs "$device" /var/lib/docker
  fi
fi
"""


def multipart(*, local_nvme: bool, block_metadata: bool) -> str | None:
    """Return the user data as text, or None where nothing has to run."""
    scripts = [_METADATA] * block_metadata + [_NVME] * local_nvme
    return "".join([_HEAD, *(_PART + each for each in scripts), _TAIL]) if scripts else None
