import { describe, expect, it } from 'vitest';
import { errors } from '../../src/index.js';
import { connect } from '../support/database.js';

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
});
