"""The exporter of the OpenTelemetry SDK for Python that OTEL_EXPORTER_OTLP_PROTOCOL asks for."""

import os


def from_environment():
    if os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc":
        from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
    else:
        from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    return OTLPSpanExporter()
