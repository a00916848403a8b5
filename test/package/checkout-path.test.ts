import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { dsn } from '../support/database.js';

const PROGRAM = fileURLToPath(new URL('checkout-path.ts', import.meta.url));
const page = readFileSync(new URL('../../docs/why/architecture.md', import.meta.url), 'utf8');

/** The files that the drawing of the path names. */
function drawn(): string[] {
  const drawing = /## The way of a statement[^]*?```text\n([^]*?)```/.exec(page)![1]!;
  return [...new Set(drawing.match(/[a-z-]+(?:\/[a-z-]+)?\.ts\b/g))].sort();
}

describe('one checkout with one statement', () => {
  it('enters the files that the page on the architecture draws, no others, and few', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, ['--import', 'tsx', PROGRAM, dsn()]);
    const isBeside = /^(?:(?:query|types)\/|sql-)/;
    const files = (JSON.parse(stdout) as string[]).filter((file) => !isBeside.test(file));
    expect(files).toEqual(drawn());
    expect(files.length).toBeLessThanOrEqual(25);
  });
});
