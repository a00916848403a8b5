import { describe, it } from 'vitest';
import {
  adapters,
  AsyncClientCursor,
  conninfoToDict,
  Int4,
  Int8,
  makeConninfo,
  Numeric,
  Range,
  sql,
  type Params,
} from '../../src/index.js';
import { SqlScanner } from '../../src/sql-scanner.js';
import { convertQuery } from '../../src/query/placeholders.js';
import { connect } from '../support/database.js';
import { expectLinear } from '../support/growth.js';

/** An eighth of a megabyte, and a whole one. */
const EIGHTH = 131_072;

/** Texts of a given size that make a careless parser backtrack. */
const TEXTS: Readonly<Record<string, (size: number) => string>> = {
  'digits and a letter': (size) => `${'1'.repeat(size)}x`,
  'zeros and a letter': (size) => `${'0'.repeat(size)}x`,
  'a fraction and a letter': (size) => `1.${'0'.repeat(size)}1x`,
  'zeros within digits': (size) => `1${'0'.repeat(size)}1`,
  'zeros behind the point': (size) => `1.${'0'.repeat(size)}1`,
  'an exponent of many digits': (size) => `1e${'9'.repeat(size)}`,
  spaces: (size) => ' '.repeat(size),
  'spaces and digits': (size) => `${' '.repeat(size / 2)}1${' '.repeat(size / 2)}x`,
  'a date and hyphens': (size) => `2024-01-01${'-'.repeat(size)}`,
  'a date and BC': (size) => `2024-01-01${' BC'.repeat(size / 3)}x`,
  quotes: (size) => "'".repeat(size),
  'quotes and backslashes': (size) => `E'${"\\'".repeat(size / 2)}`,
  backslashes: (size) => '\\'.repeat(size),
  'dollar signs': (size) => '$'.repeat(size),
  'dollar tags': (size) => '$a'.repeat(size / 2),
  'dollar tags that end': (size) => '$a$$b'.repeat(size / 5),
  'a long dollar tag': (size) => `$${'a'.repeat(size)}`,
  'beginnings of comments': (size) => '/*'.repeat(size / 2),
  'ends of comments': (size) => `/*${'*'.repeat(size)}`,
  minuses: (size) => '- '.repeat(size / 2),
  'strings on many lines': (size) => `E${"'a'\n".repeat(size / 4)}`,
  'a string and many lines': (size) => `E'a'${'\n'.repeat(size)}`,
  'strings and comments': (size) => `E${"'a' -- b\n".repeat(size / 9)}`,
  'percent signs': (size) => '%%'.repeat(size / 2),
  placeholders: (size) => '%s'.repeat(size / 2),
  'names of placeholders': (size) => '%(a)s'.repeat(size / 5),
  'different names of placeholders': (size) =>
    Array.from({ length: size / 16 }, (_, i) => `%(${String(i)})s`).join(''),
  'a placeholder that does not end': (size) => `%(${'a'.repeat(size)}`,
  'placeholders that do not end': (size) => '%('.repeat(size / 2),
  'placeholders that do not end before a line does': (size) => `${'%('.repeat(size / 2)})\n`,
  'placeholders that end without a format': (size) => `${'%('.repeat(size / 2)})`,
  braces: (size) => '{}'.repeat(size / 2),
  'double braces': (size) => '{{'.repeat(size / 2),
  'a brace that does not end': (size) => `{${'a'.repeat(size)}`,
  'equals signs': (size) => '='.repeat(size),
  'a word': (size) => 'a'.repeat(size),
  'a parameter and spaces': (size) => `host${' '.repeat(size)}x`,
  'an unterminated value': (size) => `host='${"\\'".repeat(size / 2)}`,
  'a value of escapes': (size) => `host=${'\\a'.repeat(size / 2)}`,
  'many parameters': (size) => 'host=a '.repeat(size / 7),
  'hosts of a URI': (size) => `postgresql://${'a,'.repeat(size / 2)}/d`,
  'a URI of colons': (size) => `postgresql://${':'.repeat(size)}@h`,
  'a URI of brackets': (size) => `postgresql://${'['.repeat(size)}`,
  'an address that does not end': (size) => `postgresql://[${'1'.repeat(size)}`,
  'parameters of a URI': (size) => `postgresql://h/d?${'host=a&'.repeat(size / 7)}`,
  'percent-encoding of a URI': (size) => `postgresql://h/${'%41'.repeat(size / 3)}`,
  'ampersands of a URI': (size) => `postgresql://h/d?${'&'.repeat(size)}x`,
  letters: (size) => 'é'.repeat(size),
};

const never = (act: () => unknown): void => {
  try {
    act();
  } catch {
    // A refusal must be fast, too.
  }
};

const PARSERS: Readonly<Record<string, (text: string) => unknown>> = {
  'new Numeric()': (text) => new Numeric(text),
  'new Int4()': (text) => new Int4(text),
  'new Int8()': (text) => new Int8(text),
  'Range.contains()': (text) => new Range('1', text).contains(`${text}1`),
  'Range.contains() of dates': (text) => new Range('2024-01-01', '2024-02-01').contains(text),
  'Range.equals()': (text) => new Range('1', text).equals(new Range('1.0', text)),
  'SqlScanner.read()': (text) => {
    new SqlScanner(true).read(text);
  },
  'SqlScanner.read(), a character at a time': (text) => {
    const state = new SqlScanner(false);
    for (const char of text) state.read(char);
  },
  'positional placeholders': (text) => {
    const values: Params = Array.from({ length: (text.length / 2) | 0 }, () => 1);
    return convertQuery(text, values).values(values);
  },
  'named placeholders': (text) => convertQuery(text, { a: 1 }).values({ a: 1 }),
  'sql.SQL().format()': (text) => sql.SQL(text).format(...Array.from({ length: text.length / 2 }, () => 1)),
  'sql.Identifier()': (text) => sql.Identifier(text).asString(),
  'sql.Literal()': (text) => sql.Literal(text).asString(),
  'a literal of a type that shows its text': (text) => sql.Literal(new Decimal(text)).asString(CONTEXT),
  'a literal behind SQL': (text) => sql`${sql.SQL(text)}${sql.Literal(1)}${sql.SQL(text)}`.asString(),
  'conninfoToDict()': conninfoToDict,
  'makeConninfo()': (text) => makeConninfo('', { password: text }),
};

/** A value of a user's class whose dumper declares any text to be a number. */
class Decimal {
  constructor(readonly text: string) {}
}
const CONTEXT = {
  adapters: adapters.clone(),
  info: { parameterStatus: () => null },
};
CONTEXT.adapters.registerDumper(Decimal, ({ text }) => ({ text, oid: adapters.type('numeric')!.oid }));

describe.each(Object.entries(PARSERS))('%s takes linear time for', (_, parse) => {
  it.each(Object.entries(TEXTS))('%s', (_name, make) => {
    expectLinear((size) => {
      const text = make(size);
      never(() => parse(text));
    }, EIGHTH);
  });
});

describe('a client cursor takes linear time for', () => {
  it.each(Object.entries(TEXTS))('%s', async (_, make) => {
    const cursor = new AsyncClientCursor(await connect());
    expectLinear((size) => {
      const text = make(size);
      never(() => cursor.mogrify(text));
      never(() => cursor.mogrify(`${text} %s`, [text]));
      never(() => cursor.mogrify('SELECT %s', [[text, text]]));
      never(() => cursor.mogrify(sql.SQL(text), [1]));
    }, EIGHTH);
  });
});
