import { builtinAdapters } from '../types/adapters.js';
import { rowDecoders } from '../types/decoders.js';
import { callersStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { tupleRow } from '../rows.js';
import type { ExclusiveLock } from '../session/queue.js';
import type { StatementRequest } from '../session/statement.js';
import { TransactionStatus } from '../session/status.js';
import { BatchRun } from './batch-run.js';
import type { ConnectionCore } from './connection-core.js';
import { commit, sendEnding, type Ending } from './unit-of-work.js';

const MOST_FORMAT_ID = 0x7fffffff;
const LONGEST_PART = 64;
/** The server's limit in bytes. */
const LONGEST_ID = 199;
const ENCODED = /^(\d{1,10})_([^_]*)_([^_]*)$/;

/**
 * The identifier of a two-phase transaction (Psycopg: `Xid`): the three parts of the XA standard, or any other text as `gtrid`
 * alone. It can be destructured: `const [formatId, gtrid, bqual] = xid`.
 */
export class Xid implements Iterable<number | string | null> {
  /** The format of the identifier, 0 or more; null if it does not follow the XA standard. */
  readonly formatId: number | null;
  /** The global transaction, or the whole text of an identifier without a format. */
  readonly gtrid: string;
  /** The branch of the global transaction; null for an identifier without a format. */
  readonly bqual: string | null;
  /** When the transaction was prepared; null unless the identifier comes from `tpcRecover()`. */
  readonly prepared: Date | null;
  /** The role that prepared it; null unless the identifier comes from `tpcRecover()`. */
  readonly owner: string | null;
  /** The database in which it was prepared; null unless the identifier comes from `tpcRecover()`. */
  readonly database: string | null;

  /**
   * Raises `ProgrammingError` unless `formatId` is a whole number from 0 to 2147483647, and `gtrid` and `bqual` have at most 64
   * characters; or unless both `formatId` and `bqual` are null.
   */
  constructor(
    formatId: number | null,
    gtrid: string,
    bqual: string | null,
    recovered: { readonly prepared?: Date; readonly owner?: string; readonly database?: string } = {},
  ) {
    if (formatId === null) {
      if (bqual !== null) {
        throw new errors.ProgrammingError('an identifier without a `formatId` has no `bqual`: expected null');
      }
      checkText('gtrid', gtrid);
    } else {
      if (!Number.isInteger(formatId) || formatId < 0 || formatId > MOST_FORMAT_ID) {
        throw new errors.ProgrammingError(
          `expected \`formatId\` to be a whole number from 0 to ${String(MOST_FORMAT_ID)}, got ${String(formatId)}`,
        );
      }
      checkPart('gtrid', gtrid);
      checkPart('bqual', bqual);
    }
    this.formatId = formatId;
    this.gtrid = gtrid;
    this.bqual = bqual;
    this.prepared = recovered.prepared ?? null;
    this.owner = recovered.owner ?? null;
    this.database = recovered.database ?? null;
  }

  /**
   * Parses the server's text of an identifier of any origin (Psycopg: `Xid.from_string`); `String(xid)` gives the text again.
   * Raises `ProgrammingError` for a value that is no text.
   */
  static fromString(text: string): Xid {
    if (typeof text !== 'string') {
      throw new errors.ProgrammingError(
        `expected a Xid or its text, got ${text === null ? 'null' : typeof text}`,
      );
    }
    const [, formatId, gtrid, bqual] = ENCODED.exec(text) ?? [];
    if (formatId !== undefined) {
      try {
        const xid = new Xid(Number(formatId), decode(gtrid!), decode(bqual!));
        // An identifier that would be written differently must not be split, since the server would not find it again.
        if (xid.toString() === text) return xid;
      } catch {
        // It does not follow the XA standard.
      }
    }
    return new Xid(null, text, null);
  }

  /** The server's text of the identifier; the three parts are encoded as by Psycopg and the JDBC driver. */
  toString(): string {
    if (this.formatId === null || this.bqual === null) return this.gtrid;
    return `${String(this.formatId)}_${encode(this.gtrid)}_${encode(this.bqual)}`;
  }

  *[Symbol.iterator](): Generator<number | string | null, void, void> {
    yield this.formatId;
    yield this.gtrid;
    yield this.bqual;
  }
}

/** A connection's two-phase transaction, from `tpcBegin()` to its end. */
export class TwoPhase {
  readonly #core: ConnectionCore;
  #transaction: {
    readonly xid: Xid;
    /** `failed`: the server refused to prepare it and has rolled it back. */
    readonly state: 'begun' | 'prepared' | 'failed';
  } | null = null;

  constructor(core: ConnectionCore) {
    this.#core = core;
  }

  /** Raises `ProgrammingError` for a call that is not allowed within a two-phase transaction. */
  checkNone(what: string): void {
    if (this.#transaction === null) return;
    throw new errors.ProgrammingError(
      `${what}() can't be used during a two-phase transaction: use tpcCommit() or tpcRollback()`,
    );
  }

  /** Raises `ProgrammingError` for a call that would affect a statement after the first phase. */
  checkNotPrepared(what: string): void {
    if (this.#transaction?.state !== 'prepared') return;
    throw new errors.ProgrammingError(`${what}() can't be used with a prepared two-phase transaction`);
  }

  begin(xid: Xid | string, signal?: AbortSignal): Promise<void> {
    const core = this.#core;
    core.check();
    const parsed = asXid(xid);
    const text = parsed.toString();
    quoteLiteral(text);
    const bytes = Buffer.byteLength(text);
    if (bytes > LONGEST_ID) {
      throw new errors.ProgrammingError(
        `the identifier of a two-phase transaction can have ${String(LONGEST_ID)} bytes at most, this one has ${String(bytes)}`,
      );
    }
    return this.#exclusively(async (lock) => {
      const { transactionStatus: status } = core;
      if (status !== TransactionStatus.IDLE || this.#transaction !== null) {
        throw new errors.ProgrammingError(
          `can't begin a two-phase transaction: connection in transaction status ${status}` +
            (this.#transaction === null ? '' : ', in a two-phase transaction'),
        );
      }
      if (core.settings.autocommit) {
        throw new errors.ProgrammingError("two-phase transactions can't be used in autocommit mode");
      }
      await core.command(core.settings.begin, { lock, signal });
      if (signal?.aborted === true) {
        await core.command('ROLLBACK', { lock, mustBeAnswered: true }).catch(() => undefined);
        throw signal.reason as Error;
      }
      this.#transaction = { xid: parsed, state: 'begun' };
    }, signal);
  }

  prepare(signal?: AbortSignal): Promise<void> {
    this.#core.check();
    return this.#exclusively(async (lock) => {
      const transaction = this.#transaction;
      if (transaction === null) {
        throw new errors.ProgrammingError(
          'tpcPrepare() needs a two-phase transaction: call tpcBegin() first',
        );
      }
      const { xid, state } = transaction;
      if (state !== 'begun') {
        throw new errors.ProgrammingError(
          `tpcPrepare() can't be used on a two-phase transaction that ${state === 'prepared' ? 'is prepared already' : 'could not be prepared: call tpcRollback()'}`,
        );
      }
      BatchRun.checkNone(this.#core);
      try {
        const tag = await this.#send('PREPARE TRANSACTION', xid, 'prepared', lock, signal);
        // In a failed transaction the server rolls back without an error, as for COMMIT.
        if (tag !== 'PREPARE TRANSACTION') {
          throw new (errors.conditionClass('InFailedSqlTransaction'))(
            'the transaction had failed: the server has rolled it back instead of preparing it; call tpcRollback()',
            { sqlstate: '25P02' },
          );
        }
        this.#transaction = { xid, state: 'prepared' };
      } catch (error) {
        // Without the synchronous standby it is prepared all the same. An abort before the statement was sent changes nothing.
        if (error instanceof errors.TransactionOutcomeUnknown) this.#transaction = { xid, state: 'prepared' };
        else if (this.#core.session.transactionStatus !== TransactionStatus.INTRANS)
          this.#transaction = { xid, state: 'failed' };
        if (error instanceof errors.conditionClass('ObjectNotInPrerequisiteState')) {
          throw new errors.NotSupportedError(error.message, { cause: error, query: error.query });
        }
        throw error;
      }
    }, signal);
  }

  /** Runs the second phase, or the only one if the transaction is not prepared. With `xid`, ends a transaction of any session. */
  finish(action: 'COMMIT' | 'ROLLBACK', xid: Xid | string | undefined, signal?: AbortSignal): Promise<void> {
    const core = this.#core;
    core.check();
    const name = action === 'COMMIT' ? 'tpcCommit()' : 'tpcRollback()';
    const given = xid === undefined ? null : asXid(xid);
    return this.#exclusively(async (lock) => {
      const transaction = this.#transaction;
      if (given !== null) {
        if (transaction !== null) {
          throw new errors.ProgrammingError(
            `${name} with an xid can't be used during a two-phase transaction of this connection`,
          );
        }
        await this.#finishPrepared(action, given, lock, signal);
        return;
      }
      if (transaction === null) {
        throw new errors.ProgrammingError(
          `${name} without an xid needs a two-phase transaction: call tpcBegin() first`,
        );
      }
      if (transaction.state === 'prepared') {
        await this.#finishPrepared(action, transaction.xid, lock, signal);
      } else if (transaction.state === 'begun') {
        if (core.blocks.length > 0) {
          throw new errors.ProgrammingError(
            `${name} is not possible inside a transaction block: leave the block first`,
          );
        }
        await this.#finishBegun(action, lock, signal);
      } else if (action === 'ROLLBACK') {
        await core.command('ROLLBACK', { lock, signal, onlyIf: 'in transaction' });
        this.#transaction = null;
      } else {
        throw new errors.ProgrammingError(
          'the two-phase transaction could not be prepared and was rolled back: there is nothing to commit; call tpcRollback()',
        );
      }
    }, signal);
  }

  /** Ends a transaction in one phase. If that was refused or aborted before it was sent, the transaction is open as before. */
  async #finishBegun(
    action: 'COMMIT' | 'ROLLBACK',
    lock: ExclusiveLock,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const core = this.#core;
    try {
      if (action === 'COMMIT') await commit(core, { lock, signal });
      else await core.command('ROLLBACK', { lock, signal, onlyIf: 'in transaction' });
    } finally {
      const status = core.session.transactionStatus;
      const isOpen = status === TransactionStatus.INTRANS || status === TransactionStatus.INERROR;
      if (!isOpen) this.#transaction = null;
    }
  }

  /** Ends a prepared transaction. One that was ended without the synchronous standby has ended, too. */
  async #finishPrepared(
    action: 'COMMIT' | 'ROLLBACK',
    xid: Xid,
    lock: ExclusiveLock,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    try {
      const maybe = action === 'COMMIT' ? 'committed' : 'rolled back';
      await this.#send(`${action} PREPARED`, xid, maybe, lock, signal);
    } catch (error) {
      if (error instanceof errors.TransactionOutcomeUnknown) this.#transaction = null;
      throw error;
    }
    this.#transaction = null;
  }

  #send(
    command: 'PREPARE TRANSACTION' | 'COMMIT PREPARED' | 'ROLLBACK PREPARED',
    xid: Xid,
    maybe: Ending['maybe'],
    lock: ExclusiveLock,
    signal: AbortSignal | undefined,
  ): Promise<string | null> {
    const text = `${command} ${quoteLiteral(xid.toString())}`;
    return sendEnding(this.#core, { text, maybe, twoPhase: true, lock, signal });
  }

  /** Returns the prepared transactions of all databases of the server. Begins no transaction of its own. */
  async recover(signal?: AbortSignal): Promise<Xid[]> {
    // The catalogue's values must not depend on the user's adapters.
    const adapters = builtinAdapters.cloneFor(this.#core.session.certainParameters);
    const rows = rowDecoders(adapters, tupleRow);
    const query = 'SELECT gid, prepared, owner, database FROM pg_catalog.pg_prepared_xacts';
    const results = await this.#exclusively(
      (lock) => this.#core.run({ ...this.#request(query, signal), rows }, lock),
      signal,
    );
    return (results[0]!.rows as [string, Date, string, string][]).map(([gid, prepared, owner, database]) => {
      const { formatId, gtrid, bqual } = Xid.fromString(gid);
      return new Xid(formatId, gtrid, bqual, { prepared, owner, database });
    });
  }

  /** Makes a statement that begins no transaction. */
  #request(text: string, signal: AbortSignal | undefined): StatementRequest {
    const request = this.#core.request({ text, executions: [[]], rows: null, prepare: false, signal });
    return { ...request, begin: null };
  }

  /** Runs `steps` once everything before has been answered and a failure in a pipeline has been reported. */
  async #exclusively<T>(
    steps: (lock: ExclusiveLock, status: TransactionStatus) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<T> {
    const core = this.#core;
    try {
      core.check();
      signal?.throwIfAborted();
      if (core.inPipeline) await core.pipeline.sync(signal);
      return await core.session.exclusively(steps, signal);
    } catch (error) {
      throw callersStack(error);
    }
  }
}

function asXid(xid: Xid | string): Xid {
  if (xid instanceof Xid) return xid;
  // It may come from another copy of the package.
  const isXid = typeof xid === 'object' && xid !== null && 'gtrid' in xid;
  return Xid.fromString(isXid ? String(xid) : xid);
}

function checkText(name: string, value: unknown): asserts value is string {
  if (typeof value !== 'string' || !value.isWellFormed()) {
    throw new errors.ProgrammingError(
      `expected \`${name}\` to be a string${typeof value === 'string' ? ' without lone surrogates' : `, got ${value === null ? 'null' : typeof value}`}`,
    );
  }
}

function checkPart(name: string, value: unknown): asserts value is string {
  checkText(name, value);
  const { length } = Array.from(value);
  if (length > LONGEST_PART) {
    throw new errors.ProgrammingError(
      `expected \`${name}\` to have ${String(LONGEST_PART)} characters at most, got ${String(length)}`,
    );
  }
}

function encode(text: string): string {
  return Buffer.from(text, 'utf8').toString('base64');
}

/** Decodes base64; throws for bytes that are not valid text. */
function decode(encoded: string): string {
  return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(encoded, 'base64'));
}

/** Quotes a literal. With an E, backslashes have the same meaning whatever `standard_conforming_strings` is. */
function quoteLiteral(text: string): string {
  if (text.includes('\0')) {
    throw new errors.ProgrammingError(
      "the identifier of a two-phase transaction can't contain a NUL character ('\\0')",
    );
  }
  const quoted = `'${text.replaceAll("'", "''")}'`;
  return text.includes('\\') ? `E${quoted.replaceAll('\\', '\\\\')}` : quoted;
}
