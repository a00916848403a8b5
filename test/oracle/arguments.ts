import * as usingpg from '../../src/index.js';
import { call, camelCase, make, member } from './scenario.js';

type Tagged = Readonly<{ $: string; v?: unknown }>;

/** Converts recorded arguments of calls. */
export class Arguments {
  readonly #saved: ReadonlyMap<string, unknown>;

  /** `saved` contains the objects that `$ref` names. */
  constructor(saved: ReadonlyMap<string, unknown>) {
    this.#saved = saved;
  }

  decode(value: unknown): unknown {
    if (Array.isArray(value)) return value.map((item) => this.decode(item));
    if (typeof value !== 'object' || value === null) return value;
    if ('$ref' in value) return this.#saved.get(String(value.$ref));
    if ('$' in value) return this.#decodeTagged(value as Tagged);
    return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, this.decode(item)]));
  }

  #decodeTagged({ $: kind, v }: Tagged): unknown {
    switch (kind) {
      case 'int':
        return BigInt(v as string);
      case 'float': {
        const number = Number({ inf: 'Infinity', '-inf': '-Infinity' }[v as string] ?? v);
        return Number.isInteger(number) ? make(usingpg, 'Float8', number) : number;
      }
      case 'numeric':
        return make(usingpg, 'Numeric', v);
      case 'bytes':
        return Buffer.from(v as string, 'hex');
      case 'json':
        return make(usingpg, 'Json', v);
      case 'jsonb':
        return make(usingpg, 'Jsonb', v);
      case 'range':
        return Array.isArray(v)
          ? make(usingpg, 'Range', ...v.map((item) => this.decode(item)))
          : call(member(usingpg, 'Range'), 'empty');
      case 'date':
        return v;
      case 'instant':
        return new Date(v as string);
      case 'isolation':
        return member(usingpg.IsolationLevel, v as string);
      case 'row':
        return member(usingpg, camelCase(v as string));
      case 'rowmake': {
        const [factory, callback] = v as [string, string];
        return call(usingpg, camelCase(factory), rowCallback(factory, callback));
      }
      case 'sql':
        return this.#compose(v);
      default:
        throw new Error(`a recorded argument is of the unknown kind ${kind}`);
    }
  }

  /** Evaluates a tree of composition calls, `[name, …]`; any other value stands for itself. */
  #compose(node: unknown): unknown {
    const sql = member(usingpg, 'sql');
    const [name, ...rest] = Array.isArray(node) ? (node as unknown[]) : [];
    const all = (nodes: unknown): unknown[] => (nodes as unknown[]).map((item) => this.#compose(item));
    switch (name) {
      case 'SQL':
      case 'Identifier':
      case 'Placeholder':
        return call(sql, name, ...rest);
      case 'Literal':
        return call(sql, name, this.decode(rest[0]));
      case 'Composed':
        return call(sql, name, all(rest[0]));
      case 'format': {
        const [text, args, named] = rest as [string, unknown[], Record<string, unknown>?];
        const values = Object.entries(named ?? {}).map(([key, item]) => [key, this.#compose(item)]);
        return call(
          call(sql, 'SQL', text),
          'format',
          ...all(args),
          ...(named ? [Object.fromEntries(values)] : []),
        );
      }
      case 'join':
        return call(call(sql, 'SQL', rest[0]), 'join', all(rest[1]));
      case 'add':
        return call(this.#compose(rest[0]), 'concat', this.#compose(rest[1]));
      case 'mul':
        return call(call(sql, 'SQL', ''), 'join', Array(rest[1] as number).fill(this.#compose(rest[0])));
      default:
        return this.decode(node);
    }
  }
}

/** The callback of a row factory: it renders its arguments as a list, joined, or as an object. */
function rowCallback(factory: string, name: string): unknown {
  const shows: Record<string, (values: unknown[]) => unknown> = {
    concat: (values) => values.map(String).join('|'),
    join: (values) => values.map(String).join('|'),
    list: (values) => values,
    tuple: (values) => values,
    dict: (values) => values[0],
  };
  const show = member(shows, name) as (values: unknown[]) => unknown;
  const valuesOf = (row: object): unknown[] => (name === 'dict' ? [row] : Object.values(row));
  if (factory === 'args_row') return (...values: unknown[]) => show(values);
  if (factory === 'kwargs_row') return (row: object) => show(valuesOf(row));
  // A constructor may return an object of its own, but not a string.
  return function (row: object): unknown {
    return show(valuesOf(row));
  };
}
