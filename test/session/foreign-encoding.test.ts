import { describe, expect, it } from 'vitest';
import { AsyncConnection, errors } from '../../src/index.js';
import { admin, connect, dsn } from '../support/database.js';
import { warningsOf } from '../support/warnings.js';

describe('a session whose client_encoding has been set to another', () => {
  it.each(['LATIN1', 'GBK', 'WIN1252'])('exchanges ASCII, and refuses other text: %s', async (encoding) => {
    const conn = await connect({ autocommit: true });
    const query =
      "SELECT 'ASCII' AS text, %s::text AS given, ARRAY[1, 200] AS numbers, '\\xff'::bytea AS bytes";
    const row = ['ASCII', 'also', [1, 200], Buffer.from([255])];
    expect(await (await conn.execute(query, ['also'], { prepare: true })).fetchone()).toEqual(row);
    await conn.execute(`SET client_encoding TO '${encoding}'`);
    expect(conn.info.encoding).toBe(encoding);
    for (let i = 0; i < 3; i++) {
      expect(await (await conn.execute(query, ['also'], { prepare: true })).fetchone()).toEqual(row);
    }

    await expect(conn.execute('SELECT chr(233)')).rejects.toThrow(`while client_encoding is ${encoding}`);
    await expect(conn.execute('SELECT chr(233)', undefined, { prepare: true })).rejects.toBeInstanceOf(
      errors.NotSupportedError,
    );
    await expect(conn.execute("SELECT 'é'")).rejects.toBeInstanceOf(errors.NotSupportedError);
    await expect(conn.execute('SELECT %s', ['é'])).rejects.toBeInstanceOf(errors.NotSupportedError);
    await expect(conn.cursor().executemany('SELECT %s', [['e'], ['é']])).rejects.toBeInstanceOf(
      errors.NotSupportedError,
    );

    await conn.execute('RESET client_encoding');
    expect(conn.info.encoding).toBe('UTF8');
    expect(await (await conn.execute('SELECT chr(233), %s', ['é'])).fetchone()).toEqual(['é', 'é']);
  });

  it('does not execute a statement that it refuses, and goes on', async () => {
    const conn = await connect();
    await conn.execute("SET client_encoding TO 'LATIN1'");
    await conn.execute('CREATE TEMP TABLE encoded (text text)');
    await expect(conn.execute('INSERT INTO encoded VALUES (%s)', ['é'])).rejects.toThrow(
      'client_encoding is LATIN1',
    );
    await conn.execute('INSERT INTO encoded VALUES (%s)', ['e']);
    expect(await (await conn.execute('SELECT text FROM encoded')).fetchall()).toEqual([['e']]);
  });

  it('copies bytes unchanged, and rows and strings in UTF-8 only', async () => {
    const conn = await connect({ autocommit: true });
    await conn.execute('CREATE TEMP TABLE encoded (text text)');
    await conn.execute("SET client_encoding TO 'LATIN1'");
    const cursor = conn.cursor();
    await cursor.withCopy('COPY encoded FROM STDIN', async (copy) => {
      await expect(copy.writeRow(['é'])).rejects.toThrow('client_encoding is LATIN1');
      await expect(copy.write('é\n')).rejects.toThrow('client_encoding is LATIN1');
      await copy.write(Buffer.from('é\n', 'latin1'));
    });
    await cursor.withCopy("COPY encoded FROM STDIN (ENCODING 'utf8')", (copy) => copy.writeRow(['ü']));
    await cursor.withCopy('COPY encoded TO STDOUT', async (copy) => {
      await expect(copy.readRow()).rejects.toThrow('client_encoding is LATIN1');
      expect(Buffer.concat([await copy.read(), await copy.read()]).toString('latin1')).toBe('é\nü\n');
    });
    await cursor.withCopy('COPY encoded TO STDOUT (FORMAT binary)', async (copy) => {
      expect(() => {
        copy.setTypes(['text']);
      }).toThrow('client_encoding is LATIN1');
      await expect(copy.readRow()).rejects.toThrow('client_encoding is LATIN1');
    });
    await conn.execute("SET client_encoding TO 'UTF8'");
    expect(await (await conn.execute('SELECT text FROM encoded')).fetchall()).toEqual([['é'], ['ü']]);
  });

  it('with SQL_ASCII converts nothing and refuses nothing', async () => {
    const conn = await connect({ autocommit: true });
    await conn.execute("SET client_encoding TO 'SQL_ASCII'");
    expect(await (await conn.execute('SELECT %s', ['é'])).fetchone()).toEqual(['é']);
  });

  it('refuses columns with names beyond ASCII, and reads them once it is UTF8 again', async () => {
    const conn = await connect({ autocommit: true });
    await conn.execute('CREATE TEMP TABLE named ("é" int)');
    await conn.execute('INSERT INTO named VALUES (1), (2)');
    const ways: Record<string, () => Promise<unknown>> = {
      unprepared: () => conn.execute('SELECT * FROM named', [], { prepare: false }),
      prepared: () => conn.execute('SELECT * FROM named', [], { prepare: true }),
      'several statements': () => conn.execute('SELECT 1; SELECT * FROM named'),
      'many executions': () =>
        conn.cursor().executemany('SELECT * FROM named WHERE %s', [[true], [true]], { returning: true }),
      'a pipeline': () =>
        conn.withPipeline(async () => {
          await Promise.all([1, 2].map(() => conn.execute('SELECT * FROM named', [], { prepare: true })));
        }),
      'a stream': () => conn.cursor().stream('SELECT * FROM named', [], { size: 1 }).next(),
      'a server-side cursor': () =>
        conn.withTransaction(async () => {
          await using cursor = conn.cursor({ name: 'named' });
          await cursor.execute('SELECT * FROM named');
          await cursor.fetchall();
        }),
    };
    for (const [way, run] of Object.entries(ways)) {
      // What was described before is known by its right name.
      await conn.execute('DEALLOCATE ALL');
      await conn.execute("SET client_encoding TO 'LATIN1'");
      const failure: unknown = await run().then(
        () => null,
        (error: unknown) => error,
      );
      expect(failure, way).toBeInstanceOf(errors.NotSupportedError);
      expect(String(failure), way).toContain("a column's name beyond ASCII can't be read while client_enc");
      expect(await (await conn.execute('SELECT count(*)::int AS n FROM named')).fetchone(), way).toEqual([2]);
      await conn.execute("SET client_encoding TO 'UTF8'");
      const cursor = await conn.execute('SELECT * FROM named', [], { prepare: true });
      expect(
        cursor.description!.map(({ name }) => name),
        way,
      ).toEqual(['é']);
      expect(await cursor.fetchall(), way).toEqual([[1], [2]]);
    }
  });

  it('reads names that were described before it was changed', async () => {
    const conn = await connect({ autocommit: true });
    await conn.execute('CREATE TEMP TABLE named ("é" int)');
    for (const encoding of ['UTF8', 'LATIN1']) {
      await conn.execute(`SET client_encoding TO '${encoding}'`);
      const cursor = await conn.execute('SELECT * FROM named', [], { prepare: true });
      expect(cursor.description![0]!.name).toBe('é');
    }
  });

  it('raises an error in the place of a notification beyond ASCII, and warns if a handler would get it', async () => {
    const conn = await connect({ autocommit: true });
    await conn.execute('LISTEN encoded_words');
    await conn.execute("SET client_encoding TO 'LATIN1'");
    for (const word of ['one', 'zwölf', 'two']) await admin(`NOTIFY encoded_words, '${word}'`);

    const words: string[] = [];
    const read = async (stopAfter: number): Promise<void> => {
      for await (const { payload } of conn.notifies({ stopAfter })) words.push(payload);
    };
    await expect(read(3)).rejects.toThrow(
      "a notification beyond ASCII can't be read while client_encoding is LATIN1",
    );
    await read(1);
    expect(words).toEqual(['one', 'two']);

    const handled: string[] = [];
    conn.addNotifyHandler(({ payload }) => handled.push(payload));
    const warnings = await warningsOf('Warning', async () => {
      for (const word of ['zwölf', 'three']) await admin(`NOTIFY encoded_words, '${word}'`);
      await expect.poll(() => handled).toEqual(['three']);
    });
    expect(warnings).toEqual([expect.stringContaining('a notify handler missed a notification: a notifica')]);

    await conn.execute("SET client_encoding TO 'UTF8'");
    await admin("NOTIFY encoded_words, 'zwölf'");
    await expect.poll(() => handled).toEqual(['three', 'zwölf']);
  });

  it('tells errors and notices, with U+FFFD in place of what it cannot read', async () => {
    const conn = await connect({ autocommit: true });
    const notices: (string | null)[] = [];
    conn.addNoticeHandler(({ messagePrimary }) => notices.push(messagePrimary));
    await conn.execute("SET client_encoding TO 'LATIN1'");
    await conn.execute("DO $$ BEGIN RAISE NOTICE 'a%', chr(233); END $$");
    expect(notices).toEqual(['a\ufffd']);
    await expect(conn.execute("DO $$ BEGIN RAISE 'b%', chr(233); END $$")).rejects.toThrow('b\ufffd');
  });

  it('with SQL_ASCII refuses texts beyond ASCII of a database that is not in UTF-8', async () => {
    await admin('DROP DATABASE IF EXISTS encoded_in_latin1');
    await admin("CREATE DATABASE encoded_in_latin1 ENCODING 'LATIN1' LOCALE 'C' TEMPLATE template0");
    try {
      await using conn = await AsyncConnection.connect(dsn({ dbname: 'encoded_in_latin1' }), {
        autocommit: true,
      });
      const query = 'SELECT chr(233)';
      expect(await (await conn.execute(query)).fetchone()).toEqual(['é']);
      await conn.execute("SET client_encoding TO 'SQL_ASCII'");
      await expect(conn.execute(query)).rejects.toThrow('while client_encoding is SQL_ASCII');
      expect(await (await conn.execute("SELECT 'e'")).fetchone()).toEqual(['e']);
    } finally {
      await admin('DROP DATABASE encoded_in_latin1 WITH (FORCE)');
    }
  });
});
