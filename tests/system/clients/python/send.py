"""Sends one scenario with the OpenTelemetry SDK for Python and prints what it sent as one line of JSON.

The endpoint comes from the SDK's own OTEL_* variables, the protocol from OTEL_EXPORTER_OTLP_PROTOCOL. TRACEPARENT, if
set, is the W3C parent of the traces that it starts, so that one trace can cross SDKs. See ../README.md for the shape.
"""

import json
import os
import sys

import exporter
from opentelemetry.context import Context
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExportResult
from opentelemetry.trace import SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

EMAIL = "jonas.berg@mail.example"
propagator = TraceContextTextMapPropagator()
sent = {"service": os.environ["OTEL_SERVICE_NAME"], "spans": [], "health": [], "traceparent": ""}
failed = []


def watched():
    made = exporter.from_environment()
    export = made.export

    def watch(spans):
        """The SDK only logs a failed export; the test has to know."""
        result = export(spans)
        if result is not SpanExportResult.SUCCESS:
            failed.append(str(result))
        return result

    made.export = watch
    return made


def row(span, name):
    context = span.get_span_context()
    parent = format(span.parent.span_id, "016x") if span.parent else ""
    return {"trace": format(context.trace_id, "032x"), "span": format(context.span_id, "016x"), "parent": parent, "name": name}


def order(tracer, parent):
    name = "GET /users/{id}"
    attributes = {
        "http.request.method": "GET",
        "http.route": "/users/{id}",
        "url.path": "/users/12",
        "url.full": f"https://shop.example/users/12?email={EMAIL}",
        "enduser.email": EMAIL,
        "retry.delays": [10, 20, 40],
    }
    with tracer.start_as_current_span(name, context=parent, kind=SpanKind.SERVER, attributes=attributes) as root:
        sent["spans"].append(row(root, name))
        carrier = {}
        propagator.inject(carrier)
        sent["traceparent"] = carrier["traceparent"]
        with tracer.start_as_current_span("account.Load", kind=SpanKind.CLIENT) as child:
            sent["spans"].append(row(child, "account.Load"))
            child.set_attribute("account.note", f"card 4111 1111 1111 1111 of {EMAIL}")
            child.record_exception(ValueError(f"unknown user {EMAIL}"))
            child.set_status(Status(StatusCode.ERROR, f"unknown user {EMAIL}"))
        statement = {"db.query.text": f"SELECT * FROM users WHERE email = '{EMAIL}'"}
        with tracer.start_as_current_span("SELECT users", kind=SpanKind.CLIENT, attributes=statement) as child:
            sent["spans"].append(row(child, "SELECT users"))


def health_check(tracer):
    attributes = {"http.request.method": "GET", "http.route": "/healthz", "url.path": "/healthz"}
    with tracer.start_as_current_span("GET /healthz", context=Context(), kind=SpanKind.SERVER, attributes=attributes) as span:
        sent["health"].append(row(span, "GET /healthz"))


def main():
    provider = TracerProvider(resource=Resource.create())
    provider.add_span_processor(BatchSpanProcessor(watched()))
    tracer = provider.get_tracer("accounts", "2.0.1")
    order(tracer, propagator.extract({"traceparent": os.environ.get("TRACEPARENT", "")}))
    health_check(tracer)
    provider.shutdown()
    if failed:
        sys.exit(f"the export failed: {failed}")
    print(json.dumps(sent))


main()
