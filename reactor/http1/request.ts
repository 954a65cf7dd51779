// A request as a handler is given it. Everything costs when it is asked for, and nothing before.
// session.ts makes one for each request; what it says stays valid as long as somebody keeps it.

import { ReactorError } from '../errors.js';
import { Refusal } from './refusal.js';
import type { RequestBody } from './request-body.js';
import type { Http1Headers, RequestHead } from './request-head.js';

/** Whom a request comes from. */
export interface RequestSource {
  /** The client's address, or what a PROXY header said; undefined for Unix sockets. */
  readonly remoteAddress: string | undefined;
  readonly remotePort: number | undefined;
}

/** One HTTP request. Its body is read once: by `bytes`, `text`, `json`, or by iterating over it. */
export class Http1Request implements AsyncIterable<Buffer> {
  readonly #head: RequestHead;
  readonly #body: RequestBody | null;
  readonly #source: RequestSource;
  #abort: AbortController | null = null;
  #isAborted = false;

  /** @internal */
  constructor(head: RequestHead, body: RequestBody | null, source: RequestSource) {
    this.#head = head;
    this.#body = body;
    this.#source = source;
  }

  /** As the client spelled it; upper case. */
  get method(): string {
    return this.#head.method;
  }

  /** The request's target as it came: path and query, for a proxy a whole URL, for OPTIONS maybe `*`. */
  get target(): string {
    return this.#head.target;
  }

  /** The target without scheme, host and query; not decoded. */
  get path(): string {
    const { target } = this.#head;
    const start = pathStart(target);
    const query = target.indexOf('?', start);
    const path = target.slice(start, query === -1 ? undefined : query);
    return path === '' ? '/' : path;
  }

  /** What follows the first `?`, '' without one; `new URLSearchParams(request.query)` takes it apart. */
  get query(): string {
    const { target } = this.#head;
    const mark = target.indexOf('?');
    return mark === -1 ? '' : target.slice(mark + 1);
  }

  get headers(): Http1Headers {
    return this.#head;
  }

  get remoteAddress(): string | undefined {
    return this.#source.remoteAddress;
  }

  get remotePort(): number | undefined {
    return this.#source.remotePort;
  }

  /** Aborted when the client goes before it has its answer. */
  get signal(): AbortSignal {
    if (this.#abort === null) {
      this.#abort = new AbortController();
      if (this.#isAborted) this.#abort.abort(clientGone());
    }
    return this.#abort.signal;
  }

  /**
   * The whole body, at most `bytesMax` of it (and of the server's `bodyBytesMax`). An error that gets out of
   * the handler is answered with its status: 413 above the bound, 400 where the body is malformed.
   * @throws ReactorError REACTOR_REQUEST_TOO_LARGE, REACTOR_REQUEST_MALFORMED, REACTOR_CONNECTION_CLOSED
   */
  async bytes(bytesMax: number = Infinity): Promise<Buffer> {
    return this.#body === null ? Buffer.alloc(0) : await this.#body.collect(bytesMax);
  }

  /** The whole body as UTF-8. @throws like `bytes` */
  async text(bytesMax: number = Infinity): Promise<string> {
    return (await this.bytes(bytesMax)).toString('utf8');
  }

  /** The whole body as JSON. @throws like `bytes`; REACTOR_REQUEST_MALFORMED when it is no JSON */
  async json(bytesMax: number = Infinity): Promise<unknown> {
    const text = await this.text(bytesMax);
    try {
      return JSON.parse(text);
    } catch (cause) {
      throw new Refusal(400, 'the body is not JSON', { cause });
    }
  }

  /** The body in the pieces it comes in; while you are busy with one, the client has to wait. */
  [Symbol.asyncIterator](): AsyncGenerator<Buffer, void, undefined> {
    return this.#body === null ? nothing() : this.#body.stream();
  }

  /** @internal The client is gone. */
  aborted(): void {
    if (this.#isAborted) return;
    this.#isAborted = true;
    this.#abort?.abort(clientGone());
  }
}

async function* nothing(): AsyncGenerator<Buffer, void, undefined> {}

function pathStart(target: string): number {
  if (target.startsWith('/') || target === '*') return 0;
  const authority = target.indexOf('//') + 2;
  const slash = target.slice(authority).search(/[/?]/);
  return slash === -1 ? target.length : authority + slash;
}

function clientGone(): ReactorError {
  return new ReactorError('REACTOR_CONNECTION_CLOSED', 'the client closed the connection');
}
