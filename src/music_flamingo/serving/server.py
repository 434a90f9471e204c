"""`mf serve`: a KServe model server on a release, with OpenAI's chat route for audio.

KServe's own routes stay: `/` (alive), `/v1/models`, `/v1/models/NAME:predict`, `/v2/health/*`, `/metrics`. Its v2
inference is the project's own (`tensors`), and what would load or unload models answers 404.
"""

import ipaddress
import logging
import os
import socket
import sys
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from music_flamingo.core.errors import UserError
from music_flamingo.serving.access import Access
from music_flamingo.serving.bundle import ReleaseInfo, open_release

if TYPE_CHECKING:
    from fastapi import FastAPI
    from kserve import ModelServer

    from music_flamingo.serving.engine import Engine
    from music_flamingo.serving.measuring import Measure

GRACE_S = 10
"""How long a request in flight may take to end after SIGTERM."""
MAX_PER_MINUTE, MAX_CACHE_MIB = 1_000_000, 2**20
"""Beyond which an option is a slip."""
MAX_HEADER_BYTES = 64 * 2**10
"""Of one request, all its headers together."""
log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """Options of `mf serve`: address, keys, limits, cache (MiB), fetching, measuring."""

    host: str = "127.0.0.1"
    port: int = 8080
    api_keys: Path | None = None
    """A file with a key a line; None: anybody may ask."""
    requests_per_minute: int | None = None
    """Of one key, or of one address where there are no keys."""
    cache_mib: int | None = None
    """Of memory for the embeddings of recordings that were asked about; None: `recordings.CACHE_MIB`."""
    fetch_urls: bool = False
    """Open http and https addresses of recordings, public ones alone."""
    measure: "Measure | None" = None
    """The tools behind /v1/music; None: those routes say that there are none."""

    def __post_init__(self) -> None:
        for name, value, least, most in (
            ("--port", self.port, 1, 65_535),
            ("--requests-per-minute", self.requests_per_minute, 1, MAX_PER_MINUTE),
            ("--cache-mib", self.cache_mib, 0, MAX_CACHE_MIB),
        ):
            if value is not None and not least <= value <= most:
                raise UserError(f"{name} is {value}: give a whole number from {least} to {most}.")


def serve(release: Path, options: Options) -> None:
    """Serve until SIGINT or SIGTERM.

    Raises UserError for a refused release or a port that is taken, CorruptDataError for a release that was changed.
    """
    info = open_release(release)
    access = Access.of(options.api_keys, options.requests_per_minute)
    _require_named_proxies(access)
    _require_free(options.host, options.port)
    _tell(info, options.host, options.port)
    from music_flamingo.serving.audio_window import DECODER_MODULES
    from music_flamingo.serving.isolation import keep_memory, preload

    preload(*DECODER_MODULES, now=True)  # while this process imports the same
    from music_flamingo.model.listener import Listener
    from music_flamingo.serving.engine import Engine
    from music_flamingo.serving.recordings import CACHE_MIB

    keep_memory()
    listener = Listener.load(release)
    _share_cores(listener.model)
    engine = Engine(listener, info, CACHE_MIB if options.cache_mib is None else options.cache_mib)
    engine.warm_up()
    with _without_arguments():
        server = _server(engine, options, access)
    # KServe's use of an outdated response class
    warnings.filterwarnings("ignore", message="ORJSONResponse is deprecated")
    from music_flamingo.serving.predictor import Predictor

    server.start([Predictor(engine)])


def _share_cores(model: Any) -> None:
    """A small model's products are over before a second thread has woken: the other cores decode recordings."""
    import torch

    from music_flamingo.model.fused_text import SMALL_MODEL

    if model.num_parameters() < SMALL_MODEL:
        torch.set_num_threads(1)


def _server(engine: "Engine", options: Options, access: Access) -> "ModelServer":
    """KServe's server on one address (its own listens on all of them)."""
    from kserve import Model, ModelServer, model_server
    from kserve.protocol.rest.server import RESTServer

    from music_flamingo.serving.fetching import FETCHERS, FETCHING_S, MAX_FETCHES_WAITING, Fetcher
    from music_flamingo.serving.isolation import Isolated
    from music_flamingo.serving.measuring import Measurer
    from music_flamingo.serving.routes import install_errors, install_routes

    fetcher = None
    if options.fetch_urls:
        fetcher = Isolated(Fetcher(), FETCHERS, FETCHING_S, max_waiting=MAX_FETCHES_WAITING, by_clock=True)
    measurer = Measurer(options.measure) if options.measure else None

    class OneAddressServer(ModelServer):  # type: ignore[misc]
        def start(self, models: list[Model]) -> None:
            self._register_and_check_atleast_one_model_is_ready(models)
            rest = RESTServer(
                "kserve.model_server:app",
                self.dataplane,
                self.model_repository_extension,
                options.port,
                grace_period=GRACE_S,
            )
            rest.config.host = options.host
            _bound(rest.config)
            local_only = not access.digests and _is_loopback(options.host)
            install_routes(model_server.app, engine, access, fetcher.run if fetcher else None, measurer, local_only)
            rest.create_application()
            _leave_out_timings(model_server.app)
            install_errors(model_server.app, engine.info.name)
            self.setup_event_loop()
            self.register_signal_handler()
            try:
                rest._server.run()
            finally:
                for part in (engine, measurer, fetcher):
                    if part is not None:
                        part.close()

    return OneAddressServer(http_port=options.port, enable_grpc=False, workers=1, grace_period=GRACE_S)


def _leave_out_timings(app: "FastAPI") -> None:
    """KServe's timing middleware reads the clocks of all threads twice a request; the project's metrics hold the same.

    Before the first request: Starlette builds its stack of middlewares then.
    """
    from timing_asgi import TimingMiddleware

    app.user_middleware = [own for own in app.user_middleware if own.cls is not TimingMiddleware]


def _bound(config: Any) -> None:
    """Headers, time and number of connections within limits (uvicorn has none), no web sockets.

    A client's address is that of its connection; X-Forwarded-For is believed only of the proxies that
    FORWARDED_ALLOW_IPS names, uvicorn's own setting.
    """
    from music_flamingo.serving.connections import BoundedConnection

    config.loop = "asyncio"  # uvloop takes one connection a turn: behind a crowd's 2,000 others wait for as many turns
    config.http = BoundedConnection
    config.ws = "none"
    config.h11_max_incomplete_event_size = MAX_HEADER_BYTES
    config.proxy_headers = bool(os.environ.get("FORWARDED_ALLOW_IPS"))


def _require_named_proxies(access: Access) -> None:
    if not access.digests and "*" in os.environ.get("FORWARDED_ALLOW_IPS", ""):
        raise UserError(
            "FORWARDED_ALLOW_IPS is *: without keys a client is known by its address, and so any client could give "
            "itself another each time. Name the addresses or networks of your proxies (10.0.0.0/8), or give --api-keys."
        )


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


@contextmanager
def _without_arguments() -> Iterator[None]:
    """kserve parses sys.argv when it is imported: the arguments of `mf serve` are none of its own."""
    own, sys.argv = sys.argv, sys.argv[:1]
    try:
        yield
    finally:
        sys.argv = own


def _require_free(host: str, port: int) -> None:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise UserError(
                f"cannot listen on {host}:{port} ({error.strerror}): give another --host or --port."
            ) from error


def _tell(info: ReleaseInfo, host: str, port: int) -> None:
    if info.status == "unevaluated":
        log.warning("This model was never evaluated: its source knows no truth to ask against. Nothing is promised.")
    if info.status == "examined_by_facts":
        log.warning("This model was held against what tools measured on held-out recordings, never against a truth.")
    log.info(
        "Serving %s on http://%s:%d (page: /ui, OpenAI's chat: /openai/v1/chat/completions)", info.name, host, port
    )
