import { setImmediate as promisesSettled } from 'node:timers/promises';
import type { Clock, Timer } from '../../src/waiting.js';

interface Entry {
  readonly at: number;
  /** Calls due at the same time run in the order in which they were scheduled. */
  readonly ticket: number;
  call: (() => void) | null;
}

/** A clock whose time passes from one scheduled call to the next. Its calls are kept in a heap, as there are millions of them. */
export class VirtualClock implements Clock {
  #time = 0;
  #tickets = 0;
  readonly #heap: Entry[] = [];

  now(): number {
    return this.#time;
  }

  wall(): number {
    return this.#time;
  }

  after(seconds: number, call: () => void): Timer {
    const entry: Entry = { at: this.#time + seconds, ticket: this.#tickets++, call };
    if (seconds < Infinity) this.#add(entry);
    return {
      cancel: () => {
        // It is removed when its time has come.
        entry.call = null;
      },
    };
  }

  /** Runs all calls that are due within `seconds`; after each moment, all promises settle. */
  async pass(seconds: number): Promise<void> {
    const until = this.#time + seconds;
    await promisesSettled();
    for (let next = this.#heap[0]; next !== undefined && next.at <= until; next = this.#heap[0]) {
      this.#time = next.at;
      let isIdle = true;
      for (; next !== undefined && next.at <= this.#time; next = this.#heap[0]) {
        this.#remove();
        if (next.call === null) continue;
        isIdle = false;
        next.call();
      }
      if (!isIdle) await promisesSettled();
    }
    this.#time = until;
  }

  #add(entry: Entry): void {
    const heap = this.#heap;
    let place = heap.push(entry) - 1;
    while (place > 0) {
      const parent = (place - 1) >> 1;
      if (!isBefore(entry, heap[parent]!)) break;
      heap[place] = heap[parent]!;
      place = parent;
    }
    heap[place] = entry;
  }

  #remove(): void {
    const heap = this.#heap;
    const last = heap.pop()!;
    if (heap.length === 0) return;
    let place = 0;
    for (;;) {
      let child = 2 * place + 1;
      if (child >= heap.length) break;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (!isBefore(heap[child]!, last)) break;
      heap[place] = heap[child]!;
      place = child;
    }
    heap[place] = last;
  }
}

function isBefore(a: Entry, b: Entry): boolean {
  return a.at < b.at || (a.at === b.at && a.ticket < b.ticket);
}
