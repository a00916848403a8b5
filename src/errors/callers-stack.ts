import { Error as LibraryError, REPORT } from './base.js';

/*
 * Stacks that lead to the code of the user. An error that the server, a timer or a socket causes is made in a callback, where no frame
 * of the user is left. It gets its stack where it leaves the library: in the `catch` of a public asynchronous function, behind which
 * V8 goes on with the functions that await it ("at async …"). So nothing is captured while nothing fails.
 *
 * Stacks are formatted at once: until then V8 keeps the objects of all frames from being collected, lost connections for example.
 */

/**
 * How far the stack of an error has come. begun: it has the call that caused the error, which had ended by then. complete: it leads to a
 * caller, and is left alone when others get the same error. kept: nothing changes it any more.
 */
const states = new WeakMap<LibraryError, 'begun' | 'complete' | 'kept'>();

/**
 * Gives an error of the library the stack of the function that this is called in, and returns it. To be called where that function has
 * awaited something. Other errors, and those whose stack leads to a caller already, stay as they are.
 */
export function callersStack(error: unknown): unknown {
  if (!(error instanceof LibraryError)) return error;
  const state = states.get(error);
  if (state === undefined) replace(error, stackOf(error, callersStack), 'complete');
  else if (state === 'begun') append(error, stackOf(error, callersStack), 'complete');
  return error;
}

/**
 * The same for an error whose chain of callers was broken on its way, by tasks of the library's own for example: its stack goes on with
 * `call`, or else with the function that this is called in.
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

/** Gives an error the stack of the call that caused it; `callersStack()` adds where it comes to light. */
export function begunBy(error: unknown, call: CallSite | null): void {
  if (error instanceof LibraryError && !states.has(error)) replace(error, call, 'begun');
}

/** Notes that the user's code has thrown an error, or passed it on: its stack stays as it is. Returns the error. */
export function keepStack(error: unknown): unknown {
  if (error instanceof LibraryError && states.get(error) !== 'complete') states.set(error, 'kept');
  return error;
}

/** Has the stack of an error show all that the server says, as long as it leads nowhere. */
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
  // Whoever has set `Error.prepareStackTrace` to make something else of stacks gets that.
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

// --- what the engine gives

/** The stack of a call: of a method that may fail after it has returned. */
export interface CallSite {
  readonly stack?: unknown;
}

type Callee = (...args: never[]) => unknown;

/** The stack of the call of a method that is under way, without that and what it has called; null if there is none. */
export function callSite<K extends string>(owner: Readonly<Record<K, Callee>>, method: K): CallSite | null {
  const site = quickCallSite(owner, method);
  return site === null ? null : formatted(site);
}

function formatted(site: CallSite): CallSite {
  return Object.defineProperty(site, 'stack', { value: site.stack });
}

/** The same, formatted when it is used. It takes a microsecond or two, and keeps alive what the functions on the stack belong to. */
export function quickCallSite<K extends string>(
  owner: Readonly<Record<K, Callee>>,
  method: K,
): CallSite | null {
  return stackOf(NO_ERROR, owner[method]);
}

const NO_ERROR = { name: 'Error', message: '' };

/** Null where the engine captures no stacks: it is not V8, or `Error.stackTraceLimit` is no number. */
function stackOf(error: object, callee: Callee): CallSite | null {
  // What formats stacks finds the name and the message of the error here.
  const holder = Object.create(error) as CallSite;
  (globalThis.Error as Partial<typeof globalThis.Error>).captureStackTrace?.(holder, callee);
  return Object.hasOwn(holder, 'stack') ? holder : null;
}

/** The lines of a stack that are frames, each with its line break; null if it is not what engines make of stacks. */
function framesIn(stack: unknown, holder: object): string | null {
  const head = globalThis.Error.prototype.toString.call(holder);
  if (typeof stack !== 'string' || !stack.startsWith(head)) return null;
  const start = stack.indexOf('\n', head.length);
  return start < 0 ? '' : stack.slice(start);
}
