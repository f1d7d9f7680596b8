// Starts the NestJS app, sends it requests until its own standard input ends, and ends it with SIGTERM as an orchestrator does.
'use strict';
const { fork } = require('node:child_process');
const path = require('node:path');

const BETWEEN_REQUESTS_MS = 100;
const app = fork(path.join(__dirname, 'app.js'), {
  execArgv: ['--require', path.join(__dirname, '../node/watch.js'), '--require', '@opentelemetry/auto-instrumentations-node/register'],
});
const underWay = new Set();
let timer;

function order(address) {
  const call = fetch(`${address}/orders/4711`).then((answer) => answer.text()).catch((error) => console.error(error));
  underWay.add(call);
  call.finally(() => underWay.delete(call));
}

app.on('message', ({ address }) => {
  timer = setInterval(order, BETWEEN_REQUESTS_MS, address);
});
// Whatever ends it is its exit code or the signal that it was sent.
app.on('exit', (code, signal) => process.exit(signal === 'SIGTERM' ? 0 : code));
process.stdin.resume().on('end', async () => {
  clearInterval(timer);
  await Promise.all(underWay);
  app.kill('SIGTERM');
});
