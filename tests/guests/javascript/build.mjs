// Makes a component of a guest: node build.mjs SOURCE WIT-FOLDER OUT. It asks the host for nothing but the contract.
import { readFile, writeFile } from 'node:fs/promises';
import { componentize } from '@bytecodealliance/componentize-js';

const [source, witPath, out] = process.argv.slice(2);
const disableFeatures = ['random', 'clocks', 'stdio', 'http', 'fetch-event'];
const options = { witPath, worldName: 'span-processor', disableFeatures };
const { component } = await componentize(await readFile(source, 'utf8'), options);
await writeFile(out, component);
