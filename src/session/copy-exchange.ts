import { setImmediate } from 'node:timers';
import * as errors from '../errors/index.js';
import type { Exchange, ExchangeMessages } from './exchange.js';
import type { CopyChannel, CopyFormat } from './copy-channel.js';
import { Fifo } from '../queues.js';

/** Pieces of data are gathered into blocks of this size, bytes. */
const BLOCK = 65_536;
/** The server pauses at this number of unread bytes, and continues below it. */
const HIGH_WATER = 4 * BLOCK;
const LOW_WATER = BLOCK;
/**
 * Milliseconds of writing without a turn of the event loop. Even if the network takes all data at once, the event loop must run, so
 * that the server's error and a timer that aborts the COPY are handled.
 */
const TURN = 10;

/** A COPY, from the submission of its statement. */
export class CopyExchange implements Exchange, CopyChannel {
  readonly kind = 'copy';
  readonly rowsAtATime = 0;
  readonly rowsBefore = 0;
  readonly #query: string;
  readonly #placed: (error: Error) => Error;
  #link: ExchangeMessages | null = null;
  #format: CopyFormat | null = null;
  #begun: ((channel: CopyChannel) => void) | null = null;

  /** Settles as the statement does. */
  readonly #end: Promise<string>;
  #tag: string | null = null;
  #ended = false;
  #error: unknown = null;
  #left = false;
  #finishing = false;

  #blocks: Buffer[] = [];
  #waiting = 0;
  #block = Buffer.alloc(0);
  #filled = 0;
  #paused = false;
  #wake: (() => void) | null = null;
  /** The callbacks of writers that wait for the network, in order. */
  readonly #writing = new Fifo<() => void>();
  /** The last known turn of the event loop. */
  #turn = performance.now();

  /**
   * `run` executes the statement. `begun` is called when the server is ready for the data; otherwise the promise from `run` tells
   * why not. `placed` adds the caller's stack to an error.
   */
  constructor(
    query: string,
    run: (exchange: Exchange) => Promise<readonly (string | null)[]>,
    begun: (channel: CopyChannel) => void,
    placed: (error: Error) => Error,
  ) {
    this.#query = query;
    this.#placed = placed;
    this.#begun = begun;
    this.#end = run(this).then(
      (tags) => {
        this.#ended = true;
        const tag = tags[0] ?? null;
        if (this.#format === null) this.#error = placed(notCopy(query));
        else if (tags.length > 1) this.#error = placed(mixed(query));
        if (this.#error !== null) {
          this.#wakeUp();
          throw this.#error as Error;
        }
        this.#tag = tag;
        this.#wakeUp();
        return tag ?? '';
      },
      (error: unknown) => {
        this.#ended = true;
        this.#error = error;
        this.#wakeUp();
        throw error;
      },
    );
    this.#end.catch(() => undefined);
  }

  /** Rejects if the statement ends without starting a COPY. */
  get end(): Promise<string> {
    return this.#end;
  }

  // --- the COPY's user's side

  get direction(): 'in' | 'out' {
    return this.#format!.direction;
  }
  get binary(): boolean {
    return this.#format!.binary;
  }
  get columns(): number {
    return this.#format!.columns;
  }
  get tag(): string | null {
    return this.#tag;
  }
  get left(): boolean {
    return this.#left || this.#finishing;
  }
  get ended(): boolean {
    return this.#ended;
  }
  get abandoned(): boolean {
    return this.#left;
  }

  write(data: Uint8Array): Promise<void> | null {
    if (this.#isOnItsWayOut) return this.#ending();
    this.#check('in');
    if (!this.#link!.copyData(data, this.#onTaken)) return this.#taken();
    return performance.now() - this.#turn < TURN ? null : this.#nextTurn();
  }

  /** The network has taken the oldest piece that was pending. */
  readonly #onTaken = (): void => {
    this.#turn = performance.now();
    this.#writing.shift()?.();
  };

  /** Resolves when the network has taken what was written last; rejects if the COPY ends before. */
  async #taken(): Promise<void> {
    await new Promise<void>((resolve) => this.#writing.push(resolve));
    if (this.#error !== null) throw this.#error as Error;
  }

  async #nextTurn(): Promise<void> {
    await new Promise<void>((resolve) => setImmediate(resolve));
    this.#turn = performance.now();
    if (this.#error !== null) throw this.#error as Error;
  }

  async finish(): Promise<string> {
    if (this.#isOnItsWayOut) await this.#ending();
    this.#check('in');
    this.#finishing = true;
    this.#link!.copyDone();
    return this.#end;
  }

  async read(): Promise<Buffer | null> {
    if (this.#format!.direction !== 'out') this.#check('out');
    while (this.#waiting === 0 && !this.#ended) {
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
    }
    if (this.#error !== null) throw this.#error as Error;
    const block = this.#blocks.shift() ?? this.#takeBlock();
    if (block === null) return null;
    this.#waiting -= block.length;
    if (this.#paused && this.#waiting <= LOW_WATER) {
      this.#paused = false;
      this.#link!.resume();
    }
    return block;
  }

  onFailure(tell: (error: unknown) => void): void {
    this.#end.catch(tell);
  }

  async abort(reason: string): Promise<void> {
    if (!this.#ended) this.leave(reason);
    await this.#end.catch(() => undefined);
  }

  // --- the session's side

  onSent(link: ExchangeMessages): void {
    this.#link = link;
  }

  onCopy(format: CopyFormat): void {
    this.#format = format;
    if (this.#left) {
      this.#leaveNow('the COPY was given up');
      return;
    }
    this.#begun?.(this);
    this.#begun = null;
  }

  onCopyData(bytes: Buffer, start: number, end: number): void {
    if (this.#left) return;
    const length = end - start;
    if (this.#filled + length > this.#block.length) {
      const full = this.#takeBlock();
      if (full !== null) this.#blocks.push(full);
      this.#block = Buffer.allocUnsafeSlow(Math.max(BLOCK, length));
    }
    bytes.copy(this.#block, this.#filled, start, end);
    this.#filled += length;
    this.#waiting += length;
    if (this.#waiting > HIGH_WATER && !this.#paused) {
      this.#paused = true;
      this.#link!.pause();
    }
    this.#wakeUp();
  }

  onSuspended(): void {
    // A statement that is not a COPY sends all its rows at once; they are discarded.
  }

  onRows(): void {
    // The first rows are discarded too.
  }

  onComplete(): void {
    // The statement's outcome reports its end.
  }

  leave(reason: string): void {
    if (this.#left || this.#ended) return;
    this.#left = true;
    this.#leaveNow(reason);
  }

  #leaveNow(reason: string): void {
    const link = this.#link;
    if (link === null) return;
    link.expectEnd();
    if (this.#format?.direction === 'in') {
      if (!this.#finishing) link.copyFail(reason);
      else link.cancel();
      return;
    }
    this.#blocks = [];
    this.#filled = 0;
    this.#waiting = 0;
    if (this.#paused) link.resume();
    this.#paused = false;
    link.cancel();
  }

  /** Whether another caller is ending the COPY. The reason is known once the server has answered. */
  get #isOnItsWayOut(): boolean {
    return this.#left && !this.#ended;
  }

  async #ending(): Promise<void> {
    await this.#end.catch(() => undefined);
    this.#check('in');
  }

  #check(direction: 'in' | 'out'): void {
    if (this.#error !== null) throw this.#error as Error;
    if (this.#ended || this.#finishing || this.#left) {
      throw this.#placed(new errors.ProgrammingError('the COPY has ended', { query: this.#query }));
    }
    if (this.#format!.direction !== direction) {
      throw this.#placed(
        new errors.ProgrammingError(
          direction === 'in' ? 'a COPY … TO can only be read' : 'a COPY … FROM can only be written',
          { query: this.#query },
        ),
      );
    }
  }

  /** Takes the block gathered so far. */
  #takeBlock(): Buffer | null {
    if (this.#filled === 0) return null;
    const taken = this.#block.subarray(0, this.#filled);
    this.#block = this.#block.subarray(this.#filled);
    this.#filled = 0;
    return taken;
  }

  #wakeUp(): void {
    const wake = this.#wake;
    this.#wake = null;
    wake?.();
    if (!this.#ended) return;
    for (const resolve of this.#writing.drain()) resolve();
  }
}

function notCopy(query: string): Error {
  return new errors.ProgrammingError(
    'copy() should be used with a COPY … FROM STDIN or COPY … TO STDOUT statement',
    {
      query,
    },
  );
}

function mixed(query: string): Error {
  return new errors.ProgrammingError(
    'COPY cannot be mixed with other operations: the query has several statements',
    { query },
  );
}
