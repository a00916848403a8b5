import { node } from '../node-modules.js';
import { LinkedList, type Link } from '../queues.js';
import type { Field } from '../wire/backend-messages.js';
import { hasFixedColumns, type UserChange } from '../sql-statement.js';

/** A statement known to the server: named if it is kept, unnamed (`''`) if it serves one execution. */
export interface ServerStatement {
  readonly name: string;
  /** The oids of its parameters' types. */
  readonly types: readonly number[];
  /** Whether the server has confirmed it. */
  ready: boolean;
  /** Whether every execution returns the same columns, so that it need not be described again. */
  readonly fixed: boolean;
  /** The columns of its result; null for a statement without rows, undefined until they have been described. */
  fields: readonly Field[] | null | undefined;
  /** Whether it may create tables, or call a function that does; undefined until that has been determined. */
  mayMakeTable?: boolean;
}

/** When a statement is prepared: after how many executions (null: never), and the maximum number of prepared statements. */
export interface PreparePolicy {
  readonly threshold: number | null;
  readonly max: number | null;
}

function keepsNone({ max }: PreparePolicy): boolean {
  return max !== null && max < 1;
}

interface Typed {
  readonly oid: number;
}

/** A text with parameters of certain types: its count of executions, or its prepared statement. */
interface Known {
  readonly text: string;
  readonly types: readonly number[];
  executions: number;
  statement: ServerStatement | null;
  /** Its node in the list of prepared or of counted texts. */
  place: Link<Known> | null;
  /** Its columns when it was discarded at a transaction's end, and how often it has had the same columns since. */
  columns: string;
  sameColumns: number;
  /** The user that it was prepared for, and the last one before of whom it is known which columns it had. */
  user: User;
  earlier: { readonly user: string; readonly columns: string } | null;
  /** Whether it has had the same columns for two users, so that its names are believed to mean the same for all. */
  isOfAnyUser: boolean;
}

/** A user by name; a symbol stands for one that is not known. */
type User = string | symbol;

/** The limits of the texts counted before they are prepared: their number, and their total characters. */
const MOST_COUNTED = 1000;
const MOST_COUNTED_LENGTH = 500_000;

/** The session's prepared statements, and the execution counts of other statements. */
export class PreparedStatements {
  /** Keyed by the text alone, whose hash V8 caches. A key composed of text and types would be hashed each time. */
  readonly #known = new Map<string, Known[]>();
  /** Both lists begin with the least recently used. */
  readonly #kept = new LinkedList<Known>();
  readonly #counted = new LinkedList<Known>();
  #countedLength = 0;
  /** Statements prepared since the current transaction began. */
  #young: Known[] = [];
  /** The user whose schema may be in the search path, and the one after the transaction; null: not known. */
  #user: User = Symbol();
  #lastingUser: User | null = this.#user;
  #evicted: string[] = [];
  /**
   * A prefix that differs between sessions. Behind a pooler that shares server connections, a name common to two sessions would
   * execute the other session's statement; an unknown name can only fail.
   */
  readonly #prefix = `_pg3_${node.crypto.randomBytes(6).toString('hex')}_`;
  #lastName = 0;

  /** Counts an execution of a statement that is not prepared. */
  #count(known: Known): void {
    known.executions++;
    if (known.place !== null) {
      this.#counted.moveToEnd(known.place);
      return;
    }
    this.#keepCounted(known);
  }

  #keepCounted(known: Known): void {
    known.place = this.#counted.push(known);
    this.#countedLength += known.text.length;
    while (this.#counted.length > MOST_COUNTED || this.#countedLength > MOST_COUNTED_LENGTH) {
      const oldest = this.#counted.shift()!;
      this.#countedLength -= oldest.text.length;
      this.#drop(oldest);
    }
  }

  /** Returns the named statement to execute, which must be parsed first unless it is `ready`; null to execute unnamed. */
  choose(
    text: string,
    params: readonly Typed[],
    prepare: boolean | undefined,
    policy: PreparePolicy,
  ): ServerStatement | null {
    if (prepare === false || policy.threshold === null) return null;
    if (keepsNone(policy)) {
      this.discardAll();
      return null;
    }
    const known = this.#find(text, params);
    if (known?.statement != null) {
      if (known.user === this.#user || staysForUser(known)) {
        this.#kept.moveToEnd(known.place!);
        return known.statement;
      }
      this.#prepareAnew(known);
    }
    if (prepare !== true && (known?.executions ?? 0) < policy.threshold) {
      this.#count(known ?? this.#add(text, params));
      return null;
    }
    return this.#prepare(known ?? this.#add(text, params), policy);
  }

  #prepare(known: Known, policy: PreparePolicy): ServerStatement {
    if (known.place !== null) {
      this.#counted.remove(known.place);
      this.#countedLength -= known.text.length;
    }
    known.executions = 0;
    known.user = this.#user;
    known.place = this.#kept.push(known);
    known.statement = {
      name: this.#prefix + String(this.#lastName++),
      types: known.types,
      ready: false,
      fixed: hasFixedColumns(known.text),
      fields: undefined,
    };
    this.#young.push(known);
    while (this.#kept.length > (policy.max ?? Infinity)) {
      const oldest = this.#kept.shift()!;
      this.#evicted.push(oldest.statement!.name);
      this.#drop(oldest);
    }
    return known.statement;
  }

  /** Returns the names that the server must close before anything else is sent; each name is returned once. */
  takeEvicted(): readonly string[] {
    if (this.#evicted.length === 0) return this.#evicted;
    const names = this.#evicted;
    this.#evicted = [];
    return names;
  }

  /** The server has not closed these names, so they must be closed again. */
  closeAgain(names: readonly string[]): void {
    this.#evicted.push(...names);
  }

  /** Forgets a statement that the server refused to prepare. */
  forget(text: string, statement: ServerStatement): void {
    const known = this.#known.get(text)?.find((other) => other.statement === statement);
    if (known === undefined) return;
    this.#kept.remove(known.place!);
    this.#drop(known);
  }

  /**
   * Handles the end of a transaction. If the transaction may have created tables that are gone now, the statements prepared in it
   * are discarded, since the next table of that name may have other columns. Statements that have proven that their tables stay
   * are kept.
   */
  transactionEnded(tablesMayBeGone: boolean): void {
    this.#user = this.#lastingUser ??= Symbol();
    if (this.#young.length === 0) return;
    if (tablesMayBeGone) for (const known of this.#young) if (!staysValid(known)) this.#prepareAnew(known);
    this.#young = [];
  }

  /** The user has changed; null: it is not known to whom, or for how long. */
  userChanged(change: UserChange | null): void {
    this.#user = change?.name ?? Symbol();
    if (change === null) this.#lastingUser = null;
    else if (!change.isLocal) this.#lastingUser = change.name;
  }

  #prepareAnew(known: Known): void {
    this.#kept.remove(known.place!);
    this.#evicted.push(known.statement!.name);
    known.statement = null;
    known.executions = Infinity;
    known.place = null;
    this.#keepCounted(known);
  }

  /** Discards all prepared statements, which may no longer be valid. */
  discardAll(): void {
    for (let known = this.#kept.shift(); known !== undefined; known = this.#kept.shift()) {
      this.#evicted.push(known.statement!.name);
      this.#drop(known);
    }
  }

  /** The server has deallocated all its prepared statements. */
  clear(): void {
    this.discardAll();
    while (this.#counted.shift() !== undefined);
    this.#countedLength = 0;
    this.#young = [];
    this.#known.clear();
    this.#evicted = [];
  }

  #find(text: string, params: readonly Typed[]): Known | null {
    const variants = this.#known.get(text);
    if (variants === undefined) return null;
    for (const known of variants) if (haveTypes(params, known.types)) return known;
    return null;
  }

  #add(text: string, params: readonly Typed[]): Known {
    const known: Known = {
      text,
      types: oidsOf(params),
      executions: 0,
      statement: null,
      place: null,
      columns: '',
      sameColumns: 0,
      user: this.#user,
      earlier: null,
      isOfAnyUser: false,
    };
    const variants = this.#known.get(text);
    if (variants === undefined) this.#known.set(text, [known]);
    else variants.push(known);
    return known;
  }

  /** Forgets a text that is in neither list any more. */
  #drop(known: Known): void {
    known.statement = null;
    const variants = this.#known.get(known.text)!;
    if (variants.length === 1) this.#known.delete(known.text);
    else variants.splice(variants.indexOf(known), 1);
  }
}

/** The number of equal results after which the tables of a statement are believed to be permanent. */
const OFTEN_ENOUGH = 3;

/**
 * Whether a statement prepared in a transaction that may have created tables remains valid after it. Only a query can become
 * invalid. A table that is created again is another one, with another oid.
 */
function staysValid(known: Known): boolean {
  const fields = known.statement?.fields;
  if (fields == null) return true;
  const columns = columnsOf(fields);
  known.sameColumns = columns === known.columns ? known.sameColumns + 1 : 0;
  known.columns = columns;
  return known.sameColumns >= (fields.every(({ tableOid }) => tableOid !== 0) ? 1 : OFTEN_ENOUGH);
}

/**
 * Whether a statement prepared for one user may be executed for another, whose schema may have other tables of the same names. It
 * may once it has had the same columns for two users.
 */
function staysForUser(known: Known): boolean {
  const fields = known.statement?.fields;
  if (fields == null || known.isOfAnyUser) return true;
  const { user, earlier } = known;
  if (typeof user === 'symbol') return false;
  const columns = columnsOf(fields);
  known.isOfAnyUser = earlier !== null && earlier.user !== user && earlier.columns === columns;
  known.earlier = { user, columns };
  return known.isOfAnyUser;
}

function columnsOf(fields: readonly Field[]): string {
  return fields.map(({ tableOid, typeOid }) => `${String(tableOid)}.${String(typeOid)}`).join();
}

export function oidsOf(params: readonly Typed[]): number[] {
  return params.map(({ oid }) => oid);
}

/** Whether parameters are of these types, one by one. */
export function haveTypes(params: readonly Typed[], types: readonly number[]): boolean {
  if (params.length !== types.length) return false;
  for (let i = 0; i < types.length; i++) if (params[i]!.oid !== types[i]) return false;
  return true;
}
