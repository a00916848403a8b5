import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createRequire } from 'node:module';
import { createInterface } from 'node:readline';
import { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';
import { chromium, type Browser } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import type { PoolPicture } from '../../examples/pool-watch.js';
import { chromiumProgram, mayLackChromium } from '../support/chromium.js';
import { admin } from '../support/database.js';

const LIMIT = 120_000;

type Picture = PoolPicture & { readonly tasks: number; readonly maxTasks: number };

let child: ChildProcess;
let output = '';
let address: string;
const stream = new AbortController();
let latest: Picture | undefined;

/** Starts the example as its readers do, and follows its events for as long as the file's tests run. */
beforeAll(async () => {
  const path = fileURLToPath(new URL('../../examples/12-pool-live.ts', import.meta.url));
  child = spawn(process.execPath, ['--import', 'tsx', path], {
    env: { ...process.env, DATABASE_URL: inject('dsn'), NODE_OPTIONS: '', PORT: '0' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  child.stderr!.setEncoding('utf8').on('data', (text: string) => (output += text));
  address = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout! }).on('line', (line) => {
      output += `${line}\n`;
      const [, opened] = /^open (\S+)\/ \(Ctrl-C ends it\)$/.exec(line) ?? [];
      if (opened !== undefined) resolve(opened);
    });
    child.once('exit', () => {
      reject(new Error(output));
    });
  });
  const response = await fetch(`${address}/events`, { signal: stream.signal });
  expect(response.headers.get('content-type')).toBe('text/event-stream');
  void follow(Readable.fromWeb(response.body! as never));
}, LIMIT);

afterAll(() => {
  stream.abort();
  if (child.exitCode === null) child.kill('SIGKILL');
});

async function follow(body: Readable): Promise<void> {
  try {
    for await (const line of createInterface({ input: body })) {
      if (line.startsWith('data: ')) latest = JSON.parse(line.slice('data: '.length)) as Picture;
    }
  } catch {
    // It ends with the example.
  }
}

async function post(path: string, body: string): Promise<number> {
  return (await fetch(address + path, { method: 'POST', body })).status;
}

/** Looks at the pictures that come until one is as told. */
function untilSeen(look: (picture: Picture) => unknown): Promise<void> {
  return expect
    .poll(() => latest !== undefined && look(latest), { timeout: LIMIT, interval: 5 })
    .toBeTruthy();
}

test('its page stands by itself, and its server has nothing else', { timeout: LIMIT }, async () => {
  const page = await fetch(`${address}/`);
  expect(page.headers.get('content-type')).toContain('text/html');
  const html = await page.text();
  expect(html).toContain('<title>A pool, live</title>');
  // Nothing is loaded from elsewhere.
  expect(html.match(/(?:src|href)="(?!data:)[^"]*"/g)).toBeNull();
  expect((await fetch(`${address}/nothing`)).status).toBe(404);
});

test(
  'it shows connections at work, idle, and the statements that have ended',
  { timeout: LIMIT },
  async () => {
    await untilSeen(({ slots }) => slots.some(({ state, query }) => state === 'lent' && query !== null));
    expect(latest!.slots).toHaveLength(10);
    await untilSeen(({ slots }) => slots.some(({ state, pid }) => state === 'idle' && pid !== null));
    await untilSeen(({ statements }) => statements.some(({ query }) => query === 'COMMIT'));
    const numbers = latest!.statements.map(({ number }) => number);
    expect(numbers).toEqual([...numbers].sort((a, b) => b - a));
  },
);

test(
  'the load moves: more tasks than connections wait, and none means rest',
  { timeout: LIMIT },
  async () => {
    expect(await post('/load', '60')).toBe(204);
    await untilSeen(({ tasks, queue, slots }) => {
      const lent = slots.filter(({ state }) => state === 'lent').length;
      return tasks === 60 && queue.length > 5 && lent > 8;
    });
    expect(await post('/load', '61')).toBe(400);
    expect(await post('/load', 'many')).toBe(400);
    expect(await post('/load', '0')).toBe(204);
    await untilSeen(
      ({ tasks, queue, slots }) =>
        tasks === 0 && queue.length === 0 && slots.every(({ state }) => state !== 'lent'),
    );
    // Idle connections above minSize are closed, and leave their places.
    await untilSeen(({ slots }) => slots.filter(({ state }) => state === 'idle').length === 2);
  },
);

test('a connection that is ended is replaced', { timeout: LIMIT }, async () => {
  await untilSeen(({ totals }) => totals.connects > 0);
  const before = latest!;
  const pids = (picture: Picture): (number | null)[] => picture.slots.map(({ pid }) => pid);
  expect(await post('/kill', 'null')).toBe(204);
  await untilSeen(
    (picture) =>
      picture.totals.connects > before.totals.connects &&
      picture.slots.filter(({ state }) => state === 'idle').length === 2,
  );
  expect(pids(latest!)).not.toEqual(pids(before));
});

describe.skipIf(mayLackChromium())('in a browser', () => {
  let browser: Browser;

  beforeAll(async () => {
    // Root may not have a sandbox, and what is opened is our own.
    browser = await chromium.launch({ executablePath: chromiumProgram()!, args: ['--no-sandbox'] });
  });
  afterAll(() => browser.close());

  test.each([
    { colorScheme: 'light', width: 1280 },
    { colorScheme: 'dark', width: 375 },
  ] as const)(
    'it fits into $width px, is readable in the $colorScheme theme, and its slider moves the load',
    { timeout: LIMIT },
    async ({ colorScheme, width }) => {
      await using context = await browser.newContext({ colorScheme, viewport: { width, height: 800 } });
      const page = await context.newPage();
      const complaints: string[] = [];
      page.on('console', (message) => {
        if (message.type() === 'error') complaints.push(message.text());
      });
      page.on('pageerror', (error) => complaints.push(String(error)));
      await page.goto(address);
      const slider = page.locator('#load');
      await slider.fill('40');
      await slider.dispatchEvent('change');
      await untilSeen(({ tasks }) => tasks === 40);
      await page.locator('.slot[data-state=lent]').first().waitFor();
      await page.locator('#queue span').first().waitFor();
      await page.locator('#statements tr').first().waitFor();
      expect(await page.evaluate('document.documentElement.scrollWidth')).toBeLessThanOrEqual(width);
      await page.addScriptTag({ path: createRequire(import.meta.url).resolve('axe-core/axe.min.js') });
      const violations = await page.evaluate<string[]>(
        'axe.run().then(({ violations }) => violations.map(({ id, nodes }) => `${id}: ${nodes[0].html}`))',
      );
      expect(violations).toEqual([]);
      expect(complaints).toEqual([]);
    },
  );
});

test('Ctrl-C ends it, and nothing is left', { timeout: LIMIT }, async () => {
  expect(await post('/load', '20')).toBe(204);
  await untilSeen(({ tasks }) => tasks === 20);
  const closed = once(child, 'close');
  child.kill('SIGINT');
  expect((await closed)[0], output).toBe(0);
  expect(output).toMatch(/^open \S+ \(Ctrl-C ends it\)\nended\n$/);
  expect(await admin("SELECT to_regclass('example_account') AS left")).toEqual([{ left: null }]);
});
