"""Traces and metrics over OTLP, where OTEL_EXPORTER_OTLP_ENDPOINT names a collector; else nothing is loaded or sent.

A run is one trace. TRACEPARENT (W3C Trace Context) names the span to go on from; in a pod MF_RUN_ID does, from which
every pod of a run derives the same trace, so that no step has to hand it to the next. A stage is a span with its
records by status; a request to a teacher is a span within it, and carries `traceparent`, so that a server's own spans
join in. What is measured of a stage goes out as metrics when it ends (Prometheus takes OTLP as it is).
"""

import atexit
import hashlib
import os
import resource
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from opentelemetry.sdk.metrics import MeterProvider
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.id_generator import IdGenerator
    from opentelemetry.trace import SpanContext

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
RUN = "MF_RUN_ID"
PARENT = "TRACEPARENT"
ANSWER_S = 5.0
"""A collector that does not answer holds nothing up for longer."""

Attribute = str | int | float | bool


class Noting(Protocol):
    """Adds attributes to the span that is open."""

    def __call__(self, **attributes: Attribute) -> None:
        """Set these; a name's last value counts."""


@dataclass
class _Telemetry:
    tracers: "TracerProvider"
    meters: "MeterProvider"
    above: "SpanContext | None"
    """What a span without an open one above it belongs to: that of the run, then that of the stage."""


_started: list[_Telemetry] = []


def is_on() -> bool:
    """Whether a collector is named."""
    return bool(os.environ.get(ENDPOINT))


@contextmanager
def span(name: str, holds_others: bool = False, **attributes: Attribute) -> Iterator[Noting]:
    """Open a span; what is raised inside marks it as failed. `holds_others`: spans of other threads belong to it."""
    if not is_on():
        yield _noted_nowhere
        return
    from opentelemetry import trace

    ours = _telemetry()
    inside = trace.get_current_span().get_span_context()
    above = inside if inside.is_valid else ours.above
    context = trace.set_span_in_context(trace.NonRecordingSpan(above)) if above else None
    tracer = ours.tracers.get_tracer("music_flamingo")
    before = ours.above
    with tracer.start_as_current_span(name, context=context, attributes=attributes) as opened:
        if holds_others:
            ours.above = opened.get_span_context()
        try:
            yield lambda **more: opened.set_attributes(more)
        finally:
            ours.above = before


def outgoing() -> dict[str, str]:
    """Give the header by which a server's spans join the open span; empty where there is none."""
    if not is_on():
        return {}
    from opentelemetry import trace

    opened = trace.get_current_span().get_span_context()
    return {"traceparent": _written(opened)} if opened.is_valid else {}


def for_children() -> dict[str, str]:
    """Give the variables by which a child process or a job goes on with the trace; empty where nothing is sent."""
    if not is_on():
        return {}
    parent = outgoing().get("traceparent") or os.environ.get(PARENT, "")
    return {ENDPOINT: os.environ[ENDPOINT]} | ({PARENT: parent} if parent else {})


def measured(stage: str, ports: Mapping[str, Mapping[str, int]], wall_s: float, cpu_s: float) -> None:
    """Send what a finished stage cost and gave: `ports` maps each port to its records by status."""
    if not is_on():
        return
    meters = _telemetry().meters
    meter = meters.get_meter("music_flamingo")
    records = meter.create_counter("music_flamingo.stage.records", "{record}", "Records of a port by status")
    for port, statuses in ports.items():
        for status, count in statuses.items():
            records.add(count, {"stage": stage, "port": port, "status": status})
    costs = {"wall": wall_s, "cpu": cpu_s}
    for kind, seconds in costs.items():
        meter.create_counter(f"music_flamingo.stage.{kind}", "s", f"Seconds of a stage ({kind})").add(
            seconds, {"stage": stage}
        )
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    meter.create_gauge("music_flamingo.stage.memory", "By", "Highest resident memory").set(peak, {"stage": stage})
    meters.force_flush(ANSWER_S * 1000)


def cpu_s() -> float:
    """CPU seconds of this process and of its children that have ended."""
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(u.ru_utime + u.ru_stime for u in used)


def run_ended(run: str, begun_s: float, **attributes: Attribute) -> None:
    """Send the span of a whole run, above those of its pods. `begun_s`: `time.time()` of its beginning."""
    if not is_on():
        return
    from opentelemetry.sdk.trace.id_generator import IdGenerator

    trace_id, span_id = _ids(run)

    class OfTheRun(IdGenerator):
        def generate_span_id(self) -> int:
            return span_id

        def generate_trace_id(self) -> int:
            return trace_id

    providers = _tracers(OfTheRun())
    opened = providers.get_tracer("music_flamingo").start_span(
        "run", start_time=int(begun_s * 1e9), attributes={"run": run, **attributes}
    )
    opened.end(int(time.time() * 1e9))
    providers.shutdown()


def _noted_nowhere(**attributes: Attribute) -> None:
    """No span is open."""


def _telemetry() -> _Telemetry:
    if not _started:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
        from opentelemetry.sdk.metrics import MeterProvider
        from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader

        reader = PeriodicExportingMetricReader(OTLPMetricExporter(timeout=ANSWER_S))
        ours = _Telemetry(_tracers(), MeterProvider([reader], resource=_resource(), shutdown_on_exit=False), _given())
        atexit.register(_end, ours)
        _started.append(ours)
    return _started[0]


def _end(ours: _Telemetry) -> None:
    ours.tracers.shutdown()
    ours.meters.shutdown(ANSWER_S * 1000)


def _tracers(ids: "IdGenerator | None" = None) -> "TracerProvider":
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    made = TracerProvider(resource=_resource(), id_generator=ids, shutdown_on_exit=False)
    made.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(timeout=ANSWER_S)))
    return made


def _resource() -> "Resource":
    from opentelemetry.sdk.resources import Resource

    run = os.environ.get(RUN, "")
    return Resource.create({"service.name": "music-flamingo"} | ({"music_flamingo.run": run} if run else {}))


def _given() -> "SpanContext | None":
    """The span that the environment names; none where it names none, and the first span begins a trace."""
    from opentelemetry.trace import SpanContext, TraceFlags

    if parent := os.environ.get(PARENT):
        parts = parent.split("-")
        if len(parts) == 4 and all(parts):
            return SpanContext(int(parts[1], 16), int(parts[2], 16), True, TraceFlags(int(parts[3], 16)))
    if run := os.environ.get(RUN):
        return SpanContext(*_ids(run), True, TraceFlags(TraceFlags.SAMPLED))
    return None


def _ids(run: str) -> tuple[int, int]:
    """(trace id of 16 bytes, span id of 8 bytes) of a run."""
    digest = hashlib.sha256(run.encode()).digest()
    return int.from_bytes(digest[:16]), int.from_bytes(digest[16:24])


def _written(context: "SpanContext") -> str:
    return f"00-{context.trace_id:032x}-{context.span_id:016x}-{context.trace_flags:02x}"
