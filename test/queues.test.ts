import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Fifo } from '../src/queues.js';

test('a queue gives its items in order, whatever is added and taken between', () => {
  const act = fc.oneof(
    fc.nat(100).map((count) => ({ act: 'push', count }) as const),
    fc.nat(100).map((count) => ({ act: 'shift', count }) as const),
    fc.constant({ act: 'unshift', count: 1 } as const),
    fc.constant({ act: 'drain', count: 1 } as const),
  );
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      const queue = new Fifo<number>();
      let model: number[] = [];
      let next = 0;
      for (const { act, count } of acts) {
        for (let i = 0; i < count; i++) {
          if (act === 'push') {
            queue.push(next);
            model.push(next++);
          } else if (act === 'unshift') {
            queue.unshift(next);
            model.unshift(next++);
          } else if (act === 'shift') {
            expect(queue.shift()).toBe(model.shift());
          } else {
            expect(queue.drain()).toEqual(model);
            model = [];
          }
        }
        expect([queue.length, queue.first, [...queue]]).toEqual([model.length, model[0], model]);
      }
    }),
  );
});

test('a long queue keeps its order while its head moves', () => {
  const queue = new Fifo<number>();
  let taken = 0;
  for (let i = 0; i < 10_000; i++) {
    queue.push(i);
    if (i % 3 > 0) expect(queue.shift()).toBe(taken++);
  }
  expect(queue.drain()).toEqual(Array.from({ length: 10_000 - taken }, (_, i) => i + taken));
  expect(queue.length).toBe(0);
});
