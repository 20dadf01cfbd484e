"""What the bucket holds: packs, runs, and which of the runs refer to which of the packs."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nextstrain_batch import runs
from nextstrain_batch.errors import CorruptError, MissingObjectError, StoreError
from nextstrain_batch.store import codec, keys, parallel, pins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from nextstrain_batch.runs import Run
    from nextstrain_batch.store.transport import StoredObject, Transport

_WORKERS = 16


@dataclass(frozen=True)
class StoredRun:
    """A run's objects, and what they refer to."""

    id: str
    record: Run | None
    """None where it is missing or damaged."""
    objects: tuple[StoredObject, ...]
    packs: frozenset[str]
    """The ids of all packs that the run's manifests refer to."""
    problem: StoreError | None = None
    """Why that may be fewer than there are: a manifest that cannot be read."""

    @property
    def newest(self) -> datetime:
        """When the last of its objects was written."""
        return max(each.modified for each in self.objects)

    @property
    def size(self) -> int:
        """Of its own objects, in bytes."""
        return sum(each.size for each in self.objects)

    @property
    def has_manifest(self) -> bool:
        """Whether anything says yet, or still, which files it is about."""
        return any(keys.is_manifest(each.key) for each in self.objects)

    @property
    def created(self) -> datetime:
        """When it was started, or, where nothing says so, its oldest object."""
        return self.record.created if self.record else min(each.modified for each in self.objects)

    @property
    def user(self) -> str:
        """Who started it; empty where nothing says so."""
        return self.record.user if self.record else ""


@dataclass(frozen=True)
class Inventory:
    """Everything in a bucket, as it was listed; ours, but for ``foreign``."""

    taken: datetime
    """Before anything was listed."""
    packs: dict[str, StoredObject]
    """By id."""
    agents: tuple[StoredObject, ...]
    notes: tuple[StoredObject, ...]
    """Pins of uploads and marks of prunings."""
    runs: tuple[StoredRun, ...]
    """The oldest first."""
    pinned: frozenset[str]
    """The ids of packs that uploads are about to refer to."""
    foreign: tuple[StoredObject, ...] = ()
    """What lies among ours and is somebody else's: nothing is done to it."""

    def stored(self, pack_ids: Iterable[str]) -> int:
        """Return the bytes of those of the packs that are there."""
        return sum(self.packs[each].size for each in pack_ids if each in self.packs)

    def missing(self, run: StoredRun) -> frozenset[str]:
        """Return the packs that a run refers to and that are gone."""
        return run.packs - self.packs.keys()

    def alone(self, group: Callable[[StoredRun], str]) -> dict[str, frozenset[str]]:
        """Return, for each group of runs, the packs that no run outside of it refers to."""
        referring: dict[str, set[str]] = defaultdict(set)
        for run in self.runs:
            referring[group(run)] |= run.packs
        counts = Counter(pack for packs in referring.values() for pack in packs)
        return {
            name: frozenset(pack for pack in packs if counts[pack] == 1)
            for name, packs in referring.items()
        }


class Surveyor:
    """Takes inventories of one bucket; what it has read already, it does not read again."""

    def __init__(self, transport: Transport, now: Callable[[], datetime]) -> None:
        self._transport = transport
        self._now = now
        self._read: dict[StoredObject, frozenset[str]] = {}
        self._records: dict[StoredObject, Run | None] = {}

    def take(self) -> Inventory:
        """Take one. Raises the transport's errors."""
        foreign: list[StoredObject] = []

        def ours(prefix: str) -> Iterator[StoredObject]:
            for each in self._transport.list(prefix):
                if keys.is_ours(each.key):
                    yield each
                else:
                    foreign.append(each)

        taken = self._now()
        # The order matters to pruning: packs before what may refer to them (``pins.py``).
        packs = {each.key.removeprefix(keys.PACKS): each for each in ours(keys.PACKS)}
        agents = tuple(ours(keys.AGENTS))
        notes = (*ours(keys.PINS), *ours(keys.PRUNES))
        pinned = pins.pinned(self._transport, taken)
        objects: dict[str, list[StoredObject]] = defaultdict(list)
        for each in ours(keys.RUNS):
            objects[keys.run_of(each.key)].append(each)
        found = parallel.each(self._run, objects.items(), _WORKERS)
        return Inventory(
            taken=taken,
            packs=packs,
            agents=agents,
            notes=notes,
            runs=tuple(sorted(found, key=lambda run: (run.created, run.id))),
            pinned=pinned,
            foreign=tuple(foreign),
        )

    def _run(self, listed: tuple[str, list[StoredObject]]) -> StoredRun:
        run_id, objects = listed
        packs: set[str] = set()
        problem: StoreError | None = None
        for each in objects:
            if not keys.is_manifest(each.key):
                continue
            try:
                packs |= self._packs(each)
            except MissingObjectError:  # removed just now
                continue
            except StoreError as error:
                problem = _unreadable(f"{self._transport.url}/{each.key}", error)
        record = self._record(run_id, objects)
        return StoredRun(run_id, record, tuple(objects), frozenset(packs), problem)

    def _packs(self, stored: StoredObject) -> frozenset[str]:
        if stored not in self._read:
            data = self._transport.get(stored.key)
            packs = frozenset(pack.id for pack in codec.packs_of(data))
            if self._now() - stored.modified < pins.DELETING:
                return packs  # It may be replaced within the second that S3 tells apart.
            self._read[stored] = packs
        return self._read[stored]

    def _record(self, run_id: str, objects: list[StoredObject]) -> Run | None:
        for each in objects:
            if each.key == keys.run_record(run_id):
                if each not in self._records:
                    try:
                        self._records[each] = runs.read_record(run_id, self._transport)
                    except (CorruptError, MissingObjectError):
                        self._records[each] = None
                return self._records[each]
        return None


def _unreadable(url: str, error: StoreError) -> StoreError:
    run = url.partition(f"/{keys.RUNS}")
    prefix = f"{run[0]}/{keys.RUNS}{run[2].partition('/')[0]}/"
    return StoreError(
        f"The manifest {url} cannot be read, so nobody can tell which packs are still needed:"
        f" {str(error).splitlines()[0]}\n\n"
        "It may be of a newer release of this program, or damaged.\n\n"
        "Upgrade (pip install --upgrade nextstrain-batch); or, if it is damaged, remove its run:"
        f" aws s3 rm --recursive {prefix}"
    )
