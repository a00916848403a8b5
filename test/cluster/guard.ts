import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync, readlinkSync } from 'node:fs';

/**
 * Waits for the end of its input, then ends every process that works in a directory, and removes the directory. PostgreSQL's
 * processes get SIGQUIT first, upon which they release their shared memory. What would start them again must be gone before.
 */
const SCRIPT = `
cat >/dev/null
processes() {
  for process in /proc/[0-9]*; do
    case "$(readlink "$process/cwd" 2>/dev/null)" in
      "$1" | "$1"/*) [ "$(cat "$process/comm" 2>/dev/null)" = postgres ] || [ "$2" = all ] && echo "\${process#/proc/}" ;;
    esac
  done
}
for pid in $(processes "$1" all); do
  [ "$(cat "/proc/$pid/comm" 2>/dev/null)" = postgres ] || kill -KILL "$pid" 2>/dev/null
done
for pid in $(processes "$1" postgres); do kill -QUIT "$pid" 2>/dev/null; kill -CONT "$pid" 2>/dev/null; done
patience=100
while [ -n "$(processes "$1" postgres)" ] && [ "$patience" -gt 0 ]; do sleep 0.1; patience=$((patience - 1)); done
for pid in $(processes "$1" all); do kill -KILL "$pid" 2>/dev/null; done
rm -rf "$1" || { sleep 1; rm -rf "$1"; }
`;

/**
 * Ends all processes that work in `directory` and removes it, at `end()` or when this process ends for whatever reason, SIGKILL
 * included. A process works where it was started, and PostgreSQL in its data directory.
 */
export class Guard {
  readonly #shell: ChildProcess;
  readonly #exited: Promise<unknown>;

  constructor(directory: string) {
    // A group of its own, which a terminal's Ctrl-C does not reach.
    this.#shell = spawn('/bin/sh', ['-c', SCRIPT, 'guard', directory], {
      cwd: '/',
      detached: true,
      stdio: ['pipe', 'ignore', 'ignore'],
    });
    this.#exited = once(this.#shell, 'exit');
    this.#shell.unref();
  }

  async end(): Promise<void> {
    this.#shell.ref();
    this.#shell.stdin?.end();
    await this.#exited;
  }
}

/** The processes that work in a directory or below it. */
export function processesIn(directory: string): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .filter((pid) => {
      try {
        const place = readlinkSync(`/proc/${pid}/cwd`);
        return place === directory || place.startsWith(`${directory}/`);
      } catch {
        // It has ended, or is a zombie.
        return false;
      }
    })
    .map(Number);
}

/** Sends a signal to all processes that work in a directory, also to those that begin meanwhile. */
export function signalAll(directory: string, signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): void {
  const signalled = new Set<number>();
  for (;;) {
    const pids = processesIn(directory).filter((pid) => !signalled.has(pid) && !isEnding(pid));
    if (pids.length === 0) return;
    for (const pid of pids) {
      signalled.add(pid);
      try {
        process.kill(pid, signal);
      } catch (error) {
        if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
      }
    }
  }
}

function isEnding(pid: number): boolean {
  try {
    return /^State:\t[ZX]/m.test(readFileSync(`/proc/${String(pid)}/status`, 'utf8'));
  } catch {
    return true;
  }
}
