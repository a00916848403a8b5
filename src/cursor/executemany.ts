import type { DumpedParam } from '../adapt/adapters-map.js';
import { Feeding } from '../connection/feeding.js';
import type { Handle } from '../connection/handle.js';
import * as errors from '../errors/index.js';
import type { BoundQuery, QueryBinding } from '../query/binding.js';
import type { Params } from '../query/placeholders.js';
import type { Hold } from '../session/queue.js';
import type { StatementRequest, StatementResult } from '../session/statement.js';
import { TransactionStatus } from '../session/status.js';
import type { RowDecoderSource } from '../wire/row-decoder.js';
import { onAbort } from '../waiting.js';
import { Batches } from './batches.js';

/** How many executions are sent at once. */
const BATCH = 1000;
const NO_PARAMS: readonly DumpedParam[] = [];

/** What the executions need of their cursor. */
export interface ExecutionsParts {
  readonly handle: Handle;
  /** Takes the query apart; called once there is something to be bound to it. */
  bindingOf(): QueryBinding;
  /** What makes the rows of the next batch; null if nobody wants them. */
  decoders(): RowDecoderSource | null;
  /** These are the next to be sent. */
  readonly sending: (requests: readonly StatementRequest[]) => void;
  /** Some have been executed; those that come before the one that fails, too. */
  readonly arrived: (results: readonly StatementResult[]) => void;
  readonly signal: AbortSignal | undefined;
}

/** The first batches of a source, by which is decided how all are run. */
interface Beginning {
  readonly first: readonly BoundQuery[];
  readonly second: readonly BoundQuery[] | null;
}

/** The executions of one `executemany()`, sent in batches as their parameters come: all or none of them take effect. */
export class Executions {
  readonly #parts: ExecutionsParts;
  readonly #isAsync: boolean;
  readonly #batches: Batches<Params, BoundQuery>;
  /** Ends whatever it waits for. */
  readonly #stop = new AbortController();
  #ended: Promise<unknown> | null = null;
  #binding: QueryBinding | null = null;
  #feeding: Feeding | null = null;

  constructor(paramsSeq: Iterable<Params> | AsyncIterable<Params>, parts: ExecutionsParts) {
    checkIterable(paramsSeq);
    this.#parts = parts;
    this.#isAsync = Symbol.asyncIterator in paramsSeq;
    const bind = (params: Params, index: number): BoundQuery =>
      this.#boundBy().withParams(params, `[${String(index)}]`);
    this.#batches = new Batches(paramsSeq, BATCH, bind, this.#stop.signal);
  }

  /** Hands each request to `send`, which waits for no answer. */
  sendBy(send: (request: StatementRequest) => void): Promise<void> {
    return this.#untilStopped(async () => {
      for (let batch = await this.#next(); batch !== null; batch = await this.#next()) {
        for (const request of this.#requestsFor(batch, false)) send(request);
      }
    });
  }

  /** Runs them. */
  run(): Promise<void> {
    return this.#untilStopped(() => (this.#isAsync ? this.#runAsTheyCome() : this.#runInOneTurn()));
  }

  /** Ends them: what has not been sent is not sent, and they reject with `reason`. Resolves when they have ended. */
  async stop(reason: Error): Promise<void> {
    this.#stop.abort(reason);
    await this.#ended;
  }

  /** From here on an abort of the signal stops them, as does the end of the connection. */
  async #untilStopped(run: () => Promise<void>): Promise<void> {
    const { handle, signal } = this.#parts;
    const offAbort =
      signal === undefined ? null : onAbort(signal, () => void this.stop(signal.reason as Error));
    const offEnd = handle.onEnd(() => {
      try {
        handle.checkUsable();
      } catch (error) {
        void this.stop(error as Error);
      }
    });
    try {
      this.#stop.signal.throwIfAborted();
      handle.checkUsable();
      const running = run();
      this.#ended = running.catch(() => undefined);
      await running;
    } finally {
      offAbort?.();
      offEnd();
      this.#feeding?.end();
      this.#batches.leave();
    }
  }

  /** A source that has its items at once needs nobody meanwhile, and so has the connection to itself. */
  #runInOneTurn(): Promise<void> {
    const { session, settings } = this.#parts.handle;
    return session.exclusively(async (hold, status) => {
      const beginning = await this.#begin(hold);
      if (beginning === null) return;
      const isOwn = settings.autocommit && status === TransactionStatus.IDLE && !isOneTransaction(beginning);
      await this.#runFrom(beginning, isOwn, hold);
    }, this.#stop.signal);
  }

  /** Whoever has a slow source leaves the connection to others, unless that would draw them into a transaction of its own. */
  async #runAsTheyCome(): Promise<void> {
    const { session, settings, transactions } = this.#parts.handle;
    const mayBeOwn =
      settings.autocommit && transactions === 0 && !isWithinTransaction(session.transactionStatus);
    if (mayBeOwn) this.#feeding = new Feeding(this.#parts.handle);
    const beginning = await this.#begin();
    if (beginning === null) return;
    if (settings.autocommit && !isOneTransaction(beginning)) {
      const isDone = await session.exclusively(async (hold, status) => {
        if (status !== TransactionStatus.IDLE) return false;
        await this.#runFrom(beginning, true, hold);
        return true;
      }, this.#stop.signal);
      if (isDone) return;
      this.#feeding?.end();
    }
    await this.#runFrom(beginning, false);
  }

  /** Takes the first batches from the source. Null if there are none: then it is done. */
  async #begin(hold?: Hold): Promise<Beginning | null> {
    const { handle } = this.#parts;
    const held = hold === undefined ? {} : { hold };
    try {
      const first = await this.#next();
      if (first !== null) return { first, second: await this.#next() };
      this.#parts.bindingOf().withoutParams();
    } catch (error) {
      // As in Psycopg, what can't be sent opens a transaction like what the server refuses.
      if (!this.#stop.signal.aborted) await handle.openTransaction(held);
      throw error;
    }
    await handle.openTransaction(held);
    return null;
  }

  /** Runs all batches; `isOwn`: within a transaction that is begun and ended here. */
  async #runFrom({ first, second }: Beginning, isOwn: boolean, hold?: Hold): Promise<void> {
    const { handle, signal, sending } = this.#parts;
    const held = hold === undefined ? {} : { hold };
    const run = async (batch: readonly BoundQuery[]): Promise<void> => {
      this.#stop.signal.throwIfAborted();
      const requests = this.#requestsFor(batch, isOwn);
      sending(requests);
      await this.#runAll(requests, hold);
    };
    try {
      await run(first);
      for (let batch = second; batch !== null; batch = await this.#next()) await run(batch);
      this.#stop.signal.throwIfAborted();
      if (isOwn) await handle.command('COMMIT', { ...held, signal });
    } catch (error) {
      // A connection that is gone, or has gone back, is rolled back without this.
      const isThere = !handle.session.closed && !handle.returned;
      if (isOwn && isThere) await handle.session.rollback(hold).catch(() => undefined);
      throw error;
    }
  }

  #next(): Promise<BoundQuery[] | null> {
    const take = (): Promise<BoundQuery[] | null> => this.#batches.next();
    return this.#feeding === null ? take() : this.#feeding.run(take);
  }

  #boundBy(): QueryBinding {
    return (this.#binding ??= this.#parts.bindingOf());
  }

  /** One request for all executions of a text, or one for each text. */
  #requestsFor(batch: readonly BoundQuery[], inTransaction: boolean): StatementRequest[] {
    const { handle, signal, arrived } = this.#parts;
    const rows = this.#parts.decoders();
    const executions: (readonly DumpedParam[])[] = [];
    for (const { params } of batch) if (params !== null) executions.push(params);
    if (executions.length > 0) {
      const all = handle.request({ text: batch[0]!.text, executions, rows, signal, inTransaction });
      return [{ ...all, failedAfter: arrived }];
    }
    // What certainly is one statement goes by the extended protocol, where it need not wait for the answer to the one before.
    return batch.map(({ text, isSingle, shown }) => ({
      ...handle.request({
        text,
        executions: isSingle === true ? [NO_PARAMS] : null,
        rows,
        shown,
        prepare: false,
        signal,
        inTransaction,
      }),
      failedAfter: arrived,
    }));
  }

  /** Runs requests one behind the other; without a signal, which is heard of by one at a time, they are sent at once. */
  async #runAll(requests: readonly StatementRequest[], hold?: Hold): Promise<void> {
    const { handle, signal, arrived } = this.#parts;
    const run = async (request: StatementRequest): Promise<void> => {
      arrived(await handle.run(request, hold));
    };
    if (signal !== undefined) {
      for (const request of requests) await run(request);
      return;
    }
    const outcomes = await Promise.allSettled(requests.map(run));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }
}

/** One batch of executions of a single text stands under one Sync, which is a transaction of its own; so does a single execution. */
function isOneTransaction({ first, second }: Beginning): boolean {
  return second === null && (first.length === 1 || first[0]!.params !== null);
}

function isWithinTransaction(status: TransactionStatus): boolean {
  return status === TransactionStatus.INTRANS || status === TransactionStatus.INERROR;
}

function checkIterable(paramsSeq: unknown): void {
  if (
    typeof paramsSeq !== 'object' ||
    paramsSeq === null ||
    !(Symbol.iterator in paramsSeq || Symbol.asyncIterator in paramsSeq)
  ) {
    throw new errors.ProgrammingError(
      `expected executemany() to get an iterable of parameters, got ${paramsSeq === null ? 'null' : typeof paramsSeq}`,
    );
  }
}
