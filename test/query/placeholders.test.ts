import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import * as errors from '../../src/errors/index.js';
import { checkQueryText, convertQuery, type Params } from '../../src/query/placeholders.js';

function converted(query: string, params: Params): readonly [string, ...unknown[]] {
  const query_ = convertQuery(query, params);
  return [query_.text, ...query_.values(params)];
}

describe('placeholders', () => {
  it('become $1, $2 … in their order', () => {
    expect(converted('select %s, %t, %b', [1, 'a', null])).toEqual(['select $1, $2, $3', 1, 'a', null]);
  });

  it('of the same name become the same number', () => {
    expect(converted('%(b)s %(a)t %(b)s %(a)t', { a: 1, b: 2, unused: 3 })).toEqual(['$1 $2 $1 $2', 2, 1]);
  });

  it('of more than nine keep their order', () => {
    const values = Array.from({ length: 12 }, (_, i) => i);
    expect(converted(values.map(() => '%s').join(), values)[0]).toBe(
      values.map((i) => `$${String(i + 1)}`).join(),
    );
  });

  it('may have any name, and accept inherited values', () => {
    expect(
      converted('%(a b-ç)s %(__proto__)s %(1)s', JSON.parse('{"a b-ç":1,"__proto__":2,"1":3}') as Params),
    ).toEqual(['$1 $2 $3', 1, 2, 3]);
    expect(converted('%(a)s', Object.create({ a: 5 }) as Params)).toEqual(['$1', 5]);
  });

  it('are found in quotes and comments, too', () => {
    expect(converted("select '%s' -- %s", [1, 2])[0]).toBe("select '$1' -- $2");
  });

  it('turn a doubled percent sign into a single one', () => {
    expect(converted("select '100%%' like %s and 5 %% 2", ['a'])[0]).toBe("select '100%' like $1 and 5 % 2");
    expect(converted('%%s %%(a)s %%%%', [])[0]).toBe('%s %(a)s %%');
  });

  it('convert any text to the same text with numbers in order', () => {
    const piece = fc.oneof(
      fc.constant(null),
      fc.string({ unit: 'grapheme' }).filter((text) => !text.includes('\0')),
      fc.constantFrom('%', '%%', '$1', "'", '--', '(', 's'),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        let count = 0;
        const query = pieces.map((text) => (text === null ? '%s' : text.replaceAll('%', '%%'))).join('');
        const expected = apart(pieces.map((text) => (text === null ? ++count : text)));
        const values = Array.from({ length: count }, (_, i) => i);
        expect(converted(query, values)).toEqual([expected, ...values]);
      }),
      { numRuns: 500 },
    );
  });

  it('convert named placeholders in any text to the numbers of their names', () => {
    const name = fc.constantFrom('a', 'b', 'name with %', 'ü', 'constructor');
    const piece = fc.oneof(
      name.map((n) => ({ name: n })),
      fc.string().filter((text) => !text.includes('\0')),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 20 }), (pieces) => {
        const names: string[] = [];
        for (const p of pieces) if (typeof p === 'object' && !names.includes(p.name)) names.push(p.name);
        fc.pre(names.length > 0);
        const query = pieces
          .map((p) => (typeof p === 'string' ? p.replaceAll('%', '%%') : `%(${p.name})s`))
          .join('');
        const expected = apart(pieces.map((p) => (typeof p === 'string' ? p : names.indexOf(p.name) + 1)));
        const params = Object.fromEntries(names.map((n) => [n, `value of ${n}`]));
        expect(converted(query, params)).toEqual([expected, ...names.map((n) => `value of ${n}`)]);
      }),
      { numRuns: 500 },
    );
  });
});

describe('a query is refused', () => {
  const refused = (query: string, params: unknown): string => {
    let raised: unknown;
    try {
      convertQuery(query, params as Params).values(params as Params);
    } catch (error) {
      raised = error;
    }
    expect(raised).toBeInstanceOf(errors.ProgrammingError);
    return (raised as Error).message;
  };

  it('for a percent sign that is not doubled', () => {
    expect(refused('select 5 % 2', [])).toMatch(/double it: '%%'/);
    expect(refused('select 100% ', [])).toMatch(/incomplete placeholder/);
    expect(refused("like 'a%x'", [])).toMatch(/only '%s', '%b', '%t' are allowed as placeholders, got '%x'/);
    expect(refused('%(a)d', { a: 1 })).toMatch(/got '%\(a\)d'/);
    expect(refused('select %(name', { name: 1 })).toMatch(/incomplete placeholder: '%\(name'/);
    expect(refused('%(name)', { name: 1 })).toMatch(/incomplete placeholder/);
  });

  it('for placeholders of both kinds, in either order', () => {
    expect(refused('%s %(a)s', [1])).toMatch(/cannot be mixed/);
    expect(refused('%(a)s %s', { a: 1 })).toMatch(/cannot be mixed/);
  });

  it('for another number of parameters than placeholders', () => {
    expect(refused('%s %s', [1])).toMatch(/2 placeholders but 1 parameters/);
    expect(refused('select 1', [1])).toMatch(/0 placeholders but 1 parameters/);
    expect(refused('%s', {})).toMatch(/1 placeholders but 0 parameters/);
    expect(refused('%(a)s %(b)s %(c)s', { b: 1 })).toMatch(/missing: a, c/);
  });

  it('for an array with named placeholders, and an object with positional ones', () => {
    expect(refused('%(a)s', [1])).toMatch(/need an object/);
    expect(refused('%s', { a: 1 })).toMatch(/need an array/);
  });

  it.each([
    ['a string', 'abc', 'a string'],
    ['a number', 1, 'a number'],
    ['null', null, 'null'],
    ['a function', () => 1, 'a function'],
    ['bytes', new Uint8Array(1), 'an instance of Uint8Array'],
    ['a Map', new Map([['a', 1]]), 'an instance of Map'],
    ['a Set', new Set([1]), 'an instance of Set'],
  ])('for %s in place of parameters', (_, params, shown) => {
    expect(refused('%s', params)).toContain(shown);
  });

  it('for an object without a class name in place of parameters', () => {
    const nameless = Object.create(null) as Record<symbol, unknown>;
    nameless[Symbol.iterator] = (): void => undefined;
    expect(refused('%s', nameless)).toMatch(/expected the parameters/);
  });

  it('for a NUL and for a lone surrogate', () => {
    expect(refused("select '\0'", [])).toMatch(/NUL/);
    expect(refused("select '\ud800'", [])).toMatch(/lone surrogate/);
    expect(() => {
      checkQueryText('a\0');
    }).toThrow(errors.ProgrammingError);
    expect(() => {
      checkQueryText('😀');
    }).not.toThrow();
  });

  it('in the same way every time, also after many other queries', () => {
    for (let i = 0; i < 300; i++) convertQuery(`select ${String(i)}, %s`, [i]);
    expect(converted('select 0, %s', ['again'])).toEqual(['select 0, $1', 'again']);
    for (let i = 0; i < 2; i++) expect(refused('%s and % ', [1])).toMatch(/incomplete/);
    const long = `select '${'x'.repeat(5000)}', %s`;
    expect(converted(long, [1])[0]).toBe(long.replace('%s', '$1'));
  });
});

/** Texts separated by numbered parameters, which must remain separate parameters next to a digit or a name. */
function apart(pieces: readonly (string | number)[]): string {
  const filled = pieces.filter((piece) => piece !== '');
  const joins = (piece: string | number | undefined, at: number): boolean =>
    typeof piece === 'string' && /[\w$\x80-\uffff]/.test(piece.charAt(at < 0 ? piece.length - 1 : 0));
  return filled
    .map((piece, i) =>
      typeof piece === 'string'
        ? piece
        : `${joins(filled[i - 1], -1) ? ' ' : ''}$${String(piece)}${joins(filled[i + 1], 0) ? ' ' : ''}`,
    )
    .join('');
}
