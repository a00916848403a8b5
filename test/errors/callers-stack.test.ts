import { describe, expect, it } from 'vitest';
import * as usingpg from '../../src/index.js';
import { dsn } from '../support/database.js';
import { warningsOf } from '../support/warnings.js';
import { calls, failureOf, leadsTo } from './calls-that-fail.js';

async function failure(call: (typeof calls)[string]): Promise<Error> {
  let error: Error | undefined;
  // What the calls leave behind uncommitted is not wanted.
  await warningsOf('USINGPG_UNCOMMITTED', async () => {
    error = await failureOf(usingpg, dsn(), call);
  });
  return error!;
}

describe('the stack of the error leads to the call:', () => {
  it.each(Object.entries(calls))('%s', async (_, call) => {
    const error = await failure(call);
    expect(error).toBeInstanceOf(usingpg.errors.Error);
    expect(leadsTo(call.name, error.stack), error.stack).toBe(true);
    expect(error.stack!.startsWith(`${error.name}: `)).toBe(true);
  });
});
