// Serves the page on an origin of its own, opens it in headless Chromium, and keeps it open until standard input ends.
//
// Arguments: the folder into which Chromium was unpacked, and the bundle of page.js. What the page reports goes to standard
// output, what the browser logs to standard error.
'use strict';
const fs = require('node:fs');
const http = require('node:http');
const path = require('node:path');
const puppeteer = require('puppeteer-core');

const [chromium, bundle] = process.argv.slice(2);
const service = process.env.OTEL_SERVICE_NAME;
const url = `${process.env.OTEL_EXPORTER_OTLP_ENDPOINT}/v1/traces`;

async function serve() {
  const script = fs.readFileSync(bundle);
  const html = '<!doctype html><meta charset="utf-8"><title>Basket</title><script src="page.js"></script>';
  const server = http.createServer((request, answer) => {
    const wanted = request.url === '/page.js' ? ['text/javascript', script] : ['text/html', html];
    answer.setHeader('content-type', wanted[0]).end(wanted[1]);
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

// The flags that come with the package switch the browser's security off, CORS above all, which is what is tested here.
function launch() {
  return puppeteer.launch({
    executablePath: path.join(chromium, 'chromium'),
    env: { ...process.env, LD_LIBRARY_PATH: path.join(chromium, 'al2023/lib') },
    args: ['--no-sandbox', '--no-zygote', '--disable-gpu'],
    headless: 'shell',
    // Chromium ends when the pipe does, however this ends.
    pipe: true,
  });
}

async function main() {
  const closed = new Promise((resolve) => process.stdin.resume().on('end', resolve));
  const server = await serve();
  const browser = await launch();
  const page = await browser.newPage();
  page.on('console', (message) => console.error(message.text()));
  await page.exposeFunction('report', (line) => console.log(line));
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  await page.evaluate((from) => window.start(from), { url, service });
  await closed;
  await page.evaluate(() => window.stop());
  await browser.close();
  server.close();
}

main().catch((error) => {
  console.error(error);
  process.exit(1);
});
