// An RPC server's share of one thread: its sessions, its methods, the calls at work, and its part of a drain.
// rpc-host.ts makes one per thread and binds the user's module to it; a reload binds another and keeps the sessions.
// rpc-server.ts steers all threads by named tasks.

import { timingSafeEqual } from 'node:crypto';

import type { Connection, EventLoop, Handlers, TimerHandle } from '../../reactor/index.js';
import type { Peer } from '../call.js';
import { RpcError } from '../errors.js';
import { GOAWAY_REASON } from '../wire/control-frames.js';
import type { Hello } from '../wire/hello.js';
import { type BoundMethod, ServerSession, type ServerSessionHost } from '../session/server-session.js';
import type { ServerStream } from '../session/server-stream.js';
import type { SessionLimits } from '../session/session-options.js';
import { bindMethods, type RpcApplication, tellDraining } from './application.js';
import { CallCounters, type CallFigures } from './call-counters.js';

/** Who may connect: a client that shows `token` goes by `name`. */
export interface TokenEntry {
  readonly token: string;
  readonly name: string;
}

/** Plain data, the same for every thread. */
export interface ThreadServerSpec {
  /** Tells this server from others on the same reactor. */
  readonly key: string;
  readonly agent: string;
  readonly session: SessionLimits;
  /** Empty: everybody may connect. */
  readonly tokens: readonly TokenEntry[];
  /** 0: connections may grow old. */
  readonly connectionAgeMs: number;
}

export interface ThreadFigures {
  readonly connections: number;
  readonly callsInFlight: number;
  readonly calls: readonly CallFigures[];
}

/** Warnings about one method's failing handler are not closer together. */
const WARN_EVERY_MS = 1000;
/** Shares of the time a connection may live, up and down, so that not all are renewed at once. */
const AGE_JITTER = 0.1;
/** A connection's calls have this long after it was told to go elsewhere because of its age. */
const AGE_GRACE_MS = 30_000;

export class ThreadServer implements ServerSessionHost {
  readonly agent: string;
  readonly #spec: ThreadServerSpec;
  readonly #loop: EventLoop;
  readonly #sessions = new Set<ServerSession>();
  readonly #ageTimers = new Map<ServerSession, TimerHandle>();
  readonly #active = new Map<string, number>();
  readonly #counters = new CallCounters();
  /** By path: when the next warning about its handler may be written. */
  readonly #warnAgainMs = new Map<string, number>();
  #application: RpcApplication = { services: [] };
  #methods: Map<string, BoundMethod> = new Map();
  #isDraining = false;
  #callsInFlight = 0;
  #whenIdle: (() => void) | null = null;

  constructor(loop: EventLoop, spec: ThreadServerSpec) {
    this.#loop = loop;
    this.#spec = spec;
    this.agent = spec.agent;
  }

  /** Puts the code of a (re)loaded module in charge of every call from now on. */
  bind(application: RpcApplication): void {
    this.#methods = bindMethods(application, this.#active);
    this.#application = application;
  }

  /** What the reactor calls. */
  handlers(): Handlers {
    return {
      onConnect: (connection) => {
        const { remoteAddress: address, remotePort: port } = connection;
        const session = new ServerSession(connection, this.#loop, this.#spec.session, this, {
          address,
          port,
        });
        session.certifiedName = nameIn(connection.peerCertificate);
        connection.context = session;
        this.#sessions.add(session);
        session.start();
      },
      onFrame: (connection, frame) => sessionOf(connection).receive(frame.msgId, frame.body),
      onDrain: (connection) => sessionOf(connection).drained(),
      onClose: (connection, reason) =>
        sessionOf(connection).lost(new RpcError('RPC_CONNECTION_LOST', `the connection ended: ${reason}`)),
    };
  }

  // ServerSessionHost.

  get isDraining(): boolean {
    return this.#isDraining;
  }

  find(path: string): BoundMethod | undefined {
    return this.#methods.get(path);
  }

  identify(hello: Hello, peer: Peer): string | null {
    if (this.#application.authenticate !== undefined) return askUser(this.#application, hello.token, peer);
    const { tokens } = this.#spec;
    if (tokens.length === 0) return peer.identity;
    const shown = Buffer.from(hello.token);
    const entry = tokens.find(({ token }) => isSameSecret(Buffer.from(token), shown));
    if (entry === undefined) {
      const text = hello.token === '' ? 'the client shows no token' : "the client's token is not known here";
      throw new RpcError('RPC_UNAUTHENTICATED', text, { executed: 'no' });
    }
    return entry.name;
  }

  callStarted(call: ServerStream): void {
    this.#callsInFlight += 1;
    this.#counters.started(call.method.path);
  }

  callEnded(call: ServerStream, status: number): void {
    this.#callsInFlight -= 1;
    this.#counters.ended(call.method.path, status, this.#loop.nowMs - call.startedMs);
    if (this.#callsInFlight === 0) this.#whenIdle?.();
  }

  handlerFailed(call: ServerStream, error: unknown): void {
    const { path } = call.method;
    this.#counters.handlerFailed(path);
    const { nowMs } = this.#loop;
    if (nowMs < (this.#warnAgainMs.get(path) ?? 0)) return; // counted; a client must not fill the log
    this.#warnAgainMs.set(path, nowMs + WARN_EVERY_MS);
    process.emitWarning(error instanceof Error ? error : String(error), {
      type: 'RpcHandlerFailed',
      detail: path,
    });
  }

  sessionGreeted(session: ServerSession): void {
    if (this.#isDraining) {
      session.goaway(GOAWAY_REASON.shutdown, 'the server is shutting down', 0);
      return;
    }
    const { connectionAgeMs } = this.#spec;
    if (connectionAgeMs === 0) return;
    const ageMs = connectionAgeMs * (1 - AGE_JITTER + 2 * AGE_JITTER * Math.random());
    const timer = this.#loop.runAfter(ageMs, () => {
      session.goaway(GOAWAY_REASON.age, `the connection is ${Math.round(ageMs / 1000)} s old`, AGE_GRACE_MS);
      if (!this.#sessions.has(session)) return; // it was idle, and that was its end
      const grace = this.#loop.runAfter(AGE_GRACE_MS, () =>
        session.cut(new RpcError('RPC_CANCELLED', 'the connection is too old')),
      );
      this.#ageTimers.set(session, grace);
    });
    this.#ageTimers.set(session, timer);
  }

  sessionEnded(session: ServerSession): void {
    this.#sessions.delete(session);
    const timer = this.#ageTimers.get(session);
    if (timer === undefined) return;
    this.#loop.cancel(timer);
    this.#ageTimers.delete(session);
  }

  // Drain.

  /** Tells every client to go elsewhere; calls under way go on, new ones are refused. */
  startDraining(graceMs: number): void {
    this.#isDraining = true;
    tellDraining(this.#application);
    for (const session of this.#sessions)
      session.goaway(GOAWAY_REASON.shutdown, 'the server is shutting down', graceMs);
  }

  /** Resolves to true when no call is under way any more, to false after `graceMs`. */
  idleWithin(graceMs: number): Promise<boolean> {
    if (this.#callsInFlight === 0) return Promise.resolve(true);
    return new Promise((resolve) => {
      const done = (isIdle: boolean): void => {
        this.#loop.cancel(timer);
        this.#whenIdle = null;
        resolve(isIdle);
      };
      const timer = this.#loop.runAfter(graceMs, () => done(false));
      this.#whenIdle = () => done(true);
    });
  }

  /** Ends every call that is left; returns how many that were. */
  cut(): number {
    const error = new RpcError('RPC_UNAVAILABLE', 'the server was shut down while the call was under way');
    return [...this.#sessions].reduce((sum, session) => sum + session.cut(error), 0);
  }

  figures(): ThreadFigures {
    return {
      connections: this.#sessions.size,
      callsInFlight: this.#callsInFlight,
      calls: this.#counters.figures(),
    };
  }
}

/** The common name of a certificate, or else its first alternative name. */
function nameIn(certificate: Connection['peerCertificate']): string | null {
  if (certificate === null) return null;
  const { CN: name } = certificate.subject;
  return (Array.isArray(name) ? name[0] : name) ?? certificate.subjectaltname?.split(', ')[0] ?? null;
}

function sessionOf(connection: Connection): ServerSession {
  return connection.context as ServerSession; // onConnect put it there
}

/** @throws RpcError RPC_UNAUTHENTICATED, also when the function fails: a stranger is not let in by accident */
function askUser(application: RpcApplication, token: string, peer: Peer): string | null {
  let name: unknown;
  try {
    name = application.authenticate?.(token, peer);
  } catch (cause) {
    if (cause instanceof RpcError && cause.code === 'RPC_UNAUTHENTICATED') throw cause;
    process.emitWarning(cause instanceof Error ? cause : 'authenticate failed', {
      type: 'RpcAuthenticateFailed',
    });
    throw new RpcError('RPC_UNAUTHENTICATED', 'the client could not be identified', {
      cause,
      executed: 'no',
    });
  }
  if (name === null || typeof name === 'string') return name;
  const text = `authenticate answered with ${typeof name}, not with a name or null`; // a promise, most likely
  process.emitWarning(text, { type: 'RpcAuthenticateFailed' });
  throw new RpcError('RPC_UNAUTHENTICATED', 'the client could not be identified', { executed: 'no' });
}

function isSameSecret(known: Buffer, shown: Buffer): boolean {
  return known.length === shown.length && timingSafeEqual(known, shown);
}
