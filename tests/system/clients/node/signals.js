// Sends metrics and logs with the OpenTelemetry SDK for Node and prints what it sent as one line of JSON.
//
// Protocol, endpoint and service name come from the SDK's own OTEL_* variables. See ../README.md for the shape.
'use strict';
const { NodeSDK } = require('@opentelemetry/sdk-node');
const { metrics } = require('@opentelemetry/api');
const { logs, SeverityNumber } = require('@opentelemetry/api-logs');

const sdk = new NodeSDK();
sdk.start();

const meter = metrics.getMeter('checkout', '1.4.0');
const placed = meter.createCounter('orders.placed', { description: 'Orders that were placed' });
placed.add(3, { region: 'eu' });
placed.add(4, { region: 'eu' });
const amount = meter.createHistogram('orders.amount', { unit: 'By' });
for (const value of [1, 20, 300]) amount.record(value, { region: 'eu' });

const logger = logs.getLogger('checkout', '1.4.0');
const lines = ['order 4711 was placed', 'order 4712 was declined: ünïcode'];
logger.emit({ severityNumber: SeverityNumber.INFO, severityText: 'INFO', body: lines[0], attributes: { 'order.id': 4711 } });
logger.emit({ severityNumber: SeverityNumber.ERROR, severityText: 'ERROR', body: lines[1], attributes: { 'order.id': 4712 } });

const sent = { service: process.env.OTEL_SERVICE_NAME, counter: 7, observations: 3, observed: 321, lines };
sdk.shutdown().then(
  () => process.stdout.write(`${JSON.stringify(sent)}\n`),
  (error) => { console.error(error); process.exit(1); },
);
