"""Psycopg 3 and asyncpg at the same work as the others: an order in each line of input, its time in a line of output.

`peers.py --peers` prints what is installed; `peers.py DSN` waits for orders. Garbage is collected before each, not during it.
"""

import asyncio
import gc
import json
import sys
import time

try:
    import psycopg
except ImportError:
    psycopg = None
try:
    import psycopg_pool
except ImportError:
    psycopg_pool = None
try:
    import asyncpg
except ImportError:
    asyncpg = None

CONNECTIONS = 10
ALL = "SELECT * FROM bench_rows"
STREAM = "SELECT * FROM bench_stream LIMIT {}"


class Psycopg:
    async def open(self, dsn):
        self.conn = await psycopg.AsyncConnection.connect(dsn, autocommit=True)
        await self.conn.execute("CREATE TEMP TABLE bench_inserts (id int4, name text)")
        self.pool = None
        self.dsn = dsn

    async def opened_pool(self):
        if self.pool is None:
            self.pool = psycopg_pool.AsyncConnectionPool(
                self.dsn, min_size=CONNECTIONS, max_size=CONNECTIONS, open=False
            )
            await self.pool.open(wait=True)
        return self.pool

    async def fetch_tuples(self, fetches):
        for _ in range(fetches):
            await (await self.conn.execute(ALL)).fetchall()

    async def fetch_objects(self, fetches):
        for _ in range(fetches):
            cur = self.conn.cursor(row_factory=psycopg.rows.dict_row)
            await (await cur.execute(ALL)).fetchall()

    async def prepared(self, statements):
        for i in range(statements):
            cur = await self.conn.execute("SELECT %s::int4", [i], prepare=True)
            await cur.fetchone()

    async def unprepared(self, statements):
        for i in range(statements):
            cur = await self.conn.execute("SELECT %s::int4", [i], prepare=False)
            await cur.fetchone()

    async def at_once(self, statements):
        async with self.conn.pipeline():
            curs = [
                await self.conn.execute("SELECT %s::int4", [i], prepare=True)
                for i in range(statements)
            ]
            for cur in curs:
                await cur.fetchone()

    async def checkouts(self, count):
        pool = await self.opened_pool()
        for i in range(count):
            async with pool.connection() as conn:
                await (await conn.execute("SELECT %s::int4", [i])).fetchone()

    async def tasks(self, count):
        pool = await self.opened_pool()

        async def task(i):
            async with pool.connection() as conn:
                await (await conn.execute("SELECT %s::int4", [i])).fetchone()

        await asyncio.gather(*(task(i) for i in range(count)))

    async def executemany(self, inserts):
        rows = [(i, f"name {i}") for i in range(inserts)]
        try:
            async with self.conn.transaction():
                async with self.conn.cursor() as cur:
                    await cur.executemany("INSERT INTO bench_inserts VALUES (%s, %s)", rows)
                raise psycopg.Rollback()
        except psycopg.Rollback:
            pass

    async def stream(self, rows):
        count = 0
        async with self.conn.cursor() as cur:
            async for _ in cur.stream(STREAM.format(rows)):
                count += 1
        assert count == rows

    async def copy_out(self, _):
        async with self.conn.cursor().copy("COPY bench_copied TO STDOUT") as copy:
            async for _ in copy:
                pass


class Asyncpg:
    async def open(self, dsn):
        self.conn = await asyncpg.connect(dsn)
        await self.conn.execute("CREATE TEMP TABLE bench_inserts (id int4, name text)")
        self.pool = None
        self.dsn = dsn

    async def opened_pool(self):
        if self.pool is None:
            self.pool = await asyncpg.create_pool(
                self.dsn, min_size=CONNECTIONS, max_size=CONNECTIONS
            )
        return self.pool

    async def fetch_tuples(self, fetches):
        for _ in range(fetches):
            await self.conn.fetch(ALL)

    async def prepared(self, statements):
        for i in range(statements):
            await self.conn.fetchrow("SELECT $1::int4", i)

    async def checkouts(self, count):
        pool = await self.opened_pool()
        for i in range(count):
            async with pool.acquire() as conn:
                async with conn.transaction():
                    await conn.fetchrow("SELECT $1::int4", i)

    async def tasks(self, count):
        pool = await self.opened_pool()

        async def task(i):
            async with pool.acquire() as conn:
                async with conn.transaction():
                    await conn.fetchrow("SELECT $1::int4", i)

        await asyncio.gather(*(task(i) for i in range(count)))

    async def executemany(self, inserts):
        rows = [(i, f"name {i}") for i in range(inserts)]
        transaction = self.conn.transaction()
        await transaction.start()
        await self.conn.executemany("INSERT INTO bench_inserts VALUES ($1, $2)", rows)
        await transaction.rollback()

    async def stream(self, rows):
        count = 0
        async with self.conn.transaction():
            async for _ in self.conn.cursor(STREAM.format(rows), prefetch=5000):
                count += 1
        assert count == rows


async def work(dsn):
    opened = {}
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        try:
            peer = opened.get(order["peer"])
            if peer is None:
                peer = opened[order["peer"]] = {"psycopg": Psycopg, "asyncpg": Asyncpg}[order["peer"]]()
                await peer.open(dsn)
            act = getattr(peer, order["work"])
            if order["work"] in ("checkouts", "tasks"):
                await peer.opened_pool()
            gc.collect()
            gc.disable()
            start = time.perf_counter()
            await act(order["size"])
            answer = {"ms": (time.perf_counter() - start) * 1000}
            gc.enable()
        except Exception as error:
            answer = {"ms": 0, "error": repr(error)}
        print(json.dumps(answer), flush=True)


def installed():
    peers = {}
    if psycopg is not None and psycopg_pool is not None:
        peers["psycopg"] = f"{psycopg.__version__} ({psycopg.pq.__impl__})"
    if asyncpg is not None:
        peers["asyncpg"] = asyncpg.__version__
    return peers


if __name__ == "__main__":
    if sys.argv[1] == "--peers":
        print(json.dumps(installed()))
    else:
        asyncio.run(work(sys.argv[1]))
