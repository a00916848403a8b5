import { keepStack } from '../errors/callers-stack.js';
import * as errors from '../errors/index.js';
import { thrownText } from '../errors/thrown.js';
import type { Adapters, DumpedParam, Dumper } from './adaptation.js';
import { checkText } from './check-text.js';
import { Oids } from './oids.js';
import { Wrapper } from './wrappers.js';

/**
 * Converts a value for the server. Returns its text, whose type the server infers; `{ text, oid }` with an explicit type; a
 * wrapper to be sent in its place; or null for NULL. `place` names the parameter in error messages, such as `$2` or `$2[3]`.
 * `adapters` belong to the cursor that sends the value.
 */
export type CustomDumper<T> = (
  value: T,
  place: string,
  adapters: Adapters,
) => string | { readonly text: string | null; readonly oid?: number } | Wrapper | null;

const MAX_OID = 0xffff_ffff;

/** Wraps a user's dumper, which may throw anything and return anything. */
export function checkedDumper(dumper: CustomDumper<never>): Dumper {
  const checked: Dumper = (value, place, map) => {
    let result: unknown;
    try {
      result = dumper(value, place, map);
    } catch (error) {
      if (error instanceof errors.Error) throw keepStack(error);
      throw new errors.DataError(`${place}: the dumper of ${nameOf(value)} failed: ${thrownText(error)}`, {
        cause: error,
      });
    }
    if (result === null) return { text: null, oid: Oids.unknown };
    if (typeof result === 'string') return { text: checkText(result, place), oid: Oids.unknown };
    if (result instanceof Wrapper) {
      const next = map.dumperForObject(result);
      return next === undefined || next === checked
        ? result.dump(place, map)
        : next(result as never, place, map);
    }
    if (isDumped(result)) {
      return {
        text: result.text === null ? null : checkText(result.text, place),
        oid: result.oid ?? Oids.unknown,
      };
    }
    throw new errors.DataError(
      `${place}: the dumper of ${nameOf(value)} returned ${described(result)}; it has to return text, { text, oid }, a wrapper` +
        ' such as new Jsonb(…), or null',
    );
  };
  return checked;
}

function isDumped(result: unknown): result is Partial<DumpedParam> & Pick<DumpedParam, 'text'> {
  if (typeof result !== 'object' || result === null || !('text' in result)) return false;
  const { text, oid = Oids.unknown } = result as { text: unknown; oid?: unknown };
  return (
    (text === null || typeof text === 'string') &&
    typeof oid === 'number' &&
    Number.isInteger(oid) &&
    oid >= 0 &&
    oid <= MAX_OID
  );
}

function nameOf(value: unknown): string {
  if (typeof value !== 'object' || value === null) return `values of type ${typeof value}`;
  return (value as { constructor?: { name?: string } }).constructor?.name ?? 'plain objects';
}

function described(result: unknown): string {
  if (typeof result !== 'object' || result === null) return typeof result;
  return `an object with ${Object.keys(result).join(', ') || 'no properties'}`;
}
