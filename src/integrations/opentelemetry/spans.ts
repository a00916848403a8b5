import {
  context,
  SpanKind,
  SpanStatusCode,
  type Attributes,
  type Context,
  type Span,
  type Tracer,
} from '@opentelemetry/api';
import type { CheckoutMessage, ConnectMessage, QueryMessage, TracedMessage } from '../../index.js';
import { errorAttributes, errorName, queryAttributes, serverAttributes } from './attributes.js';
import type { Subscriptions } from './subscriptions.js';

/*
 * The channels publish `start` in the asynchronous context of the call, and so the active context is the caller's, wherever the
 * statement waits and is sent afterwards.
 */

/** Makes spans of queries, of connections that a program opens without a pool, and of checkouts that wait or fail. */
export function makeSpans(tracer: Tracer, subscriptions: Subscriptions): void {
  spansOfClient<QueryMessage>(tracer, subscriptions, 'usingpg:query', {
    describe: (message) => {
      const { ofSpan } = queryAttributes(message);
      return { name: (ofSpan['db.query.summary'] as string | undefined) ?? 'postgresql', attributes: ofSpan };
    },
    // The server's messages quote values.
    fail: (span, { error, sqlstate }) => setFailed(span, sqlstate === null ? undefined : errorName(error)),
  });
  spansOfClient<ConnectMessage>(tracer, subscriptions, 'usingpg:connect', {
    describe: (message) =>
      message.pool === null
        ? { name: `connect ${message.dbname}`, attributes: serverAttributes(message) }
        : null,
    succeed: (span, message) => span.setAttributes(serverAttributes(message)),
    fail: (span, { error }) => setFailed(span, messageOf(error)),
  });
  spansOfWaits(tracer, subscriptions);
}

/** What a span of an operation shows; null for an operation without a span. */
interface ClientSpan<M> {
  readonly describe: (message: M) => { readonly name: string; readonly attributes: Attributes } | null;
  readonly succeed?: (span: Span, message: M) => void;
  readonly fail: (span: Span, message: M) => void;
}

function spansOfClient<M extends TracedMessage>(
  tracer: Tracer,
  subscriptions: Subscriptions,
  channel: string,
  { describe, succeed, fail }: ClientSpan<M>,
): void {
  const spans = new WeakMap<M, Span>();
  const open = new Set<Span>();
  subscriptions.on<M>(`tracing:${channel}:start`, (message) => {
    const described = describe(message);
    if (described === null) return;
    const { name, attributes } = described;
    const span = tracer.startSpan(name, { kind: SpanKind.CLIENT, attributes });
    spans.set(message, span);
    open.add(span);
  });
  subscriptions.on<M>(`tracing:${channel}:asyncEnd`, (message) => {
    const span = spans.get(message);
    if (span === undefined) return;
    if (message.error === undefined) {
      succeed?.(span, message);
    } else {
      span.setAttributes(errorAttributes(message));
      fail(span, message);
    }
    span.end();
    open.delete(span);
  });
  subscriptions.add(() => {
    for (const span of open) span.end();
  });
}

/** A checkout is a span if it had to wait or has failed, which is known at its end only. */
function spansOfWaits(tracer: Tracer, subscriptions: Subscriptions): void {
  const starts = new WeakMap<CheckoutMessage, { readonly parent: Context; readonly startTime: number }>();
  subscriptions.on<CheckoutMessage>('tracing:usingpg:checkout:start', (message) => {
    starts.set(message, { parent: context.active(), startTime: Date.now() });
  });
  subscriptions.on<CheckoutMessage>('tracing:usingpg:checkout:asyncEnd', (message) => {
    const start = starts.get(message);
    if (start === undefined || (!message.waited && message.error === undefined)) return;
    const { parent, startTime } = start;
    const attributes: Attributes = {
      'db.system.name': 'postgresql',
      'db.client.connection.pool.name': message.pool,
      ...errorAttributes(message),
    };
    const span = tracer.startSpan(
      'usingpg.checkout',
      { kind: SpanKind.INTERNAL, startTime, attributes },
      parent,
    );
    if (message.error !== undefined) setFailed(span, messageOf(message.error));
    span.end();
  });
}

function setFailed(span: Span, message: string | undefined): void {
  span.setStatus(
    message === undefined ? { code: SpanStatusCode.ERROR } : { code: SpanStatusCode.ERROR, message },
  );
}

function messageOf(error: unknown): string | undefined {
  return error instanceof Error ? error.message : undefined;
}
