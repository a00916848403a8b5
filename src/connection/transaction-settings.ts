import * as errors from '../errors/index.js';
import { IsolationLevel } from './isolation-level.js';

/** How a connection begins its transactions; null leaves a property to the server's default. */
export interface TransactionSettings {
  autocommit: boolean;
  isolationLevel: IsolationLevel | null;
  readOnly: boolean | null;
  deferrable: boolean | null;
}

export const DEFAULT_SETTINGS: Readonly<TransactionSettings> = {
  autocommit: false,
  isolationLevel: null,
  readOnly: null,
  deferrable: null,
};

/** The BEGIN statement for these settings. */
export function beginStatement({ isolationLevel, readOnly, deferrable }: TransactionSettings): string {
  if (isolationLevel === null && readOnly === null && deferrable === null) return 'BEGIN';
  let text = 'BEGIN';
  if (isolationLevel !== null) text += ` ISOLATION LEVEL ${isolationLevel.replace('_', ' ')}`;
  if (readOnly !== null) text += readOnly ? ' READ ONLY' : ' READ WRITE';
  if (deferrable !== null) text += deferrable ? ' DEFERRABLE' : ' NOT DEFERRABLE';
  return text;
}

/** Raises `ProgrammingError` for an invalid value of the setting `name`. */
export function checkSetting(name: keyof TransactionSettings, value: unknown): void {
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
