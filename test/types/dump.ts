import { expect } from 'vitest';
import { adapters } from '../../src/types/adapters.js';
import type { AdaptersMap } from '../../src/types/adapters-map.js';
import { dumpParam } from '../../src/types/dump.js';

/** A dumped value: the name of its type, empty if the server infers it, and the text. */
export function dump(value: unknown, map: AdaptersMap = adapters): [type: string, text: string | null] {
  const { text, oid } = dumpParam(value, map, '$2');
  const element = map.elementType(oid);
  return [oid === 0 ? '' : element === undefined ? map.type(oid)!.name : `${element.name}[]`, text];
}

/** The message of the error for a refused value. */
export function refusal(
  value: unknown,
  errorClass: abstract new (...args: never[]) => Error,
  map: AdaptersMap = adapters,
): string {
  try {
    dump(value, map);
  } catch (error) {
    expect(error).toBeInstanceOf(errorClass);
    return (error as Error).message;
  }
  throw new Error('the value was accepted');
}
