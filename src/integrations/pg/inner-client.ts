import type { AsyncConnection } from '../../index.js';
import type { SessionState } from './session-state.js';
import type { QueryResults } from './statement.js';

/** The key of a client's method that executes a query that is no submittable. */
export const EXECUTE: unique symbol = Symbol('usingpg.pg.execute');
/** The key of a client's method that runs something in its turn among the client's statements. */
export const IN_TURN: unique symbol = Symbol('usingpg.pg.inTurn');
/** The key of a client's method that detaches it from a connection that goes back to its pool. */
export const LEAVE: unique symbol = Symbol('usingpg.pg.leave');

/** What may be open for longer than a call, and has a client's turn then. */
export interface Closable {
  close(): Promise<void>;
}

/** How a turn is waited for and used. */
export interface TurnOptions {
  /** What keeps the turn until it is closed. */
  readonly open?: Closable;
  /** Ends the wait. */
  readonly signal?: AbortSignal | undefined;
}

/** A client as this module's other classes use it. */
export interface InnerClient {
  /** Executes a query that is no submittable. */
  [EXECUTE](query: unknown, values: unknown): Promise<QueryResults>;
  /** Runs something with the connection after all earlier statements. Its errors get node-postgres's fields. */
  [IN_TURN]<T>(
    run: (connection: AsyncConnection, state: SessionState) => Promise<T>,
    options?: TurnOptions,
  ): Promise<T>;
}
