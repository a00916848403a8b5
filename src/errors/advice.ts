/** A common mistake, recognised by the server's error, with advice on what to write instead. */
export interface Advice {
  /** The SQLSTATE of the server's error. */
  readonly sqlstate: string;
  /** An example of the server's message. */
  readonly example: string;
  /** Matches the server's message. */
  readonly message?: RegExp;
  /** Matches the query as it was sent. */
  readonly query?: RegExp;
  /** The meaning of the error, for the page about errors. */
  readonly meaning: string;
  /** The advice. */
  readonly advice: string;
}

// The number of spaces is bounded, so that no query causes excessive backtracking.
const IN_PARAMETER = /\bin\s{0,9}\(?\s{0,9}\$\d/i;
const NEAR_PARAMETER = /at or near "\$\d+"/;
const UTILITY =
  /^\s*(?:set|notify|listen|create|alter|drop|comment|grant|revoke|vacuum|do|call|copy|lock)\b/i;

const ANY: Pick<Advice, 'meaning' | 'advice'> = {
  meaning: 'a list was passed where one value is expected, as in `IN %s`',
  advice: 'a parameter stands for one value: write `= ANY(%s)` for a list that is passed as an array',
};
const CLIENT: Pick<Advice, 'meaning' | 'advice'> = {
  meaning: 'parameters in a statement that has none on the server: SET, NOTIFY, CREATE …',
  advice:
    'the server takes no parameters in this statement: execute it with an AsyncClientCursor, or put the value in with sql.Literal()',
};
const JSON_WRAPPER: Pick<Advice, 'meaning' | 'advice'> = {
  meaning: 'an array, an object or a plain text was passed for a column of type json or jsonb',
  advice: 'wrap the value as new Jsonb(value), or new Json(value) for json',
};
const POOLER: Pick<Advice, 'meaning' | 'advice'> = {
  meaning: 'the server connection is another than the one that the statement was prepared on',
  advice:
    'prepared statements do not pass through a pooler that changes the server connection, as PgBouncer may: connect with `prepareThreshold: null`',
};

/** The first matching entry applies. */
export const ADVICE: readonly Advice[] = [
  {
    sqlstate: '42601',
    example: 'syntax error at or near "$1"',
    message: NEAR_PARAMETER,
    query: IN_PARAMETER,
    ...ANY,
  },
  {
    sqlstate: '42883',
    example: 'operator does not exist: integer = smallint[]',
    message: / = \S.*\[\]/,
    query: IN_PARAMETER,
    ...ANY,
  },
  {
    sqlstate: '22P02',
    example: 'invalid input syntax for type integer: "{1,2}"',
    message: /: "\{/,
    query: IN_PARAMETER,
    ...ANY,
  },
  {
    sqlstate: '42601',
    example: 'syntax error at or near "$1"',
    message: NEAR_PARAMETER,
    query: /\b(?:interval|date|time|timestamp|timestamptz)\s{0,9}\$\d/i,
    meaning: 'a parameter behind the name of a type, as in `INTERVAL %s`, where SQL takes only a constant',
    advice: 'a type before a value takes no parameter: cast the parameter instead, `%s::interval`',
  },
  {
    sqlstate: '42601',
    example: 'syntax error at or near "$1"',
    message: NEAR_PARAMETER,
    query: UTILITY,
    ...CLIENT,
  },
  { sqlstate: '42P02', example: 'there is no parameter $1', query: UTILITY, ...CLIENT },
  {
    sqlstate: '42P18',
    example: 'could not determine data type of parameter $1',
    message: /data type of parameter/,
    meaning: 'nothing in the query says which type the parameter is of',
    advice: 'cast the parameter to its type: `%s::text`',
  },
  {
    sqlstate: '22P02',
    example: 'invalid input syntax for type json',
    message: /for type json/,
    ...JSON_WRAPPER,
  },
  {
    sqlstate: '42804',
    example: 'column "data" is of type jsonb but expression is of type smallint[]',
    message: /is of type jsonb? but/,
    ...JSON_WRAPPER,
  },
  {
    sqlstate: '42883',
    example: 'operator does not exist: text = smallint',
    message:
      /does not exist: (?:text|character varying) [=<>!]{1,2} (?:smallint|integer|bigint|numeric|double precision)/,
    query: /\$\d/,
    meaning: 'a text is compared with a number',
    advice: 'the column is text and the parameter a number: pass a string, or cast one of the two',
  },
  {
    sqlstate: '25001',
    example: 'VACUUM cannot run inside a transaction block',
    message: /cannot (?:run|be executed) (?:inside|within|from) /,
    meaning: 'a statement that no transaction can contain, while the first statement has begun one',
    advice:
      'execute it on a connection in autocommit: `conn.setAutocommit(true)`, or the option `autocommit: true`',
  },
  {
    sqlstate: '26000',
    example: 'prepared statement "s1" does not exist',
    message: /prepared statement/,
    ...POOLER,
  },
  {
    sqlstate: '42P05',
    example: 'prepared statement "s1" already exists',
    message: /prepared statement/,
    ...POOLER,
  },
  {
    sqlstate: '22003',
    example: 'smallint out of range',
    message: /smallint out of range/,
    meaning: 'two small parameters make a result that is too large for their type',
    advice:
      'a small number is sent as smallint, and two smallints give a smallint: cast one of them to a wider type, `%s::int`',
  },
  {
    sqlstate: '22P03',
    example: 'incorrect binary data format',
    message: /binary data/,
    meaning: 'a value in a binary COPY is of another type than its column',
    advice: 'a binary COPY needs the types of its columns: `copy.setTypes([…])`',
  },
  {
    sqlstate: '53300',
    example: 'sorry, too many clients already',
    meaning: 'the server has as many connections as it takes',
    advice:
      'the connections of all processes together exceed max_connections: lower the `maxSize` of the pools, or put a pooler in between',
  },
];

/** Returns the advice for a server error; null if it matches no common mistake. */
export function adviceFor(sqlstate: string, message: string, query: string | null): string | null {
  const found = ADVICE.find(
    (advice) =>
      advice.sqlstate === sqlstate &&
      advice.message?.test(message) !== false &&
      (advice.query === undefined || (query !== null && advice.query.test(query))),
  );
  return found?.advice ?? null;
}
