import type { Socket } from 'node:net';
import type { Cancellation } from './cancellation.js';
import type { Floor } from './conversation.js';
import type { Lane } from './lane.js';
import type { PendingStatement } from './statement.js';

/** What a conversation works with. */
interface Means {
  readonly lane: Lane;
  readonly socket: Pick<Socket, 'pause' | 'resume' | 'destroyed'>;
  readonly cancellation: Cancellation;
  cancel(pending: PendingStatement): void;
}

/** The floor of `pending`: it is of no effect any more once that has been answered, or the connection is gone. */
export function floorFor(pending: PendingStatement, means: Means): Floor {
  const { lane, socket, cancellation } = means;

  const whileItLasts =
    <Args extends unknown[]>(act: (...args: Args) => void) =>
    (...args: Args): void => {
      if (!pending.settled && !socket.destroyed) act(...args);
    };
  return {
    copyData: (data, written) => lane.copyData(data, written),
    copyDone: whileItLasts(() => {
      lane.endCopy(pending, null);
    }),
    copyFail: whileItLasts((reason: string) => {
      lane.endCopy(pending, reason);
    }),
    fetch: whileItLasts((rows: number) => {
      pending.suspended = false;
      lane.fetch(rows);
    }),
    closePortal: whileItLasts(() => {
      lane.closePortal(pending);
    }),
    cancel: whileItLasts(() => {
      means.cancel(pending);
    }),
    expectEnd: whileItLasts(() => {
      cancellation.expectAnswer(pending);
    }),
    pause: () => socket.pause(),
    resume: () => socket.resume(),
  };
}
