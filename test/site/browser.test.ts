import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
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

/*
 * Every page is looked at as it was built: its HTML is parsed by the browser, which tells its links, anchors and files, and lays it out at
 * the width of a phone. No script runs then. As programs, in both themes, those pages are opened that show all kinds of elements there are.
 */
describe.skipIf(mayLackChromium())('the site, in a browser', () => {
  let built: string;
  let browser: Browser;
  let context: BrowserContext;
  let pages: ReadonlyMap<string, Looked>;
  /** What the browser complains of, with the page. */
  const complaints: string[] = [];

  beforeAll(async () => {
    built = await mkdtemp(join(tmpdir(), 'usingpg-site-'));
    const { stdout, stderr } = await run('npm', ['run', '--silent', 'docs:build', '--', '--outDir', built], {
      cwd: root,
      maxBuffer: 1e8,
    });
    expect(`${stdout}${stderr}`).not.toMatch(/warn/i);
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
      await route.fulfill({ status: 404, body: 'There is no such page.' });
    });
    pages = await lookedAt();
  }, 5 * MINUTE);

  afterEach(() => {
    expect(complaints.splice(0)).toEqual([]);
  });

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

  async function open(path: string): Promise<Page> {
    const page = await context.newPage();
    await page.setViewportSize(DESKTOP);
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(`${page.url()}: ${message.text()}`);
    });
    page.on('pageerror', (error) => complaints.push(`${page.url()}: ${String(error)}`));
    await goTo(page, path);
    return page;
  }

  /** Opens a page, and waits until its program runs. */
  async function goTo(page: Page, path: string): Promise<void> {
    await page.goto(base + path);
    await page.waitForFunction('document.querySelector("#app").__vue_app__ !== undefined');
  }

  /** All pages that were built, by their addresses. */
  async function lookedAt(): Promise<Map<string, Looked>> {
    const page = await context.newPage();
    await page.setViewportSize(PHONE);
    // Only the style of the site, in which the pages are laid out one after the other.
    await context.route('**/*.js', (route) => route.fulfill({ body: '', contentType: 'text/javascript' }));
    await page.goto(`${base}start`);
    await context.unroute('**/*.js');
    const looked = new Map<string, Looked>();
    for (const file of (await readdir(built, { recursive: true })).sort()) {
      if (!file.endsWith('.html') || file === '404.html') continue;
      const path = file.replace(/(?:(?<=^|\/)index)?\.html$/, '');
      const html = await readFile(join(built, file), 'utf8');
      looked.set(path, await page.evaluate<Looked>(`(${LOOK})(${JSON.stringify([html, SITE + path])})`));
    }
    await page.close();
    return looked;
  }

  /** Pages that show everything that is shown: each the one with most of what those before it lack. */
  function pagesOfEachKind(): string[] {
    const missing = new Set([...pages.values()].flatMap(({ kinds }) => kinds));
    const chosen: string[] = [];
    while (missing.size > 0) {
      const news = ([, { kinds }]: [string, Looked]): number =>
        kinds.filter((kind) => missing.has(kind)).length;
      const [path, { kinds }] = [...pages].reduce((best, page) => (news(page) > news(best) ? page : best));
      chosen.push(path);
      for (const kind of kinds) missing.delete(kind);
    }
    return chosen;
  }

  it('has a way to every page, and no link, anchor or file that is not there', () => {
    expect(pages.size).toBeGreaterThan(200);
    const faults: string[] = [];
    const found = new Set(['']);
    for (const path of found) {
      for (const href of pages.get(path)?.links ?? []) {
        const url = new URL(href);
        if (url.origin !== new URL(SITE).origin || !url.pathname.startsWith(base)) continue;
        const to = url.pathname.slice(base.length).replace(/(?<=^|\/)index$/, '');
        const anchor = decodeURIComponent(url.hash.slice(1));
        const page = pages.get(to);
        if (page === undefined) faults.push(`${path}: ${href} is not there`);
        else if (anchor !== '' && !page.ids.includes(anchor)) faults.push(`${path}: ${to} has no #${anchor}`);
        if (page !== undefined) found.add(to);
      }
    }
    for (const [path, { files }] of pages) {
      const missing = files.filter(
        (file) => file.startsWith(SITE) && fileOf(new URL(file).pathname) === null,
      );
      faults.push(...missing.map((file) => `${path}: has no ${file}`));
    }
    expect(faults).toEqual([]);
    expect([...found].sort()).toEqual([...pages.keys()].sort());
  });

  it('fits the width of a phone on every page, and has what a reader without eyes needs', () => {
    const faults = [...pages].flatMap(([path, { width, widest, unnamed, twice }]) => [
      ...(width > PHONE.width ? [`${path}: is ${String(width)} px wide (${widest})`] : []),
      ...unnamed.map((element) => `${path}: has no name: ${element}`),
      ...twice.map((id) => `${path}: has the id ${id} twice`),
    ]);
    expect(faults).toEqual([]);
  });

  it('can be read in both themes', { timeout: 10 * MINUTE }, async () => {
    const chosen = pagesOfEachKind();
    expect(chosen.length).toBeGreaterThan(5);
    const page = await open('');
    const faults: string[] = [];
    for (const path of chosen) {
      await page.setViewportSize(PHONE);
      await goTo(page, path);
      const seen = await page.evaluate<Seen>(SEE);
      if (seen.width > PHONE.width)
        faults.push(`${path}: is ${String(seen.width)} px wide, with its program`);
      faults.push(...seen.broken.map((image) => `${path}: has no picture ${image}`));
      await page.setViewportSize(DESKTOP);
      await page.addScriptTag({ path: AXE });
      for (const theme of ['light', 'dark']) {
        await show(page, theme);
        const name = path === '' ? 'index' : path.replaceAll('/', '-');
        await page.screenshot({ path: `${SCREENSHOTS}/${name}-${theme}.png` });
        const { violations } = await page.evaluate<AxeResults>(
          "axe.run(document, { resultTypes: ['violations'], runOnly: ['color-contrast', 'image-alt', 'link-name', 'button-name', 'document-title', 'html-has-lang', 'duplicate-id'] })",
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

  it('has its drawings in the colours of the theme', async () => {
    const page = await open('guides/failover');
    const drawing = page.locator('img[src$=".svg"]').first();
    const shots: string[] = [];
    for (const theme of ['light', 'dark', 'light']) {
      await show(page, theme);
      shots.push((await drawing.screenshot()).toString('base64'));
    }
    await page.close();
    expect(shots[1]).not.toBe(shots[0]);
    expect(shots[2]).toBe(shots[0]);
  });

  async function show(page: Page, theme: string): Promise<void> {
    await page.evaluate(`document.documentElement.classList.toggle('dark', ${String(theme === 'dark')})`);
  }

  describe('its search', () => {
    const searching = new Map<string, Page>();

    async function searchOf(locale: string): Promise<Page> {
      let page = searching.get(locale);
      if (page === undefined) {
        searching.set(locale, (page = await open(locale)));
        await page.locator('.VPNavBarSearch button').first().click();
      }
      return page;
    }

    it.each(QUESTIONS)(
      'answers "%s" within its first three finds: %s',
      async (question, answers, locale = '') => {
        const page = await searchOf(locale);
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
      },
    );
  });
});

const AXE = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

interface AxeResults {
  readonly violations: readonly {
    readonly id: string;
    readonly nodes: readonly { readonly html: string; readonly failureSummary: string }[];
  }[];
}

/** What a page has, as it was built. */
interface Looked {
  readonly links: readonly string[];
  readonly ids: readonly string[];
  /** What it loads: pictures, scripts, styles. */
  readonly files: readonly string[];
  /** The kinds of elements: tags with their classes, and the colours of code. */
  readonly kinds: readonly string[];
  readonly width: number;
  readonly widest: string;
  /** Images without a text, links without a name, a page without a title or a language. */
  readonly unnamed: readonly string[];
  /** Ids of more than one element. */
  readonly twice: readonly string[];
}

interface Seen {
  readonly width: number;
  readonly broken: readonly string[];
}

/** Run in a page with the style of the site, whose `document` this project has no types of: looks at the HTML of another page. */
const LOOK = `([html, address]) => {
  const parsed = new DOMParser().parseFromString(html, 'text/html');
  const all = (selector) => [...parsed.querySelectorAll(selector)];
  const absolute = (name) => (element) => new URL(element.getAttribute(name), address).href;
  const ids = all('[id]').map((element) => element.id);
  const named = (element) => element.textContent.trim() || element.getAttribute('aria-label') || element.querySelector('img[alt]:not([alt=""])');
  const looked = {
    links: all('a[href]').map(absolute('href')),
    ids,
    files: [...all('img[src], script[src], source[src]').map(absolute('src')), ...all('link[href]').map(absolute('href'))],
    kinds: [...new Set(all('body *').map((element) => {
      // A class that begins so is the page's own name.
      const classes = [...element.classList].filter((name) => !name.startsWith('_')).sort().join('.');
      const colours = element.closest('pre') && element.getAttribute('style');
      return element.closest('svg') ? 'svg' : element.parentElement.tagName + '>' + element.tagName + '.' + classes + ' ' + (colours ?? '');
    }))],
    unnamed: [
      ...all('img:not([alt])'),
      ...all('a[href]').filter((element) => !named(element)),
      ...(parsed.title === '' || parsed.documentElement.lang === '' ? [parsed.documentElement] : []),
    ].map((element) => element.outerHTML.slice(0, 200)),
    twice: ids.filter((id, i) => ids.indexOf(id) !== i),
  };
  for (const image of all('img')) image.removeAttribute('src');
  document.body.replaceWith(document.importNode(parsed.body, true));
  const root = document.documentElement;
  const width = root.scrollWidth;
  const wide = width > root.clientWidth
    ? [...document.querySelectorAll('.VPContent *')].find((e) => e.getBoundingClientRect().right > root.clientWidth + 1)
    : undefined;
  return { ...looked, width, widest: wide ? wide.outerHTML.slice(0, 200) : '' };
}`;

/** Run in a page whose program runs. */
const SEE = `(() => ({
  width: document.documentElement.scrollWidth,
  broken: [
    ...[...document.images].filter((i) => i.offsetParent && !(i.complete && i.naturalWidth > 0)).map((i) => i.src),
    ...[...document.querySelectorAll('.diagram')].filter((d) => !(d.querySelector('svg')?.getBoundingClientRect().width > 50)).map((d) => d.textContent),
  ],
}))()`;
