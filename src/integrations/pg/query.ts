import { EventEmitter } from 'node:events';
import { errors } from '../../index.js';
import { report, type Callback } from './callbacks.js';
import { callbackOf, type QueryConfig, type QueryResults } from './statement.js';
import type { Statements } from './statements.js';
import { SUBMIT, type Submittable } from './submit.js';

/**
 * A query as an event emitter: node-postgres's `Query`. Emits `row` for each row, `end` with the result, or `error`; with a callback, that
 * is called instead. The events come when the whole result is there; a `Cursor` reads in pieces.
 *
 * @example
 * import { Client, Query } from 'usingpg/pg';
 *
 * const query = new Client().query(new Query('SELECT name FROM city'));
 * query.on('row', (row: { name: string }) => console.log(row.name));
 */
export class Query extends EventEmitter implements Submittable {
  /** Called with the error or the results in place of the events. */
  callback: Callback<[QueryResults]> | undefined;
  readonly #config: QueryConfig;

  constructor(query: string | QueryConfig, values?: unknown, callback?: unknown) {
    super();
    this.callback = callbackOf(query, values, callback);
    this.#config = typeof query === 'string' ? { text: query } : { ...query };
    if (Array.isArray(values)) this.#config.values = values;
  }

  /** The text of the query. */
  get text(): string | undefined {
    return this.#config.text;
  }

  /** @internal */
  [SUBMIT](statements: Statements): void {
    report(
      statements.execute(this.#config, undefined),
      (error: unknown, results?: QueryResults) => {
        if (results !== undefined) this.#done(results);
        else if (this.callback !== undefined) (this.callback as (error: unknown) => void)(error);
        // As in node-postgres, an error without a listener is an uncaught one.
        else this.emit('error', error);
      },
      (results) => [results],
      null,
    );
  }

  #done(results: QueryResults): void {
    if (this.listenerCount('row') > 0) {
      for (const result of Array.isArray(results) ? results : [results]) {
        for (const row of result.rows) this.emit('row', row, result);
      }
    }
    this.callback?.(null, results);
    this.emit('end', results);
  }

  /** Refuses node-postgres's own client, for which this query is not made. */
  submit(): never {
    throw new errors.NotSupportedError(
      'a Query of usingpg/pg runs on a client of usingpg/pg: client.query(query)',
    );
  }
}
