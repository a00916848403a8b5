import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { describe, expect, inject, it, onTestFinished } from 'vitest';
import { conninfoToDict } from '../../src/index.js';
import { admin, applicationName, dsn } from '../support/database.js';
import { FaultProxy } from '../support/fault-proxy.js';
import { exitOf } from '../support/own-process.js';

const program = fileURLToPath(new URL('frozen-process.ts', import.meta.url));

/** A process with a pool of one connection, which goes through the first of two proxies; later ones go through the second. */
async function startProcess(checks: boolean) {
  const { host, port } = conninfoToDict(inject('dsn'));
  const server = { host: host!, port: Number(port) };
  const proxies = [await FaultProxy.to(server), await FaultProxy.to(server)] as const;
  const [first, later] = proxies.map((proxy) =>
    dsn({ host: '127.0.0.1', port: proxy.port, sslmode: 'disable' }),
  ) as [string, string];
  const child = spawn(
    process.execPath,
    ['--import', 'tsx', program, first, later, checks ? 'check' : 'no check'],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  );
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<string> => ((await lines.next()) as IteratorResult<string, string>).value;
  onTestFinished(async () => {
    child.kill('SIGCONT');
    await exitOf(child, 'SIGKILL');
    for (const proxy of proxies) await proxy[Symbol.asyncDispose]();
  });
  expect(await next()).toBe('ready');
  return {
    proxy: proxies[0],
    /** Freezes it in a request for longer than its connection lives, and for longer than `checkAfter`. */
    freezeWhile: async (end: () => unknown) => {
      child.stdin.write('freeze\n');
      expect(await next()).toBe('begun');
      await end();
      await sleep(1000);
      // Once is not enough if it has not stopped yet.
      const waking = setInterval(() => child.kill('SIGCONT'), 100);
      onTestFinished(() => {
        clearInterval(waking);
      });
      return next();
    },
    ask: async () => {
      child.stdin.write('go on\n');
      expect(await next()).toBe('begun');
      return next();
    },
  };
}

type Process = Awaited<ReturnType<typeof startProcess>>;

/** What may happen to its connection meanwhile. */
const EVENTS: readonly (readonly [string, (frozen: Process) => unknown])[] = [
  [
    'a reset',
    ({ proxy }) => {
      proxy.resetAll();
    },
  ],
  [
    'the end of its backend',
    () =>
      admin('SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = $1', [
        applicationName(),
      ]),
  ],
  [
    'a network that has forgotten its connection',
    ({ proxy }) => {
      proxy.blackHole.add('up').add('down');
    },
  ],
];

describe('a process that was frozen in the middle of a request', () => {
  it.each(EVENTS)('gets a working connection with `check`, after %s', async (_name, event) => {
    const frozen = await startProcess(true);
    expect(await frozen.freezeWhile(() => event(frozen))).toBe('rows [[42]]');
    expect(await frozen.ask()).toBe('rows [[42]]');
  });

  it.each(EVENTS)('gets one clear error without `check`, after %s', async (name, event) => {
    const frozen = await startProcess(false);
    // A network that forgets says nothing, so that the signal of the request ends it.
    expect(await frozen.freezeWhile(() => event(frozen))).toMatch(
      name.startsWith('a network') ? /^error TimeoutError \S/ : /^error (AdminShutdown|OperationalError) \S/,
    );
    expect(await frozen.ask()).toBe('rows [[42]]');
  });
});
