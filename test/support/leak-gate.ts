import { setImmediate as tick, setTimeout as sleep } from 'node:timers/promises';
import { beforeAll, beforeEach, onTestFinished } from 'vitest';
import { shortcuts } from '../../src/session/shortcuts.js';
import { admin, backends, disconnectAdmin } from './database.js';
import { takeWarnings } from './warnings.js';

/** Seconds in which everything a test has closed must be gone, on a busy machine; most of it is gone at once. */
const PATIENCE = 10;

// The user's libpq settings must not affect the tests.
for (const name of Object.keys(process.env)) {
  if (name.startsWith('PG') && name !== 'PGBIN' && name !== 'PGBOUNCER')
    Reflect.deleteProperty(process.env, name);
}

// Statements must have the same outcome without shortcuts.
shortcuts.taken = process.env['TEST_SHORTCUTS'] !== 'off';

/*
 * The gate that every test passes: it leaves no backend, no open socket and no process warning that it did not announce.
 * (Unhandled rejections and exceptions fail the run by vitest's own doing.) What `beforeAll` opened may stay until the file ends.
 */
beforeAll(async () => {
  await admin('SELECT 1');
  const sockets = openSockets();
  return async () => {
    try {
      await untilNoneLeft([], sockets);
    } finally {
      await disconnectAdmin();
    }
  };
});

beforeEach(async () => {
  takeWarnings();
  const sockets = openSockets();
  const pids = await backends();
  // Registered first, so that it runs last: after the test's own clean-up.
  onTestFinished(async () => {
    await untilNoneLeft(pids, sockets);
    await tick();
    const warnings = takeWarnings();
    if (warnings.length > 0) {
      throw new Error(`the test raised process warnings that it did not announce: ${warnings.join('; ')}`);
    }
  });
});

async function untilNoneLeft(pidsBefore: readonly number[], socketsBefore: number): Promise<void> {
  const deadline = performance.now() + PATIENCE * 1000;
  for (;;) {
    const left = (await backends())
      .filter((pid) => !pidsBefore.includes(pid))
      .map((pid) => `backend ${String(pid)}`);
    const sockets = openSockets() - socketsBefore;
    if (sockets > 0) left.push(`${String(sockets)} open sockets`);
    if (left.length === 0) return;
    if (performance.now() > deadline) throw new Error(`this was left behind: ${left.join(', ')}`);
    await sleep(20);
  }
}

function openSockets(): number {
  return process.getActiveResourcesInfo().filter((name) => name === 'TCPSocketWrap' || name === 'PipeWrap')
    .length;
}
