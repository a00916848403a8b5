import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Contender } from './race.js';

const PROGRAM = fileURLToPath(new URL('peers.py', import.meta.url));
/** Debian's packages belong to /usr/bin/python3, whichever `python3` comes first in PATH. */
const CANDIDATES = [process.env['BENCH_PYTHON'], 'python3', '/usr/bin/python3'];

export type PythonPeer = 'psycopg' | 'asyncpg';

/** Psycopg 3 and asyncpg in a process of their own, which times the work that it is told to do. */
export class Python implements Disposable {
  /** The installed peers with their versions. */
  readonly peers: Readonly<Partial<Record<PythonPeer, string>>>;
  readonly #child: ChildProcess;
  #answer: { resolve: (line: string) => void; reject: (error: Error) => void } | null = null;

  private constructor(child: ChildProcess, peers: Partial<Record<PythonPeer, string>>) {
    this.peers = peers;
    this.#child = child;
    createInterface({ input: child.stdout! }).on('line', (line) => this.#answer?.resolve(line));
    child.once('exit', () => this.#answer?.reject(new Error('the Python peers are gone')));
  }

  /** Starts the Python that has most of the peers installed; null if none has any. */
  static start(dsn: string): Python | null {
    let best: { readonly command: string; readonly peers: Partial<Record<PythonPeer, string>> } | null = null;
    for (const command of CANDIDATES) {
      if (command === undefined || command === '') continue;
      const asked = spawnSync(command, [PROGRAM, '--peers'], { encoding: 'utf8' });
      if (asked.status !== 0) continue;
      const peers = JSON.parse(asked.stdout) as Partial<Record<PythonPeer, string>>;
      if (Object.keys(peers).length > Object.keys(best?.peers ?? {}).length) best = { command, peers };
    }
    if (best === null) return null;
    const child = spawn(best.command, [PROGRAM, dsn], { stdio: ['pipe', 'pipe', 'inherit'] });
    return new Python(child, best.peers);
  }

  /** The process ids of the running process. */
  get pids(): number[] {
    return this.#child.pid === undefined ? [] : [this.#child.pid];
  }

  /** The contenders for some work; a peer that is missing, or cannot do it, has none. */
  contenders(work: string, size: number, peers: readonly PythonPeer[] = ['psycopg', 'asyncpg']): Contender[] {
    return peers
      .filter((peer) => peer in this.peers)
      .map((peer) => ({ name: peer, run: () => this.#run({ peer, work, size }) }));
  }

  async #run(order: Readonly<Record<string, unknown>>): Promise<number> {
    const answer = new Promise<string>((resolve, reject) => {
      this.#answer = { resolve, reject };
    });
    this.#child.stdin!.write(`${JSON.stringify(order)}\n`);
    const { ms, error } = JSON.parse(await answer) as { ms: number; error?: string };
    if (error !== undefined) throw new Error(`${JSON.stringify(order)}: ${error}`);
    return ms;
  }

  [Symbol.dispose](): void {
    this.#answer = null;
    this.#child.kill();
  }
}
