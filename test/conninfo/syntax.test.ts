import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { conninfoToDict, errors, makeConninfo, type ConninfoParams } from '../../src/index.js';

function refusal(conninfo: string, params?: ConninfoParams): string {
  try {
    conninfoToDict(conninfo, params);
  } catch (error) {
    expect(error).toBeInstanceOf(errors.ProgrammingError);
    return (error as Error).message;
  }
  throw new Error('it should have been refused');
}

describe('a key/value string', () => {
  it.each<[string, Record<string, string>]>([
    ['', {}],
    ['  \n', {}],
    ['dbname=app', { dbname: 'app' }],
    ['host = localhost  port =5432', { host: 'localhost', port: '5432' }],
    ['\thost=a\nport=1 ', { host: 'a', port: '1' }],
    ["dbname='a b' user='it\\'s'", { dbname: 'a b', user: "it's" }],
    ["password='\\\\'", { password: '\\' }],
    ['password=a\\ b\\\\c\\x', { password: 'a b\\cx' }],
    ["password=a'b", { password: "a'b" }],
    ["user=''  dbname=", { user: '', dbname: '' }],
    ['user= dbname=app', { user: 'dbname=app' }],
    ['options=-csearch_path=a', { options: '-csearch_path=a' }],
    ['user=first user=last', { user: 'last' }],
    ['host=a,b port=1,2', { host: 'a,b', port: '1,2' }],
    ['user=a\u00a0b host=h', { user: 'a\u00a0b', host: 'h' }],
    ['user=a\\', { user: 'a' }],
    ["user='a'host=h", { user: 'a', host: 'h' }],
    ['requiressl=1', { sslmode: 'require' }],
    ['password=p requiressl=0', { password: 'p', sslmode: 'prefer' }],
  ])('%j reads as libpq reads it', (text, expected) => {
    expect(conninfoToDict(text)).toEqual(expected);
  });

  it.each([
    ['host', /missing "=" after "host"/],
    ['host localhost', /missing "="/],
    ['=x', /missing "="/],
    ["host='a", /unterminated quoted string/],
    ["host='a\\'", /unterminated quoted string/],
    ['nonsense=1', /invalid connection option "nonsense"/],
    ['constructor=1', /invalid connection option "constructor"/],
    ['HOST=1', /invalid connection option "HOST"/],
    ['host=a\0', /NUL/],
  ])('%j is refused', (text, message) => {
    expect(refusal(text)).toMatch(message);
  });
});

describe('a URI', () => {
  it.each<[string, Record<string, string>]>([
    ['postgresql://', {}],
    ['postgres://localhost', { host: 'localhost' }],
    ['postgresql://localhost:5433', { host: 'localhost', port: '5433' }],
    ['postgresql://localhost:/app', { host: 'localhost', dbname: 'app' }],
    ['postgresql://localhost/app', { host: 'localhost', dbname: 'app' }],
    ['postgresql://user@localhost', { user: 'user', host: 'localhost' }],
    ['postgresql://user:secret@localhost', { user: 'user', password: 'secret', host: 'localhost' }],
    ['postgresql://user:@localhost', { user: 'user', host: 'localhost' }],
    ['postgresql://:secret@/app', { password: 'secret', dbname: 'app' }],
    [
      'postgresql://us%40er:p%2Fa%25s%3As@h/d%20b',
      { user: 'us@er', password: 'p/a%s:s', host: 'h', dbname: 'd b' },
    ],
    ['postgresql://us#er:p#a?s:s@h/d', { user: 'us#er', password: 'p#a?s:s', host: 'h', dbname: 'd' }],
    ['postgresql://[::1]:5433/app', { host: '::1', port: '5433', dbname: 'app' }],
    ['postgresql://%2Ftmp%2Fsockets:5433/app', { host: '/tmp/sockets', port: '5433', dbname: 'app' }],
    ['postgresql:///app?host=/tmp/sockets', { host: '/tmp/sockets', dbname: 'app' }],
    ['postgresql://a:1,b:2,c/app', { host: 'a,b,c', port: '1,2,', dbname: 'app' }],
    [
      'postgresql://h/app?connect_timeout=10&application_name=a%20b',
      {
        host: 'h',
        dbname: 'app',
        connect_timeout: '10',
        application_name: 'a b',
      },
    ],
    ['postgresql://a,b/app', { host: 'a,b', port: ',', dbname: 'app' }],
    ['postgresql://[::1]:1,[::2]:2', { host: '::1,::2', port: '1,2' }],
    ['postgresql://h]', { host: 'h]' }],
    ['postgresql://h?', { host: 'h' }],
    ['postgresql://h?user=u&', { host: 'h', user: 'u' }],
    ['postgresql://h?requiressl=1', { host: 'h', sslmode: 'require' }],
    ['postgresql://h?application_name=a+b', { host: 'h', application_name: 'a+b' }],
    ['postgresql://h/app?host=other&user=u', { host: 'other', dbname: 'app', user: 'u' }],
  ])('%j reads as libpq reads it', (uri, expected) => {
    expect(conninfoToDict(uri)).toEqual(expected);
  });

  it.each([
    ['postgresql://[]/app', /malformed/],
    ['postgresql://[::1/app', /malformed/],
    ['postgresql://[::1]x/app', /malformed/],
    ['postgresql://h/app?connect_timeout', /exactly one "="/],
    ['postgresql://h/app?&user=u', /exactly one "="/],
    ['postgresql://h/app?user=u&&host=h', /exactly one "="/],
    ['postgresql://h/app?options=a=b', /exactly one "="/],
    ['postgresql://h/app?nonsense=1', /invalid connection option "nonsense"/],
    ['postgresql://h/a%zz', /percent-encoded/],
    ['postgresql://h/a%00', /forbidden value %00/],
  ])('%j is refused', (uri, message) => {
    expect(refusal(uri)).toMatch(message);
  });
});

describe('parameters in addition to the string', () => {
  it('override and complete it, and are ignored if null or undefined', () => {
    expect(conninfoToDict('host=a user=u', { host: 'b', port: 5433, dbname: undefined, user: null })).toEqual(
      {
        host: 'b',
        port: '5433',
        user: 'u',
      },
    );
    expect(conninfoToDict('', { keepalives: false, sslsni: true, connect_timeout: 5n })).toEqual({
      keepalives: '0',
      sslsni: '1',
      connect_timeout: '5',
    });
  });

  it('are refused if unknown, of a wrong type, or with a NUL', () => {
    expect(refusal('', { nonsense: '1' } as ConninfoParams)).toMatch(/invalid connection option "nonsense"/);
    expect(refusal('', { host: ['a'] as never })).toMatch(/parameter host to be a string, got a object/);
    expect(refusal('', { host: 'a\0' })).toMatch(/host contains a NUL/);
  });
});

describe('makeConninfo', () => {
  it('writes what conninfoToDict reads, whatever the values', () => {
    expect(makeConninfo('postgresql://u@h/d')).toBe('postgresql://u@h/d');
    expect(() => makeConninfo('nonsense')).toThrow(errors.ProgrammingError);
    expect(makeConninfo('postgresql://u@h/d', { port: 1 })).toBe('user=u host=h dbname=d port=1');
    expect(makeConninfo('', { user: '', password: "it's \\ " })).toBe("user='' password='it\\'s \\\\ '");
    const value = fc.string({ unit: 'binary' }).filter((text) => !text.includes('\0'));
    const params = fc.dictionary(
      fc.constantFrom('user', 'password', 'dbname', 'options', 'application_name'),
      value,
    );
    fc.assert(
      fc.property(params, (given) => {
        expect(conninfoToDict(makeConninfo('', given))).toEqual({ ...given });
      }),
      { numRuns: 500 },
    );
  });

  it('reads back from a URI whose parts are percent-encoded', () => {
    const value = fc.string({ unit: 'grapheme', minLength: 1 }).filter((text) => !text.includes('\0'));
    fc.assert(
      fc.property(value, value, value, (user, password, dbname) => {
        const encoded = [user, password, dbname].map(encodeURIComponent) as [string, string, string];
        expect(conninfoToDict(`postgresql://${encoded[0]}:${encoded[1]}@h/${encoded[2]}`)).toEqual({
          user,
          password,
          host: 'h',
          dbname,
        });
      }),
      { numRuns: 300 },
    );
  });
});

it('no message about a malformed string contains the password', () => {
  for (const malformed of [
    'host=h password=hunter2 nonsense=1',
    "password='hunter2",
    'password=hunter2 host',
    'password hunter2',
    'password=my hunter2',
    'password=my hunter2 host=h',
    'password=my hunter2=x host=h',
    "password='my' hunter2",
    'postgresql://u:hunter2%zz@h/d',
    'postgresql://u:hunter2@h/d?nonsense=1',
    'postgresql://u:hunter2@[::1/d',
    'postgresql://u:hunter2%00@h/d',
    'postgresql://h/d?password=hunter2=x',
  ]) {
    expect(refusal(malformed), malformed).not.toContain('hunter2');
  }
});
