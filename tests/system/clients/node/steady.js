// Sends traces with the OpenTelemetry SDK for Node until its standard input ends. `--require watch.js` tells what became of them.
//
// Everything else comes from the SDK's own OTEL_* variables. See ../README.md.
'use strict';
const { NodeSDK } = require('@opentelemetry/sdk-node');
const { ROOT_CONTEXT, SpanKind, trace } = require('@opentelemetry/api');

const BETWEEN_TRACES_MS = 20;
const sdk = new NodeSDK();
sdk.start();
const tracer = trace.getTracer('checkout', '1.4.0');

function order() {
  const attributes = { 'http.request.method': 'POST', 'http.route': '/orders/{id}', 'url.path': '/orders/4711' };
  const root = tracer.startSpan('POST /orders/{id}', { kind: SpanKind.SERVER, attributes }, ROOT_CONTEXT);
  const inside = trace.setSpan(ROOT_CONTEXT, root);
  for (const name of ['payment.Charge', 'SELECT users']) tracer.startSpan(name, { kind: SpanKind.CLIENT }, inside).end();
  root.end();
}

const timer = setInterval(order, BETWEEN_TRACES_MS);
process.stdin.resume().on('end', () => {
  clearInterval(timer);
  sdk.shutdown().catch((error) => console.error(error));
});
