// Runs the suite, and prints a line of JSON for each of its tests: its name, whether it was skipped, and the error if it failed.
import { inspect } from 'node:util';
import * as usingpg from 'usingpg';
import { suite, SKIPPED } from './suite.mjs';

const tests = suite(usingpg, JSON.parse(process.env.SERVERS));
for (const [name, test] of Object.entries(tests)) {
  let skipped = false;
  let error = null;
  try {
    skipped = (await test()) === SKIPPED;
  } catch (reason) {
    error = inspect(reason);
  }
  console.log(JSON.stringify({ name, skipped, error }));
}
