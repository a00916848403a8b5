import { LinkedList, type Link } from '../queues.js';

/** Psycopg's cache size; the limit keeps a program that makes a new query for each row from filling the memory. */
const MOST_CACHED = 128;
const LONGEST_CACHED = 4096;

/** What was made of the texts used most recently, so that a repeated query, for example, is read only once. */
export class RecentTexts<T> {
  readonly #make: (text: string) => T;
  readonly #links = new Map<string, Link<{ readonly text: string; readonly made: T }>>();
  /** The least recently used text comes first. */
  readonly #order = new LinkedList<{ readonly text: string; readonly made: T }>();

  /** What `make` returns is shared by all uses of a text. */
  constructor(make: (text: string) => T) {
    this.#make = make;
  }

  /** Returns what was made of the text, now or before. Throws what `make` throws. */
  get(text: string): T {
    const link = this.#links.get(text);
    if (link !== undefined) {
      this.#order.moveToEnd(link);
      return link.value.made;
    }
    const made = this.#make(text);
    if (text.length <= LONGEST_CACHED) {
      if (this.#links.size >= MOST_CACHED) this.#links.delete(this.#order.shift()!.text);
      this.#links.set(text, this.#order.push({ text, made }));
    }
    return made;
  }
}
