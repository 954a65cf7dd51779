// Who a driver is at its main node: it registers, beats as often as it was told to, and registers anew when it was forgotten.
// render-driver.ts owns one and asks it for the serial before every call.
// A main node that forgot a driver also forgot where its object was: it is moved there again before anybody hears of the new serial.

import { RenderError } from '../errors.js';
import { Code, type EmulateClient, type Position, type Serial } from '../proto/render.js';
import type { CompleteDriverOptions } from './driver-options.js';
import { errorOfCall, errorOfStatus, isPassing } from './failures.js';
import { canceled, Patience } from './patience.js';

/** Of main nodes that do not say how often. */
const HEARTBEAT_MS = 1_000;
const UNREGISTER_MS = 2_000;

export class Registration {
  readonly #client: EmulateClient;
  readonly #options: CompleteDriverOptions;
  readonly #closing = new AbortController();
  #serial: Serial | null = null;
  #attempt: Promise<Serial> | null = null;
  #timer: NodeJS.Timeout | null = null;
  #isBeating = false;
  #position: Position | null = null;
  #registrations = 0;

  constructor(client: EmulateClient, options: CompleteDriverOptions) {
    this.#client = client;
    this.#options = options;
  }

  /** How often it has registered: above 1 it was forgotten meanwhile. */
  get registrations(): number {
    return this.#registrations;
  }

  /** Where the object was last moved; null while it never was. */
  get position(): Position | null {
    return this.#position;
  }

  set position(position: Position) {
    this.#position = position;
  }

  get signal(): AbortSignal {
    return this.#closing.signal;
  }

  /** The serial, once there is one. @throws RenderError */
  async serial(patience: Patience): Promise<Serial> {
    for (;;) {
      if (this.signal.aborted) throw canceled(this.signal);
      if (this.#serial !== null) return this.#serial;
      try {
        return await this.#registered();
      } catch (error) {
        if (!isPassing(error)) throw error;
        await patience.pause(error);
      }
    }
  }

  /** The main node does not know `serial` any more. One that has been followed by another is no news. */
  forgotten(serial: Serial): void {
    if (this.#serial === serial) this.#serial = null;
  }

  /** Says good-bye. Whoever cannot be told finds out by the missing beats. */
  async close(): Promise<void> {
    if (this.signal.aborted) return;
    this.#closing.abort(new RenderError('RENDER_CLOSED', 'the driver was closed'));
    if (this.#timer !== null) clearInterval(this.#timer);
    await this.#attempt?.catch(() => {}); // whoever waits for it has heard
    const serial = this.#serial;
    this.#serial = null;
    if (serial === null) return;
    try {
      await this.#client.unRegisterDriver(serial, { timeoutMs: UNREGISTER_MS });
    } catch {
      // the main node is gone, or takes us for gone when no beat comes
    }
  }

  #registered(): Promise<Serial> {
    this.#attempt ??= this.#register().finally(() => {
      this.#attempt = null;
    });
    return this.#attempt;
  }

  async #register(): Promise<Serial> {
    const { name, version, token, callTimeoutMs } = this.#options;
    try {
      const call = { timeoutMs: callTimeoutMs, signal: this.signal };
      const answer = await this.#client.registerDriver({ name, version, token }, call);
      const refusal = errorOfStatus(answer.status);
      if (refusal !== null) throw refusal;
      const { serial, heartbeatMs } = answer;
      if (serial === undefined)
        throw new RenderError('RENDER_MESSAGE_INVALID', 'the main node registered us without a serial');
      if (this.#position !== null) {
        const moved = await this.#client.move({ id: serial, position: this.#position }, call);
        const failure = errorOfStatus(moved.status);
        if (failure !== null) throw failure;
      }
      this.#registrations += 1;
      this.#serial = serial;
      this.#beatEvery(heartbeatMs > 0 ? heartbeatMs : HEARTBEAT_MS);
      return serial;
    } catch (error) {
      throw errorOfCall(error);
    }
  }

  #beatEvery(heartbeatMs: number): void {
    if (this.signal.aborted) return;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = setInterval(() => void this.#beat(heartbeatMs), heartbeatMs);
    void this.#beat(heartbeatMs); // from now on it is missed when it falls silent, and not only once its calls break
  }

  /** Never rejects: the next beat is the answer to one that failed. */
  async #beat(heartbeatMs: number): Promise<void> {
    if (this.#isBeating) return;
    this.#isBeating = true;
    try {
      const serial = this.#serial ?? (await this.#registered());
      const { code } = await this.#client.heartBeatUser(serial, {
        timeoutMs: heartbeatMs,
        signal: this.signal,
      });
      if (code !== Code.UNAUTHORIZED) return;
      this.forgotten(serial);
      await this.#registered();
    } catch {
      // not reached, or no room for us now: whoever calls hears why, and the next beat tries again
    } finally {
      this.#isBeating = false;
    }
  }
}
