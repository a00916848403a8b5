/** What the tests do with the package, however they load it; `expect` is Jest's. */
module.exports = async (usingpg, expect) => {
  const pool = new usingpg.AsyncConnectionPool(process.env.DSN, { minSize: 1 });
  const values = [new Date(0), Buffer.from('a'), [1, 2], new usingpg.Jsonb({ a: 1 })];
  const query = 'SELECT %s::timestamptz, %s::bytea, %s::int[], %s::jsonb';
  expect((await pool.execute(query, values)).rows).toEqual([[values[0], values[1], [1, 2], { a: 1 }]]);
  await expect(pool.execute('SELECT 1/0')).rejects.toBeInstanceOf(usingpg.errors.DivisionByZero);
  expect(await pool.map([1, 2], async (_, item) => item)).toEqual([1, 2]);
  await pool.withConnection(async (conn) => {
    await conn.execute('CREATE TEMP TABLE copied (a int)');
    await conn.cursor().withCopy('COPY copied FROM STDIN', async (copy) => {
      for (let i = 1; i <= 1000; i++) await copy.writeRow([i]);
    });
    expect(await (await conn.execute('SELECT sum(a) FROM copied')).fetchone()).toEqual([500500n]);
  });
  const controller = new AbortController();
  const stopped = pool.execute('SELECT pg_sleep(60)', [], { signal: controller.signal });
  setTimeout(() => controller.abort(new Error('enough')), 50);
  await expect(stopped).rejects.toThrow('enough');
  await pool.close();
};
