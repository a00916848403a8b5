import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { SITE } from '../../tools/site/package-links.js';
import { chromiumProgram, mayLackChromium } from '../support/chromium.js';
import { root } from './samples.js';

const run = promisify(execFile);
const { pathname: base } = new URL(SITE);
const MINUTE = 60_000;
/** Pictures of the pages, for who wants to see what the tests have seen. */
const SCREENSHOTS = `${root}test-output/site`;
const PHONE = { width: 375, height: 812 };
const DESKTOP = { width: 1280, height: 900 };

/** What is looked for, where an answer is, and the language that it is asked in. */
const QUESTIONS: readonly [question: string, answers: readonly string[], locale?: string][] = [
  ['IN list', ['guides/parameters', 'faq']],
  ['bigint json', ['start', 'guides/values', 'guides/rows']],
  ['commit forgotten', ['guides/transactions', 'start']],
  ['pgbouncer', ['guides/pgbouncer']],
  ['cancel query', ['guides/cancelling']],
  ['too many connections', ['guides/pools', 'guides/on-call']],
  ['cursor shared tasks', ['failure-and-cure']],
  ['bulk insert', ['guides/copy', 'guides/pipelines']],
  ['listen notify', ['guides/notifications']],
  ['idle in transaction', ['guides/transactions']],
  ['date off by one day', ['guides/values', 'guides/rows']],
  ['PoolTimeout', ['faq', 'guides/errors', 'reference/errors/classes/PoolTimeout']],
  [
    'withConnection',
    ['reference/classes/AsyncConnectionPool', 'reference/classes/AsyncConnection', 'guides/pools', 'start'],
  ],
  ['游标', ['zh/failure-and-cure', 'zh/start'], 'zh/start'],
];

describe.skipIf(mayLackChromium())('the site, in a browser', () => {
  let built: string;
  let browser: Browser;
  let context: BrowserContext;
  /** What the browser complains of, with the page. */
  const complaints: string[] = [];

  beforeAll(async () => {
    built = await mkdtemp(join(tmpdir(), 'usingpg-site-'));
    await run('npm', ['run', '--silent', 'docs:build', '--', '--outDir', built], {
      cwd: root,
      maxBuffer: 1e8,
    });
    await rm(SCREENSHOTS, { recursive: true, force: true });
    await mkdir(SCREENSHOTS, { recursive: true });
    browser = await chromium.launch({
      executablePath: chromiumProgram()!,
      // Root may not have a sandbox, and what is opened is our own.
      args: ['--no-sandbox'],
    });
    context = await browser.newContext({ baseURL: SITE, reducedMotion: 'reduce' });
    await context.route('**/*', async (route) => {
      const url = new URL(route.request().url());
      const path = url.origin === new URL(SITE).origin ? fileOf(url.pathname) : null;
      if (path !== null) {
        await route.fulfill({ path });
        return;
      }
      complaints.push(`not there: ${url.href}`);
      await route.fulfill({ status: 404, body: '' });
    });
  }, 5 * MINUTE);

  afterAll(async () => {
    await browser?.close();
    await rm(built, { recursive: true, force: true });
  });

  /** The file that a server would send, as the host of the site does: addresses have no `.html`. */
  function fileOf(path: string): string | null {
    if (!path.startsWith(base)) return null;
    const name = join(built, decodeURIComponent(path.slice(base.length)));
    return (
      [name, `${name}.html`, join(name, 'index.html')].find(
        (file) => /\.\w+$/.test(file) && existsSync(file),
      ) ?? null
    );
  }

  async function open(path: string, viewport = DESKTOP): Promise<Page> {
    const page = await context.newPage();
    await page.setViewportSize(viewport);
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(`${page.url()}: ${message.text()}`);
    });
    page.on('pageerror', (error) => complaints.push(`${page.url()}: ${String(error)}`));
    await page.goto(base + path);
    return page;
  }

  /** The addresses of all pages that were built. */
  async function pages(): Promise<string[]> {
    const names = await readdir(built, { recursive: true });
    return names
      .filter((name) => name.endsWith('.html') && name !== '404.html')
      .map((name) => name.replace(/(?:(?<=^|\/)index)?\.html$/, ''))
      .sort();
  }

  it(
    'has a way to every page, and nothing that is wrong on any of them',
    { timeout: 10 * MINUTE },
    async () => {
      const all = await pages();
      expect(all.length).toBeGreaterThan(100);
      const page = await open('', PHONE);
      const anchors = new Map<string, Set<string>>();
      const wanted: { from: string; to: string; anchor: string }[] = [];
      const faults: string[] = [];
      const found = new Set(['']);
      for (const path of found) {
        await page.goto(base + path);
        await page.waitForFunction('document.querySelector("#app").__vue_app__ !== undefined');
        const seen = await page.evaluate<Seen>(LOOK);
        anchors.set(path, new Set(seen.ids));
        if (seen.width > PHONE.width)
          faults.push(`${path}: is ${String(seen.width)} px wide (${seen.widest})`);
        faults.push(...seen.brokenImages.map((image) => `${path}: has no picture ${image}`));
        for (const href of seen.links) {
          const url = new URL(href);
          if (url.origin !== new URL(SITE).origin || !url.pathname.startsWith(base)) continue;
          const to = url.pathname.slice(base.length).replace(/(?<=^|\/)index$/, '');
          wanted.push({ from: path, to, anchor: decodeURIComponent(url.hash.slice(1)) });
          found.add(to);
        }
      }
      for (const { from, to, anchor } of wanted) {
        if (anchor !== '' && anchors.get(to)?.has(anchor) === false)
          faults.push(`${from}: ${to} has no #${anchor}`);
      }
      await page.close();
      expect(faults).toEqual([]);
      expect(complaints).toEqual([]);
      expect([...found].sort()).toEqual(all);
    },
  );

  it('can be read in both themes', { timeout: 10 * MINUTE }, async () => {
    const written = (await pages()).filter(
      (path) => !/^reference\/./.test(path) || /sqlstates|PoolOptions|AsyncCursor$/.test(path),
    );
    const page = await open('');
    const faults: string[] = [];
    for (const path of written) {
      await page.goto(base + path);
      await page.addScriptTag({ path: AXE });
      for (const theme of ['light', 'dark']) {
        await page.evaluate(`document.documentElement.classList.toggle('dark', ${String(theme === 'dark')})`);
        const name = path === '' ? 'index' : path.replaceAll('/', '-');
        await page.screenshot({ path: `${SCREENSHOTS}/${name}-${theme}.png` });
        const { violations } = await page.evaluate<AxeResults>(
          "axe.run(document, { runOnly: ['color-contrast', 'image-alt', 'link-name', 'button-name', 'document-title', 'html-has-lang', 'duplicate-id'] })",
        );
        faults.push(
          ...violations.flatMap(({ id, nodes }) =>
            nodes
              .slice(0, 3)
              .map(({ html, failureSummary }) => `${path} (${theme}): ${id}: ${html}: ${failureSummary}`),
          ),
        );
      }
    }
    await page.close();
    expect(faults).toEqual([]);
  });

  it.each(QUESTIONS)(
    'answers "%s" within its first three finds: %s',
    async (question, answers, locale = '') => {
      const page = await open(locale);
      await page.locator('.VPNavBarSearch button').first().click();
      await page.locator('#localsearch-input').fill(question);
      const finds = async (): Promise<string[]> => {
        const found = await page.evaluate<string[]>(
          "[...document.querySelectorAll('#localsearch-list .result')].map((link) => link.getAttribute('href'))",
        );
        return found.slice(0, 3).map((href) => href.slice(base.length).replace(/#.*/, ''));
      };
      await expect
        .poll(finds)
        .toEqual(expect.arrayContaining([expect.toSatisfy((path: string) => answers.includes(path))]));
      await page.close();
    },
  );
});

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

interface AxeResults {
  readonly violations: readonly {
    readonly id: string;
    readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
  }[];
}

interface Seen {
  readonly links: string[];
  readonly ids: string[];
  readonly width: number;
  readonly widest: string;
  readonly brokenImages: string[];
}

/** Run in the page, whose `document` this project has no types of. */
const LOOK = `(() => {
  const root = document.documentElement;
  const wide = [...document.querySelectorAll('.VPContent *')].filter((e) => e.getBoundingClientRect().right > root.clientWidth + 1);
  return {
    links: [...document.querySelectorAll('a[href]')].map((a) => a.href),
    ids: [...document.querySelectorAll('[id]')].map((e) => e.id),
    width: root.scrollWidth,
    widest: wide[0] ? wide[0].outerHTML.slice(0, 200) : '',
    brokenImages: [
      ...[...document.images].filter((i) => i.offsetParent && !(i.complete && i.naturalWidth > 0)).map((i) => i.src),
      ...[...document.querySelectorAll('.diagram')].filter((d) => !(d.querySelector('svg')?.getBoundingClientRect().width > 50)).map((d) => d.textContent),
    ],
  };
})()`;
