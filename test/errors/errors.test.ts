import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { describe, expect, it, vi } from 'vitest';
import { errorFromResponse } from '../../src/errors/server-error.js';
import { errors } from '../../src/errors/namespace.js';

/** The fields of an ErrorResponse by the protocol's letters. */
function response(fields: Record<string, string>): ReadonlyMap<string, string> {
  return new Map(Object.entries(fields));
}

describe('the tree of errors', () => {
  it('has the bases of the DB-API', () => {
    expect(errors.Error.prototype).toBeInstanceOf(Error);
    expect(Object.getPrototypeOf(errors.InterfaceError)).toBe(errors.Error);
    expect(Object.getPrototypeOf(errors.DatabaseError)).toBe(errors.Error);
    for (const base of [
      errors.DataError,
      errors.OperationalError,
      errors.IntegrityError,
      errors.InternalError,
      errors.ProgrammingError,
      errors.NotSupportedError,
    ]) {
      expect(Object.getPrototypeOf(base)).toBe(errors.DatabaseError);
    }
    expect(new errors.Warning('w')).not.toBeInstanceOf(errors.Error);
    expect(new errors.Warning('w').name).toBe('Warning');
  });

  it('distinguishes its classes', () => {
    const violation = new errors.UniqueViolation('twice');
    expect(violation).toBeInstanceOf(errors.UniqueViolation);
    expect(violation).toBeInstanceOf(errors.IntegrityError);
    expect(violation).not.toBeInstanceOf(errors.ForeignKeyViolation);
    expect(violation).not.toBeInstanceOf(errors.OperationalError);
    expect(new Error('foreign')).not.toBeInstanceOf(errors.Error);
    for (const value of [null, undefined, 'text', 1, {}]) expect(value).not.toBeInstanceOf(errors.Error);
  });

  it('derives the library’s errors from the appropriate base', () => {
    expect(errors.ConcurrentCursorUse.prototype).toBeInstanceOf(errors.InterfaceError);
    expect(errors.OutOfOrderTransactionNesting.prototype).toBeInstanceOf(errors.ProgrammingError);
    for (const below of [
      errors.ConnectionTimeout,
      errors.PipelineAborted,
      errors.PoolClosed,
      errors.PoolTimeout,
      errors.TooManyRequests,
    ]) {
      expect(new below('m')).toBeInstanceOf(errors.OperationalError);
    }
  });

  it('keeps message, query, cause and SQLSTATE', () => {
    const cause = new Error('why');
    const error = new errors.DataError('what', { cause, query: 'select 1', sqlstate: '22000' });
    expect(error.message).toBe('what');
    expect(error.cause).toBe(cause);
    expect(error.query).toBe('select 1');
    expect(error.sqlstate).toBe('22000');
    expect(error.diag.messagePrimary).toBeNull();
    const bare = new errors.DataError('what');
    expect('cause' in bare).toBe(false);
    expect([bare.query, bare.sqlstate]).toEqual([null, null]);
  });

  it('has the SQLSTATE of its class, if the class stands for one', () => {
    expect(errors.UniqueViolation.sqlstate).toBe('23505');
    expect(new errors.UniqueViolation('twice').sqlstate).toBe('23505');
    expect(errors.IntegrityError.sqlstate).toBeNull();
    class Renamed extends errors.UniqueViolation {}
    expect(new Renamed('twice').sqlstate).toBe('23505');
  });

  it('shows its name and SQLSTATE when it is printed, not the whole diagnostic', () => {
    const error = errorFromResponse(response({ C: '23505', M: 'duplicate key', t: 'orders' }), 'insert');
    const printed = inspect(error);
    expect(printed).toContain('UniqueViolation: duplicate key');
    expect(printed).toContain('23505');
    expect(printed).not.toContain('orders');
    expect(JSON.stringify(error)).not.toContain('orders');
    expect(inspect(new errors.PoolClosed('closed'))).not.toContain('sqlstate');
  });
});

describe('a class of an SQLSTATE', () => {
  const declared = [
    ...readFileSync(new URL('../../src/errors/conditions.ts', import.meta.url), 'utf8').matchAll(
      /^export declare class (\w+) extends (\w+) \{\n {2}static override readonly sqlstate = '(\w{5})';$/gm,
    ),
  ].map(([, name, base, sqlstate]) => ({ name, base, sqlstate }));
  const classes = errors as unknown as Readonly<Record<string, typeof errors.DatabaseError>>;

  it('matches its declaration', () => {
    expect(declared.length).toBeGreaterThan(250);
    const made = declared.map(({ name }) => {
      const found = classes[name!]!;
      const base = Object.getPrototypeOf(found) as typeof errors.DatabaseError;
      expect(found.prototype.name).toBe(found.name);
      return { name: found.name, base: base.name, sqlstate: found.sqlstate };
    });
    expect(made).toEqual(declared);
  });

  it('is the same class at each access', () => {
    expect(errors.UniqueViolation).toBe(errors.UniqueViolation);
    expect(errors.lookup('23505')).toBe(errors.UniqueViolation);
    expect(errors.lookup('unique_violation')).toBe(errors.UniqueViolation);
    expect(errorFromResponse(response({ C: '23505' })).constructor).toBe(errors.UniqueViolation);
    const { UniqueViolation } = errors;
    expect(UniqueViolation).toBe(errors.UniqueViolation);
    class Duplicate extends errors.UniqueViolation {}
    const error: errors.UniqueViolation = new Duplicate('twice');
    expect(error).toBeInstanceOf(errors.UniqueViolation);
    expect(error.stack).toMatch(/^UniqueViolation: twice\n/);
  });

  it('is a property of the frozen `errors`', () => {
    expect(Object.keys(errors)).toEqual(expect.arrayContaining(declared.map(({ name }) => name)));
    expect(Object.keys(errors)).not.toContain('SQLSTATES');
    expect(() => Object.assign(errors, { UniqueViolation: Error })).toThrow(TypeError);
    expect(() => Object.assign(errors, { DataError: Error })).toThrow(TypeError);
  });
});

describe('instanceof', () => {
  it('recognises the errors of another copy of the library, and distinguishes their classes', async () => {
    vi.resetModules();
    const { errors: copy } = await import('../../src/errors/namespace.js');
    expect(copy.UniqueViolation).not.toBe(errors.UniqueViolation);
    const foreign = new copy.UniqueViolation('twice');
    expect(foreign).toBeInstanceOf(errors.UniqueViolation);
    expect(foreign).toBeInstanceOf(errors.IntegrityError);
    expect(foreign).toBeInstanceOf(errors.Error);
    expect(foreign).not.toBeInstanceOf(errors.ForeignKeyViolation);
    expect(foreign).not.toBeInstanceOf(errors.InterfaceError);
    expect(new copy.Warning('w')).toBeInstanceOf(errors.Warning);
    expect(foreign).not.toBeInstanceOf(errors.Warning);
  });

  it('treats a user’s subclass as a class of its own', async () => {
    class Busy extends errors.OperationalError {}
    expect(new Busy('b')).toBeInstanceOf(Busy);
    expect(new Busy('b')).toBeInstanceOf(errors.OperationalError);
    expect(new errors.OperationalError('o')).not.toBeInstanceOf(Busy);
    vi.resetModules();
    const { errors: copy } = await import('../../src/errors/namespace.js');
    expect(new Busy('b')).toBeInstanceOf(copy.OperationalError);
    expect(new copy.OperationalError('o')).not.toBeInstanceOf(Busy);
  });
});

describe('lookup', () => {
  it.each([
    ['23505', 'UniqueViolation', errors.IntegrityError],
    ['unique_violation', 'UniqueViolation', errors.IntegrityError],
    ['UNIQUE_VIOLATION', 'UniqueViolation', errors.IntegrityError],
    ['40001', 'SerializationFailure', errors.OperationalError],
    ['40p01', 'DeadlockDetected', errors.OperationalError],
    ['42P01', 'UndefinedTable', errors.ProgrammingError],
    ['42703', 'UndefinedColumn', errors.ProgrammingError],
    ['42601', 'SyntaxError', errors.ProgrammingError],
    ['22012', 'DivisionByZero', errors.DataError],
    ['22P02', 'InvalidTextRepresentation', errors.DataError],
    ['25P02', 'InFailedSqlTransaction', errors.InternalError],
    ['26000', 'InvalidSqlStatementName', errors.ProgrammingError],
    ['28P01', 'InvalidPassword', errors.OperationalError],
    ['3D000', 'InvalidCatalogName', errors.ProgrammingError],
    ['53300', 'TooManyConnections', errors.OperationalError],
    ['55P03', 'LockNotAvailable', errors.OperationalError],
    ['57014', 'QueryCanceled', errors.OperationalError],
    ['57P01', 'AdminShutdown', errors.OperationalError],
    ['0A000', 'FeatureNotSupported', errors.NotSupportedError],
    ['XX000', 'InternalError_', errors.InternalError],
    ['P0001', 'RaiseException', errors.ProgrammingError],
  ])('finds %s as %s', (key, name, base) => {
    const found = errors.lookup(key);
    expect(found.prototype.name).toBe(name);
    expect(found.prototype).toBeInstanceOf(base);
  });

  it('refuses a value that is no SQLSTATE', () => {
    expect(() => errors.lookup('99999')).toThrow(RangeError);
    expect(() => errors.lookup('nonsense')).toThrow(/nonsense/);
  });

  it("has a class for each condition of PostgreSQL's list that is an error", () => {
    const list = readFileSync(new URL('../../tools/errcodes.txt', import.meta.url), 'utf8');
    const conditions = [...list.matchAll(/^(\w{5})\s+E\s+\S+\s+(\w+)$/gm)];
    expect(conditions.length).toBeGreaterThan(200);
    for (const [, sqlstate, condition] of conditions) {
      const found = errors.lookup(sqlstate!);
      expect((found as unknown as { sqlstate: string }).sqlstate, condition).toBe(sqlstate);
    }
  });
});

describe('an error of the server', () => {
  it('of an unknown SQLSTATE is of its class, then of DatabaseError', () => {
    const classOf = (sqlstate: string): unknown =>
      errorFromResponse(response({ C: sqlstate, M: 'm' })).constructor;
    expect(classOf('23ZZZ')).toBe(errors.IntegrityError);
    expect(classOf('22ZZZ')).toBe(errors.DataError);
    expect(classOf('57ZZZ')).toBe(errors.OperationalError);
    expect(classOf('PZ000')).toBe(errors.ProgrammingError);
    expect(classOf('XZ000')).toBe(errors.InternalError);
    expect(classOf('ZZ000')).toBe(errors.DatabaseError);
    expect(classOf('')).toBe(errors.DatabaseError);
  });

  it('keeps the unknown SQLSTATE', () => {
    expect(errorFromResponse(response({ C: '23ZZZ', M: 'm' })).sqlstate).toBe('23ZZZ');
  });

  it('has the server message alone as its message, and its detail and hint in the stack', () => {
    const error = errorFromResponse(
      response({ C: '42703', M: 'no column', D: 'the detail', H: 'the hint' }),
      'q',
    );
    expect(error.message).toBe('no column');
    expect(error.stack).toBe('UndefinedColumn: no column\nDETAIL:  the detail\nHINT:  the hint');
    expect(error.query).toBe('q');
  });

  it('without fields has a message, too', () => {
    expect(errorFromResponse(response({})).message).toMatch(/without a message/);
  });

  it('has every field of the protocol in its diagnostic', () => {
    const letters = 'SVCMDHPpqWstcdnFLR';
    const { diag } = errorFromResponse(
      response(Object.fromEntries(Array.from(letters).map((l) => [l, `<${l}>`]))),
    );
    expect([
      diag.severity,
      diag.severityNonlocalized,
      diag.sqlstate,
      diag.messagePrimary,
      diag.messageDetail,
      diag.messageHint,
      diag.statementPosition,
      diag.internalPosition,
      diag.internalQuery,
      diag.context,
      diag.schemaName,
      diag.tableName,
      diag.columnName,
      diag.datatypeName,
      diag.constraintName,
      diag.sourceFile,
      diag.sourceLine,
      diag.sourceFunction,
    ]).toEqual(Array.from(letters).map((l) => `<${l}>`));
  });
});

describe('ConcurrentCursorUse', () => {
  it('names both queries on one line, shortened, with advice', () => {
    const error = new errors.ConcurrentCursorUse('select\n  1', `select '${'x'.repeat(500)}'`);
    expect(error.message).toContain('"select 1"');
    expect(error.message).toContain(`"select '${'x'.repeat(91)}…"`);
    expect(error.message).toContain('conn.cursor()');
    expect(error.query).toBe(`select '${'x'.repeat(500)}'`);
    expect(new errors.ConcurrentCursorUse(null, 'select 2').message).toMatch(
      /busy with another operation.*"select 2"/,
    );
  });
});
