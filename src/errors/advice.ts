/** A common mistake, recognised by the server's error, with advice on what to write instead. */
export interface Advice {
  /** The SQLSTATE of the server's error. */
  readonly sqlstate: string;
  /** Matches the server's message. */
  readonly message?: RegExp;
  /** Matches the query as it was sent. */
  readonly query?: RegExp;
  /** The advice. */
  readonly advice: string;
}

// The number of spaces is bounded, so that no query causes excessive backtracking.
const IN_PARAMETER = /\bin\s{0,9}\(?\s{0,9}\$\d/i;
const NEAR_PARAMETER = /at or near "\$\d+"/;
const UTILITY =
  /^\s*(?:set|notify|listen|create|alter|drop|comment|grant|revoke|vacuum|do|call|copy|lock)\b/i;

const ANY = 'a parameter stands for one value: write `= ANY(%s)` for a list that is passed as an array';
const CLIENT =
  'the server takes no parameters in this statement: execute it with an AsyncClientCursor, or put the value in with sql.Literal()';
const JSON_WRAPPER = 'wrap the value as new Jsonb(value), or new Json(value) for json';
const POOLER =
  'prepared statements do not pass through a pooler that changes the server connection, as PgBouncer may: connect with `prepareThreshold: null`';

/** The first matching entry applies. */
export const ADVICE: readonly Advice[] = [
  { sqlstate: '42601', message: NEAR_PARAMETER, query: IN_PARAMETER, advice: ANY },
  { sqlstate: '42883', message: / = \S.*\[\]/, query: IN_PARAMETER, advice: ANY },
  { sqlstate: '22P02', message: /: "\{/, query: IN_PARAMETER, advice: ANY },
  {
    sqlstate: '42601',
    message: NEAR_PARAMETER,
    query: /\b(?:interval|date|time|timestamp|timestamptz)\s{0,9}\$\d/i,
    advice: 'a type before a value takes no parameter: cast the parameter instead, `%s::interval`',
  },
  { sqlstate: '42601', message: NEAR_PARAMETER, query: UTILITY, advice: CLIENT },
  { sqlstate: '42P02', query: UTILITY, advice: CLIENT },
  {
    sqlstate: '42P18',
    message: /data type of parameter/,
    advice: 'cast the parameter to its type: `%s::text`',
  },
  { sqlstate: '22P02', message: /for type json/, advice: JSON_WRAPPER },
  { sqlstate: '42804', message: /is of type jsonb? but/, advice: JSON_WRAPPER },
  {
    sqlstate: '42883',
    message:
      /does not exist: (?:text|character varying) [=<>!]{1,2} (?:smallint|integer|bigint|numeric|double precision)/,
    query: /\$\d/,
    advice: 'the column is text and the parameter a number: pass a string, or cast one of the two',
  },
  {
    sqlstate: '25001',
    message: /cannot (?:run|be executed) (?:inside|within|from) /,
    advice:
      'execute it on a connection in autocommit: `conn.setAutocommit(true)`, or the option `autocommit: true`',
  },
  { sqlstate: '26000', message: /prepared statement/, advice: POOLER },
  { sqlstate: '42P05', message: /prepared statement/, advice: POOLER },
  {
    sqlstate: '22003',
    message: /smallint out of range/,
    advice:
      'a small number is sent as smallint, and two smallints give a smallint: cast one of them to a wider type, `%s::int`',
  },
  {
    sqlstate: '22P03',
    message: /binary data/,
    advice: 'a binary COPY needs the types of its columns: `copy.setTypes([…])`',
  },
  {
    sqlstate: '53300',
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
