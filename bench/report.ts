import { mkdir, rm, writeFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { format } from 'prettier';
import { chartOfCurve, chartOfRaces } from './charts.js';
import type { Curve, Figures } from './findings.js';
import type { Machine } from './machine.js';
import { OURS, reached, type Goal, type Race, type Spread } from './race.js';
import type { Finding } from './setting.js';
import { markdown, number, ratio } from './tables.js';

const DOCS = fileURLToPath(new URL('../docs/why/', import.meta.url));
const IMAGES = 'benchmarks';

/** All findings as text for the terminal. */
export function inShort(findings: readonly Finding[], machine: Machine): string {
  return [goalTable(findings), raceTable(findings), figureTable(findings), ...machine.lines]
    .filter((part) => part !== '')
    .join('\n\n');
}

/** Writes docs/why/benchmarks.md and its charts. */
export async function writePage(findings: readonly Finding[], machine: Machine): Promise<void> {
  await rm(DOCS + IMAGES, { recursive: true, force: true });
  await mkdir(DOCS + IMAGES);
  const races = findings.filter(isRace);
  const curves = findings.filter(isCurve);
  const images: string[] = [
    await picture('ratios', 'Time of each client divided by that of usingpg', chartOfRaces(races)),
  ];
  for (const curve of curves) {
    const name = curve.title
      .toLowerCase()
      .replaceAll(/[^a-z0-9]+/g, '-')
      .replace(/-$/, '');
    images.push(await picture(name, curve.title, chartOfCurve(curve)));
  }
  const page = `# Benchmarks

What \`npm run bench\` measured, and all that it measured. To repeat it, run that in a clone: it starts a server of its own, takes
some minutes, and writes this page.

${machine.lines.map((line) => `- ${line}`).join('\n')}

All clients of a workload run in one process (those in Python in another), do the same work on the same server with the same number of
connections, and take turns: each round runs every client once and begins with another one, with a collection of young garbage
before each. A ratio is a client's time divided by that of usingpg in the same round, so above 1 usingpg is faster; the table has the
median, and in brackets what is between a quarter and three quarters of the rounds. Processor time that another program took
away shows in these brackets.

Where statements are waited for one by one, client and server are kept on one processor: they take turns anyway, and else it is
the kernel's choice of a processor that is measured.

"Bytes thrown away" is no client: it sends the same messages, prepared beforehand, and drops the answers unread. It is what the
server and the socket take, and no client can be faster.

## Goals

${goalTable(findings)}

## Ratios

${images[0]!}

${raceTable(findings)}

## Counted

${figureTable(findings)}

## Scaling

${curves.map((curve, i) => `### ${curve.title}\n\n${images[i + 1]!}\n\n${curveTable(curve)}`).join('\n\n')}
`;
  await writeFile(`${DOCS}benchmarks.md`, await format(page, { parser: 'markdown', printWidth: 128 }));
}

async function picture(name: string, alt: string, svg: Promise<string>): Promise<string> {
  await writeFile(`${DOCS}${IMAGES}/${name}.svg`, await svg);
  return `![${alt}](${IMAGES}/${name}.svg)`;
}

// --- tables

function goalTable(findings: readonly Finding[]): string {
  const rows = [
    ...findings.filter(isRace).flatMap((race) => race.goals.map((goal) => goalRow(race, goal))),
    ...findings.filter(isFigures).map(figureGoalRow),
  ].filter((row) => row !== null);
  if (rows.length === 0) return '';
  return markdown(['workload', 'against', 'goal', 'reached', ''], rows);
}

function goalRow(race: Race, goal: Goal): string[] | null {
  const entry = reached(race, goal);
  if (entry === null) return null;
  const met = entry.ratio.median >= goal.ratio;
  return [
    race.workload,
    entry.name,
    ratio(goal.ratio),
    ratio(entry.ratio.median),
    met ? 'reached' : `short${limit(race, entry.ms)}`,
  ];
}

/** Why a goal is out of reach, if it is: the peer's time divided by the floor's. */
function limit({ entries }: Race, peer: Spread): string {
  const floor = entries.find((entry) => entry.floor);
  const ours = entries.find(({ name }) => name === OURS);
  if (floor === undefined || ours === undefined) return '';
  const share = (floor.ms.median / ours.ms.median) * 100;
  return `; bytes thrown away take ${share.toFixed(0)} % of our time, which allows ${ratio(peer.median / floor.ms.median)} at most`;
}

function figureGoalRow({ title, unit, values, goal }: Figures): string[] | null {
  const ours = values.find(({ name }) => name === OURS)?.value;
  if (goal === undefined || ours === undefined) return null;
  return [
    title,
    goal.text,
    `${number(goal.most)} ${unit}`,
    `${number(ours)} ${unit}`,
    ours <= goal.most ? 'reached' : 'short',
  ];
}

function raceTable(findings: readonly Finding[]): string {
  const rows = findings
    .filter(isRace)
    .flatMap(({ workload, operations, entries }) =>
      entries.map(({ name, ms, ratio: own }) => [
        workload,
        name,
        `${number(ms.median)} (${number(ms.low)} – ${number(ms.high)})`,
        operations === null ? '' : number((ms.median * 1000) / operations),
        name === OURS ? '1' : `${ratio(own.median)} (${ratio(own.low)} – ${ratio(own.high)})`,
      ]),
    );
  return rows.length === 0 ? '' : markdown(['workload', 'client', 'ms', 'µs each', 'ratio'], rows);
}

function figureTable(findings: readonly Finding[]): string {
  const rows = findings
    .filter(isFigures)
    .flatMap(({ title, unit, values }) =>
      values.map(({ name, value }) => [title, name, `${number(value)} ${unit}`]),
    );
  return rows.length === 0 ? '' : markdown(['what', 'client', ''], rows);
}

function curveTable({ x, y, series }: Curve): string {
  const sizes = series[0]!.points.map(([size]) => size);
  return markdown(
    [`${x} → ${y}`, ...sizes.map(String)],
    series.map(({ name, points }) => [name, ...points.map(([, value]) => number(value))]),
  );
}

function isRace(finding: Finding): finding is Race {
  return finding.kind === 'race';
}
function isCurve(finding: Finding): finding is Curve {
  return finding.kind === 'curve';
}
function isFigures(finding: Finding): finding is Figures {
  return finding.kind === 'figures';
}
