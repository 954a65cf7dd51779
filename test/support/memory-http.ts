// HTTP sessions over connections in memory: what a client sends may be cut at any byte, and time is a number.

import type { TestContext } from 'node:test';
import { FrameAssembler } from '../../reactor/codecs/frame-assembler.js';
import type { FrameDecoder } from '../../reactor/codec.js';
import type { Connection } from '../../reactor/connection.js';
import type { Http1Handlers } from '../../reactor/http1/handlers.js';
import { type Http1Options, resolveHttp1Limits } from '../../reactor/http1/options.js';
import { Session, SESSION_HOOKS, sessionOf } from '../../reactor/http1/session.js';
import { SessionHost } from '../../reactor/http1/session-host.js';
import type { HttpTimeouts } from '../../reactor/http-backend.js';
import { MemoryHost } from './memory-connection.js';

/** Its connections speak HTTP to `handlers`. */
export class MemoryHttp extends MemoryHost {
  readonly sessions: SessionHost;
  /** Told of failures that nobody asked about. */
  readonly failures: unknown[] = [];

  constructor(t: TestContext, handlers: Http1Handlers, options: Http1Options & HttpTimeouts = {}) {
    super(t, SESSION_HOOKS, { allowHalfOpen: true, pauseReadingWhenFull: false, firstByteTimeoutMs: 0 });
    this.sessions = new SessionHost(
      this.loop,
      this.counters,
      this.sampler,
      (error) => this.failures.push(error),
      resolveHttp1Limits(options),
      handlers,
    );
  }

  /** Lets time pass, in steps that no timer is missed by. */
  async pass(ms: number): Promise<void> {
    const stepMs = 100;
    for (let left = ms; left > 0; left -= stepMs) {
      this.nowMs += Math.min(left, stepMs);
      for (const connection of this.loop.connections) sessionOf(connection).timer.onTimer();
      await settle();
      this.endTurn();
    }
  }

  createDecoder(connection: Connection): FrameDecoder {
    return new FrameAssembler(this.loop.pool, Session.of(connection, this.sessions));
  }
}

/** Lets promises of handlers settle and what they brought about happen. */
export async function settle(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await new Promise((resolve) => setImmediate(resolve));
}
