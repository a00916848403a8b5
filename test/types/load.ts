import { adapters } from '../../src/types/adapters.js';
import type { AdaptersMap } from '../../src/types/adapters-map.js';

/** Loads a text like a row's value: from the middle of a larger buffer, which is overwritten afterwards. */
export function load(type: string, text: string | Buffer, map: AdaptersMap = adapters): unknown {
  const isArray = type.endsWith('[]');
  const entry = map.type(isArray ? type.slice(0, -2) : type);
  if (entry === undefined) throw new Error(`the type ${type} is not known`);
  const value = Buffer.from(text as string);
  const bytes = Buffer.concat([Buffer.from('1{"='), value, Buffer.from('9},"')]);
  const loaded = map.loaderFor(isArray ? entry.arrayOid : entry.oid)(bytes, 4, 4 + value.length);
  bytes.fill(0);
  return loaded;
}
