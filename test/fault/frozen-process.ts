/**
 * A process that stops itself in the middle of each request: it makes a pool whose first connection goes to one server, and later
 * ones to another. For each line `freeze` on its standard input it stops, for each other line it does not; then it runs a
 * statement, and says what came of it.
 */
import { createInterface } from 'node:readline';
import { AsyncConnectionPool } from '../../src/index.js';

const [first = '', later = '', checks] = process.argv.slice(2);
let connects = 0;
await using pool = new AsyncConnectionPool(() => (connects++ === 0 ? first : later), {
  minSize: 1,
  checkTimeout: 2,
  ...(checks === 'check'
    ? { check: (connection) => AsyncConnectionPool.checkConnection(connection), checkAfter: 0.7 }
    : {}),
});

const say = (word: string): void => void process.stdout.write(`${word}\n`);

await pool.wait();
say('ready');
for await (const line of createInterface({ input: process.stdin })) {
  say('begun');
  // The statement follows before the process hears of its sockets.
  if (line === 'freeze') process.kill(process.pid, 'SIGSTOP');
  try {
    const { rows } = await pool.execute('SELECT 42', null, { signal: AbortSignal.timeout(10_000) });
    say(`rows ${JSON.stringify(rows)}`);
  } catch (error) {
    say(`error ${(error as Error).name} ${(error as Error).message}`);
  }
}
