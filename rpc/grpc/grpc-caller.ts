// Makes calls to an ordinary gRPC server: a Caller like RpcClient, so generated clients and createClient stand on it too.
// grpc-js resolves the name, keeps the connections and speaks HTTP/2; grpc-client-call.ts is one call.

import { Channel, type ChannelOptions } from '@grpc/grpc-js';
import type { TlsClientOptions } from '../../reactor/index.js';
import type { CallOptions, Caller, Messages, ResponseStream } from '../call.js';
import { type CallContext, callContext } from '../client/call-context.js';
import { MiddlewareCaller } from '../client/middleware-caller.js';
import { RequestSource } from '../client/request-source.js';
import type { MethodContract } from '../contract.js';
import { RpcError } from '../errors.js';
import {
  CALL_TIMEOUT_MS,
  KEEPALIVE_INTERVAL_MS,
  KEEPALIVE_TIMEOUT_MS,
  MESSAGE_BYTES_MAX,
} from '../limits.js';
import type { Middleware } from '../middleware.js';
import { checkChoice, checkNumber, invalidOption, withDefaults } from '../option-checks.js';
import { CallCounters, type CallFigures } from '../server/call-counters.js';
import { STATUS } from '../status.js';
import { channelCredentials } from './grpc-credentials.js';
import { GrpcClientCall, type GrpcCallListener } from './grpc-client-call.js';
import { GrpcAnswer, GrpcStream } from './grpc-answers.js';

export interface GrpcCallerOptions {
  /** As grpc-js takes it: `host:port`, `dns:///host:port`, `unix:/path`, `ipv4:a:1,b:2`. */
  target: string;
  /** Milliseconds a call may take unless it says otherwise. Default 10,000. */
  timeoutMs?: number;
  /** Around every call, the first one outermost. */
  middleware?: readonly Middleware[];
  /** Sent as `authorization: Bearer <token>`. Default: none. */
  token?: string;
  tls?: TlsClientOptions;
  /** How one of several addresses is chosen. Default 'pick-first', gRPC's own. */
  balancer?: 'pick-first' | 'round-robin';
  /** Largest message received. Default 4 MiB. */
  messageBytesMax?: number;
  /** Largest message sent. Default Infinity: gRPC leaves it to the receiver. */
  sentBytesMax?: number;
  /** How often a connection with calls is asked for a sign of life, in ms. Servers mind less than 10 s. Default 20,000. */
  keepaliveIntervalMs?: number;
  /** How long it may take to give one before the connection is given up, in ms. Default 20,000. */
  keepaliveTimeoutMs?: number;
  /** Further options of grpc-js, which win over those above. */
  channelOptions?: ChannelOptions;
}

export interface GrpcCallerFigures {
  readonly calls: readonly CallFigures[];
  readonly callsInFlight: number;
}

const DEFAULTS = {
  timeoutMs: CALL_TIMEOUT_MS,
  messageBytesMax: MESSAGE_BYTES_MAX,
  sentBytesMax: Infinity,
  keepaliveIntervalMs: KEEPALIVE_INTERVAL_MS,
  keepaliveTimeoutMs: KEEPALIVE_TIMEOUT_MS,
};

const DRAIN_MS = 10_000;
const WHAT = 'gRPC caller';

export class GrpcCaller implements Caller {
  readonly #calls: DirectCaller;
  /** The same with middleware around it. */
  readonly #caller: Caller;

  /**
   * Connects to nothing yet.
   * @throws RpcError RPC_OPTION_INVALID; ReactorError REACTOR_OPTION_INVALID: `tls` is not usable
   */
  constructor(options: GrpcCallerOptions) {
    const {
      target,
      middleware = [],
      token = '',
      tls,
      balancer = 'pick-first',
      channelOptions = {},
    } = options;
    const {
      target: _,
      middleware: __,
      token: ___,
      tls: ____,
      balancer: _____,
      channelOptions: ______,
      ...rest
    } = options;
    const numbers = withDefaults(WHAT, DEFAULTS, rest);
    if (!(numbers.timeoutMs > 0)) throw invalidOption(WHAT, 'timeoutMs', 'must be above 0');
    if (!(numbers.sentBytesMax >= 1)) throw invalidOption(WHAT, 'sentBytesMax', 'must be above 0');
    checkNumber(WHAT, 'messageBytesMax', numbers.messageBytesMax, { min: 1, whole: true });
    checkNumber(WHAT, 'keepaliveIntervalMs', numbers.keepaliveIntervalMs, { min: 1 });
    checkNumber(WHAT, 'keepaliveTimeoutMs', numbers.keepaliveTimeoutMs, { min: 1 });
    checkChoice(WHAT, 'balancer', balancer, ['pick-first', 'round-robin']);
    const config = balancer === 'round-robin' ? { loadBalancingConfig: [{ round_robin: {} }] } : {};
    const channel = newChannel(target, tls, {
      'grpc.max_receive_message_length': numbers.messageBytesMax,
      'grpc.max_send_message_length': -1, // ours is judged before grpc-js is given anything
      'grpc.keepalive_time_ms': numbers.keepaliveIntervalMs,
      'grpc.keepalive_timeout_ms': numbers.keepaliveTimeoutMs,
      'grpc.service_config': JSON.stringify({ methodConfig: [], ...config }),
      'grpc.service_config_disable_resolution': 1,
      'grpc.use_local_subchannel_pool': 1, // closing this caller closes its connections
      'grpc.enable_http_proxy': 0, // calls between services go straight there
      'grpc.enable_channelz': 0,
      ...(tls?.serverName === undefined ? {} : { 'grpc.ssl_target_name_override': tls.serverName }),
      ...channelOptions,
    });
    this.#calls = new DirectCaller(channel, token, numbers.timeoutMs, numbers.sentBytesMax);
    this.#caller =
      middleware.length === 0
        ? this.#calls
        : new MiddlewareCaller(this.#calls, middleware, numbers.timeoutMs);
  }

  unary<Q, A>(method: MethodContract<Q, A>, request: Q, options?: CallOptions): Promise<A> {
    return this.#caller.unary(method, request, options);
  }

  serverStream<Q, A>(method: MethodContract<Q, A>, request: Q, options?: CallOptions): ResponseStream<A> {
    return this.#caller.serverStream(method, request, options);
  }

  clientStream<Q, A>(method: MethodContract<Q, A>, requests: Messages<Q>, options?: CallOptions): Promise<A> {
    return this.#caller.clientStream(method, requests, options);
  }

  bidiStream<Q, A>(
    method: MethodContract<Q, A>,
    requests: Messages<Q>,
    options?: CallOptions,
  ): ResponseStream<A> {
    return this.#caller.bidiStream(method, requests, options);
  }

  /** What it did, for metrics. */
  figures(): GrpcCallerFigures {
    return this.#calls.figures();
  }

  /** Refuses new calls, lets those under way finish for up to `drainMs` (default 10 s), then ends them. Idempotent. */
  close(drainMs: number = DRAIN_MS): Promise<void> {
    return this.#calls.close(drainMs);
  }
}

function newChannel(target: string, tls: TlsClientOptions | undefined, options: ChannelOptions): Channel {
  const credentials = channelCredentials(tls);
  try {
    return new Channel(target, credentials, options);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RpcError('RPC_OPTION_INVALID', `${WHAT} option target '${target}': ${why}`, { cause });
  }
}

/** The calls themselves, without middleware. */
class DirectCaller implements Caller {
  readonly #channel: Channel;
  readonly #token: string;
  readonly #timeoutMs: number;
  readonly #sentBytesMax: number;
  readonly #counters = new CallCounters();
  readonly #open = new Set<{ cancel(error: RpcError): void }>();
  #whenIdle: (() => void) | null = null;
  #closing: Promise<void> | null = null;

  constructor(channel: Channel, token: string, timeoutMs: number, sentBytesMax: number) {
    this.#channel = channel;
    this.#token = token;
    this.#timeoutMs = timeoutMs;
    this.#sentBytesMax = sentBytesMax;
  }

  unary<Q, A>(method: MethodContract<Q, A>, request: Q, options?: CallOptions): Promise<A> {
    return new Promise((resolve, reject) => {
      const context = this.#context(options); // what it throws rejects
      const answer = new GrpcAnswer(context, resolve, reject, null);
      sendOne(answer.on(this.#begin(method, context, answer)), request);
    });
  }

  clientStream<Q, A>(method: MethodContract<Q, A>, requests: Messages<Q>, options?: CallOptions): Promise<A> {
    return new Promise((resolve, reject) => {
      const context = this.#context(options);
      const source = new RequestSource(requests);
      const answer = new GrpcAnswer(context, resolve, reject, source);
      const call = answer.on(this.#begin(method, context, answer));
      source.sendTo(call, (error) => call.cancel(error));
    });
  }

  serverStream<Q, A>(method: MethodContract<Q, A>, request: Q, options?: CallOptions): ResponseStream<A> {
    const context = this.#context(options);
    const stream = new GrpcStream<A>(context, null);
    sendOne(stream.on(this.#begin(method, context, stream)), request);
    return stream;
  }

  bidiStream<Q, A>(
    method: MethodContract<Q, A>,
    requests: Messages<Q>,
    options?: CallOptions,
  ): ResponseStream<A> {
    const context = this.#context(options);
    const source = new RequestSource(requests);
    const stream = new GrpcStream<A>(context, source);
    const call = stream.on(this.#begin(method, context, stream));
    source.sendTo(call, (error) => call.cancel(error));
    return stream;
  }

  figures(): GrpcCallerFigures {
    return { calls: this.#counters.figures(), callsInFlight: this.#open.size };
  }

  close(drainMs: number): Promise<void> {
    this.#closing ??= this.#close(drainMs);
    return this.#closing;
  }

  async #close(drainMs: number): Promise<void> {
    if (this.#open.size > 0) {
      let timer: NodeJS.Timeout | undefined;
      await new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
        timer = setTimeout(resolve, drainMs);
      });
      clearTimeout(timer);
    }
    for (const call of this.#open) call.cancel(new RpcError('RPC_CLOSED', 'the gRPC caller was closed'));
    this.#channel.close();
  }

  #context(options: CallOptions | undefined): CallContext {
    if (this.#closing !== null)
      throw new RpcError('RPC_CLOSED', 'the gRPC caller is closed', { executed: 'no' });
    return callContext(options, this.#timeoutMs, performance.now());
  }

  #begin<Q, A>(
    method: MethodContract<Q, A>,
    context: CallContext,
    listener: GrpcCallListener<A>,
  ): GrpcClientCall<Q, A> {
    const begunMs = performance.now();
    const call = new GrpcClientCall(this.#channel, method, context, this.#token, this.#sentBytesMax, {
      headersReceived: (headers) => listener.headersReceived(headers),
      messageReceived: (message) => listener.messageReceived(message),
      callEnded: (error, trailers) => {
        this.#open.delete(call);
        const status = error === null ? STATUS.OK : STATUS[error.status];
        this.#counters.ended(method.path, status, performance.now() - begunMs);
        if (this.#open.size === 0) this.#whenIdle?.();
        listener.callEnded(error, trailers);
      },
    });
    this.#counters.started(method.path);
    this.#open.add(call);
    return call;
  }
}

/** The one request of a client that does not stream. */
function sendOne<Q, A>(call: GrpcClientCall<Q, A>, request: Q): void {
  try {
    call.sendRequest(request);
    call.endRequests();
  } catch (error) {
    call.cancel(
      error instanceof RpcError ? error : new RpcError('RPC_INTERNAL', String(error), { cause: error }),
    );
  }
}
