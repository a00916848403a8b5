/** Takes the pictures of the live pool that the guide to pools shows: `npx tsx tools/timelines/pool-live.ts`. Needs Chromium. */
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { chromium } from 'playwright-core';
import { chromiumProgram } from '../../test/support/chromium.js';

const TASKS = '32';
const folder = fileURLToPath(new URL('../../docs/guides/', import.meta.url));
const example = fileURLToPath(new URL('../../examples/12-pool-live.ts', import.meta.url));

const child = spawn(process.execPath, [...process.execArgv, example], {
  stdio: ['ignore', 'pipe', 'inherit'],
});
const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
const first = (await lines.next()) as IteratorResult<string, undefined>;
const address = /http\S+/.exec(first.value ?? '')![0];
const browser = await chromium.launch({ executablePath: chromiumProgram()!, args: ['--no-sandbox'] });
try {
  for (const colorScheme of ['light', 'dark'] as const) {
    const page = await browser.newPage({ colorScheme, viewport: { width: 900, height: 660 } });
    await page.goto(address);
    await page.locator('#load').fill(TASKS);
    await page.locator('#load').dispatchEvent('change');
    // The queue takes a moment to become as long as it will be.
    await page.waitForTimeout(2000);
    await page.locator('h1').click();
    await page.screenshot({ path: `${folder}pool-live-${colorScheme}.png` });
  }
} finally {
  await browser.close();
  child.kill('SIGINT');
}
