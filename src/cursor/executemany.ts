import type { DumpedParam } from '../types/adapters-map.js';
import type { Handle } from '../connection/handle.js';
import * as errors from '../errors/index.js';
import type { BoundQuery, QueryBinding } from '../query/binding.js';
import type { Params } from '../query/placeholders.js';
import type { Hold } from '../session/queue.js';
import type { StatementRequest, StatementResult } from '../session/statement.js';
import { TransactionStatus } from '../session/status.js';
import type { RowDecoderSource } from '../wire/row-decoder.js';
import { batches } from './batches.js';

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
  sending(requests: readonly StatementRequest[]): void;
  /** They have been answered. */
  arrived(results: readonly StatementResult[]): void;
  readonly signal: AbortSignal | undefined;
}

/** The executions of one `executemany()`, sent in batches as their parameters come. */
export class Executions {
  readonly #parts: ExecutionsParts;
  readonly #source: AsyncGenerator<BoundQuery[], void>;
  #binding: QueryBinding | null = null;

  constructor(paramsSeq: Iterable<Params> | AsyncIterable<Params>, parts: ExecutionsParts) {
    checkIterable(paramsSeq);
    this.#parts = parts;
    this.#source = batches(paramsSeq, BATCH, (params, index) =>
      this.#boundBy().withParams(params, `[${String(index)}]`),
    );
  }

  /** Hands each request to `send`, which waits for no answer. */
  async sendBy(send: (request: StatementRequest) => void): Promise<void> {
    for await (const batch of this.#source) {
      for (const request of this.#requestsFor(batch, false)) send(request);
    }
  }

  /**
   * Runs them: all or none take effect. One batch of executions of a single text stands under one Sync, which is a transaction of
   * its own; anything more needs a transaction around it, which in autocommit is begun and ended here.
   */
  async run(hold?: Hold): Promise<void> {
    const { handle, signal } = this.#parts;
    const held = hold === undefined ? {} : { hold };
    let ownTransaction = false;
    let sent = false;
    try {
      let batch = await this.#source.next();
      if (batch.done === true) this.#parts.bindingOf().withoutParams();
      while (batch.done !== true) {
        const next = await this.#source.next();
        const isOne = next.done === true && (batch.value.length === 1 || batch.value[0]!.params !== null);
        if (!isOne && !ownTransaction && handle.settings.autocommit) {
          ownTransaction = handle.session.transactionStatus === TransactionStatus.IDLE;
        }
        const requests = this.#requestsFor(batch.value, ownTransaction);
        sent = true;
        this.#parts.sending(requests);
        this.#parts.arrived(await this.#runAll(requests, hold));
        batch = next;
      }
      if (!sent) await handle.openTransaction(held);
      if (ownTransaction) await handle.command('COMMIT', { ...held, signal });
    } catch (error) {
      await this.#source.return();
      if (!handle.session.closed && !handle.returned) {
        if (ownTransaction) await handle.session.rollback(hold);
        else if (!sent) await handle.openTransaction(held);
      }
      throw error;
    }
  }

  #boundBy(): QueryBinding {
    return (this.#binding ??= this.#parts.bindingOf());
  }

  /** One request for all executions of a text, or one for each text. */
  #requestsFor(batch: readonly BoundQuery[], inTransaction: boolean): StatementRequest[] {
    const { handle, signal } = this.#parts;
    const rows = this.#parts.decoders();
    const executions: (readonly DumpedParam[])[] = [];
    for (const { params } of batch) if (params !== null) executions.push(params);
    if (executions.length > 0) {
      return [handle.request({ text: batch[0]!.text, executions, rows, signal, inTransaction })];
    }
    // What certainly is one statement goes by the extended protocol, where it need not wait for the answer to the one before.
    return batch.map(({ text, isSingle, shown }) =>
      handle.request({
        text,
        executions: isSingle === true ? [NO_PARAMS] : null,
        rows,
        shown,
        prepare: false,
        signal,
        inTransaction,
      }),
    );
  }

  /** Runs requests one behind the other; without a signal, which is heard of by one at a time, they are sent at once. */
  async #runAll(requests: readonly StatementRequest[], hold?: Hold): Promise<StatementResult[]> {
    const { handle } = this.#parts;
    const results: StatementResult[] = [];
    if (this.#parts.signal !== undefined) {
      for (const request of requests) results.push(...(await handle.run(request, hold)));
      return results;
    }
    const outcomes = await Promise.allSettled(requests.map((request) => handle.run(request, hold)));
    for (const outcome of outcomes) {
      if (outcome.status === 'rejected') throw outcome.reason;
      results.push(...outcome.value);
    }
    return results;
  }
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
