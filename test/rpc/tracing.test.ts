// Spans of calls and the trace context between them: over our own wire and over gRPC, with an SDK and without.

import {
  context,
  propagation,
  SpanKind,
  SpanStatusCode,
  type TextMapPropagator,
  trace,
} from '@opentelemetry/api';
import assert from 'node:assert/strict';
import test, { type TestContext } from 'node:test';
import {
  type Caller,
  Metadata,
  type Middleware,
  RpcError,
  type ServerCall,
  type ServiceImplementation,
  tracing,
} from '../../rpc/index.js';
import { until } from '../support/until.js';
import { ECHO, type EchoHandlers, echoService, type SayRequest } from './support/echo.js';
import { startGrpcCaller, startGrpcServer } from './support/grpc-pair.js';
import { RecordingTracer, StorageContextManager } from './support/recording-tracer.js';
import { startPair } from './support/rpc-pair.js';

type Start = (t: TestContext, services: ServiceImplementation[], middleware: Middleware[]) => Promise<Caller>;

const WIRES: Readonly<Record<string, Start>> = {
  'our wire': async (t, services, middleware) =>
    (await startPair(t, { services: { services, middleware } }, { middleware })).client,
  gRPC: async (t, services, middleware) => {
    const { target } = await startGrpcServer(t, { services: { services, middleware } });
    return startGrpcCaller(t, { target, middleware });
  },
};

const TRACE_ID = '0af7651916cd43dd8448eb211c80319c';
const PARENT = `00-${TRACE_ID}-b7ad6b7169203331-01`;

async function read(stream: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of stream);
}

for (const [wire, start] of Object.entries(WIRES)) {
  const traced = async (
    t: TestContext,
    handlers: EchoHandlers = {},
  ): Promise<{ caller: Caller; spans: RecordingTracer['spans'] }> => {
    const tracer = new RecordingTracer();
    const caller = await start(t, [echoService(handlers)], [tracing({ tracerProvider: tracer })]);
    return { caller, spans: tracer.spans };
  };

  test(`each kind of call has a span on both sides, of one trace (${wire})`, async (t) => {
    const { caller, spans } = await traced(t);
    const calls: readonly [string, () => Promise<unknown>][] = [
      ['demo.Echo/Say', () => caller.unary(ECHO.say, {})],
      ['demo.Echo/List', () => read(caller.serverStream(ECHO.list, { count: 3 }))],
      ['demo.Echo/Upload', () => caller.clientStream(ECHO.upload, [{}, {}])],
      ['demo.Echo/Chat', () => read(caller.bidiStream(ECHO.chat, [{ text: 'a' }]))],
    ];
    for (const [name, call] of calls) {
      spans.length = 0;
      await call();
      await until(() => spans.length === 2 && spans.every(({ endings }) => endings > 0));
      const [client, server] = spans;
      assert.deepEqual([client?.name, server?.name], [name, name]);
      assert.deepEqual([client?.kind, server?.kind], [SpanKind.CLIENT, SpanKind.SERVER]);
      assert.equal(server?.parentSpanId, client?.spanContext().spanId);
      assert.equal(server?.spanContext().traceId, client?.spanContext().traceId);
      for (const span of spans) {
        assert.equal(span.attributes['rpc.system'], 'reactor-net');
        assert.equal(span.attributes['rpc.service'], 'demo.Echo');
        assert.equal(span.attributes['rpc.method'], name.split('/')[1]);
        assert.equal(span.attributes['rpc.grpc.status_code'], 0);
        assert.equal(span.status.code, SpanStatusCode.UNSET);
        assert.equal(span.endings, 1);
      }
      assert.equal(server?.attributes['network.peer.address'], '127.0.0.1');
    }
  });

  test(`a failure is recorded: the client’s span always, the server’s when it is its own (${wire})`, async (t) => {
    const { caller, spans } = await traced(t, {
      say: ({ text }: SayRequest) => {
        throw new RpcError(text === 'own' ? 'RPC_INTERNAL' : 'RPC_NOT_FOUND', 'no luck');
      },
      *list() {
        yield {};
        throw new RpcError('RPC_DATA_LOSS', 'halfway');
      },
    });
    await assert.rejects(caller.unary(ECHO.say, { text: 'own' }));
    await assert.rejects(caller.unary(ECHO.say, { text: 'yours' }));
    await assert.rejects(read(caller.serverStream(ECHO.list, {})));
    await until(() => spans.length === 6 && spans.every(({ endings }) => endings > 0));
    const seen = spans.map(({ kind, attributes, status, exceptions }) => [
      kind,
      attributes['rpc.grpc.status_code'],
      attributes['error.type'],
      status.code,
      exceptions.length,
    ]);
    const { CLIENT, SERVER } = SpanKind;
    const { ERROR, UNSET } = SpanStatusCode;
    assert.deepEqual(seen, [
      [CLIENT, 13, 'RPC_INTERNAL', ERROR, 1],
      [SERVER, 13, 'RPC_INTERNAL', ERROR, 1],
      [CLIENT, 5, 'RPC_NOT_FOUND', ERROR, 1],
      [SERVER, 5, 'RPC_NOT_FOUND', UNSET, 1],
      [CLIENT, 15, 'RPC_DATA_LOSS', ERROR, 1],
      [SERVER, 15, 'RPC_DATA_LOSS', ERROR, 1],
    ]);
  });

  test(`the span of a stream ends when its reader leaves, on both sides (${wire})`, async (t) => {
    const { caller, spans } = await traced(t, {
      async *list(_: unknown, call: ServerCall) {
        while (!call.signal.aborted) yield { payload: new Uint8Array(10_000) };
      },
    });
    for await (const _ of caller.serverStream(ECHO.list, {})) {
      assert.equal(spans[0]?.endings, 0, 'it lasts while the stream does');
      break;
    }
    await until(() => spans.length === 2 && spans.every(({ endings }) => endings > 0));
    assert.deepEqual(
      spans.map(({ attributes }) => attributes['rpc.grpc.status_code']),
      [1, 1],
    );
  });

  test(`a call made inside a handler, or inside its stream, is of the same trace (${wire})`, async (t) => {
    const inner: { caller: Caller | null } = { caller: null };
    const tracer = new RecordingTracer();
    const middleware = [tracing({ tracerProvider: tracer })];
    const nested = async function* nested(): AsyncGenerator<object> {
      yield {};
      yield await inner.caller!.unary(ECHO.say, {});
    };
    inner.caller = await start(t, [echoService()], middleware);
    const caller = await start(
      t,
      [echoService({ say: (request: SayRequest) => inner.caller!.unary(ECHO.say, request), list: nested })],
      middleware,
    );
    for (const call of [() => caller.unary(ECHO.say, {}), () => read(caller.serverStream(ECHO.list, {}))]) {
      tracer.spans.length = 0;
      await call();
      await until(() => tracer.spans.length === 4 && tracer.spans.every(({ endings }) => endings > 0));
      const ids = tracer.spans.map((span) => span.spanContext().spanId);
      assert.deepEqual(
        tracer.spans.map(({ parentSpanId }) => parentSpanId),
        [undefined, ...ids.slice(0, 3)],
        'each span is the child of the one before',
      );
    }
  });

  test(`without any SDK a traceparent that comes in goes on to the next server (${wire})`, async (t) => {
    const seen: (Metadata | null)[] = [];
    const last = await start(
      t,
      [
        echoService({
          say: (_: SayRequest, call: ServerCall) => {
            seen.push(call.metadata);
            return {};
          },
        }),
      ],
      [tracing()],
    );
    const first = await start(
      t,
      [echoService({ say: (request: SayRequest) => last.unary(ECHO.say, request) })],
      [tracing()],
    );
    // As a gateway would send it: by hand, outside of any context.
    const metadata = Metadata.from({ traceparent: PARENT, tracestate: 'vendor=1' });
    await first.unary(ECHO.say, {}, { metadata });
    assert.equal(seen[0]?.text('traceparent'), PARENT);
    assert.equal(seen[0]?.text('tracestate'), 'vendor=1');
    await first.unary(ECHO.say, {}, { metadata: Metadata.from({ traceparent: '00-zero-1-01' }) });
    assert.equal(seen[1]?.text('traceparent'), undefined, 'what is malformed goes no further');
    await first.unary(ECHO.say, {});
    assert.equal(seen[2]?.text('traceparent'), undefined);
  });

  test(`a registered SDK’s propagator and context manager are used (${wire})`, async (t) => {
    const propagator: TextMapPropagator = {
      fields: () => ['x-trace'],
      inject: (active, carrier, setter) =>
        setter.set(carrier, 'x-trace', JSON.stringify(trace.getSpanContext(active) ?? null)),
      extract: (active, carrier, getter) => {
        const spanContext = JSON.parse(String(getter.get(carrier, 'x-trace') ?? 'null'));
        return spanContext === null ? active : trace.setSpanContext(active, spanContext);
      },
    };
    const tracer = new RecordingTracer();
    propagation.setGlobalPropagator(propagator);
    context.setGlobalContextManager(new StorageContextManager());
    trace.setGlobalTracerProvider(tracer);
    t.after(() => {
      propagation.disable();
      context.disable();
      trace.disable();
    });
    let current: string | undefined;
    const handlers: EchoHandlers = {
      say: (_: SayRequest, call: ServerCall) => {
        current = trace.getSpanContext(context.active())?.spanId;
        return { text: call.metadata.text('traceparent') ?? 'none' };
      },
    };
    const caller = await start(t, [echoService(handlers)], [tracing()]);
    const root = tracer.getTracer().startSpan('user code');
    const answer = await context.with(trace.setSpan(context.active(), root), () =>
      caller.unary(ECHO.say, {}),
    );
    assert.equal(answer.text, 'none', 'the SDK’s own header instead of ours');
    const [user, client, server] = tracer.spans;
    assert.equal(client?.parentSpanId, user?.spanContext().spanId);
    assert.equal(server?.parentSpanId, client?.spanContext().spanId);
    assert.equal(current, server?.spanContext().spanId, 'user code in the handler sees the span');
  });
}
