import { setImmediate as tick } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { onAbort, pause, systemClock, waitFor, type Limits, type Wait } from '../src/waiting.js';
import { FakeClock } from './support/fake-clock.js';

const never = new Promise<never>(() => undefined);

/** Limits with a clock of their own, whose `late` throws. */
function limitsOf(clock: FakeClock, signal?: AbortSignal): Limits<string> {
  return {
    clock,
    seconds: 5,
    late: () => {
      throw new Error('late');
    },
    signal,
  };
}

describe('a wait', () => {
  it('settles as its promise does, and leaves no timer and no listener', async () => {
    const clock = new FakeClock();
    const { signal } = new AbortController();
    await expect(waitFor(Promise.resolve('there'), limitsOf(clock, signal))).resolves.toBe('there');
    await expect(waitFor(Promise.reject(new Error('gone')), limitsOf(clock, signal))).rejects.toThrow('gone');
    await expect(
      waitFor(
        (wait) => {
          wait.resolve('begun');
        },
        limitsOf(clock, signal),
      ),
    ).resolves.toBe('begun');
    expect(clock.pending).toBe(0);
  });

  it('rejects with the error that `late` throws at the end of its time, or resolves with its result', async () => {
    const clock = new FakeClock();
    const failing = expect(waitFor(never, limitsOf(clock))).rejects.toThrow('late');
    const other = waitFor<string>(never, { clock, seconds: 5, late: () => 'instead' });
    clock.advance(4.9);
    await tick();
    expect(clock.pending).toBe(2);
    clock.advance(0.2);
    await failing;
    expect(await other).toBe('instead');
  });

  it('rejects with the reason of a signal aborted before or meanwhile, and begins nothing in the first case', async () => {
    const clock = new FakeClock();
    const controller = new AbortController();
    const reason = new Error('enough');
    const waiting = expect(waitFor(never, limitsOf(clock, controller.signal))).rejects.toBe(reason);
    controller.abort(reason);
    await waiting;
    let begun = false;
    const begin = (): void => {
      begun = true;
    };
    await expect(waitFor(begin, limitsOf(clock, controller.signal))).rejects.toBe(reason);
    expect(begun).toBe(false);
    // A later failure is ignored; an unhandled rejection would fail the run.
    await expect(
      waitFor(Promise.reject(new Error('unheard')), limitsOf(clock, controller.signal)),
    ).rejects.toBe(reason);
    expect(clock.pending).toBe(0);
  });

  it('calls `ended` once, before its promise settles, whatever ended it', async () => {
    const clock = new FakeClock();
    const controller = new AbortController();
    const ended: string[] = [];
    const settle: Wait<string>[] = [];
    const waits = ['settled', 'late', 'aborted'].map((name) =>
      waitFor<string>((wait) => settle.push(wait), {
        ...limitsOf(clock, name === 'aborted' ? controller.signal : undefined),
        seconds: name === 'late' ? 1 : 9,
        ended: () => ended.push(name),
      }).catch(() => 'failed'),
    );
    settle[0]!.resolve('done');
    expect(ended).toEqual(['settled']);
    clock.advance(1);
    controller.abort();
    expect(ended).toEqual(['settled', 'late', 'aborted']);
    for (const wait of settle) wait.resolve('again');
    expect(await Promise.all(waits)).toEqual(['done', 'failed', 'failed']);
    expect(ended).toHaveLength(3);
    expect(clock.pending).toBe(0);
  });

  it('of the same signal may be one of a thousand without a warning, and the abort ends all', async () => {
    const controller = new AbortController();
    const { signal } = controller;
    const waits = Array.from({ length: 1000 }, () =>
      waitFor(never, { signal }).catch((error: unknown) => error),
    );
    // A warning would fail the test.
    await tick();
    controller.abort('enough');
    expect(new Set(await Promise.all(waits))).toEqual(new Set(['enough']));
  });
});

describe('an abort listener', () => {
  it('is called once, in the order of registration, and not after its removal, for example by another listener', () => {
    const controller = new AbortController();
    const { signal } = controller;
    const heard: number[] = [];
    const offs = [0, 1, 2, 3].map((i) =>
      onAbort(signal, () => {
        heard.push(i);
        if (i === 1) offs[3]!();
      }),
    );
    offs[0]!();
    offs[0]!();
    controller.abort();
    expect(heard).toEqual([1, 2]);
    onAbort(signal, () => heard.push(4));
    expect(heard).toEqual([1, 2, 4]);
  });

  it('that is the only one leaves no listener at the signal when it is removed', () => {
    const { signal } = new AbortController();
    let listeners = 0;
    const [add, remove] = [signal.addEventListener.bind(signal), signal.removeEventListener.bind(signal)];
    signal.addEventListener = (...args: Parameters<typeof add>) => {
      listeners++;
      add(...args);
    };
    signal.removeEventListener = (...args: Parameters<typeof remove>) => {
      listeners--;
      remove(...args);
    };
    const offs = Array.from({ length: 20 }, () => onAbort(signal, () => undefined));
    expect(listeners).toBe(1);
    for (const off of offs) off();
    expect(listeners).toBe(0);
    onAbort(signal, () => undefined)();
    expect(listeners).toBe(0);
  });
});

describe('a pause', () => {
  it('takes its time, and ends when it is aborted', async () => {
    const clock = new FakeClock();
    let over = false;
    void pause(2, { clock }).then(() => (over = true));
    clock.advance(1);
    await tick();
    expect(over).toBe(false);
    clock.advance(1);
    await tick();
    expect(over).toBe(true);
    const signal = AbortSignal.abort(new Error('enough'));
    await expect(pause(2, { clock, signal })).rejects.toThrow('enough');
    expect(clock.pending).toBe(0);
  });
});

describe("Node's clock", () => {
  it('makes no call due after Infinity, nor one beyond the range of its timers too early', async () => {
    let called = 0;
    const timers = [Infinity, 2 ** 32].map((seconds) => systemClock.after(seconds, () => called++, true));
    await pause(0.02);
    expect(called).toBe(0);
    for (const timer of timers) timer.cancel();
  });
});
