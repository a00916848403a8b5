// Queues whose operations take constant time.

/** A first-in, first-out queue. */
export class Fifo<T> {
  #items: (T | undefined)[] = [];
  #head = 0;

  get length(): number {
    return this.#items.length - this.#head;
  }

  get first(): T | undefined {
    return this.#items[this.#head];
  }

  push(item: T): void {
    this.#items.push(item);
  }

  /** Inserts an item at the front. */
  unshift(item: T): void {
    if (this.#head > 0) this.#items[--this.#head] = item;
    else this.#items.unshift(item);
  }

  shift(): T | undefined {
    if (this.#head === this.#items.length) return undefined;
    const item = this.#items[this.#head];
    this.#items[this.#head++] = undefined;
    if (this.#head === this.#items.length) {
      this.#items = [];
      this.#head = 0;
    } else if (this.#head > 1024 && this.#head * 2 > this.#items.length) {
      this.#items = this.#items.slice(this.#head);
      this.#head = 0;
    }
    return item;
  }

  /** Empties the queue and returns what was in it, in order. */
  drain(): T[] {
    const items = this.#items.slice(this.#head) as T[];
    this.#items = [];
    this.#head = 0;
    return items;
  }

  *[Symbol.iterator](): IterableIterator<T> {
    for (let i = this.#head; i < this.#items.length; i++) yield this.#items[i] as T;
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
