import { metrics, trace, type MeterProvider, type TracerProvider } from '@opentelemetry/api';
import { errors } from '../../index.js';
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
const OPTIONS: Readonly<Record<keyof InstrumentOptions, string>> = {
  tracerProvider: 'getTracer',
  meterProvider: 'getMeter',
};

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
  checkOptions(options);
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

function checkOptions(options: InstrumentOptions): void {
  if (typeof options !== 'object' || (options as unknown) === null) {
    throw new errors.ProgrammingError(
      'expected the options of instrument() to be an object; write `instrument({ tracerProvider, meterProvider })`',
    );
  }
  for (const [name, value] of Object.entries(options)) {
    const method = (OPTIONS as Readonly<Record<string, string>>)[name];
    if (method === undefined) {
      throw new errors.ProgrammingError(
        `unknown option \`${name}\` of instrument(): the options are ${Object.keys(OPTIONS).join(', ')}`,
      );
    }
    if (
      value !== undefined &&
      typeof (value as Readonly<Record<string, unknown>> | null)?.[method] !== 'function'
    ) {
      throw new errors.ProgrammingError(`expected \`${name}\` to have a method \`${method}\``);
    }
  }
}
