"""What ``nextstrain setup`` asks on a terminal: choices that nobody has made, and consent."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nextstrain_batch.account.show import loss

if TYPE_CHECKING:
    from collections.abc import Callable

    from nextstrain_batch.account.plan import Plan


class Questions:
    """Asks on a terminal. *ask* shows a prompt and returns the line that is typed."""

    def __init__(self, ask: Callable[[str], str], say: Callable[[str], None]) -> None:
        self._ask = ask
        self._say = say

    def choices(self, known: dict[str, Any], *, bucket: str | None, account: str) -> dict[str, Any]:
        """Return *known* with the answers to what it leaves open; a bare Return takes a default."""
        from nextstrain_batch.config import BucketUrl

        found = dict(known)
        self._say("A few choices; Return takes the one in brackets. All can be changed later.\n")
        if "bucket" not in found:
            proposal = bucket or f"nextstrain-jobs-{account}"
            found["bucket"] = self._valid(
                f"Bucket for builds' files; its name is unique in the world [{proposal}]: ",
                lambda text: BucketUrl.parse(text or proposal).bucket,
            )
        if "max_vcpus" not in found:
            found["max_vcpus"] = self._valid(
                "vCPUs of all jobs together at most, which bounds what an hour can cost [256]: ",
                lambda text: _positive(text or "256"),
            )
        if "spot" not in found:
            found["spot"] = self.yes(
                "Spot instances? They cost about a third; AWS may take them away, and then the job"
                " starts again. [y/N] "
            )
        if "disk_gib" not in found:
            disk = self._valid(
                "Disk of an instance in GiB, which its jobs share; builds with many genomes need"
                " 200 or more [100]: ",
                lambda text: _positive(text or "100", 30),
            )
            found["disk_gib"] = disk
        if not {"new_vpc", "vpc", "subnets", "security_groups"} & found.keys():
            found["new_vpc"] = self.yes(
                "A network (VPC) for the instances alone, apart from your other machines? It costs"
                " what the default one does. [y/N] "
            )
        self._say("")
        return found

    def consent(self, planned: Plan, *, removes: bool) -> Plan | None:
        """Return what of a plan is agreed to; None for nothing."""
        foreign = [step for step in planned.work if step.is_foreign and not step.takes_from]
        if foreign:
            names = "\n".join(f"    {step.title}" for step in foreign)
            self._say(f"These exist, were not made by this command, and would be changed:\n{names}")
            if not self.yes("Change them too? Builds may not work if not. [y/N] "):
                planned = planned.without(*foreign)
        for step in [step for step in planned.work if step.takes_from]:
            self._say(f"The {step.title} would be changed, and then\n{loss(step)}.")
            if not self.yes(
                "Change it? Builds with this set-up's bucket do not work if not. [y/N] "
            ):
                planned = planned.without(step)
        if not planned.work:
            return None
        if removes:
            return planned if self._ask("Type `remove` to go on: ").strip() == "remove" else None
        return planned if self.yes("Go on? [y/N] ") else None

    def yes(self, question: str) -> bool:
        """Return whether the answer is yes; a bare Return is no."""
        return self._ask(question).strip().lower() in {"y", "yes"}

    def _valid(self, question: str, convert: Callable[[str], Any]) -> Any:  # noqa: ANN401
        while True:
            try:
                return convert(self._ask(question).strip())
            except ValueError as error:
                self._say(f"  {error}.")


def _positive(text: str, least: int = 1) -> int:
    if not (text.isascii() and text.isdigit() and int(text) >= least):
        raise ValueError(f"{text!r} is not a whole number of at least {least}")
    return int(text)
