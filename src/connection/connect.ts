import type { PasswordFunction, PasswordRequest, ResolvedConninfo, ResolvedHost } from '../conninfo/index.js';
import { NOT_ENDED, tracers, type ConnectMessage } from '../diagnostics.js';
import * as errors from '../errors/index.js';
import { locate } from '../errors/location.js';
import { thrownText } from '../errors/thrown.js';
import { node } from '../node-modules.js';
import { describeKind } from '../options/kinds.js';
import { Session } from '../session/session.js';
import { DEFAULT_CONNECT_TIMEOUT } from '../session/sign-in.js';
import { onAbort, systemClock, waitFor } from '../waiting.js';
import { connectFailure, failedAs } from '../wire/connect-failure.js';
import { describeAddress, type ServerAddress } from '../wire/socket.js';
import type { Encryption } from '../wire/tls.js';
import type { SilentHosts } from './silent-hosts.js';
import { targetProblem, type Target } from './target-session.js';

/** What may be tried after a failed attempt. */
type Next = 'encryption' | 'address' | 'host' | 'nothing';

/** A pool that connects: its name, and what it knows of its hosts. */
export interface ConnectingPool {
  readonly name: string;
  readonly silentHosts: SilentHosts;
}

const CANNOT_CONNECT_NOW = '57P03';

/**
 * Connects to the first suitable host, as libpq does: tries each of its addresses, each with its own `connect_timeout` and with
 * each encryption that `sslmode` allows. A host that is unreachable, starting up, or has sessions of the wrong kind is skipped. A
 * host that refuses the login or is not trusted ends the search. A pool asks hosts last that gave no answer before. Rejects with one
 * error for all attempts, or with the reason of `signal`; no connection is left open then.
 */
export function openSession(
  conninfo: ResolvedConninfo,
  signal: AbortSignal | undefined,
  pool: ConnectingPool | null = null,
): Promise<Session> {
  if (!tracers.connect.channel.hasSubscribers) return searchSession(conninfo, signal, pool);
  const message = connectMessage(conninfo, pool?.name ?? null);
  return tracers.connect.trace(
    message,
    () => searchSession(conninfo, signal, pool),
    ({ location: { host, port }, backendPid }) => {
      Object.assign(message, { host, port, backendPid });
    },
  );
}

function connectMessage({ hosts, dbname, user }: ResolvedConninfo, pool: string | null): ConnectMessage {
  const { host, port } = hosts[0]!;
  return { pool, host, port, dbname, user, backendPid: null, ...NOT_ENDED };
}

async function searchSession(
  conninfo: ResolvedConninfo,
  signal: AbortSignal | undefined,
  pool: ConnectingPool | null,
): Promise<Session> {
  const search = new Search(conninfo, signal, pool);
  const wanted = conninfo.targetSessionAttrs;
  const session =
    wanted === 'prefer-standby'
      ? ((await search.run('standby')) ?? (await search.run('any')))
      : await search.run(wanted);
  if (session === null) throw allFailed(search.failures);
  return session;
}

/** The connection parameters, with those of the chosen host if there were several, as in Psycopg. */
export function chosenParams(
  { hosts, params }: ResolvedConninfo,
  { host, hostaddr, port }: ServerAddress,
): Readonly<Record<string, string>> {
  if (hosts.length === 1) return params;
  const address = params['hostaddr'] === undefined || hostaddr === null ? {} : { hostaddr };
  return { ...params, host, port: String(port), ...address };
}

/** The error for all attempts: an error of the last one's class, whose message and cause contain all of them. */
function allFailed(failures: readonly errors.DatabaseError[]): errors.DatabaseError {
  const last = failures.at(-1)!;
  if (failures.length === 1) return last;
  const Failed = last.constructor as new (
    message: string,
    options: errors.ErrorOptions,
  ) => errors.DatabaseError;
  return new Failed(
    `all ${String(failures.length)} attempts to connect failed:` +
      failures.map(({ message }) => `\n- ${message}`).join(''),
    {
      cause: new AggregateError(failures, 'all attempts to connect failed'),
      diag: last.diag,
      sqlstate: last.sqlstate,
      connection: last.connection,
    },
  );
}

const NONE: ReadonlySet<ResolvedHost> = new Set();

/** The attempts to connect, in order, until one succeeds or all have failed. */
class Search {
  readonly failures: errors.DatabaseError[] = [];
  readonly #conninfo: ResolvedConninfo;
  readonly #signal: AbortSignal | undefined;
  readonly #pool: ConnectingPool | null;
  readonly #hosts: readonly ResolvedHost[];
  /** Those that gave no answer to an earlier search of the pool. */
  readonly #silent: ReadonlySet<ResolvedHost>;
  readonly #passwords = new Map<ResolvedHost, string>();
  #over = false;

  constructor(conninfo: ResolvedConninfo, signal: AbortSignal | undefined, pool: ConnectingPool | null) {
    this.#conninfo = conninfo;
    this.#signal = signal;
    this.#pool = pool;
    this.#hosts = this.#inOrder(conninfo.hosts);
    this.#silent = pool?.silentHosts.among(conninfo.hosts) ?? NONE;
  }

  /** Returns the first session of the kind `target`; null if there is none. */
  async run(target: Target): Promise<Session | null> {
    for (const host of this.#hosts) {
      if (this.#over) return null;
      if (this.#silent.has(host)) {
        this.#pool!.silentHosts.inquire(host, (signal) => this.#answers(host, signal));
        continue;
      }
      const session = await this.#tryHost(host, target);
      if (session !== null) return session;
    }
    for (const host of this.#silent) {
      if (this.#over) return null;
      const silence = await this.#pool!.silentHosts.errorOf(host, this.#signal);
      if (silence !== null) {
        this.failures.push(silence);
        continue;
      }
      const session = await this.#tryHost(host, target);
      if (session !== null) return session;
    }
    return null;
  }

  /** Whether a host gives an answer, whichever it is. */
  async #answers(host: ResolvedHost, signal: AbortSignal): Promise<boolean> {
    const search = new Search({ ...this.#conninfo, hosts: [host] }, signal, null);
    const session = await search.run('any');
    await session?.close();
    return session !== null || !search.#lacksAnswer;
  }

  /** Whether the last attempt has failed because there was no answer. */
  get #lacksAnswer(): boolean {
    return !this.#over && this.failures.at(-1) instanceof errors.ConnectionTimeout;
  }

  async #tryHost(host: ResolvedHost, target: Target): Promise<Session | null> {
    const session = await this.#tryAddresses(host, target);
    const silentHosts = this.#pool?.silentHosts;
    if (session === null && this.#lacksAnswer) silentHosts?.add(host, this.failures.at(-1)!);
    else silentHosts?.remove(host);
    return session;
  }

  async #tryAddresses(host: ResolvedHost, target: Target): Promise<Session | null> {
    let addresses: readonly (string | null)[];
    let password: string | null;
    const unresolved = plain(host, host.hostaddr, this.#conninfo);
    try {
      addresses = await this.#withinLimit((signal) => this.#addressesOf(host, signal), noAnswer(unresolved));
    } catch (error) {
      this.#fail(error, unresolved);
      return null;
    }
    try {
      password = await this.#passwordFor(host, unresolved);
    } catch (error) {
      this.#fail(error, unresolved);
      // Another host would be asked for with the same function.
      this.#over = true;
      return null;
    }
    for (const hostaddr of addresses) {
      const address = plain(host, hostaddr, this.#conninfo);
      const result = await this.#tryAddress(address, password, target);
      if (result instanceof Session) return result;
      this.#over = result === 'nothing';
      if (result !== 'address') return null;
    }
    return null;
  }

  /** The password for a host, which is asked for once a search. */
  async #passwordFor(host: ResolvedHost, address: ServerAddress): Promise<string | null> {
    const { password } = host;
    if (typeof password !== 'function') return password;
    const known = this.#passwords.get(host);
    if (known !== undefined) return known;
    const { user, dbname } = this.#conninfo;
    const given = await this.#withinLimit(
      (signal) => askPassword(password, { host: host.host, port: host.port, user, dbname }, signal),
      (seconds) =>
        `the function \`password\` gave none for ${describeAddress(address)} within ${seconds} seconds`,
    );
    this.#passwords.set(host, given);
    return given;
  }

  /** As in libpq, all encryptions of an address share one time limit. */
  async #tryAddress(
    address: ServerAddress,
    password: string | null,
    target: Target,
  ): Promise<Session | Next> {
    try {
      return await this.#withinLimit(async (signal) => {
        for (const encryption of this.#encryptions(address)) {
          const result = await this.#attempt({ ...address, encryption }, password, target, signal);
          if (result !== 'encryption') return result;
        }
        return 'nothing';
      }, noAnswer(address));
    } catch (error) {
      return this.#fail(error, address);
    }
  }

  async #attempt(
    address: ServerAddress,
    password: string | null,
    target: Target,
    signal: AbortSignal,
  ): Promise<Session | Next> {
    const { user, dbname, startupParameters: parameters, authentication } = this.#conninfo;
    let session: Session;
    try {
      session = await Session.open(
        address,
        { user, database: dbname, password, parameters, authentication },
        signal,
        this.#pool?.name ?? null,
      );
    } catch (error) {
      signal.throwIfAborted();
      return this.#fail(error, address);
    }
    try {
      const problem = await targetProblem(session, target, signal);
      if (problem === null) return session;
      locate(problem, session.location);
      this.failures.push(problem);
    } catch (error) {
      if (signal.aborted) session.drop();
      else await session.close();
      signal.throwIfAborted();
      this.#fail(error, address);
      return 'host';
    }
    await session.close();
    return 'host';
  }

  /** Records an error and returns what may be tried next. Throws an error that is no failure to connect. */
  #fail(error: unknown, { host, port, encryption }: ServerAddress): Next {
    this.#signal?.throwIfAborted();
    if (!(error instanceof errors.DatabaseError)) throw error;
    const { dbname, user } = this.#conninfo;
    locate(error, Object.freeze({ host, port, dbname, user, pid: null }));
    this.failures.push(error);
    if (error.sqlstate === CANNOT_CONNECT_NOW) return 'host';
    switch (connectFailure(error)) {
      case 'unreachable':
        return 'address';
      case 'handshake lost':
        return encryption?.optional === true ? 'encryption' : 'address';
      case 'tls':
      case 'refused over TLS':
        return 'encryption';
      case 'refused':
        // The encrypted attempt has found out already that the server does not support TLS.
        return encryption === null ? 'encryption' : 'nothing';
      case null:
        return 'nothing';
    }
  }

  /** The encryptions to try for `address`, in libpq's order. */
  #encryptions({ path }: ServerAddress): readonly (Encryption | null)[] {
    const settings = this.#conninfo.tls;
    if (path !== null || settings.mode === 'disable') return [null];
    if (settings.mode === 'allow') return [null, { settings, optional: false }];
    if (settings.mode === 'prefer') return [{ settings, optional: true }, null];
    return [{ settings, optional: false }];
  }

  async #addressesOf(host: ResolvedHost, signal: AbortSignal): Promise<readonly (string | null)[]> {
    if (host.path !== null) return [null];
    if (host.hostaddr !== null) return [host.hostaddr];
    if (node.net.isIP(host.host) !== 0) return [host.host];
    return this.#inOrder(await lookUp(host.host, signal));
  }

  #inOrder<T>(items: readonly T[]): readonly T[] {
    if (!this.#conninfo.loadBalance) return items;
    const shuffled = [...items];
    for (let i = shuffled.length - 1; i > 0; i--) {
      const j = Math.floor(Math.random() * (i + 1));
      [shuffled[i], shuffled[j]] = [shuffled[j]!, shuffled[i]!];
    }
    return shuffled;
  }

  async #withinLimit<T>(
    step: (signal: AbortSignal) => Promise<T>,
    late: (seconds: string) => string,
  ): Promise<T> {
    this.#signal?.throwIfAborted();
    const limit = new AbortController();
    const signal = this.#signal;
    const unlisten =
      signal &&
      onAbort(signal, () => {
        limit.abort(signal.reason);
      });
    const seconds = this.#conninfo.connectTimeout ?? DEFAULT_CONNECT_TIMEOUT;
    const timer = systemClock.after(
      seconds,
      () => {
        limit.abort(failedAs('unreachable', new errors.ConnectionTimeout(late(String(seconds)))));
      },
      true,
    );
    try {
      return await step(limit.signal);
    } finally {
      timer.cancel();
      unlisten?.();
    }
  }
}

function plain(
  { host, port, path }: ResolvedHost,
  hostaddr: string | null,
  { keepalives }: ResolvedConninfo,
): ServerAddress {
  return { host, hostaddr, port, path, keepalives, encryption: null };
}

function noAnswer(address: ServerAddress): (seconds: string) => string {
  return (seconds) =>
    `connection to server at ${describeAddress(address)} failed: no answer within ${seconds} seconds`;
}

/** Asks the user's function for a password. What it fails with is the cause of the error. */
async function askPassword(
  ask: PasswordFunction,
  server: PasswordRequest,
  signal: AbortSignal,
): Promise<string> {
  let given: unknown;
  try {
    given = await waitFor(
      new Promise<unknown>((resolve) => {
        resolve(ask(server));
      }),
      { signal },
    );
  } catch (cause) {
    signal.throwIfAborted();
    throw new errors.OperationalError(`the function \`password\` failed: ${thrownText(cause)}`, { cause });
  }
  if (typeof given !== 'string' || given === '') {
    const got = given === '' ? 'an empty string' : describeKind(given);
    throw new errors.ProgrammingError(`expected the function \`password\` to give a string, got ${got}`);
  }
  if (given.includes('\0'))
    throw new errors.ProgrammingError('the function `password` gave a string with a NUL character');
  return given;
}

/** Returns a name's addresses in the operating system's order. Node cannot stop a look-up, but an abort ends the wait for it. */
async function lookUp(host: string, signal: AbortSignal): Promise<string[]> {
  return waitFor<string[]>(
    (wait) => {
      node.dns.lookup(host, { all: true, verbatim: true }, (cause, addresses) => {
        if (cause === null) {
          wait.resolve(addresses.map(({ address }) => address));
          return;
        }
        const error = new errors.OperationalError(
          `the host name "${host}" could not be resolved: ${cause.message}`,
          { cause },
        );
        wait.reject(failedAs('unreachable', error));
      });
    },
    { signal },
  );
}
