// Questions and answers over a channel: an answer is the message with the question's id.
// An answer that nobody waits for, because it came twice or after the time was up, is dropped and counted.
// Reads everything the channel receives: who wants other messages as well reads the channel itself.

import type { Channel, KeptMessage } from './channel.js';
import { type Cancelable, checkInteger, checkTimeout, type WriteOptions } from './channel-options.js';
import { JbusError } from './errors.js';
import type { Lease } from './lease.js';
import { canceled, Pending } from './pending.js';

export interface RequesterOptions {
  /** Questions that may wait for their answer; one more is refused with JBUS_QUEUE_FULL. Default 1024. */
  requestsMax?: number;
  /** Milliseconds from question to answer. Default 30,000. */
  timeoutMs?: number;
}

const REQUESTS_LIMIT = 2 ** 20;
const DEFAULTS: Required<RequesterOptions> = { requestsMax: 1024, timeoutMs: 30_000 };

export class Requester {
  readonly #channel: Channel;
  readonly #options: Required<RequesterOptions>;
  readonly #waiting = new Map<number, Pending<KeptMessage>>();
  #dropped = 0;
  #lastId = 0;

  /** Begins to read; the channel stays its owner's. @throws JbusError JBUS_INVALID_ARGUMENT */
  constructor(channel: Channel, options: RequesterOptions = {}) {
    this.#channel = channel;
    this.#options = { ...DEFAULTS, ...options };
    checkInteger('requestsMax', this.#options.requestsMax, 1, REQUESTS_LIMIT);
    checkTimeout('timeoutMs', this.#options.timeoutMs);
    void this.#receive();
  }

  /** Answers that came twice, late, or unasked. */
  get dropped(): number {
    return this.#dropped;
  }

  /**
   * @throws JbusError (as rejection) JBUS_TIMEOUT: written but not answered, or not even written; JBUS_QUEUE_FULL,
   * JBUS_CANCELED, and what ended the channel.
   */
  async request(
    data: Uint8Array,
    options: Omit<WriteOptions, 'msgId'> & Cancelable = {},
  ): Promise<KeptMessage> {
    const { type = 0, timeoutMs = this.#options.timeoutMs, signal } = options;
    checkTimeout('timeoutMs', timeoutMs);
    if (signal?.aborted === true) throw canceled(signal);
    if (this.#waiting.size >= this.#options.requestsMax) {
      throw new JbusError('JBUS_QUEUE_FULL', `${this.#waiting.size} questions wait for answers already`);
    }
    this.#lastId += 1;
    const msgId = this.#lastId;
    const pending = new Pending<KeptMessage>(performance.now() + timeoutMs);
    this.#waiting.set(msgId, pending);
    const fail = (error: JbusError): void => {
      if (this.#waiting.delete(msgId)) pending.reject(error);
    };
    pending.watch(signal, () => fail(canceled(signal!)));
    const timer = setTimeout(() => fail(new JbusError('JBUS_TIMEOUT', 'no answer came in time')), timeoutMs);
    this.#channel
      .writeAsync(data, { type, msgId, timeoutMs, ...(signal === undefined ? {} : { signal }) })
      .catch(fail);
    try {
      return await pending.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  async #receive(): Promise<void> {
    let end: JbusError;
    try {
      for await (const lease of this.#channel) this.#settle(lease);
      end = this.#channel.ended ?? new JbusError('JBUS_CLOSED', 'the channel is closed');
    } catch (error) {
      end = error as JbusError; // the channel throws nothing else
    }
    for (const pending of this.#waiting.values()) pending.reject(end);
    this.#waiting.clear();
  }

  #settle(lease: Lease): void {
    const pending = this.#waiting.get(lease.msgId);
    if (pending === undefined) {
      this.#dropped += 1;
      return;
    }
    this.#waiting.delete(lease.msgId);
    pending.resolve(lease.keep());
  }
}
