"""Makes the agent: a zip that Python runs, out of this package's own modules and botocore's.

It runs on the user's computer. Client and agent therefore never disagree about a stored byte,
whatever the image contains. Nothing compiled is in it: it runs wherever Python 3.11 or newer does.

The bytes depend on nothing but the modules' content (and zlib's version), so all users of the
same versions share one object in the bucket, ``agents/<sha256>``.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import json
import os
import time
import zipfile
from dataclasses import dataclass
from importlib.util import find_spec, resolve_name
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nextstrain_batch import atomic
from nextstrain_batch.errors import MissingObjectError
from nextstrain_batch.store import keys, pins

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import datetime

    from nextstrain_batch.store.transport import StoredObject, Transport

PACKAGE = "nextstrain_batch"
ENTRY = "nextstrain_batch.agent.__main__"
LIBRARIES = ("botocore", "dateutil", "jmespath", "six", "urllib3")
DISTRIBUTIONS = ("botocore", "jmespath", "python-dateutil", "six", "urllib3")
"""Whose licences travel along."""
SERVICES = ("s3", "sts")
"""sts: a role may have to be assumed, with a web identity or from a profile."""
SERVICE_FILES = ("service-2", "endpoint-rule-set-1", "paginators-1", "waiters-2")
LEFT_OUT = ("urllib3/contrib/emscripten/", "dateutil/zoneinfo/", "dateutil/tzwin.py")
EPOCH = (1980, 1, 1, 0, 0, 0)
KEPT_IN_CACHE = 4


@dataclass(frozen=True, slots=True)
class Bundle:
    """The agent's bytes."""

    digest: str
    """SHA-256 of *data*, 64 hexadecimal digits."""
    data: bytes


@dataclass(frozen=True, slots=True)
class Source:
    """A file that the bundle is made of."""

    name: str
    """In the zip."""
    path: Path


def ensure(cache: Path, sources: Iterable[Source] | None = None) -> Bundle:
    """Return the agent, from the directory *cache* if its sources are unchanged since.

    Unchanged means: the same files with the same sizes and modification times. A cache that
    cannot be read or written, or was damaged, is done without.
    """
    files = list(_sources() if sources is None else sources)
    fingerprint = _fingerprint(files)
    for kept in cache.glob(f"agent-{fingerprint}-*.zip"):
        with contextlib.suppress(OSError):
            bundle = bundled(kept.read_bytes())
            if kept.stem.endswith(bundle.digest):
                return bundle
    bundle = bundled(build(files))
    _keep(cache / f"agent-{fingerprint}-{bundle.digest}.zip", bundle.data)
    return bundle


def bundled(data: bytes) -> Bundle:
    """Return a zip's bytes with their digest."""
    return Bundle(hashlib.sha256(data).hexdigest(), data)


def publish(
    bundle: Bundle,
    transport: Transport,
    now: Callable[[], datetime],
    pause: Callable[[float], None] = time.sleep,
) -> bool:
    """See to it that the agent is in the bucket and stays there; true when it had to be sent.

    The record of the run that needs it must follow soon: within hours, not days. *pause* sleeps
    for some seconds, where a pruning has to be waited for.
    """
    key = keys.agent(bundle.digest)
    stored = _stored(bundle, transport)
    if stored is not None and now() - stored.modified > pins.RENEW_AFTER:
        with contextlib.suppress(MissingObjectError):
            transport.renew(key)
        # A pruning that listed it before may be about to remove it.
        pins.await_prunings(transport, now, pause)
        stored = _stored(bundle, transport)
    if stored is None:
        transport.put(key, bundle.data)
    return stored is None


def _stored(bundle: Bundle, transport: Transport) -> StoredObject | None:
    key, size = keys.agent(bundle.digest), len(bundle.data)
    found = (each for each in transport.list(key) if each.key == key and each.size == size)
    return next(found, None)


def build(sources: Iterable[Source] | None = None) -> bytes:
    """Return the zip's bytes; half a second of work."""
    members = dict(_members(list(sources if sources is not None else _sources())))
    buffer = BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name in sorted(members):
            info = zipfile.ZipInfo(name, EPOCH)
            info.external_attr = 0o100644 << 16
            info.compress_type = zipfile.ZIP_DEFLATED
            archive.writestr(info, members[name], compresslevel=9)
    return buffer.getvalue()


def _sources() -> Iterator[Source]:
    """Yield all files that may go in, without importing what they belong to."""
    yield from _python_files(PACKAGE)
    for library in LIBRARIES:
        yield from _python_files(library)
    botocore = _location("botocore")
    yield Source("botocore/cacert.pem", botocore / "cacert.pem")
    data = botocore / "data"
    for path in sorted(data.glob("*.json")):
        yield Source(f"botocore/data/{path.name}", path)
    for service in SERVICES:
        for path in sorted((data / service).glob("*/*")):
            if path.name.startswith(SERVICE_FILES):
                yield Source(f"botocore/data/{path.relative_to(data).as_posix()}", path)


def _python_files(module: str) -> Iterator[Source]:
    location = _location(module)
    if location.is_file():
        yield Source(location.name, location)
        return
    for directory, subdirectories, files in os.walk(location):
        subdirectories[:] = sorted(set(subdirectories) - {"__pycache__", "data"})
        for file in sorted(files):
            path = Path(directory, file)
            name = f"{module}/{path.relative_to(location).as_posix()}"
            if file.endswith(".py") and not name.startswith(LEFT_OUT):
                yield Source(name, path)


def _location(module: str) -> Path:
    """Return a package's directory or a module's file, unimported."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        message = f"The module {module} is not installed; nextstrain-batch depends on it."
        raise ModuleNotFoundError(message, name=module)
    origin = Path(spec.origin)
    return origin.parent if origin.name == "__init__.py" else origin


def _fingerprint(sources: Iterable[Source]) -> str:
    digest = hashlib.sha256()
    for source in sources:
        status = source.path.stat()
        line = f"{source.name}\0{source.path}\0{status.st_size}\0{status.st_mtime_ns}\n"
        digest.update(line.encode("utf-8", "surrogateescape"))
    return digest.hexdigest()


def _keep(path: Path, data: bytes) -> None:
    with contextlib.suppress(OSError):
        atomic.write(path, data)
        kept = sorted(path.parent.glob("agent-*.zip"), key=lambda each: each.stat().st_mtime_ns)
        for old in kept[:-KEPT_IN_CACHE]:
            old.unlink(missing_ok=True)


def _members(sources: list[Source]) -> Iterator[tuple[str, bytes]]:
    own = {source.name: source.path for source in sources if source.name.startswith(PACKAGE)}
    for module in _closure(ENTRY, own):
        yield module, own[module].read_bytes()
    yield "__main__.py", own[_file_of(ENTRY)].read_bytes()
    for source in sources:
        if source.name == "botocore/data/endpoints.json":
            yield source.name, _cut_endpoints(source.path.read_bytes())
        elif source.name not in own:
            yield source.name, source.path.read_bytes()
    yield from _licences()


def _closure(entry: str, own: dict[str, Path]) -> set[str]:
    """Return the files of our own that *entry* can import, directly or not."""
    found: set[str] = set()
    waiting = [entry]
    while waiting:
        module = waiting.pop()
        file = _file_of(module) if _file_of(module) in own else _package_file_of(module)
        if file not in own or file in found:
            continue
        found.add(file)
        parents = module.split(".")[:-1]
        waiting += [".".join(parents[: end + 1]) for end in range(len(parents))]
        package = module if file == _package_file_of(module) else module.rpartition(".")[0]
        waiting += _imports([ast.parse(own[file].read_bytes())], package)
    return found


def _file_of(module: str) -> str:
    return f"{module.replace('.', '/')}.py"


def _package_file_of(module: str) -> str:
    return f"{module.replace('.', '/')}/__init__.py"


def _imports(nodes: Iterable[ast.AST], package: str) -> Iterator[str]:
    """Yield what modules *nodes* may import at run time; *package* is where relative ones start."""
    for node in nodes:
        if isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test):
            yield from _imports(node.orelse, package)
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = resolve_name("." * node.level + (node.module or ""), package)
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)
        else:
            yield from _imports(ast.iter_child_nodes(node), package)


def _cut_endpoints(data: bytes) -> bytes:
    """Return botocore's table of endpoints without the services that the agent never calls."""
    table: dict[str, Any] = json.loads(data)
    for partition in table["partitions"]:
        services = partition["services"]
        partition["services"] = {name: services[name] for name in SERVICES if name in services}
    return json.dumps(table, sort_keys=True).encode()


def _licences() -> Iterator[tuple[str, bytes]]:
    from importlib import metadata

    for name in DISTRIBUTIONS:
        try:
            files = metadata.files(name) or []
        except metadata.PackageNotFoundError:
            continue
        for file in files:
            if file.name.upper().startswith(("LICEN", "NOTICE", "COPYING")):
                yield f"licences/{name}/{file.name}", Path(str(file.locate())).read_bytes()
