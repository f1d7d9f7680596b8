//! Old names and current ones, from the migration guides of the OpenTelemetry semantic conventions. Only renames whose
//! values keep their meaning and type are here.

/// Attributes of spans.
pub const SPAN: [(&str, &str); 42] = [
    // HTTP, stable since 1.23.
    ("http.method", "http.request.method"),
    ("http.status_code", "http.response.status_code"),
    ("http.url", "url.full"),
    ("http.scheme", "url.scheme"),
    ("http.user_agent", "user_agent.original"),
    ("http.client_ip", "client.address"),
    ("http.server_name", "server.address"),
    ("http.flavor", "network.protocol.version"),
    ("http.resend_count", "http.request.resend_count"),
    ("http.request_content_length", "http.request.body.size"),
    ("http.response_content_length", "http.response.body.size"),
    // Network, stable since 1.23.
    ("net.host.name", "server.address"),
    ("net.host.port", "server.port"),
    ("net.host.ip", "network.local.address"),
    ("net.sock.host.addr", "network.local.address"),
    ("net.sock.host.port", "network.local.port"),
    ("net.peer.ip", "network.peer.address"),
    ("net.sock.peer.addr", "network.peer.address"),
    ("net.sock.peer.port", "network.peer.port"),
    ("net.protocol.name", "network.protocol.name"),
    ("net.app.protocol.name", "network.protocol.name"),
    ("net.protocol.version", "network.protocol.version"),
    ("net.app.protocol.version", "network.protocol.version"),
    // Databases, stable since 1.33.
    ("db.system", "db.system.name"),
    ("db.name", "db.namespace"),
    ("db.statement", "db.query.text"),
    ("db.operation", "db.operation.name"),
    ("db.sql.table", "db.collection.name"),
    ("db.mongodb.collection", "db.collection.name"),
    ("db.cassandra.table", "db.collection.name"),
    // Messaging.
    ("messaging.destination", "messaging.destination.name"),
    ("messaging.message_id", "messaging.message.id"),
    ("messaging.conversation_id", "messaging.message.conversation_id"),
    ("messaging.message_payload_size_bytes", "messaging.message.body.size"),
    ("messaging.client_id", "messaging.client.id"),
    // Code, stable since 1.33.
    ("code.filepath", "code.file.path"),
    ("code.function", "code.function.name"),
    ("code.lineno", "code.line.number"),
    ("code.column", "code.column.number"),
    // Others.
    ("faas.execution", "faas.invocation_id"),
    ("gen_ai.usage.prompt_tokens", "gen_ai.usage.input_tokens"),
    ("gen_ai.usage.completion_tokens", "gen_ai.usage.output_tokens"),
];

/// The other side of a connection: the client where a span receives, the server where it sends.
pub const BY_KIND: [(&str, &str, &str); 2] =
    [("net.peer.name", "client.address", "server.address"), ("net.peer.port", "client.port", "server.port")];

/// Attributes of resources.
pub const RESOURCE: [(&str, &str); 3] = [
    ("deployment.environment", "deployment.environment.name"),
    ("telemetry.auto.version", "telemetry.distro.version"),
    ("faas.id", "cloud.resource_id"),
];
