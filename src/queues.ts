// Queues whose operations take constant time.

/** The number of empty slots before the head from which on they are removed, once they are more than half. */
const MOST_EMPTY = 1024;
/** The number of slots that an empty queue keeps. */
const MOST_KEPT = 32;

/** A first-in, first-out queue. */
export class Fifo<T> {
  /** The items are those from the head up to the end; the slots around them are empty. */
  #items: (T | undefined)[] = [];
  #head = 0;
  #end = 0;

  get length(): number {
    return this.#end - this.#head;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  push(item: T): void {
    this.#items[this.#end++] = item;
  }

  /** Inserts an item at the front. */
  unshift(item: T): void {
    if (this.#head > 0) {
      this.#items[--this.#head] = item;
    } else {
      this.#items.unshift(item);
      this.#end++;
    }
  }

  shift(): T | undefined {
    if (this.#head === this.#end) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#end) this.#clear();
    else if (this.#head > MOST_EMPTY && this.#head * 2 > this.#end) this.#restart(this.#rest());
    return item;
  }

  /** Empties the queue and returns what was in it, in order. */
  drain(): T[] {
    const items = this.#rest();
    this.#restart([]);
    return items;
  }

  #rest(): T[] {
    return this.#items.slice(this.#head, this.#end) as T[];
  }

  #restart(items: T[]): void {
    this.#items = items;
    this.#head = 0;
    this.#end = items.length;
  }

  /** Empties it, since it has been read. The slots of a short queue are used again: a queue that holds one item at a time makes no garbage. */
  #clear(): void {
    if (this.#items.length > MOST_KEPT) {
      this.#restart([]);
    } else {
      this.#head = 0;
      this.#end = 0;
    }
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let i = this.#head; i < this.#end; i++) yield this.#items[i] as T;
  }
}

/** A value's node in a `LinkedList`. */
export interface Link<T> {
  readonly value: T;
  /** @internal */ previous: Link<T> | null;
  /** @internal */ next: Link<T> | null;
  /** @internal */ list: LinkedList<T> | null;
}

/** A queue from which any value can be removed, or moved to the end, in constant time; for example a waiter that gives up. */
export class LinkedList<T> {
  #first: Link<T> | null = null;
  #last: Link<T> | null = null;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  /** The value that `shift()` would return. */
  get first(): T | undefined {
    return this.#first?.value;
  }

  push(value: T): Link<T> {
    const link: Link<T> = { value, previous: null, next: null, list: null };
    this.#append(link);
    return link;
  }

  /** Inserts a value after the leading values for which `goesBefore` is true. Takes linear time. */
  insert(value: T, goesBefore: (other: T) => boolean): Link<T> {
    let next = this.#first;
    while (next !== null && goesBefore(next.value)) next = next.next;
    if (next === null) return this.push(value);
    const link: Link<T> = { value, previous: next.previous, next, list: this };
    if (next.previous === null) this.#first = link;
    else next.previous.next = link;
    next.previous = link;
    this.#length++;
    return link;
  }

  shift(): T | undefined {
    const link = this.#first;
    if (link === null) return undefined;
    this.remove(link);
    return link.value;
  }

  /** Moves a value to the end. */
  moveToEnd(link: Link<T>): void {
    if (link !== this.#last && this.remove(link)) this.#append(link);
  }

  #append(link: Link<T>): void {
    link.previous = this.#last;
    link.next = null;
    link.list = this;
    if (this.#last === null) this.#first = link;
    else this.#last.next = link;
    this.#last = link;
    this.#length++;
  }

  /** Removes a value. Returns false if it had been removed before. */
  remove(link: Link<T>): boolean {
    if (link.list !== this) return false;
    link.list = null;
    if (link.previous === null) this.#first = link.next;
    else link.previous.next = link.next;
    if (link.next === null) this.#last = link.previous;
    else link.next.previous = link.previous;
    this.#length--;
    return true;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let link = this.#first; link !== null; link = link.next) yield link.value;
  }
}
