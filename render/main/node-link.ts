// The way to one worker node: its images, its log, and what it is told.
// node-book.ts makes one for each registration. Nothing is tried again here: the scheduler gives what was lost to others.

import { RpcClient, RpcError, type Caller } from '../../rpc/index.js';
import type { TlsClientOptions } from '../../reactor/index.js';
import { RenderError } from '../errors.js';
import { FarmWorkerClient } from '../proto/farm.js';
import { Code, ErrCode, type Serial, SlaveEmulateClient } from '../proto/render.js';
import { AttemptReader } from './attempt-reader.js';
import type { Answer } from './effects.js';
import { type JobSpec, slaveRequest } from './job-spec.js';

export interface NodeLinkOptions {
  /** host:port */
  readonly address: string;
  readonly token: string;
  readonly tls: TlsClientOptions | null;
}

export interface SentAttempt {
  readonly id: number;
  readonly version: number;
  readonly first: number;
  readonly count: number;
}

export interface AttemptEnd {
  readonly answer: Answer;
  readonly reader: AttemptReader;
}

const CONNECTIONS_MAX = 2;
const CONNECT_TIMEOUT_MS = 3000;
const CALL_TIMEOUT_MS = 5000;
/** A node that said goodbye and is there again is asked again. */
const DRAINING_MS = 500;
const REFUSED_RETRY_MS = 500;
/** Beyond the time that an attempt has: until then the scheduler keeps its room on the node. */
const ATTEMPT_GRACE_MS = 600_000;
const TIMEOUT_MS_MAX = 2 ** 31 - 1;

export class NodeLink {
  readonly #client: RpcClient;
  readonly #slave: SlaveEmulateClient;
  readonly #worker: FarmWorkerClient;
  readonly #closed = new AbortController();

  constructor({ address, token, tls }: NodeLinkOptions) {
    this.#client = new RpcClient({
      target: address,
      name: `the worker node ${address}`,
      token,
      ...(tls === null ? {} : { tls }),
      timeoutMs: CALL_TIMEOUT_MS,
      retry: { attemptsMax: 1 },
      selector: { outlier: false, breaker: false, drainingMs: DRAINING_MS },
      pool: {
        connectionsMin: 0,
        connectionsMax: CONNECTIONS_MAX,
        connectTimeoutMs: CONNECT_TIMEOUT_MS,
        backoffMaxMs: 1000,
      },
    });
    const caller: Caller = this.#client;
    this.#slave = new SlaveEmulateClient(caller);
    this.#worker = new FarmWorkerClient(caller);
  }

  /** Resolves when nothing more comes of the attempt; never rejects. */
  async render(spec: JobSpec, attempt: SentAttempt, timeoutMs: number): Promise<AttemptEnd> {
    const reader = new AttemptReader(spec, attempt.first, attempt.count);
    const startedAt = performance.now();
    const timeoutAllMs = Math.min(TIMEOUT_MS_MAX, Math.ceil(timeoutMs + ATTEMPT_GRACE_MS));
    try {
      const messages = this.#slave.renderStream(slaveRequest(spec, attempt, timeoutMs), {
        timeoutMs: timeoutAllMs,
        signal: this.#closed.signal,
      });
      for await (const message of messages) {
        if (message.requestId !== BigInt(attempt.id)) continue; // of nobody
        reader.take(message, performance.now() - startedAt);
        if (reader.isOver) break;
      }
      return { answer: reader.answer(performance.now() - startedAt), reader };
    } catch (error) {
      return { answer: answerOf(error), reader };
    }
  }

  /** Nobody waits for the attempt any more. Whether the node heard of it shows in its beats. */
  cancel(id: Serial, attempt: number): void {
    this.#slave.cancel({ id, requestId: BigInt(attempt) }).catch(() => {}); // its next beat tells; it is told again then
  }

  /** @throws RenderError RENDER_UNAVAILABLE */
  async drain(id: Serial): Promise<void> {
    const status = await this.#slave.drain(id).catch(unavailable);
    if (status.code !== Code.OK) throw new RenderError('RENDER_UNAVAILABLE', status.message);
  }

  /** @throws RenderError RENDER_UNAVAILABLE, RENDER_NOT_FOUND */
  async log(attempt: number, index: number): Promise<string> {
    const { text } = await this.#worker
      .log({ requestId: BigInt(attempt), index }, { timeoutMs: CALL_TIMEOUT_MS })
      .catch(unavailable);
    return text;
  }

  async close(): Promise<void> {
    this.#closed.abort();
    await this.#client.close(0);
  }
}

function answerOf(error: unknown): Answer {
  if (!(error instanceof RpcError)) throw error;
  switch (error.status) {
    case 'RESOURCE_EXHAUSTED':
      return error.code === 'RPC_MESSAGE_TOO_LARGE'
        ? { kind: 'failed', code: ErrCode.EC_BAD_IMAGE, error: error.message }
        : { kind: 'refused', retryAfterMs: error.retryPushbackMs ?? REFUSED_RETRY_MS };
    case 'UNAVAILABLE':
    case 'CANCELLED':
    case 'DEADLINE_EXCEEDED':
      return { kind: 'lost' };
    default:
      return { kind: 'failed', code: ErrCode.EC_RENDER_FAILED, error: `${error.code}: ${error.message}` };
  }
}

function unavailable(cause: unknown): never {
  if (!(cause instanceof RpcError)) throw cause;
  const code = cause.status === 'NOT_FOUND' ? 'RENDER_NOT_FOUND' : 'RENDER_UNAVAILABLE';
  throw new RenderError(code, cause.message, { cause });
}
