"""Sends traces with the OpenTelemetry SDK for Python until its standard input ends, and says what became of them.

Everything else comes from the SDK's own OTEL_* variables. See ../README.md for the lines that it prints.
"""

import sys
import threading

import exporter
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import SpanKind

BETWEEN_TRACES_S = 0.02
ended = 0


def say(line):
    # One write a line: the exporter's thread and the main thread both speak.
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def watched():
    made = exporter.from_environment()
    export = made.export

    def watch(spans):
        ids = " ".join(f"{span.context.trace_id:032x}-{span.context.span_id:016x}" for span in spans)
        say("exporting")
        result = export(spans)
        say(f"{'accepted' if result is SpanExportResult.SUCCESS else 'failed'} {ids}")
        return result

    made.export = watch
    return made


def order(tracer):
    global ended
    attributes = {"http.request.method": "GET", "http.route": "/users/{id}", "url.path": "/users/12"}
    with tracer.start_as_current_span("GET /users/{id}", context=Context(), kind=SpanKind.SERVER, attributes=attributes):
        for name in ["account.Load", "SELECT users"]:
            with tracer.start_as_current_span(name, kind=SpanKind.CLIENT):
                pass
    ended += 3


def main():
    provider = TracerProvider(resource=Resource.create())
    provider.add_span_processor(BatchSpanProcessor(watched()))
    tracer = provider.get_tracer("accounts", "2.0.1")
    stop = threading.Event()
    threading.Thread(target=lambda: (sys.stdin.read(), stop.set()), daemon=True).start()
    while not stop.wait(BETWEEN_TRACES_S):
        order(tracer)
    provider.shutdown()
    say(f"ended {ended}")


main()
