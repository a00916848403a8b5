import { Fifo } from './fifo.js';
import type { PendingStatement } from './statement.js';
import type { TransactionStatus } from './status.js';

/** Something to be done when all statements before it have been answered. */
export interface Turn {
  readonly run: (status: TransactionStatus) => void;
  readonly reject: (reason: unknown) => void;
  /** Nobody wants it any more: it is passed over. */
  dropped: boolean;
}

/** The right to be the only one whose statements are sent, for as long as `exclusively()` lasts. */
export class Hold {
  /** @internal */
  readonly waiting = new Fifo<PendingStatement | Turn>();
}
