// W3C trace context in the metadata of a call, and the context that code runs in, with or without an OpenTelemetry SDK.
// tracing.ts uses it. Where an SDK has registered its propagator and its context manager, those are used; where none
// has, a `traceparent` that came in still goes on to the calls made inside the handler.

import {
  type Context,
  context,
  createContextKey,
  createTraceState,
  isSpanContextValid,
  propagation,
  ROOT_CONTEXT,
  type TextMapGetter,
  type TextMapSetter,
  trace,
} from '@opentelemetry/api';
import { AsyncLocalStorage } from 'node:async_hooks';
import { RpcError } from './errors.js';
import type { Metadata } from './metadata.js';

const PARENT_KEY = 'traceparent';
const STATE_KEY = 'tracestate';
/** Version, trace id, span id, flags; later versions may have more behind. */
const PARENT = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/;

const carried = new AsyncLocalStorage<Context>();
const PROBE = ROOT_CONTEXT.setValue(createContextKey('reactor-net probe'), true);

/** Without an SDK, OpenTelemetry's own `context.with` forgets what it was given. */
function hasContextManager(): boolean {
  return context.with(PROBE, () => context.active() === PROBE);
}

export function activeContext(): Context {
  return hasContextManager() ? context.active() : (carried.getStore() ?? ROOT_CONTEXT);
}

export function runInContext<R>(active: Context, work: () => R): R {
  return hasContextManager() ? context.with(active, work) : carried.run(active, work);
}

/** `base` with what the metadata says of the caller's span. */
export function extractContext(base: Context, metadata: Metadata): Context {
  if (propagation.fields().length > 0) return propagation.extract(base, metadata, GETTER);
  const match = PARENT.exec(metadata.text(PARENT_KEY) ?? '');
  if (match === null) return base;
  const [, version, traceId, spanId, flags, more] = match as unknown as [
    string,
    string,
    string,
    string,
    string,
    string?,
  ];
  const spanContext = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  if (version === 'ff' || (version === '00' && more !== undefined) || !isSpanContextValid(spanContext))
    return base;
  const state = metadata.getAll(STATE_KEY).join(',');
  return trace.setSpanContext(
    base,
    state === '' ? spanContext : { ...spanContext, traceState: createTraceState(state) },
  );
}

/** Writes the span of `active` into the metadata of a call that is about to be made. */
export function injectContext(active: Context, metadata: Metadata): void {
  if (propagation.fields().length > 0) {
    propagation.inject(active, metadata, SETTER);
    return;
  }
  const spanContext = trace.getSpanContext(active);
  if (spanContext === undefined || !isSpanContextValid(spanContext)) return;
  const flags = (spanContext.traceFlags & 0xff).toString(16).padStart(2, '0');
  SETTER.set(metadata, PARENT_KEY, `00-${spanContext.traceId}-${spanContext.spanId}-${flags}`);
  const state = spanContext.traceState?.serialize() ?? '';
  if (state !== '') SETTER.set(metadata, STATE_KEY, state);
}

const GETTER: TextMapGetter<Metadata> = {
  get: (metadata, key) => metadata.text(key),
  keys: (metadata) => Array.from(metadata, ([key]) => key),
};

const SETTER: TextMapSetter<Metadata> = {
  set(metadata, key, value) {
    try {
      metadata.set(key, value);
    } catch (error) {
      if (!(error instanceof RpcError)) throw error; // a propagator's odd value: a call does not fail for its trace
    }
  },
};
