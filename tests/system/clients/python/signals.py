"""Sends metrics and logs with the OpenTelemetry SDK for Python and prints what it sent as one line of JSON.

The endpoint comes from the SDK's own OTEL_* variables, the protocol from OTEL_EXPORTER_OTLP_PROTOCOL. See ../README.md.
"""

import json
import os
import sys
import time

from opentelemetry._logs import LogRecord, SeverityNumber
from opentelemetry.sdk._logs import LoggerProvider
from opentelemetry.sdk._logs.export import BatchLogRecordProcessor
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import PeriodicExportingMetricReader
from opentelemetry.sdk.resources import Resource

if os.environ["OTEL_EXPORTER_OTLP_PROTOCOL"] == "grpc":
    from opentelemetry.exporter.otlp.proto.grpc._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.grpc.metric_exporter import OTLPMetricExporter
else:
    from opentelemetry.exporter.otlp.proto.http._log_exporter import OTLPLogExporter
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter

LINES = ["user 12 was loaded", "user 13 is unknown: ünïcode"]
failed = []


def watched(exporter):
    """The SDK only logs a failed export; the test has to know."""
    export = exporter.export

    def watch(*batch, **options):
        result = export(*batch, **options)
        if result.name != "SUCCESS":
            failed.append(str(result))
        return result

    exporter.export = watch
    return exporter


def measure(resource):
    provider = MeterProvider(resource=resource, metric_readers=[PeriodicExportingMetricReader(watched(OTLPMetricExporter()))])
    meter = provider.get_meter("accounts", "2.0.1")
    placed = meter.create_counter("orders.placed", description="Orders that were placed")
    placed.add(3, {"region": "eu"})
    placed.add(4, {"region": "eu"})
    amount = meter.create_histogram("orders.amount", unit="By")
    for value in (1, 20, 300):
        amount.record(value, {"region": "eu"})
    provider.shutdown()


def write(resource):
    provider = LoggerProvider(resource=resource)
    provider.add_log_record_processor(BatchLogRecordProcessor(watched(OTLPLogExporter())))
    logger = provider.get_logger("accounts", "2.0.1")
    severities = [(SeverityNumber.INFO, "INFO", 12), (SeverityNumber.ERROR, "ERROR", 13)]
    for line, (number, text, user) in zip(LINES, severities):
        logger.emit(LogRecord(timestamp=time.time_ns(), severity_number=number, severity_text=text, body=line, attributes={"order.id": user}))
    provider.shutdown()


resource = Resource.create()
measure(resource)
write(resource)
if failed:
    sys.exit(f"the export failed: {failed}")
print(json.dumps({"service": os.environ["OTEL_SERVICE_NAME"], "counter": 7, "observations": 3, "observed": 321, "lines": LINES}))
