import type { ResolvedHost } from '../conninfo/index.js';
import type * as errors from '../errors/index.js';
import { waitFor } from '../waiting.js';

/** Seconds for which a search that has found nothing else waits for a host that was silent. */
const PATIENCE = 0.25;

/** A host that gave no answer: the error of that attempt, and the attempt that finds out whether it answers again. */
interface Silence {
  readonly error: errors.DatabaseError;
  inquiry: Promise<boolean> | null;
}

/** What tells a host from the others of a connection string. */
export type HostKey = Pick<ResolvedHost, 'host' | 'hostaddr' | 'port'>;

/**
 * The hosts of a pool that gave no answer to an attempt to connect, or to the check of a connection. As long as a pool knows
 * other hosts, it does not wait for these again: whether they answer is found out beside its searches, by one attempt at a time
 * for each.
 */
export class SilentHosts {
  readonly #silences = new Map<string, Silence>();
  readonly #end = new AbortController();

  /** The hosts that a search asks last: those that were silent, unless all of them were. Forgets all other hosts. */
  among(hosts: readonly ResolvedHost[]): ReadonlySet<ResolvedHost> {
    const silent = new Set<ResolvedHost>();
    if (this.#silences.size === 0) return silent;
    const keys = new Set(hosts.map(keyOf));
    for (const key of this.#silences.keys()) if (!keys.has(key)) this.#silences.delete(key);
    for (const host of hosts) if (this.#silences.has(keyOf(host))) silent.add(host);
    return silent.size === hosts.length ? new Set() : silent;
  }

  /** A host gave no answer, which `error` says. */
  add(host: HostKey, error: errors.DatabaseError): void {
    this.#silences.set(keyOf(host), { error, inquiry: null });
  }

  /** A host has answered. */
  remove(host: HostKey): void {
    if (this.#silences.size > 0) this.#silences.delete(keyOf(host));
  }

  /** Finds out whether a silent host answers again, unless that is under way. `ask` resolves with true if it does. */
  inquire(host: ResolvedHost, ask: (signal: AbortSignal) => Promise<boolean>): void {
    const silence = this.#silences.get(keyOf(host));
    if (silence === undefined || silence.inquiry !== null || this.#end.signal.aborted) return;
    silence.inquiry = ask(this.#end.signal)
      // The next search meets the same error, and reports it.
      .catch(() => true)
      .then((answers) => {
        silence.inquiry = null;
        if (answers) this.remove(host);
        return answers;
      });
  }

  /** Waits a little for the answer that `inquire()` asked for. Returns the error of the last attempt if there is none; else null. */
  async errorOf(host: ResolvedHost, signal: AbortSignal | undefined): Promise<errors.DatabaseError | null> {
    const silence = this.#silences.get(keyOf(host));
    if (silence === undefined) return null;
    const answers = await waitFor(silence.inquiry ?? Promise.resolve(false), {
      seconds: PATIENCE,
      late: () => false,
      signal,
    });
    return answers ? null : silence.error;
  }

  /** Ends what is under way: the pool is closed. */
  stop(): void {
    this.#end.abort();
  }
}

function keyOf({ host, hostaddr, port }: HostKey): string {
  return JSON.stringify([host, hostaddr, port]);
}
