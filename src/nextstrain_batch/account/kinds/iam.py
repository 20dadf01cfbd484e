"""Policies, roles and the group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nextstrain_batch.account import policies
from nextstrain_batch.account.place import (
    OUR_PATH,
    TAG_LIST,
    Difference,
    Found,
    Kind,
    absent,
    differences,
    is_ours,
)
from nextstrain_batch.account.resources import Group, Policy, Role, ServiceLinkedRole

if TYPE_CHECKING:
    from nextstrain_batch.account.place import Client, Place

NOT_THERE = ("NoSuchEntity",)
DOCUMENT, TRUST, POLICIES, PROFILE = "permissions", "trust", "policies", "instance profile"


class PolicyKind(Kind[Policy]):
    """AWS keeps five versions of a policy; the oldest makes way."""

    def summary(self, wanted: Policy) -> tuple[str, ...]:
        """Return what it will be."""
        statements = policies.statements(wanted.document)
        actions = [action for each in statements for action in each["Action"]]
        return (f"to {wanted.purpose}", ", ".join(actions))

    def look(self, wanted: Policy, place: Place) -> Found | None:
        """Read its document."""
        iam, arn = place.client("iam"), place.iam_arn(f"policy/{wanted.name}")
        found = absent(NOT_THERE, lambda: iam.get_policy(PolicyArn=arn))
        if found is None:
            return None
        version = found["Policy"]["DefaultVersionId"]
        document = iam.get_policy_version(PolicyArn=arn, VersionId=version)["PolicyVersion"][
            "Document"
        ]
        good = policies.same(document, wanted.document)
        lacks = () if good else (Difference(DOCUMENT, _actions(document), _actions(wanted)),)
        tags = iam.list_policy_tags(PolicyArn=arn).get("Tags")
        return Found(is_ours(tags), lacks, serves=_serves(document, wanted))

    def make(self, wanted: Policy, place: Place) -> None:
        """Make it."""
        place.client("iam").create_policy(
            PolicyName=wanted.name,
            PolicyDocument=wanted.document,
            Description=f"Nextstrain jobs: {wanted.purpose}"[:1000],
            Tags=TAG_LIST,
        )

    def mend(self, wanted: Policy, place: Place, found: Found) -> None:  # noqa: ARG002
        """Add a version, which becomes the default one."""
        iam, arn = place.client("iam"), place.iam_arn(f"policy/{wanted.name}")
        old = _old_versions(iam, arn)
        if len(old) >= 4:
            iam.delete_policy_version(PolicyArn=arn, VersionId=old[0])
        iam.create_policy_version(PolicyArn=arn, PolicyDocument=wanted.document, SetAsDefault=True)

    def remove(self, wanted: Policy, place: Place, found: Found) -> None:  # noqa: ARG002
        """Take it from everybody who has it, and remove it."""
        iam, arn = place.client("iam"), place.iam_arn(f"policy/{wanted.name}")
        holders = iam.list_entities_for_policy(PolicyArn=arn)
        for role in holders.get("PolicyRoles", ()):
            iam.detach_role_policy(RoleName=role["RoleName"], PolicyArn=arn)
        for group in holders.get("PolicyGroups", ()):
            iam.detach_group_policy(GroupName=group["GroupName"], PolicyArn=arn)
        for user in holders.get("PolicyUsers", ()):
            iam.detach_user_policy(UserName=user["UserName"], PolicyArn=arn)
        for version in _old_versions(iam, arn):
            iam.delete_policy_version(PolicyArn=arn, VersionId=version)
        iam.delete_policy(PolicyArn=arn)


class ServiceLinkedRoleKind(Kind[ServiceLinkedRole]):
    """AWS's own: it cannot be tagged or changed, other programs may use it, and it stays."""

    def summary(self, wanted: ServiceLinkedRole) -> tuple[str, ...]:
        """Return what it will be."""
        return (f"AWS's own for {wanted.service}; one for the whole account, and it stays",)

    def look(self, wanted: ServiceLinkedRole, place: Place) -> Found | None:
        """Look whether it is there."""
        iam = place.client("iam")
        found = absent(NOT_THERE, lambda: iam.get_role(RoleName=wanted.name))
        return None if found is None else Found(ours=False)

    def make(self, wanted: ServiceLinkedRole, place: Place) -> None:
        """Ask AWS to make it."""
        place.client("iam").create_service_linked_role(AWSServiceName=wanted.service)


class RoleKind(Kind[Role]):
    """A role, what it may do, and where instances need one, the profile that holds it."""

    def summary(self, wanted: Role) -> tuple[str, ...]:
        """Return what it will be."""
        names = [*wanted.policies, *(path.rpartition("/")[2] for path in wanted.managed_policies)]
        return (f"for {wanted.service}: {wanted.purpose}", f"with {', '.join(names)}")

    def look(self, wanted: Role, place: Place) -> Found | None:
        """Read its trust, its policies and its profile; policies that were added are left alone."""
        iam = place.client("iam")
        found = absent(NOT_THERE, lambda: iam.get_role(RoleName=wanted.name))
        if found is None:
            return None
        role = found["Role"]
        trusted = policies.same(role["AssumeRolePolicyDocument"], wanted.trust)
        attached = iam.list_attached_role_policies(RoleName=wanted.name)["AttachedPolicies"]
        missing = _missing(role_policies(wanted, place), attached)
        lacks = differences(
            (TRUST, wanted.service if trusted else "someone else", wanted.service),
            (POLICIES, f"without {', '.join(missing)}" if missing else "all", "all"),
        )
        if wanted.instance_profile:
            lacks += differences((PROFILE, _profile(wanted, iam), wanted.name))
        tags = iam.list_role_tags(RoleName=wanted.name).get("Tags")
        return Found(is_ours(tags), lacks)

    def make(self, wanted: Role, place: Place) -> None:
        """Make it, with its policies and its profile."""
        place.client("iam").create_role(
            RoleName=wanted.name,
            AssumeRolePolicyDocument=wanted.trust,
            Description=f"Nextstrain jobs: {wanted.purpose}"[:1000],
            Tags=TAG_LIST,
        )
        self._complete(wanted, place)

    def mend(self, wanted: Role, place: Place, found: Found) -> None:
        """Correct its trust, and attach what is missing."""
        if found.lacks(TRUST):
            place.client("iam").update_assume_role_policy(
                RoleName=wanted.name, PolicyDocument=wanted.trust
            )
        self._complete(wanted, place)

    def _complete(self, wanted: Role, place: Place) -> None:
        iam = place.client("iam")
        for arn in role_policies(wanted, place):
            iam.attach_role_policy(RoleName=wanted.name, PolicyArn=arn)
        if not wanted.instance_profile:
            return
        name = {"InstanceProfileName": wanted.name}
        if absent(NOT_THERE, lambda: iam.get_instance_profile(**name)) is None:
            iam.create_instance_profile(**name, Tags=TAG_LIST)
        if _profile(wanted, iam) != wanted.name:
            iam.add_role_to_instance_profile(**name, RoleName=wanted.name)

    def remove(self, wanted: Role, place: Place, found: Found) -> None:  # noqa: ARG002
        """Remove it with its profile and its inline policies."""
        iam, name = place.client("iam"), wanted.name
        if wanted.instance_profile:
            _remove_profile(wanted, iam)
        for each in iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]:
            iam.detach_role_policy(RoleName=name, PolicyArn=each["PolicyArn"])
        for inline in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName=inline)
        iam.delete_role(RoleName=name)


class GroupKind(Kind[Group]):
    """The group of those who launch jobs. It is known to be ours by its path."""

    def summary(self, wanted: Group) -> tuple[str, ...]:
        """Return what it will be."""
        return ("for the people who launch jobs", f"with {', '.join(wanted.policies)}")

    def look(self, wanted: Group, place: Place) -> Found | None:
        """Read its policies; those that were added are left alone, unless they undo a choice."""
        iam = place.client("iam")
        found = absent(NOT_THERE, lambda: iam.get_group(GroupName=wanted.name))
        if found is None:
            return None
        attached = iam.list_attached_group_policies(GroupName=wanted.name)["AttachedPolicies"]
        missing = _missing(_group_policies(wanted, place), attached)
        names = [each["PolicyName"] for each in attached]
        said = [f"without {name}" for name in missing]
        said += [f"with {name}" for name in names if name in wanted.not_policies]
        members = [each["UserName"] for each in found["Users"]]
        return Found(
            found["Group"].get("Path") == OUR_PATH,
            differences((POLICIES, ", ".join(said) or "all", "all")),
            holds=f"{len(members)} members" if members else "",
            raw=members,
        )

    def make(self, wanted: Group, place: Place) -> None:
        """Make it, with its policies."""
        place.client("iam").create_group(GroupName=wanted.name, Path=OUR_PATH)
        self._attach(wanted, place)

    def mend(self, wanted: Group, place: Place, found: Found) -> None:  # noqa: ARG002
        """Attach what is missing, then detach what it stands in for."""
        self._attach(wanted, place)
        iam, name = place.client("iam"), {"GroupName": wanted.name}
        for each in iam.list_attached_group_policies(**name)["AttachedPolicies"]:
            if each["PolicyName"] in wanted.not_policies:
                iam.detach_group_policy(**name, PolicyArn=each["PolicyArn"])

    def _attach(self, wanted: Group, place: Place) -> None:
        for arn in _group_policies(wanted, place):
            place.client("iam").attach_group_policy(GroupName=wanted.name, PolicyArn=arn)

    def remove(self, wanted: Group, place: Place, found: Found) -> None:
        """Remove it; its members stay, without what it gave them."""
        iam, name = place.client("iam"), {"GroupName": wanted.name}
        for each in iam.list_attached_group_policies(**name)["AttachedPolicies"]:
            iam.detach_group_policy(**name, PolicyArn=each["PolicyArn"])
        for inline in iam.list_group_policies(**name)["PolicyNames"]:
            iam.delete_group_policy(**name, PolicyName=inline)
        for member in found.raw:
            iam.remove_user_from_group(**name, UserName=member)
        iam.delete_group(**name)


def role_policies(role: Role, place: Place) -> list[str]:
    """Return the ARNs of the policies that a role carries."""
    own = [place.iam_arn(f"policy/{name}") for name in role.policies]
    return own + [place.managed_policy_arn(path) for path in role.managed_policies]


def _group_policies(group: Group, place: Place) -> list[str]:
    return [place.iam_arn(f"policy/{name}") for name in group.policies]


def _missing(wanted: list[str], attached: list[dict[str, str]]) -> list[str]:
    there = {each["PolicyArn"] for each in attached}
    return [arn.rpartition("/")[2] for arn in wanted if arn not in there]


def _profile(role: Role, iam: Client) -> str | None:
    """Return the name of the role that the profile holds, or None."""
    name = {"InstanceProfileName": role.name}
    found = absent(NOT_THERE, lambda: iam.get_instance_profile(**name))
    held = [str(each["RoleName"]) for each in found["InstanceProfile"]["Roles"]] if found else []
    return held[0] if held else None


def _remove_profile(role: Role, iam: Client) -> None:
    name = {"InstanceProfileName": role.name}
    if (held := _profile(role, iam)) is not None:
        iam.remove_role_from_instance_profile(**name, RoleName=held)
    absent(NOT_THERE, lambda: iam.delete_instance_profile(**name))


def _serves(document: dict[str, Any], wanted: Policy) -> str:
    """Return which other buckets than the wanted one a policy gives access to, in words.

    Policies count for all regions of an account, so that they may be another set-up's.
    """
    ours = policies.buckets(wanted.document)
    others = sorted(policies.buckets(document) - ours) if ours else []
    if not others:
        return ""
    return f"the bucket{'s' * (len(others) > 1)} {', '.join(others)}"


def _old_versions(iam: Client, arn: str) -> list[str]:
    """Return the versions that are not the default one, the oldest first."""
    versions = iam.list_policy_versions(PolicyArn=arn)["Versions"]
    old = [str(each["VersionId"]) for each in versions if not each["IsDefaultVersion"]]
    return sorted(old, key=lambda version: int(version[1:]))


def _actions(document: Policy | dict[str, Any] | str) -> str:
    """Return what a document allows, in short."""
    words = []
    for each in policies.statements(
        document.document if isinstance(document, Policy) else document
    ):
        actions = each.get("Action", each.get("NotAction", []))
        resources = each.get("Resource", each.get("NotResource", []))
        names = [actions] if isinstance(actions, str) else sorted(actions)
        places = [resources] if isinstance(resources, str) else sorted(resources)
        words.append(f"{each['Effect']} {' '.join(names)} on {' '.join(places)}")
    return "; ".join(words)
