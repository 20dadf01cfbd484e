"""moto behind one door: requests in, responses out, backends for those who work beside it.

The only module that knows moto. Nothing here reaches the network: requests are handed to moto's
response classes as function calls, and a service that is not listed is answered with an error.
Services are loaded when first needed, because EC2 alone takes longer to import than the rest.
"""

from __future__ import annotations

import contextlib
import copyreg
import importlib
import io
import logging
import os
import pickle
import re
import threading
import time
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from . import corrections, lean, lifecycle
from .bodies import Bodies, Body
from .frames import Frames
from .written_through import WrittenThrough

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, MutableMapping
    from pathlib import Path
    from typing import TypeAlias
    from wsgiref.types import StartResponse, WSGIEnvironment

    Backend: TypeAlias = Any
    """An object of moto's, which has no types of use."""

ACCOUNT = "123456789012"
"""The number of the sandbox's account."""

NEEDS: dict[str, tuple[str, ...]] = {
    "s3": (),
    "iam": (),
    "sts": ("iam",),
    "logs": (),
    "ec2": (),
    "ecs": (),
    "batch": ("iam", "logs", "ec2", "ecs"),
}
"""The services there are, and those that each one looks into."""

PUBLIC = frozenset(NEEDS) - {"ecs"}
"""The services that requests may name."""

_SAVE_TRIES = 20
_EXPIRY_INTERVAL = 600.0

log = logging.getLogger(__name__)


def configure_environment(environ: MutableMapping[str, str] = os.environ) -> None:
    """Set what moto reads from the environment at import. Call it before anything here."""
    for name in [name for name in environ if name.startswith(("AWS_", "MOTO_"))]:
        del environ[name]
    environ["AWS_CONFIG_FILE"] = environ["AWS_SHARED_CREDENTIALS_FILE"] = os.devnull
    environ["AWS_EC2_METADATA_DISABLED"] = "true"
    # 600 images that nobody asks for, and a second of start-up.
    environ["MOTO_EC2_LOAD_DEFAULT_AMIS"] = "false"


class Services:
    """All of moto that the sandbox uses. Safe to use from several threads.

    *administrator* is the access key of the account's root user.
    """

    def __init__(self, state: Path, bodies: Bodies, administrator: str) -> None:
        self._administrator = administrator
        self._state = state
        self._bodies = bodies
        self._lock = threading.RLock()
        self._writing = threading.RLock()
        """Held while S3 is changed and the change written down, or all of it read to be saved."""
        self._routes: dict[str, list[tuple[re.Pattern[str], Callable[..., Any]]]] = {}
        self._loaded: dict[str, Any] = {}
        self._dirty: set[str] = set()
        self._expired = 0.0
        self._saving = threading.RLock()
        self._frames = Frames(state, "s3")
        self._written = WrittenThrough(self._frames, _pickled, self._unpickled)
        self.on_change: Callable[[str], None] = lambda _: None
        """Told the name of a service that a request may have changed."""
        self.on_removal: Callable[[], None] = lambda: None
        """Told that an object was removed, whose content is still in what was written down."""

    def backend(self, service: str, region: str) -> Backend:
        """Return moto's backend of *service*; *region* is ``aws`` for S3, IAM and STS."""
        return self._load(service)[ACCOUNT][region]

    def respond(
        self, service: str, environ: WSGIEnvironment, start: StartResponse
    ) -> Iterable[bytes]:
        """Answer a request to *service*, one of ``PUBLIC``, as a WSGI application does."""
        from botocore.exceptions import ClientError
        from moto.core.request import Request
        from werkzeug.wrappers import Response

        self._load(service)
        environ["RAW_URI"] = environ.get("REQUEST_URI") or environ["PATH_INFO"]
        request = Request(environ)
        request.from_wsgi_server = True
        handler = self._route(service, request.raw_path)
        if handler is None:
            return Response("", 404)(environ, start)
        # moto looks and then writes: of two conditional writes at once, both would find nothing.
        conditional = "HTTP_IF_NONE_MATCH" in environ or "HTTP_IF_MATCH" in environ
        writes = service == "s3" and not _only_reads(environ)
        is_saved = True
        try:
            with self._writing if writes or conditional else contextlib.nullcontext():
                result = handler(request, request.raw_url, dict(request.headers))
                if writes and (len(result) != 3 or int(result[0]) < 300):
                    is_saved = self._written.write(self.backend("s3", "aws"), environ)
        except ClientError as error:
            result = 400, {}, error.response["Error"]["Message"]
        finally:
            if not _only_reads(environ):
                self.changed(service)
        status, headers, content = result if len(result) == 3 else (200, {}, result)
        if not is_saved:
            self._save({"s3"})
        elif writes and environ["REQUEST_METHOD"] == "DELETE":
            self.on_removal()
        response = Response(content, int(status), headers)
        size = {name.lower(): value for name, value in dict(headers).items()}.get("content-length")
        if request.method == "HEAD" and size is not None:
            # There is no body, but werkzeug would give the length of what there is.
            response.headers["Content-Length"] = str(size)
        return response(environ, start)

    def _unpickled(self, data: bytes) -> Backend:
        return _Unpickler(io.BytesIO(data), self._bodies).load()

    def _route(self, service: str, path: str) -> Callable[..., Any] | None:
        for pattern, handler in self._routes[service]:
            if pattern.match(path):
                return handler
        return None

    def _load(self, service: str) -> Backend:
        found = self._loaded.get(service)
        if found is not None:
            return found
        with self._lock:
            for needed in NEEDS[service]:
                self._load(needed)
            if service not in self._loaded:
                self._loaded[service] = self._import(service)
            return self._loaded[service]

    def _import(self, service: str) -> Backend:
        with lean.imports():
            models = importlib.import_module(f"moto.{service}.models")
            urls = importlib.import_module(f"moto.{service}.urls")
        corrections.apply(service, models, self._bodies, self._administrator)
        self._routes[service] = [
            (re.compile(path.format("")), handler) for path, handler in urls.url_paths.items()
        ]
        backends = getattr(models, f"{service}_backends")
        is_whole = self._restore(service, backends)
        if service == "s3":
            if not is_whole:
                self._frames.set_aside()
            elif self._written.replay(backends[ACCOUNT]["aws"]):
                self._dirty.add("s3")
            if not self._unreadable("s3").exists():
                self._bodies.sweep_unknown()
        if service == "iam":
            corrections.add_managed_policies(backends[ACCOUNT]["aws"], models, ACCOUNT)
        return backends

    def _restore(self, service: str, backends: Backend) -> bool:
        """Read what was saved, if anything was; tell whether that could be done.

        What cannot be read is set aside, and with it, of S3, what was written down since: its
        buckets are not there. As long as it lies there, so do the contents that it names.
        """
        path = self._state / f"{service}.pickle"
        if not path.exists():
            return True
        try:
            regions = self._unpickled(path.read_bytes())
        except Exception as error:  # noqa: BLE001 - whatever is in the file
            # Another version of moto, or a file cut short: an empty service is better than none.
            # No traceback: whoever starts the server takes one for its end.
            log.warning("The saved state of %s cannot be read, so set aside: %r", service, error)
            path.replace(self._unreadable(service))
            return False
        for region, backend in regions.items():
            dict.__setitem__(backends[ACCOUNT], region, backend)
        return True

    def _unreadable(self, service: str) -> Path:
        return self._state / f"{service}.unreadable"

    def changed(self, service: str) -> None:
        """Note that a service has to be saved."""
        self._dirty.add(service)
        self.on_change(service)

    def time_passes(self, seconds: float) -> None:
        """Let all objects grow older, and those vanish that have expired."""
        lifecycle.grow_older(self.backend("s3", "aws"), seconds)
        self._expired = 0.0
        self.expire_objects()
        self._save({"s3"})

    def expire_objects(self) -> None:
        """Remove the objects that have expired; looks for them every ten minutes at most."""
        if time.time() - self._expired < _EXPIRY_INTERVAL:
            return
        self._expired = time.time()
        now = datetime.now(UTC).replace(tzinfo=None)
        if lifecycle.expire(self.backend("s3", "aws"), now):
            self.changed("s3")

    def save(self, *, everything: bool = False) -> None:
        """Write the state of the services that have changed, or of all that are loaded."""
        self._save(set(self._loaded) if everything else self._dirty & set(self._loaded))

    def _save(self, names: set[str]) -> None:
        self._state.mkdir(parents=True, exist_ok=True)
        with self._saving:
            self._dirty -= names
            for name in sorted(names):
                try:
                    self._save_one(name)
                except Exception:
                    self._dirty.add(name)
                    raise

    def _save_one(self, name: str) -> None:
        earlier: list[Path] = []
        discarded: list[str] = []
        with self._writing if name == "s3" else contextlib.nullcontext():
            if name == "s3":
                # What is written through from here on goes into a new file, which stays.
                earlier = self._frames.rotate()
                discarded = self._bodies.discarded()
            data = _pickled(dict(self._loaded[name][ACCOUNT]))
        part = self._state / f"{name}.pickle.part"
        part.write_bytes(data)
        part.replace(part.with_suffix(""))
        for path in earlier:
            path.unlink(missing_ok=True)
        self._bodies.sweep(discarded)


def _only_reads(environ: WSGIEnvironment) -> bool:
    """Tell whether a request cannot have changed anything; most that come often only read."""
    if environ["REQUEST_METHOD"] in {"GET", "HEAD"}:
        return True
    target: str = environ.get("HTTP_X_AMZ_TARGET", "")
    named = target.rpartition(".")[2] or str(environ["PATH_INFO"]).removeprefix("/v1/")
    return named.lower().startswith(("get", "describe", "list", "filter"))


def _restored_body(data: bytes, name: str) -> Body:
    """Stand for a body in a pickle; ``_Unpickler`` puts ``Bodies.restore`` in its place."""
    raise NotImplementedError


def _reduced_body(body: Body) -> tuple[Callable[..., Body], tuple[bytes, str]]:
    return _restored_body, body.saved


def _pickled(value: object) -> bytes:
    """Pickle what other threads may be changing: a collection that changes under it is retried."""
    for _ in range(_SAVE_TRIES - 1):
        with contextlib.suppress(RuntimeError):
            return _pickled_once(value)
    return _pickled_once(value)


def _pickled_once(value: object) -> bytes:
    buffer = io.BytesIO()
    pickler = pickle.Pickler(buffer, protocol=pickle.HIGHEST_PROTOCOL)
    pickler.dispatch_table = copyreg.dispatch_table | {Body: _reduced_body}
    pickler.dump(value)
    return buffer.getvalue()


class _Unpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, bodies: Bodies) -> None:
        super().__init__(file)
        self._bodies = bodies

    def find_class(self, module: str, name: str) -> Callable[..., object]:
        if name == _restored_body.__name__:
            return self._bodies.restore
        found: Callable[..., object] = super().find_class(module, name)
        return found
