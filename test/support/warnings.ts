import { setImmediate as tick } from 'node:timers/promises';

let seen: { readonly name: string; readonly code: string | undefined; readonly message: string }[] = [];

process.on('warning', (warning: Error & { code?: string }) => {
  seen.push({ name: warning.name, code: warning.code, message: warning.message });
});

/** The process warnings since the last call. */
export function takeWarnings(): string[] {
  const taken = seen.map(({ name, code, message }) => `${code ?? name}: ${message}`);
  seen = [];
  return taken;
}

/**
 * Runs `body` and returns the messages of its process warnings with `code` (or without a code, of that name). Any other warning
 * fails the test.
 */
export async function warningsOf(code: string, body: () => unknown): Promise<string[]> {
  await tick();
  const before = seen;
  seen = [];
  await body();
  // A warning is emitted in the next tick.
  await tick();
  const during = seen;
  const isExpected = (warning: (typeof seen)[number]): boolean => (warning.code ?? warning.name) === code;
  seen = [...before, ...during.filter((warning) => !isExpected(warning))];
  return during.filter(isExpected).map(({ message }) => message);
}
