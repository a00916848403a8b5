import { createRequire } from 'node:module';
import { cpus, totalmem } from 'node:os';
import { AsyncConnection, scalarRow } from './package.js';
import type { Python } from './python.js';

/** The machine and the versions of a measurement. */
export interface Machine {
  readonly lines: readonly string[];
}

const PACKAGES = ['postgres', 'pg', 'pg-promise', 'slonik', 'pg-query-stream', 'pg-copy-streams'];

export async function machineOf(dsn: string, python: Python | null): Promise<Machine> {
  await using conn = await AsyncConnection.connect(dsn);
  const version = await (
    await conn.execute("SELECT current_setting('server_version')", undefined, {
      rowFactory: scalarRow<string>,
    })
  ).fetchone();
  const require = createRequire(import.meta.url);
  const versionOf = (name: string): string => {
    // Some packages do not export their package.json.
    const path = require.resolve.paths(name)!.map((directory) => `${directory}/${name}/package.json`);
    for (const file of path) {
      try {
        return (require(file) as { version: string }).version;
      } catch {
        continue;
      }
    }
    return 'of an unknown version';
  };
  const processors = cpus();
  const peers = [
    ...PACKAGES.map((name) => `${name} ${versionOf(name)}`),
    ...Object.entries(python?.peers ?? {}).map(([name, peer]) => `${name} ${peer}`),
  ];
  return {
    lines: [
      `${String(processors.length)} × ${processors[0]?.model ?? 'an unknown processor'}, ${(totalmem() / 2 ** 30).toFixed(0)} GiB, ${process.platform} ${process.arch}`,
      `Node ${process.version}, PostgreSQL ${String(version)} on the same machine, reached by TCP`,
      peers.join(', '),
    ],
  };
}
