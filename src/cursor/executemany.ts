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

/** The maximum number of executions, and bytes of their parameters, sent at once. */
const LIMITS = { items: 1000, bytes: 2 ** 20, bytesOf };
const NO_PARAMS: readonly DumpedParam[] = [];
const WHAT = 'executemany() from an asynchronous source';

/** The parts of a cursor that its executions use. */
export interface ExecutionsParts {
  readonly core: ConnectionCore;
  /** Parses the query; called once there are parameters to bind. */
  bindingOf(): QueryBinding;
  /** The decoders of the next batch's rows; null: rows are discarded. */
  decoders(): RowDecoderSource | null;
  /** Called with the requests that are about to be sent. */
  readonly sending: (requests: readonly StatementRequest[]) => void;
  /** Called with the results of executions, including those before a failed one. */
  readonly arrived: (results: readonly StatementResult[]) => void;
  readonly signal: AbortSignal | undefined;
}

type ParamsBatches = Batches<Params, BoundQuery>;

/** The first batches of a source, which determine how all are run. */
interface Beginning {
  readonly first: readonly BoundQuery[];
  readonly second: readonly BoundQuery[] | null;
}

/** The executions of one `executemany()`, sent in batches as their parameters arrive; all of them take effect, or none. */
export class Executions {
  readonly #parts: ExecutionsParts;
  readonly #paramsSeq: Iterable<Params> | AsyncIterable<Params>;
  /** Ends any wait of the executions. */
  readonly #stop = new AbortController();
  #ended: Promise<unknown> | null = null;
  #binding: QueryBinding | null = null;

  constructor(paramsSeq: Iterable<Params> | AsyncIterable<Params>, parts: ExecutionsParts) {
    checkIterable(paramsSeq);
    this.#parts = parts;
    this.#paramsSeq = paramsSeq;
  }

  /** Passes each request to `send`, without waiting for answers. */
  sendBy(send: (request: StatementRequest) => void): Promise<void> {
    const { core } = this.#parts;
    return this.#untilStopped(async () => {
      const batches = this.#batchesOf(this.#paramsSeq);
      let run: BatchRun | null = null;
      try {
        for (let batch = await batches.next(); batch !== null; batch = await batches.next()) {
          core.checkUsable();
          // As in Psycopg, in autocommit each Sync of the pipeline ends a transaction.
          if (!core.autocommitsNow) (run ??= new BatchRun(core)).next();
          for (const request of this.#requestsFor(batch, false)) {
            send(request);
            // Nothing is sent while too much is in flight.
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

  /** Runs the executions. */
  run(): Promise<void> {
    const source = this.#paramsSeq;
    return this.#untilStopped(() =>
      Symbol.asyncIterator in source ? this.#runAsTheyCome(source) : this.#runInOneTurn(source),
    );
  }

  /** Stops the executions, which reject with `reason`. Resolves when they have ended. */
  async stop(reason: Error): Promise<void> {
    this.#stop.abort(reason);
    await this.#ended;
  }

  /** Runs `run` until an abort of the signal, or the end of the connection, stops it. */
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

  /** A synchronous source never has to be awaited, so its executions have exclusive use of the connection. */
  #runInOneTurn(source: Iterable<Params>): Promise<void> {
    const { core } = this.#parts;
    return core.session.exclusively(async (lock, status) => {
      const batches = this.#batchesOf(source);
      try {
        const beginning = await this.#begin(batches, lock);
        if (beginning === null) return;
        const isOwn =
          core.autocommitsNow && status === TransactionStatus.IDLE && !isOneTransaction(beginning);
        await this.#runAll(beginning, batches, isOwn, lock);
      } finally {
        batches.leave();
      }
    }, this.#stop.signal);
  }

  /**
   * An asynchronous source leaves the connection to other statements, unless these would become part of the call's own
   * transaction.
   */
  async #runAsTheyCome(source: AsyncIterable<Params>): Promise<void> {
    const { core } = this.#parts;
    // The end of another task's block could end some of the batches.
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
        if (core.autocommitsNow && status === TransactionStatus.IDLE) {
          await this.#runAll(beginning, batches, true, lock);
          return null;
        }
        // A block may have been opened in the meantime.
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

  /** Runs the first batch, in the open transaction or, outside of autocommit, in one that it begins. */
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

  /** Runs the other batches, each in its turn; in between the connection is free. */
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

  /** Takes the first batches from the source; null if it is empty, in which case nothing remains to be done. */
  async #begin(batches: ParamsBatches, lock?: ExclusiveLock): Promise<Beginning | null> {
    const { core } = this.#parts;
    const within = lock === undefined ? {} : { lock };
    try {
      const first = await batches.next();
      if (first !== null) return { first, second: await batches.next() };
      this.#parts.bindingOf().withoutParams();
    } catch (error) {
      // As in Psycopg, parameters that cannot be sent open a transaction, like those that the server refuses.
      if (!this.#stop.signal.aborted) await core.openTransaction(within);
      throw error;
    }
    await core.openTransaction(within);
    return null;
  }

  /** Runs all batches; `isOwn`: within a transaction that begins and ends here. */
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
      // A connection that was lost or returned has been rolled back already.
      const isThere = !core.session.closed && !core.returned;
      if (isOwn && isThere) await core.session.rollback(lock).catch(() => undefined);
      throw error;
    } finally {
      if (isOwn) core.record.isOfCall = false;
    }
  }

  /**
   * Runs requests in order. Without a signal they are sent at once; with one they are sent singly, since it must cancel only the
   * running one.
   */
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

  /** Handles the results before a failed execution, whose error takes precedence over that of a row factory. */
  readonly #arrivedBeforeFailure = (results: readonly StatementResult[]): void => {
    try {
      this.#parts.arrived(results);
    } catch {
      // The next fetch calls the row factory again.
    }
  };

  #batchesOf(source: Iterable<Params> | AsyncIterable<Params>): ParamsBatches {
    const bind = (params: Params, index: number): BoundQuery =>
      this.#boundBy().withParams(params, `[${String(index)}]`);
    return new Batches(source, LIMITS, bind, this.#stop.signal);
  }

  #boundBy(): QueryBinding {
    return (this.#binding ??= this.#parts.bindingOf());
  }

  /** Makes one request for all executions of a text, or one for each text. */
  #requestsFor(batch: readonly BoundQuery[], inTransaction: boolean): StatementRequest[] {
    const { core, signal } = this.#parts;
    const failedAfter = this.#arrivedBeforeFailure;
    const rows = this.#parts.decoders();
    const executions: (readonly DumpedParam[])[] = [];
    for (const { params } of batch) if (params !== null) executions.push(params);
    if (executions.length > 0) {
      const { text, names: parameterNames, shown } = batch[0]!;
      const all = core.request({ text, executions, rows, parameterNames, shown, signal, inTransaction });
      return [{ ...all, failedAfter }];
    }
    // A text that is certainly one statement uses the extended protocol, in which it need not wait for the previous answer.
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
      failedAfter,
    }));
  }
}

/** Whether all executions share one Sync and so form a transaction: one batch of a single text, or a single execution. */
function isOneTransaction({ first, second }: Beginning): boolean {
  return second === null && (first.length === 1 || first[0]!.params !== null);
}

/** Whether executions in several batches may need a transaction of their own. */
function mayBegin({ settings, blocks, inPipeline, session }: ConnectionCore): boolean {
  if (!settings.autocommit || blocks.length > 0 || inPipeline) return false;
  const { transactionStatus: status } = session;
  return status !== TransactionStatus.INTRANS && status !== TransactionStatus.INERROR;
}

function bytesOf({ text, params }: BoundQuery): number {
  if (params === null) return text.length;
  let bytes = 0;
  for (const param of params) bytes += (param.bytes ?? param.text ?? '').length;
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
