import * as errors from '../errors/index.js';

/** The isolation level of a transaction (Psycopg: `IsolationLevel`). */
export const IsolationLevel = {
  /** The same as `READ_COMMITTED` in PostgreSQL. */
  READ_UNCOMMITTED: 'READ_UNCOMMITTED',
  /** Each statement sees the data committed before it began: the server's default. */
  READ_COMMITTED: 'READ_COMMITTED',
  /** All statements see the data committed before the first of them began. */
  REPEATABLE_READ: 'REPEATABLE_READ',
  /** Transactions have the effect of running one after another; a transaction that cannot raises `SerializationFailure`. */
  SERIALIZABLE: 'SERIALIZABLE',
} as const;
export type IsolationLevel = (typeof IsolationLevel)[keyof typeof IsolationLevel];

/** How a connection begins its transactions; null leaves a property to the server's default. Use `withSetting()` to change one. */
export interface TransactionSettings {
  readonly autocommit: boolean;
  readonly isolationLevel: IsolationLevel | null;
  readonly readOnly: boolean | null;
  readonly deferrable: boolean | null;
  /** The BEGIN statement for these settings. */
  readonly begin: string;
}

/** The names of the settings. */
export type SettingName = Exclude<keyof TransactionSettings, 'begin'>;

export const DEFAULT_SETTINGS: TransactionSettings = {
  autocommit: false,
  isolationLevel: null,
  readOnly: null,
  deferrable: null,
  begin: 'BEGIN',
};

/** Returns the settings with one of them changed. */
export function withSetting<K extends SettingName>(
  settings: TransactionSettings,
  name: K,
  value: TransactionSettings[K],
): TransactionSettings {
  const changed = { ...settings, [name]: value };
  return { ...changed, begin: beginStatement(changed) };
}

function beginStatement({ isolationLevel, readOnly, deferrable }: TransactionSettings): string {
  let text = 'BEGIN';
  if (isolationLevel !== null) text += ` ISOLATION LEVEL ${isolationLevel.replace('_', ' ')}`;
  if (readOnly !== null) text += readOnly ? ' READ ONLY' : ' READ WRITE';
  if (deferrable !== null) text += deferrable ? ' DEFERRABLE' : ' NOT DEFERRABLE';
  return text;
}

/** Raises `ProgrammingError` for an invalid value of the setting `name`. */
export function checkSetting(name: SettingName, value: unknown): void {
  const valid =
    name === 'isolationLevel'
      ? value === null || (typeof value === 'string' && Object.hasOwn(IsolationLevel, value))
      : typeof value === 'boolean' || (value === null && name !== 'autocommit');
  if (valid) return;
  const expected =
    name === 'isolationLevel'
      ? `one of ${Object.keys(IsolationLevel).join(', ')}, or null`
      : name === 'autocommit'
        ? 'true or false'
        : 'true, false or null';
  throw new errors.ProgrammingError(`expected ${name} to be ${expected}, got ${String(value)}`);
}
