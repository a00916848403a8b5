import { Error as LibraryError, REPORT } from './base.js';

/*
 * Stacks that lead to the user's code. An error caused by the server, a timer or a socket is created in a callback, whose stack has no
 * frame of the user. The error gets its stack where it leaves the library: in the `catch` of a public asynchronous function. V8 adds the
 * functions that await this function ("at async …"). A call that does not fail captures nothing.
 *
 * Stacks are formatted immediately. An unformatted stack keeps the objects of all its frames in memory, such as lost connections.
 */

/**
 * The state of an error's stack. begun: it has the call that caused the error and ended before. complete: it leads to a caller, and does
 * not change when other callers get the same error. kept: it never changes.
 */
const states = new WeakMap<LibraryError, 'begun' | 'complete' | 'kept'>();

/**
 * Gives an error of the library the stack of the calling function, which must have awaited, and returns the error. Other errors, and
 * errors whose stack already leads to a caller, do not change.
 */
export function callersStack(error: unknown): unknown {
  if (!(error instanceof LibraryError)) return error;
  const state = states.get(error);
  if (state === undefined) replace(error, stackOf(error, callersStack), 'complete');
  else if (state === 'begun') append(error, stackOf(error, callersStack), 'complete');
  return error;
}

/**
 * Does the same for an error whose chain of callers is interrupted, for example by the library's own tasks. Its stack continues with
 * `call`, by default with the calling function.
 */
export function continuedStack(error: unknown, call?: CallSite | null): unknown {
  if (!(error instanceof LibraryError)) return error;
  const state = states.get(error);
  if (state === 'kept') return error;
  const here = call ?? stackOf(error, continuedStack);
  if (state === undefined) replace(error, here, 'kept');
  else append(error, here, 'kept');
  return error;
}

/** Gives an error the stack of the call that caused it; `callersStack()` adds the call that reports it. */
export function begunBy(error: unknown, call: CallSite | null): void {
  if (error instanceof LibraryError && !states.has(error)) replace(error, call, 'begun');
}

/** Marks an error that the user's code threw or passed on, so that its stack does not change. Returns the error. */
export function keepStack(error: unknown): unknown {
  if (error instanceof LibraryError && states.get(error) !== 'complete') states.set(error, 'kept');
  return error;
}

/** Makes the initial stack of an error: the server's report, without frames. */
export function reportInStack(error: LibraryError): void {
  setStack(error, headOf(error));
}

function headOf(error: LibraryError): string {
  return `${error.name}: ${error[REPORT]}`;
}

function replace(error: LibraryError, here: CallSite | null, state: 'begun' | 'complete' | 'kept'): void {
  const stack = here?.stack;
  if (here === null || stack === undefined) return;
  const frames = framesIn(stack, here);
  // A user's own `Error.prepareStackTrace` takes precedence.
  setStack(error, frames === null ? stack : headOf(error) + frames);
  states.set(error, state);
}

function append(error: LibraryError, here: CallSite | null, state: 'complete' | 'kept'): void {
  const stack: unknown = error.stack;
  const frames = here === null ? null : framesIn(here.stack, here);
  if (typeof stack === 'string' && frames !== null) setStack(error, stack + frames);
  states.set(error, state);
}

function setStack(error: LibraryError, value: unknown): void {
  Object.defineProperty(error, 'stack', { value, writable: true, configurable: true });
}

// --- stacks of the engine

/** The stack of a call to a method that may fail after it has returned. */
export interface CallSite {
  readonly stack?: unknown;
}

type Callee = (...args: never[]) => unknown;

/** The stack of the running call of a method, without the frames of the method and of its callees; null if there is none. */
export function callSite<K extends string>(owner: Readonly<Record<K, Callee>>, method: K): CallSite | null {
  const site = quickCallSite(owner, method);
  return site === null ? null : formatted(site);
}

function formatted(site: CallSite): CallSite {
  return Object.defineProperty(site, 'stack', { value: site.stack });
}

/** The same, formatted on use. It takes one or two microseconds, and keeps the objects of its frames in memory. */
export function quickCallSite<K extends string>(
  owner: Readonly<Record<K, Callee>>,
  method: K,
): CallSite | null {
  return stackOf(NO_ERROR, owner[method]);
}

const NO_ERROR = { name: 'Error', message: '' };

/** Null if the engine captures no stacks: it is not V8, or `Error.stackTraceLimit` is not a number. */
function stackOf(error: object, callee: Callee): CallSite | null {
  // The formatter reads the error's name and message from the holder.
  const holder = Object.create(error) as CallSite;
  (globalThis.Error as Partial<typeof globalThis.Error>).captureStackTrace?.(holder, callee);
  return Object.hasOwn(holder, 'stack') ? holder : null;
}

/** The lines of a stack that are frames, each with its line break; null if the stack is not in the engine's format. */
function framesIn(stack: unknown, holder: object): string | null {
  if (typeof stack !== 'string') return null;
  const text = globalThis.Error.prototype.toString.call(holder);
  // Bun names any holder `Error`.
  const head = stack.startsWith(text) ? text : 'Error';
  if (!stack.startsWith(head)) return null;
  const start = stack.indexOf('\n', head.length);
  return start < 0 ? '' : stack.slice(start);
}
