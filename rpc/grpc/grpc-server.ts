// Serves service implementations of ours to ordinary gRPC clients, on a port of its own, on the thread it is made on.
// grpc-js speaks HTTP/2; its interceptor hands every call to grpc-server-call.ts before any stream of its own is made.
// Beside an RpcServer it serves the same objects; their methods, middleware and limits are bound as there.

import {
  Server,
  ServerInterceptingCall,
  type ServerInterceptingCallInterface,
  type ServerInterceptor,
} from '@grpc/grpc-js';
import { timingSafeEqual } from 'node:crypto';
import type { ListenAddress, TlsServerOptions } from '../../reactor/index.js';
import type { Peer, ServiceImplementation } from '../call.js';
import type { CallKind } from '../contract.js';
import { RpcError } from '../errors.js';
import { KEEPALIVE_INTERVAL_MS, KEEPALIVE_TIMEOUT_MS, MESSAGE_BYTES_MAX, STREAMS_MAX } from '../limits.js';
import type { Metadata } from '../metadata.js';
import { checkNumber, invalidOption, withDefaults } from '../option-checks.js';
import { bindMethods, checkApplication, type RpcApplication, tellDraining } from '../server/application.js';
import { CallCounters, type CallFigures } from '../server/call-counters.js';
import type { TokenEntry } from '../server/thread-server.js';
import type { BoundMethod } from '../session/server-session.js';
import { serverCredentials } from './grpc-credentials.js';
import { type GrpcCallHost, GrpcServerCall } from './grpc-server-call.js';

export interface GrpcServerOptions {
  /** What is served: services, or services with middleware, limits and authentication. */
  services: RpcApplication | readonly ServiceImplementation[];
  /** Name or address. Default '0.0.0.0'. */
  host?: string;
  /** 0 picks a free port. Default 0. */
  port?: number;
  /** A Unix socket instead of a port. */
  path?: string;
  /** Speak TLS; with `caFile` clients need a certificate. */
  tls?: TlsServerOptions;
  /** Clients have to send `authorization: Bearer <token>` with one of these. Default: everybody may call. */
  tokens?: readonly TokenEntry[];
  /** Largest message received. Default 4 MiB. */
  messageBytesMax?: number;
  /** Largest message sent. Default Infinity: gRPC leaves it to the receiver. */
  sentBytesMax?: number;
  /** Calls at a time on one connection. Default 1024. */
  streamsMax?: number;
  /** How often a silent connection is asked for a sign of life, in ms. Default 20,000. */
  keepaliveIntervalMs?: number;
  /** How long it may take to give one, in ms. Default 20,000. */
  keepaliveTimeoutMs?: number;
  /** Age at which a client is told to connect anew, in ms, give or take a tenth; 0: never. Default 0. */
  connectionAgeMs?: number;
}

export interface GrpcServerFigures {
  readonly callsInFlight: number;
  readonly calls: readonly CallFigures[];
}

export interface GrpcDrainReport {
  /** Calls that had to be cut. */
  readonly cut: number;
}

const DEFAULTS = {
  messageBytesMax: MESSAGE_BYTES_MAX,
  sentBytesMax: Infinity,
  streamsMax: STREAMS_MAX,
  keepaliveIntervalMs: KEEPALIVE_INTERVAL_MS,
  keepaliveTimeoutMs: KEEPALIVE_TIMEOUT_MS,
  connectionAgeMs: 0,
};

const GRACE_MS = 30_000;
/** A connection that was told to go because of its age may finish its calls for this long. */
const AGE_GRACE_MS = 30_000;
/** For statuses on their way, and for clients to hang up, once no call is under way. */
const HANG_UP_MS = 1_000;

const KIND_NAMES: Readonly<Record<CallKind, string>> = {
  unary: 'unary',
  'server-stream': 'serverStream',
  'client-stream': 'clientStream',
  'bidi-stream': 'bidi',
};

export class GrpcServer {
  readonly #options: GrpcServerOptions;
  readonly #application: RpcApplication;
  readonly #methods: ReadonlyMap<string, BoundMethod>;
  readonly #server: Server;
  readonly #host: GrpcCallHost;
  readonly #counters = new CallCounters();
  readonly #calls = new Set<GrpcServerCall>();
  #address: ListenAddress | null = null;
  #isDraining = false;
  #whenIdle: (() => void) | null = null;
  #closing: Promise<GrpcDrainReport> | null = null;

  /** Listens on nothing yet. @throws RpcError RPC_OPTION_INVALID */
  constructor(options: GrpcServerOptions) {
    const { services, host: _, port: __, path: ___, tls: ____, tokens: _____, ...numbers } = options;
    const limits = withDefaults('gRPC server', DEFAULTS, numbers);
    checkNumber('gRPC server', 'messageBytesMax', limits.messageBytesMax, { min: 1, whole: true });
    if (!(limits.sentBytesMax >= 1)) throw invalidOption('gRPC server', 'sentBytesMax', 'must be above 0');
    checkNumber('gRPC server', 'streamsMax', limits.streamsMax, { min: 1, max: 2 ** 31 - 1, whole: true });
    checkNumber('gRPC server', 'keepaliveIntervalMs', limits.keepaliveIntervalMs, { min: 1 });
    checkNumber('gRPC server', 'keepaliveTimeoutMs', limits.keepaliveTimeoutMs, { min: 1 });
    checkNumber('gRPC server', 'connectionAgeMs', limits.connectionAgeMs, { min: 0 });
    this.#options = options;
    this.#application = checkApplication(services);
    this.#methods = bindMethods(this.#application, new Map());
    this.#host = this.#hostOf(limits.sentBytesMax);
    this.#server = new Server({
      interceptors: [this.#intercept],
      'grpc.max_receive_message_length': limits.messageBytesMax,
      'grpc.max_send_message_length': -1, // ours is judged before grpc-js is given anything
      'grpc.max_concurrent_streams': limits.streamsMax,
      'grpc.keepalive_time_ms': limits.keepaliveIntervalMs,
      'grpc.keepalive_timeout_ms': limits.keepaliveTimeoutMs,
      'grpc.enable_channelz': 0,
      ...(limits.connectionAgeMs === 0
        ? {}
        : {
            'grpc.max_connection_age_ms': limits.connectionAgeMs,
            'grpc.max_connection_age_grace_ms': AGE_GRACE_MS,
          }),
    });
    for (const [path, { contract }] of this.#methods)
      this.#server.register(path, notReached, stayBytes, stayBytes, KIND_NAMES[contract.kind]);
  }

  /** Where it listens; only after `listen`. @throws RpcError RPC_CLOSED */
  get address(): ListenAddress {
    if (this.#address === null) throw new RpcError('RPC_CLOSED', 'the gRPC server does not listen');
    return this.#address;
  }

  /**
   * Resolves once calls are accepted.
   * @throws RpcError RPC_UNAVAILABLE: the address cannot be had; ReactorError REACTOR_OPTION_INVALID: `tls` is not usable
   */
  async listen(): Promise<ListenAddress> {
    const { host = '0.0.0.0', port = 0, path, tls } = this.#options;
    if (this.#closing !== null) throw new RpcError('RPC_CLOSED', 'the gRPC server was closed');
    const credentials = serverCredentials(tls);
    const target = path === undefined ? `${host.includes(':') ? `[${host}]` : host}:${port}` : `unix:${path}`;
    const bound = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync(target, credentials, (error, boundPort) => {
        if (error === null) resolve(boundPort);
        else
          reject(
            new RpcError('RPC_UNAVAILABLE', `cannot listen on ${target}: ${error.message}`, { cause: error }),
          );
      });
    });
    this.#address = path === undefined ? { host, port: bound } : { path };
    return this.#address;
  }

  /** What it did, for metrics. */
  figures(): GrpcServerFigures {
    return { callsInFlight: this.#calls.size, calls: this.#counters.figures() };
  }

  /**
   * Accepts nothing more, tells every client, refuses new calls with RPC_SHUTTING_DOWN (surely not executed), lets those
   * under way finish for up to `graceMs` (default 30 s), and cuts what is left. Ends within a second more, whatever
   * clients do. Idempotent; a second call joins the first.
   */
  close({ graceMs = GRACE_MS }: { graceMs?: number } = {}): Promise<GrpcDrainReport> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<GrpcDrainReport> {
    this.#isDraining = true;
    tellDraining(this.#application);
    const hungUp = new Promise<void>((resolve) => {
      this.#server.tryShutdown(() => resolve());
    });
    await this.#idleWithin(graceMs);
    const left = [...this.#calls];
    for (const call of left)
      call.fail(new RpcError('RPC_UNAVAILABLE', 'the server was shut down while the call was under way'));
    await within(HANG_UP_MS, hungUp);
    this.#server.forceShutdown(); // grpc-js waits for connections that never go
    return { cut: left.length };
  }

  /** Resolves when no call is under way any more, or after `graceMs`. */
  async #idleWithin(graceMs: number): Promise<void> {
    if (this.#calls.size === 0) return;
    await within(
      graceMs,
      new Promise<void>((resolve) => {
        this.#whenIdle = resolve;
      }),
    );
    this.#whenIdle = null;
  }

  readonly #intercept: ServerInterceptor = ({ path }, call) => {
    const bound = this.#methods.get(path)!; // grpc-js asks only for what was registered
    return new TakenCall(call, new GrpcServerCall(this.#host, bound, call));
  };

  #hostOf(sentBytesMax: number): GrpcCallHost {
    const isDraining = (): boolean => this.#isDraining;
    return {
      get isDraining() {
        return isDraining();
      },
      sentBytesMax,
      identify: (metadata, peer, call) => this.#identify(metadata, peer, call),
      callStarted: (call) => {
        this.#calls.add(call);
        this.#counters.started(call.method.path);
      },
      callEnded: (call, status) => {
        this.#calls.delete(call);
        this.#counters.ended(call.method.path, status, performance.now() - call.startedMs);
        if (this.#calls.size === 0) this.#whenIdle?.();
      },
      handlerFailed: (call, error) => {
        this.#counters.handlerFailed(call.method.path);
        process.emitWarning(error instanceof Error ? error : String(error), {
          type: 'RpcHandlerFailed',
          detail: call.method.path,
        });
      },
    };
  }

  #identify(metadata: Metadata, peer: Peer, call: ServerInterceptingCallInterface): string | null {
    const { tokens = [] } = this.#options;
    const shown = /^Bearer +(.*)$/i.exec(metadata.text('authorization') ?? '')?.[1] ?? '';
    if (this.#application.authenticate !== undefined) return this.#application.authenticate(shown, peer);
    if (tokens.length === 0) {
      const name = call.getAuthContext().sslPeerCertificate?.subject?.CN;
      return (Array.isArray(name) ? name[0] : name) ?? null;
    }
    const entry = tokens.find(({ token }) => isSameSecret(Buffer.from(token), Buffer.from(shown)));
    if (entry !== undefined) return entry.name;
    const text = shown === '' ? 'the client shows no token' : "the client's token is not known here";
    throw new RpcError('RPC_UNAUTHENTICATED', text, { executed: 'no' });
  }
}

/** What grpc-js would have made a stream of. Its listener is that stream's, which never comes to be. */
class TakenCall extends ServerInterceptingCall {
  readonly #taker: GrpcServerCall;

  constructor(call: ServerInterceptingCallInterface, taker: GrpcServerCall) {
    super(call);
    this.#taker = taker;
  }

  override start(): void {
    this.#taker.start();
  }
}

function stayBytes(bytes: Buffer): Buffer {
  return bytes;
}

function notReached(): never {
  throw new Error('grpc-server.ts takes every call before its stream is made');
}

function isSameSecret(known: Buffer, shown: Buffer): boolean {
  return known.length === shown.length && timingSafeEqual(known, shown);
}

/** Resolves with `work`, or after `delayMs`. */
async function within(delayMs: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, delayMs);
  });
  await Promise.race([work, late]);
  clearTimeout(timer);
}
