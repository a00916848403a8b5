/**
 * Runs the core of a thousand pools against a model of a server, on one virtual clock: `npm run simulate`. Draws
 * docs/guides/simulation/*.svg, and writes the tables of docs/guides/fleet.md. The same seed gives the same results.
 */
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { format, resolveConfig } from 'prettier';
import { deploy, type DeployReport } from './deploy.js';
import { drawDeploys, drawOverloads, drawStorms, drawThroughput, drawTimes } from './drawings.js';
import { overload, type OverloadReport } from './overload.js';
import { DEPLOYS, OVERLOADS, SIZES, SIZES_SEED, STORMS } from './scenes.js';
import { SERVER } from './server.js';
import { enough, sized, WORKLOADS, type SizeReport } from './sizes.js';
import { storm, type StormReport } from './storm.js';

const docs = fileURLToPath(new URL('../../docs/guides/', import.meta.url));
const pictures = `${docs}simulation/`;
await mkdir(pictures, { recursive: true });

const storms: Record<string, StormReport> = {};
for (const [name, scene] of Object.entries(STORMS)) storms[name] = await storm(scene);
const sizes: SizeReport[] = [];
for (const workload of WORKLOADS) {
  for (const maxSize of SIZES) sizes.push(await sized(workload, maxSize, SIZES_SEED));
}
const deploys: Record<string, DeployReport> = {};
for (const [name, scene] of Object.entries(DEPLOYS)) deploys[name] = await deploy(scene);
const overloads: OverloadReport[] = [];
for (const scene of OVERLOADS) overloads.push(await overload(scene));

const number = (value: number): string => Math.round(value).toLocaleString('en');
const seconds = (value: number): string => (value === Infinity ? 'later' : `${value.toPrecision(2)} s`);
const percent = (value: number): string => `${String(Math.round(value * 100))} %`;

const tables: Record<string, string[][]> = {
  storms: [
    [
      '',
      'most attempts a second',
      'all processes served',
      'all pools full',
      'slowest start',
      'longest wait of a later request',
      'dropped',
    ],
    ...Object.entries(storms).map(([name, report]) => [
      name,
      number(report.peak),
      seconds(report.allServed),
      seconds(report.allFull),
      seconds(report.slowestStart),
      seconds(report.worstWait),
      number(report.dropped),
    ]),
  ],
  sizes: [
    ['', 'cores × held ÷ busy', ...[8, 16, 32, 64, 100].map((size) => `maxSize ${String(size)}`)],
    ...WORKLOADS.map(({ name, transaction }) => [
      name,
      number(enough(transaction, SERVER.cores)),
      ...[8, 16, 32, 64, 100].map((size) =>
        number(sizes.find(({ workload, maxSize }) => workload === name && maxSize === size)!.throughput),
      ),
    ]),
  ],
  deploys: [
    [
      'max_connections for',
      'most connections',
      'refused by the server',
      'requests served',
      'requests not served',
    ],
    ...Object.entries(deploys).map(([name, { most, refused, served, unserved }]) => [
      `${name}: ${String(DEPLOYS[name]!.maxConnections)}`,
      ...[most, refused, served, unserved].map(number),
    ]),
  ],
  overloads: [
    ['', 'server at work', 'answered within 3 s', 'waiting ends after', 'longest wait'],
    ...overloads.map((report) => [
      report.name,
      percent(report.throughput),
      percent(report.goodput),
      seconds(report.recovery),
      seconds(report.worstWait),
    ]),
  ],
};

const halfElsewhere = sizes.filter(({ workload }) => workload === WORKLOADS[1]!.name);
const beginningWith = (start: string): Record<string, StormReport> =>
  Object.fromEntries(Object.entries(storms).filter(([name]) => name.startsWith(start)));
const drawings = {
  'storm-ended': drawStorms(beginningWith('sessions end'), 1 / SERVER.forking),
  'storm-down': drawStorms(beginningWith('down'), 1 / SERVER.forking),
  throughput: drawThroughput(sizes),
  times: drawTimes(halfElsewhere),
  deploy: drawDeploys(deploys, DEPLOYS['old and new processes']!.maxConnections),
  overload: drawOverloads(overloads),
};
for (const [name, svg] of Object.entries(drawings)) await writeFile(`${pictures}${name}.svg`, await svg);

const path = `${docs}fleet.md`;
let page = await readFile(path, 'utf8');
for (const [name, [head, ...rows]] of Object.entries(tables)) {
  const lines = [head!, head!.map(() => '-'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
  console.log(`${lines}\n`);
  const place = new RegExp(`(<!-- simulated: ${name} -->\n)[^]*?(\n<!-- end -->)`);
  if (!place.test(page)) throw new Error(`${path} has no place for the table of ${name}`);
  page = page.replace(place, (_, begin: string, end: string) => `${begin}\n${lines}\n${end}`);
}
await writeFile(path, await format(page, { ...(await resolveConfig(path)), parser: 'markdown' }));
