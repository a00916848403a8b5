import { describe, expect, it } from 'vitest';
import { adapters } from '../../src/types/adapters.js';
import { dumpParam } from '../../src/types/dump.js';
import * as errors from '../../src/errors/index.js';
import { Multirange } from '../../src/types/multirange.js';
import { Range } from '../../src/types/range.js';
import { load } from './load.js';

describe('an adapters map', () => {
  it('loads an unregistered type as the server’s text', () => {
    expect(adapters.loaderFor(99_999)(Buffer.from('(1,é)'), 0, 6)).toBe('(1,é)');
  });

  it.each(['int4', 'integer', 23])('accepts a loader for %s, which its arrays use, too', (type) => {
    const map = adapters.clone();
    expect(load('int4[]', '{1}', map)).toEqual([1]);
    map.registerLoader(type, (text) => `<${text}>`);
    expect(load('int4', '1', map)).toBe('<1>');
    expect(load('int4[]', '{1,NULL}', map)).toEqual(['<1>', null]);
  });

  it('accepts a loader for an array type', () => {
    const map = adapters.clone();
    map.registerLoader('int4[]', (text) => text);
    expect(load('int4[]', '{1}', map)).toBe('{1}');
    expect(load('int4', '1', map)).toBe(1);
  });

  it.each(['nope', 'nope[]', 'void[]'])('refuses a loader for the unknown type %s', (type) => {
    expect(() => adapters.clone().registerLoader(type, (text) => text)).toThrow(errors.ProgrammingError);
  });

  it('loads every type without a registration by its default loader, which receives text and oid', () => {
    const map = adapters.clone();
    map.registerLoader('int8', Number);
    map.registerCodec('money', { readText: () => 'money' });
    map.registerType({ name: 'cents', oid: 70_000, arrayOid: 70_001, delimiter: ',', baseOid: 20 });
    map.registerDefaultLoader((text, oid) => `${text}:${String(oid)}`);
    expect(load('int4', '1', map)).toBe('1:23');
    expect(load('int4[]', '{1,2}', map)).toBe('{1,2}:1007');
    expect(load('timestamptz', 'é', map)).toBe('é:1184');
    expect(map.loaderFor(99_999)(Buffer.from('(1)'), 0, 3)).toBe('(1):99999');
    // These are registered, or consist of a registered type.
    expect(load('int8', '1', map)).toBe(1);
    expect(load('int8[]', '{1,NULL}', map)).toEqual([1, null]);
    expect(load('int8range', '[1,2)', map)).toEqual(new Range(1, 2));
    expect(load('int8multirange', '{[1,2)}', map)).toEqual(new Multirange([new Range(1, 2)]));
    expect(load('cents', '7', map)).toBe(7);
    expect(load('money', '$1', map)).toBe('money');
    expect(load('int4range', '[1,2)', map)).toBe('[1,2):3904');
  });

  it('gives its default loader to copies made afterwards, and replaces it by the next', () => {
    const map = adapters.clone();
    const before = map.clone();
    map.registerDefaultLoader(() => 'first');
    const copy = map.clone();
    map.registerDefaultLoader(() => 'second');
    expect([before, copy, map].map((one) => load('bool', 't', one))).toEqual([true, 'first', 'second']);
    expect(() => map.registerDefaultLoader('text' as never)).toThrow(errors.ProgrammingError);
  });

  it('makes independent copies', () => {
    const parent = adapters.clone();
    const child = parent.clone();
    child.registerLoader('bool', () => 'child');
    expect(load('bool', 't', parent)).toBe(true);
    parent.registerLoader('bool', () => 'parent');
    parent.registerDumper('string', () => ({ text: 'parent', oid: 25 }));
    parent.registerType({ name: 'mood', oid: 70_000, arrayOid: 70_001, delimiter: ',' });
    expect(load('bool', 't', child)).toBe('child');
    expect(load('bool', 't', parent)).toBe('parent');
    expect(load('bool', 't')).toBe(true);
    expect(dumpParam('x', child, '$1')).toEqual({ text: 'x', oid: 0 });
    expect(child.type('mood')).toBeUndefined();
    expect(load('mood[]', '{sad}', parent)).toEqual(['sad']);
  });

  it('and its copy can be changed separately', () => {
    const original = adapters.clone();
    const copy = original.clone();
    original.registerLoader('text', () => 'original');
    copy.registerLoader('text', () => 'copy');
    expect([load('text', 'x', original), load('text', 'x', copy), load('text', 'x')]).toEqual([
      'original',
      'copy',
      'x',
    ]);
  });

  it('accepts a registered type', () => {
    const map = adapters.clone();
    map.registerType({ name: 'mood', oid: 90_000, arrayOid: 90_001, delimiter: ',' });
    map.registerLoader('mood', (text) => text.toUpperCase());
    expect(load('mood[]', '{sad,NULL}', map)).toEqual(['SAD', null]);
    expect(map.elementType(90_001)?.name).toBe('mood');
    expect(adapters.type('mood')).toBeUndefined();
    expect(() => {
      map.registerLoader('nonsense', String);
    }).toThrow(/type 'nonsense' is not known/);
  });

  it('dumps with the dumper of the nearest class', () => {
    class Shape {
      name = 'shape';
    }
    class Circle extends Shape {}
    class Dot extends Circle {}
    const map = adapters.clone();
    map.registerDumper(Shape, (shape: Shape) => ({ text: shape.name, oid: 25 }));
    expect(dumpParam(new Dot(), map, '$1')).toEqual({ text: 'shape', oid: 25 });
    map.registerDumper(Circle, (_: Circle, place) => ({ text: place, oid: 0 }));
    expect(dumpParam(new Dot(), map, '$1')).toEqual({ text: '$1', oid: 0 });
    expect(dumpParam([new Shape()], map, '$1')).toEqual({ text: '{shape}', oid: 1009 });
  });

  it('dumps with the dumper of a typeof', () => {
    const map = adapters.clone();
    map.registerDumper('number', (n: number) => ({ text: String(n), oid: 1700 }));
    expect(dumpParam(1, map, '$1')).toEqual({ text: '1', oid: 1700 });
    expect(dumpParam([1], map, '$1')).toEqual({ text: '{1}', oid: 1231 });
  });
});
