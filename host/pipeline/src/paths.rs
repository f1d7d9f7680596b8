//! Where OTLP expects each signal: the path under an HTTP endpoint, the service and the method of gRPC. The same for those who
//! receive and those who send.

use otlp::signal::Signal;

/// What is appended to the base of an OTLP/HTTP endpoint.
pub(crate) fn http(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/v1/traces",
        Signal::Metrics => "/v1/metrics",
        Signal::Logs => "/v1/logs",
    }
}

/// The one method of a service.
pub(crate) fn method(signal: Signal) -> &'static str {
    match signal {
        Signal::Traces => "/opentelemetry.proto.collector.trace.v1.TraceService/Export",
        Signal::Metrics => "/opentelemetry.proto.collector.metrics.v1.MetricsService/Export",
        Signal::Logs => "/opentelemetry.proto.collector.logs.v1.LogsService/Export",
    }
}

/// The name of a service.
pub(crate) fn service(signal: Signal) -> &'static str {
    let path = method(signal).trim_start_matches('/');
    path.split_once('/').map_or(path, |(service, _)| service)
}
