import { existsSync } from 'node:fs';
import { join } from 'node:path';

/** The browser that pages are opened in, which CHROMIUM may name; null where there is none. */
export function chromiumProgram(): string | null {
  const named = process.env['CHROMIUM'];
  if (named === 'none') return null;
  if (named !== undefined && named !== '') return named;
  const directories = (process.env['PATH'] ?? '').split(':');
  const names = ['chromium', 'chromium-browser', 'google-chrome', 'google-chrome-stable'];
  return (
    names
      .flatMap((name) => directories.map((directory) => join(directory, name)))
      .find((path) => existsSync(path)) ?? null
  );
}

/** Whether tests may do without it: it is not installed, and this is no CI, or CHROMIUM=none says that it can't be had. */
export function mayLackChromium(): boolean {
  if (chromiumProgram() !== null) return false;
  const { CI, CHROMIUM } = process.env;
  const may = CI === undefined || CI === '' || CHROMIUM === 'none';
  if (may) console.warn('Chromium is not installed (apt-get install chromium): its tests are skipped');
  return may;
}
