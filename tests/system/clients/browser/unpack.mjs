// Unpacks the Chromium that its package brings along, and the libraries that it needs, into the folder TMPDIR.
import chromium from '@sparticuz/chromium';

console.log(await chromium.executablePath());
