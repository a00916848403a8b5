import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, it } from 'vitest';
import { ADVICE } from '../../src/errors/advice.js';

const run = promisify(execFile);
const root = fileURLToPath(new URL('../..', import.meta.url));

it.each(['generate-errors', 'generate-error-page'])('what tools/%s.ts writes is up to date', async (name) => {
  const args = ['--import', 'tsx', `tools/${name}.ts`, '--check'];
  await expect(run(process.execPath, args, { cwd: root })).resolves.toMatchObject({ stderr: '' });
});

it.each(ADVICE)('the example of an advice is a message that it is for: $example', ({ example, message }) => {
  expect(message?.test(example)).not.toBe(false);
});
