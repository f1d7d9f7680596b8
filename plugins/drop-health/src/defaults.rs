//! What counts as a health check unless the settings say otherwise.

/// Routes and paths that probes and scrapers ask for. Kubernetes' own names, and what frameworks document.
pub const ENDPOINTS: [&str; 8] =
    ["/health", "/healthz", "/health/live", "/health/ready", "/ready", "/readyz", "/livez", "/metrics"];

/// Methods that stand before the route in the names of HTTP server spans.
pub const METHODS: [&str; 2] = ["GET ", "HEAD "];

/// Kubernetes' probes call themselves `kube-probe/1.31`.
pub const USER_AGENTS: [&str; 1] = ["kube-probe*"];

/// gRPC's health checking protocol. It is in `rpc.service`, or begins the span's name.
pub const RPC_SERVICES: [&str; 1] = ["grpc.health.v1.Health"];
