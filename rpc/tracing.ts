// OpenTelemetry as middleware, the same for clients and servers: a span per call, and W3C trace context between them.
// Give it to an RpcClient, an RpcServer's application or the gRPC adapter; trace-context.ts does the carrying.
// A span lasts as long as its call: to the answer, or to the end of the stream.

import {
  type Attributes,
  type Context,
  type Span,
  SpanKind,
  SpanStatusCode,
  trace,
  type Tracer,
  type TracerProvider,
} from '@opentelemetry/api';
import type { Messages } from './call.js';
import type { MethodContract } from './contract.js';
import { RpcError } from './errors.js';
import type { Middleware, MiddlewareRequest, MiddlewareResponse, Next } from './middleware.js';
import { STATUS, type StatusName } from './status.js';
import { activeContext, extractContext, injectContext, runInContext } from './trace-context.js';

export interface TracingOptions {
  /** Default: the one registered with @opentelemetry/api. */
  tracerProvider?: TracerProvider;
  /** The attribute `rpc.system`. Default 'reactor-net'; say 'grpc' where the gRPC adapter carries the calls. */
  system?: string;
}

/** Statuses that are a server's failure; the others tell the client about its request. OpenTelemetry, RPC conventions. */
const SERVER_FAILURES: ReadonlySet<StatusName> = new Set([
  'UNKNOWN',
  'DEADLINE_EXCEEDED',
  'UNIMPLEMENTED',
  'INTERNAL',
  'UNAVAILABLE',
  'DATA_LOSS',
]);
const TIMER_MS_MAX = 2 ** 31 - 1;

/** Without an SDK no span is recorded, and a trace that comes in still goes on to the calls made inside the handler. */
export function tracing(options: TracingOptions = {}): Middleware {
  const { tracerProvider, system = 'reactor-net' } = options;
  const tracer = (tracerProvider ?? trace).getTracer('reactor-net/rpc');
  return (request, next) =>
    request.side === 'client'
      ? clientCall(tracer, system, request, next)
      : serverCall(tracer, system, request, next);
}

function clientCall(
  tracer: Tracer,
  system: string,
  request: MiddlewareRequest,
  next: Next,
): Promise<MiddlewareResponse> {
  const parent = activeContext();
  const kind = SpanKind.CLIENT;
  const span = tracer.startSpan(
    nameOf(request.method),
    { kind, attributes: attributesOf(request, system) },
    parent,
  );
  const active = trace.setSpan(parent, span);
  const metadata = request.metadata.clone();
  injectContext(active, metadata);
  return traced({ ...request, metadata }, next, active, new CallSpan(span, request));
}

function serverCall(
  tracer: Tracer,
  system: string,
  request: MiddlewareRequest,
  next: Next,
): Promise<MiddlewareResponse> {
  const parent = extractContext(activeContext(), request.metadata);
  const kind = SpanKind.SERVER;
  const span = tracer.startSpan(
    nameOf(request.method),
    { kind, attributes: attributesOf(request, system) },
    parent,
  );
  return traced(request, next, trace.setSpan(parent, span), new CallSpan(span, request));
}

async function traced(
  request: MiddlewareRequest,
  next: Next,
  active: Context,
  callSpan: CallSpan,
): Promise<MiddlewareResponse> {
  let response: MiddlewareResponse;
  try {
    response = await runInContext(active, () => next(request));
  } catch (error) {
    callSpan.end(error);
    throw error;
  }
  const { kind } = request.method;
  if (kind === 'server-stream' || kind === 'bidi-stream') {
    callSpan.endAtDeadline(request);
    return { ...response, message: tracedMessages(response.message as Messages<unknown>, active, callSpan) };
  }
  callSpan.end(null);
  return response;
}

/** The messages of a stream, each made in the call's context; the span ends with the last. */
function tracedMessages(
  messages: Messages<unknown>,
  active: Context,
  callSpan: CallSpan,
): AsyncIterable<unknown> {
  return {
    [Symbol.asyncIterator]() {
      const inner = runInContext(active, () =>
        Symbol.asyncIterator in messages ? messages[Symbol.asyncIterator]() : messages[Symbol.iterator](),
      );
      return {
        async next() {
          try {
            const result = await runInContext(active, () => inner.next());
            if (result.done === true) callSpan.end(null);
            return result;
          } catch (error) {
            callSpan.end(error);
            throw error;
          }
        },
        async return() {
          callSpan.endEarly();
          await runInContext(active, () => inner.return?.());
          return { done: true as const, value: undefined };
        },
      };
    },
  };
}

/** The span of one call, which ends once. */
class CallSpan {
  readonly #span: Span;
  readonly #side: 'client' | 'server';
  readonly #signal: AbortSignal;
  readonly #onAbort = (): void => this.endEarly();
  #timer: NodeJS.Timeout | null = null;
  #isEnded = false;

  constructor(span: Span, request: MiddlewareRequest) {
    this.#span = span;
    this.#side = request.side;
    this.#signal = request.signal;
    this.#signal.addEventListener('abort', this.#onAbort);
  }

  /** A stream that nobody reads ends unseen. */
  endAtDeadline(request: MiddlewareRequest): void {
    const remainingMs = request.remainingMs();
    if (this.#isEnded || remainingMs > TIMER_MS_MAX) return;
    this.#timer = setTimeout(
      () => this.end(new RpcError('RPC_DEADLINE_EXCEEDED', 'the stream was not read to its end in time')),
      remainingMs,
    );
    this.#timer.unref();
  }

  /** The call was cancelled, or whoever read its stream left it. */
  endEarly(): void {
    const { reason } = this.#signal as { reason: unknown };
    this.end(reason instanceof RpcError ? reason : new RpcError('RPC_CANCELLED', 'the call was cancelled'));
  }

  /** @param failure null: it went well */
  end(failure: unknown): void {
    if (this.#isEnded) return;
    this.#isEnded = true;
    this.#signal.removeEventListener('abort', this.#onAbort);
    if (this.#timer !== null) clearTimeout(this.#timer);
    if (failure === null) this.#span.setAttribute('rpc.grpc.status_code', STATUS.OK);
    else this.#failed(failure);
    this.#span.end();
  }

  #failed(failure: unknown): void {
    const isOurs = failure instanceof RpcError;
    const status = isOurs ? failure.status : 'UNKNOWN';
    const message = failure instanceof Error ? failure.message : String(failure);
    this.#span.setAttribute('rpc.grpc.status_code', STATUS[status]);
    this.#span.setAttribute('error.type', isOurs ? failure.code : 'RPC_UNKNOWN');
    if (isOurs && failure.attempts > 1) this.#span.setAttribute('reactor_net.attempts', failure.attempts);
    this.#span.recordException(failure instanceof Error ? failure : message);
    if (this.#side === 'client' || SERVER_FAILURES.has(status))
      this.#span.setStatus({ code: SpanStatusCode.ERROR, message });
  }
}

/** `demo.Greeter/SayHello`, as the conventions name spans of calls. */
function nameOf({ path }: MethodContract): string {
  return path.slice(1);
}

function attributesOf({ method, call }: MiddlewareRequest, system: string): Attributes {
  const { path, name } = method;
  return {
    'rpc.system': system,
    'rpc.service': path.slice(1, path.length - name.length - 1),
    'rpc.method': name,
    ...(call?.peer.address === undefined ? {} : { 'network.peer.address': call.peer.address }),
    ...(call?.peer.port === undefined ? {} : { 'network.peer.port': call.peer.port }),
  };
}
