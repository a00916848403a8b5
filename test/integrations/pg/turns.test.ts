import { expect, it } from 'vitest';
import { Turns } from '../../../src/integrations/pg/turns.js';
import { expectLinear } from '../../support/growth.js';

it('passes the turn on in time that grows with the number of statements that wait', () => {
  expectLinear((size) => {
    const turns = new Turns();
    turns.take();
    for (let i = 0; i < size; i++) void turns.wait();
    let passed = 0;
    while (!turns.end()) passed++;
    expect(passed).toBe(size);
  }, 30_000);
});

it('lets those who give up leave in time that grows with their number', async () => {
  let left: Promise<PromiseSettledResult<void>[]> | undefined;
  expectLinear((size) => {
    const turns = new Turns();
    turns.take();
    const controllers = Array.from({ length: size }, () => new AbortController());
    left = Promise.allSettled(controllers.map(({ signal }) => turns.wait(signal)));
    for (const controller of controllers.reverse()) controller.abort(new Error('no longer'));
    expect(turns.end()).toBe(true);
  }, 5000);
  const reasons = new Set((await left!).map((result) => (result as PromiseRejectedResult).reason.message));
  expect(reasons).toEqual(new Set(['no longer']));
});

it('refuses all who wait, in their order', async () => {
  const turns = new Turns();
  turns.take();
  const refused: number[] = [];
  const waits = [1, 2, 3].map((n) => turns.wait().catch(() => refused.push(n)));
  turns.refuseAll(new Error('ended'));
  await Promise.all(waits);
  expect(refused).toEqual([1, 2, 3]);
  expect(turns.end()).toBe(true);
});
