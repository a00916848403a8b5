import type { Adapters } from './adaptation.js';
import { refused, type Place } from './codec.js';

/** The server's limit. */
export const MAX_DIMENSIONS = 6;

/** An array in the server's representation. */
export interface FlatArray {
  /** The lengths of its dimensions. */
  readonly shape: readonly number[];
  /** The elements of all dimensions in order. */
  readonly elements: readonly unknown[];
}

/** Flattens nested arrays. Raises `DataError` for parts that differ in length or depth, and for too many dimensions. */
export function flattened(array: readonly unknown[], adapters: Adapters, place: Place): FlatArray {
  const shape: number[] = [];
  const elements: unknown[] = [];
  let leafDepth = -1;
  const addLevel = (level: readonly unknown[], depth: number, where: Place): void => {
    if (depth === MAX_DIMENSIONS) {
      throw refused(
        where,
        `an array can have ${String(MAX_DIMENSIONS)} dimensions at most, and can't contain itself`,
      );
    }
    shape[depth] ??= level.length;
    if (shape[depth] !== level.length) throw ragged(where);
    for (let i = 0; i < level.length; i++) {
      const value = level[i];
      if (!Array.isArray(value) || adapters.dumperForObject(value) !== undefined) {
        if (leafDepth < 0) leafDepth = shape.length - 1;
        if (depth !== leafDepth) throw ragged(`${where.toString()}[${String(i)}]`);
        elements.push(value);
      } else {
        const inner = `${where.toString()}[${String(i)}]`;
        if (depth === leafDepth) throw ragged(inner);
        addLevel(value, depth + 1, inner);
      }
    }
  };
  addLevel(array, 0, place);
  return { shape, elements };
}

/** The subscripts of an element, such as `[1][0]`. */
export function subscripts(index: number, shape: readonly number[]): string {
  if (shape.length === 1) return `[${String(index)}]`;
  let text = '';
  let rest = index;
  for (const length of shape.toReversed()) {
    text = `[${String(rest % length)}]${text}`;
    rest = Math.floor(rest / length);
  }
  return text;
}

function ragged(place: Place): Error {
  return refused(place, 'nested arrays must all have the same length and depth');
}
