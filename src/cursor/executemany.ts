import type { DumpedParam } from '../types/adapters-map.js';
import { BatchRun } from '../connection/batch-run.js';
import type { ConnectionCore } from '../connection/connection-core.js';
import { Feeding } from '../connection/feeding.js';
import { checkInside } from '../connection/open-blocks.js';
import { commit } from '../connection/unit-of-work.js';
import * as errors from '../errors/index.js';
import type { BoundQuery, QueryBinding } from '../query/binding.js';
import type { Params } from '../query/placeholders.js';
import type { ExclusiveLock } from '../session/queue.js';
import type { StatementRequest, StatementResult } from '../session/statement.js';
import { TransactionStatus } from '../session/status.js';
import type { RowDecoderSource } from '../wire/row-decoder.js';
import { onAbort, waitFor } from '../waiting.js';
import { Batches } from './batches.js';

/** How many executions, and bytes of their parameters, are sent at once. */
const LIMITS = { items: 1000, bytes: 2 ** 20, bytesOf };
const NO_PARAMS: readonly DumpedParam[] = [];
const WHAT = 'executemany() from an asynchronous source';

/** What the executions need of their cursor. */
export interface ExecutionsParts {
  readonly core: ConnectionCore;
  /** Takes the query apart; called once there is something to be bound to it. */
  bindingOf(): QueryBinding;
  /** The decoders of the next batch's rows; null if the rows are discarded. */
  decoders(): RowDecoderSource | null;
  /** Called with the requests that are sent next. */
  readonly sending: (requests: readonly StatementRequest[]) => void;
  /** Called with the results of executions, including those before the one that fails. */
  readonly arrived: (results: readonly StatementResult[]) => void;
  readonly signal: AbortSignal | undefined;
}

type ParamsBatches = Batches<Params, BoundQuery>;

/** The first batches of a source, by which is decided how all are run. */
interface Beginning {
  readonly first: readonly BoundQuery[];
  readonly second: readonly BoundQuery[] | null;
}

/** The executions of one `executemany()`, sent in batches as their parameters come: all or none of them take effect. */
export class Executions {
  readonly #parts: ExecutionsParts;
  readonly #paramsSeq: Iterable<Params> | AsyncIterable<Params>;
  /** Ends whatever it waits for. */
  readonly #stop = new AbortController();
  #ended: Promise<unknown> | null = null;
  #binding: QueryBinding | null = null;

  constructor(paramsSeq: Iterable<Params> | AsyncIterable<Params>, parts: ExecutionsParts) {
    checkIterable(paramsSeq);
    this.#parts = parts;
    this.#paramsSeq = paramsSeq;
  }

  /** Passes each request to `send`, which does not wait for its answer. */
  sendBy(send: (request: StatementRequest) => void): Promise<void> {
    const { core } = this.#parts;
    return this.#untilStopped(async () => {
      const batches = this.#batchesOf(this.#paramsSeq);
      let run: BatchRun | null = null;
      try {
        for (let batch = await batches.next(); batch !== null; batch = await batches.next()) {
          core.checkUsable();
          // In autocommit each Sync of the pipeline ends a transaction, as in Psycopg.
          if (!core.settings.autocommit) (run ??= new BatchRun(core)).next();
          for (const request of this.#requestsFor(batch, false)) {
            send(request);
            // While too much is in flight, nothing is sent.
            const room = core.session.room();
            if (room !== null) await waitFor(room, { signal: this.#stop.signal });
          }
        }
        run?.checkWhole();
      } finally {
        run?.end();
        batches.leave();
      }
    });
  }

  /** Runs them. */
  run(): Promise<void> {
    const source = this.#paramsSeq;
    return this.#untilStopped(() =>
      Symbol.asyncIterator in source ? this.#runAsTheyCome(source) : this.#runInOneTurn(source),
    );
  }

  /** Ends the executions: the rest is not sent, and they reject with `reason`. Resolves when they have ended. */
  async stop(reason: Error): Promise<void> {
    this.#stop.abort(reason);
    await this.#ended;
  }

  /** From here on an abort of the signal stops them, as does the end of the connection. */
  async #untilStopped(run: () => Promise<void>): Promise<void> {
    const { core, signal } = this.#parts;
    const offAbort =
      signal === undefined ? null : onAbort(signal, () => void this.stop(signal.reason as Error));
    const offEnd = core.onEnd(() => {
      try {
        core.checkUsable();
      } catch (error) {
        void this.stop(error as Error);
      }
    });
    try {
      this.#stop.signal.throwIfAborted();
      core.checkUsable();
      const running = run();
      this.#ended = running.catch(() => undefined);
      await running;
    } finally {
      offAbort?.();
      offEnd();
    }
  }

  /** A synchronous source is never waited for, so its executions have the connection to themselves. */
  #runInOneTurn(source: Iterable<Params>): Promise<void> {
    const { core } = this.#parts;
    return core.session.exclusively(async (lock, status) => {
      const batches = this.#batchesOf(source);
      try {
        const beginning = await this.#begin(batches, lock);
        if (beginning === null) return;
        const isOwn =
          core.settings.autocommit && status === TransactionStatus.IDLE && !isOneTransaction(beginning);
        await this.#runAll(beginning, batches, isOwn, lock);
      } finally {
        batches.leave();
      }
    }, this.#stop.signal);
  }

  /** An asynchronous source leaves the connection to other statements, unless these would become part of its own transaction. */
  async #runAsTheyCome(source: AsyncIterable<Params>): Promise<void> {
    const { core } = this.#parts;
    // Its batches would end with that block, some of them perhaps.
    checkInside(core.blocks, WHAT);
    const feeding = mayBegin(core) ? new Feeding(core, source) : null;
    const batches = this.#batchesOf(feeding ?? source);
    try {
      const beginning = await this.#begin(batches);
      if (beginning === null) return;
      if (isOneTransaction(beginning)) {
        await this.#runBatch(beginning.first, false);
        return;
      }
      const run = await core.session.exclusively(async (lock, status) => {
        if (core.settings.autocommit && status === TransactionStatus.IDLE) {
          await this.#runAll(beginning, batches, true, lock);
          return null;
        }
        // One may have been opened meanwhile.
        checkInside(core.blocks, WHAT);
        return this.#beginRun(beginning.first, lock);
      }, this.#stop.signal);
      feeding?.end();
      if (run !== null) await this.#goOn(run, beginning.second, batches);
    } finally {
      feeding?.end();
      batches.leave();
    }
  }

  /** Runs the first batch in the transaction that is open, or, outside autocommit, begun by it. */
  async #beginRun(first: readonly BoundQuery[], lock: ExclusiveLock): Promise<BatchRun> {
    const run = new BatchRun(this.#parts.core);
    try {
      run.next();
      await this.#runBatch(first, false, lock);
      run.begun();
      return run;
    } catch (error) {
      run.end();
      throw error;
    }
  }

  /** Runs the other batches, each in its turn: between them the connection is free. */
  async #goOn(run: BatchRun, second: readonly BoundQuery[] | null, batches: ParamsBatches): Promise<void> {
    const { session } = this.#parts.core;
    try {
      for (let batch = second; batch !== null; batch = await batches.next()) {
        const requests = batch;
        await session.exclusively(async (lock) => {
          run.next();
          await this.#runBatch(requests, false, lock);
        }, this.#stop.signal);
      }
      this.#stop.signal.throwIfAborted();
      run.checkWhole();
    } finally {
      run.end();
    }
  }

  /** Takes the first batches from the source. Null if there are none: then it is done. */
  async #begin(batches: ParamsBatches, lock?: ExclusiveLock): Promise<Beginning | null> {
    const { core } = this.#parts;
    const within = lock === undefined ? {} : { lock };
    try {
      const first = await batches.next();
      if (first !== null) return { first, second: await batches.next() };
      this.#parts.bindingOf().withoutParams();
    } catch (error) {
      // As in Psycopg, what can't be sent opens a transaction like what the server refuses.
      if (!this.#stop.signal.aborted) await core.openTransaction(within);
      throw error;
    }
    await core.openTransaction(within);
    return null;
  }

  /** Runs all batches; `isOwn`: within a transaction that is begun and ended here. */
  async #runAll(
    { first, second }: Beginning,
    batches: ParamsBatches,
    isOwn: boolean,
    lock?: ExclusiveLock,
  ): Promise<void> {
    const { core, signal } = this.#parts;
    const within = lock === undefined ? {} : { lock };
    if (isOwn) core.record.isOfCall = true;
    try {
      await this.#runBatch(first, isOwn, lock);
      for (let batch = second; batch !== null; batch = await batches.next()) {
        await this.#runBatch(batch, isOwn, lock);
      }
      this.#stop.signal.throwIfAborted();
      if (isOwn) await commit(core, { ...within, signal });
    } catch (error) {
      // A connection that is gone, or has gone back, is rolled back without this.
      const isThere = !core.session.closed && !core.returned;
      if (isOwn && isThere) await core.session.rollback(lock).catch(() => undefined);
      throw error;
    } finally {
      if (isOwn) core.record.isOfCall = false;
    }
  }

  /** Runs requests one behind the other; without a signal, which is heard of by one at a time, they are sent at once. */
  async #runBatch(batch: readonly BoundQuery[], isOwn: boolean, lock?: ExclusiveLock): Promise<void> {
    const { core, signal, sending, arrived } = this.#parts;
    this.#stop.signal.throwIfAborted();
    const requests = this.#requestsFor(batch, isOwn);
    sending(requests);
    const run = async (request: StatementRequest): Promise<void> => {
      arrived(await core.run(request, lock));
    };
    if (signal !== undefined) {
      for (const request of requests) await run(request);
      return;
    }
    const outcomes = await Promise.allSettled(requests.map(run));
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  #batchesOf(source: Iterable<Params> | AsyncIterable<Params>): ParamsBatches {
    const bind = (params: Params, index: number): BoundQuery =>
      this.#boundBy().withParams(params, `[${String(index)}]`);
    return new Batches(source, LIMITS, bind, this.#stop.signal);
  }

  #boundBy(): QueryBinding {
    return (this.#binding ??= this.#parts.bindingOf());
  }

  /** One request for all executions of a text, or one for each text. */
  #requestsFor(batch: readonly BoundQuery[], inTransaction: boolean): StatementRequest[] {
    const { core, signal, arrived } = this.#parts;
    const rows = this.#parts.decoders();
    const executions: (readonly DumpedParam[])[] = [];
    for (const { params } of batch) if (params !== null) executions.push(params);
    if (executions.length > 0) {
      const { text, shown } = batch[0]!;
      const all = core.request({ text, executions, rows, shown, signal, inTransaction });
      return [{ ...all, failedAfter: arrived }];
    }
    // What certainly is one statement goes by the extended protocol, where it need not wait for the answer to the one before.
    return batch.map(({ text, isSingle, shown }) => ({
      ...core.request({
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
}

/** One batch of executions of a single text stands under one Sync, which is a transaction of its own; so does a single execution. */
function isOneTransaction({ first, second }: Beginning): boolean {
  return second === null && (first.length === 1 || first[0]!.params !== null);
}

/** Whether executions in batches may have to be in a transaction that is begun for them. */
function mayBegin({ settings, blocks, inPipeline, session }: ConnectionCore): boolean {
  if (!settings.autocommit || blocks.length > 0 || inPipeline) return false;
  const { transactionStatus: status } = session;
  return status !== TransactionStatus.INTRANS && status !== TransactionStatus.INERROR;
}

function bytesOf({ text, params }: BoundQuery): number {
  if (params === null) return text.length;
  let bytes = 0;
  for (const param of params) bytes += param.text?.length ?? 0;
  return bytes;
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
