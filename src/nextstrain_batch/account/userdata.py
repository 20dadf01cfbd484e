"""What instances run when they start, before any job: local disks, and a closed metadata door."""

from __future__ import annotations

# AWS Batch adds parts of its own, so it takes user data only in this form.
_HEAD = """\
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="==NEXTSTRAIN=="

--==NEXTSTRAIN==
Content-Type: text/cloud-boothook; charset="us-ascii"

#!/bin/bash
# Before Docker and the ECS agent start, at every boot.
set -eu
"""
_TAIL = """
--==NEXTSTRAIN==--
"""

# Several disks become one; without any, the instance works with its EBS volume as usual.
_NVME = """
disks=$(lsblk --nodeps --noheadings --output NAME,MODEL \\
  | awk '/Instance Storage/ {print "/dev/" $1}')
if [ -n "$disks" ] && ! mountpoint --quiet /var/lib/docker; then
  count=$(echo "$disks" | wc --lines)
  device=$disks
  if [ "$count" -gt 1 ]; then
    device=/dev/md0
    mdadm --create "$device" --level=0 --raid-devices="$count" $disks
  fi
  mkfs.xfs -f "$device"
  mkdir --parents /var/lib/docker
  mount "$device" /var/lib/docker
fi
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


def multipart(*, local_nvme: bool, block_metadata: bool) -> str | None:
    """Return the user data as text, or None where nothing has to run."""
    parts = [_NVME] * local_nvme + [_METADATA] * block_metadata
    return "".join([_HEAD, *parts, _TAIL]) if parts else None
