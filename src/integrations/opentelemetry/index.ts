import { metrics, trace, type MeterProvider, type TracerProvider } from '@opentelemetry/api';
import { errors } from '../../index.js';
import { CallOptions } from '../../options/call-options.js';
import type { Kind } from '../../options/kinds.js';
import { recordMetrics } from './metrics.js';
import { makeSpans } from './spans.js';
import { Subscriptions } from './subscriptions.js';

/** Options of `instrument()`. */
export interface InstrumentOptions {
  /** Where spans go. @default the global one, also if it is registered later */
  tracerProvider?: TracerProvider | undefined;
  /** Where metrics go. @default the global one, which must be registered before */
  meterProvider?: MeterProvider | undefined;
}

const NAME = 'usingpg';
const OPTIONS = new CallOptions<InstrumentOptions>('instrument(options)', {
  tracerProvider: having('getTracer'),
  meterProvider: having('getMeter'),
});

/** Set while the process is instrumented: by whichever copy of this module, since the channels belong to the process. */
const INSTRUMENTED = Symbol.for('usingpg.opentelemetry');
const shared = globalThis as { [INSTRUMENTED]?: boolean };

/**
 * Makes spans and metrics by OpenTelemetry's semantic conventions for database clients, of all that the library does in this
 * process. A span's parent is the span that is active where the statement is executed by the program, also through pools and
 * pipelines. Values of parameters are part of neither. Returns what ends it, after which nothing is subscribed; calling that again
 * does nothing. Raises `ProgrammingError` for an invalid option, and if the process is instrumented already.
 *
 * @example
 * import { instrument } from 'usingpg/opentelemetry';
 * instrument();
 */
export function instrument(options: InstrumentOptions = {}): () => void {
  OPTIONS.check(options);
  if (shared[INSTRUMENTED] === true) {
    throw new errors.ProgrammingError(
      'instrument() was called before: each span and each metric would come twice; call what it returned first',
    );
  }
  const { tracerProvider = trace.getTracerProvider(), meterProvider = metrics.getMeterProvider() } = options;
  const subscriptions = new Subscriptions();
  makeSpans(tracerProvider.getTracer(NAME), subscriptions);
  recordMetrics(meterProvider.getMeter(NAME), subscriptions);
  shared[INSTRUMENTED] = true;
  let isOn = true;
  return () => {
    if (!isOn) return;
    isOn = false;
    shared[INSTRUMENTED] = false;
    subscriptions.end();
  };
}

function having(method: string): Kind {
  return {
    what: `an object with the method ${method}()`,
    is: (value) => typeof (value as Readonly<Record<string, unknown>> | null)?.[method] === 'function',
  };
}
