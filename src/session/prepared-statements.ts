import { randomBytes } from 'node:crypto';
import type { Field } from '../wire/backend-messages.js';

/** A statement as the server knows it: named when it is kept, unnamed (`''`) when it serves one execution. */
export interface ServerStatement {
  readonly name: string;
  readonly key: string;
  /** Whether the server has confirmed it. */
  ready: boolean;
  /** Its result's columns; null for a statement without rows, undefined until it has been described. */
  fields: readonly Field[] | null | undefined;
}

/** When a statement is prepared: after how many executions (null: never), and how many are kept at most. */
export interface PreparePolicy {
  readonly threshold: number | null;
  readonly max: number | null;
}

function keepsNone({ max }: PreparePolicy): boolean {
  return max !== null && max < 1;
}

/** What identifies a prepared statement: its text and the types its parameters are sent as. */
export function statementKey(text: string, params: readonly { readonly oid: number }[]): string {
  let key = '';
  for (const { oid } of params) key += `${String(oid)},`;
  return `${key} ${text}`;
}

/**
 * Which statements a session has prepared, least recently used first, and how often the others have been executed.
 */
export class PreparedStatements {
  readonly #kept = new Map<string, ServerStatement>();
  readonly #executions = new Map<string, number>();
  #evicted: string[] = [];
  /**
   * No other session's: behind a pooler that hands server connections around, a name that two sessions shared would execute the
   * statement of the other one. A name that is not known there can but fail.
   */
  readonly #prefix = `_pg3_${randomBytes(6).toString('hex')}_`;
  #lastName = 0;

  /** Whether a statement is prepared, or would be if it were executed now. */
  reaches(key: string, prepare: boolean | undefined, policy: PreparePolicy): boolean {
    if (prepare === false || policy.threshold === null || keepsNone(policy)) return false;
    return this.#kept.has(key) || (this.#executions.get(key) ?? 0) >= policy.threshold;
  }

  /** Counts an execution of a statement that is not prepared. */
  count(key: string): void {
    const executions = this.#executions.get(key) ?? 0;
    this.#executions.delete(key);
    this.#executions.set(key, executions + 1);
    if (this.#executions.size > MOST_COUNTED) this.#executions.delete(this.#executions.keys().next().value!);
  }

  /** The named statement to execute, to be parsed first unless `ready`; null if this execution is to be unnamed. */
  choose(key: string, prepare: boolean | undefined, policy: PreparePolicy): ServerStatement | null {
    if (prepare === false || policy.threshold === null) return null;
    if (keepsNone(policy)) {
      this.discardAll();
      return null;
    }
    const kept = this.#kept.get(key);
    if (kept !== undefined) {
      this.#kept.delete(key);
      this.#kept.set(key, kept);
      return kept;
    }
    if (prepare !== true && !this.reaches(key, prepare, policy)) {
      this.count(key);
      return null;
    }
    this.#executions.delete(key);
    const statement: ServerStatement = {
      name: this.#prefix + String(this.#lastName++),
      key,
      ready: false,
      fields: undefined,
    };
    this.#kept.set(key, statement);
    const max = policy.max ?? Infinity;
    for (const [oldest, { name }] of this.#kept) {
      if (this.#kept.size <= max) break;
      this.#kept.delete(oldest);
      this.#evicted.push(name);
    }
    return statement;
  }

  /** The names that the server has to close before it is sent anything else. */
  takeEvicted(): readonly string[] {
    if (this.#evicted.length === 0) return this.#evicted;
    const names = this.#evicted;
    this.#evicted = [];
    return names;
  }

  /** The server has not closed what it was asked to. */
  closeAgain(names: readonly string[]): void {
    this.#evicted.push(...names);
  }

  /** The server refused to prepare it. */
  forget(statement: ServerStatement): void {
    if (this.#kept.get(statement.key) === statement) this.#kept.delete(statement.key);
  }

  /** What the server has prepared may not be valid any more. */
  discardAll(): void {
    for (const statement of this.#kept.values()) this.#evicted.push(statement.name);
    this.#kept.clear();
  }

  /** The server has dropped all it had. */
  clear(): void {
    this.#kept.clear();
    this.#executions.clear();
    this.#evicted = [];
  }
}

const MOST_COUNTED = 1000;
