// One thread's end of the MessagePort to another thread: carries what does not fit a task ring.
// mesh-seat.ts keeps one per peer; task-queue.ts sends a payload here, then the ring record that announces
// it, so whoever takes the record finds the payload without waiting. Without eventfds it also carries wakes.
// A payload whose announcement was never published (its sender was terminated) is dropped by the next one.

import assert from 'node:assert/strict';
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads';

/** The two priorities of tasks; each has a ring of its own per pair of threads. */
export type Lane = 'urgent' | 'normal';

type LinkMessage = 'wake' | { readonly lane: Lane; readonly sequence: number; readonly payload: Uint8Array };

export class PeerLink {
  readonly #isSelf: boolean;
  readonly #arrived: Record<Lane, Map<number, Uint8Array>> = { urgent: new Map(), normal: new Map() };
  #port: MessagePort | null = null;
  #incarnation: number | null;
  #onWake: (() => void) | null = null;
  #isRef: boolean = false;

  /** A link to the own thread needs no port: give it the own incarnation. Others have none yet: null. */
  constructor(selfIncarnation: number | null) {
    this.#isSelf = selfIncarnation !== null;
    this.#incarnation = selfIncarnation;
  }

  /** The incarnation of the peer that reads the other end, null for none. */
  get incarnation(): number | null {
    return this.#incarnation;
  }

  /** Goes over to the peer's next incarnation, or to none; what the last one sent stays takable. */
  replacePort(port: MessagePort | null, incarnation: number | null): void {
    assert(!this.#isSelf);
    if (this.#port !== null) {
      this.#receiveUntil(null);
      this.#port.close();
    }
    this.#port = port;
    this.#incarnation = incarnation;
    if (port !== null && this.#onWake !== null) this.#listen(port, this.#onWake);
  }

  /** Sends a copy of a payload that the caller will announce in the ring of `lane`. */
  send(lane: Lane, sequence: number, payload: Uint8Array): void {
    // A clone of the view would take all of the memory under it along, a whole slab perhaps.
    const copy = new Uint8Array(payload);
    if (this.#isSelf) this.#arrived[lane].set(sequence, copy);
    else this.#port?.postMessage({ lane, sequence, payload: copy } satisfies LinkMessage, [copy.buffer]);
  }

  /** The payload that a record of `lane` announced; null when it died with its receiver. */
  take(lane: Lane, sequence: number): Uint8Array | null {
    const arrived = this.#arrived[lane];
    if (!arrived.has(sequence)) this.#receiveUntil({ lane, sequence });
    const payload = arrived.get(sequence) ?? null;
    for (const earlier of arrived.keys()) {
      if (((earlier - sequence) | 0) > 0) break;
      arrived.delete(earlier); // announcements of one lane come in order: an earlier one will never come
    }
    return payload;
  }

  wake(): void {
    this.#port?.postMessage('wake' satisfies LinkMessage);
  }

  /** From now on wakes sent by the peer call `onWake`. */
  listen(onWake: () => void): void {
    this.#onWake = onWake;
    if (this.#port !== null) this.#listen(this.#port, onWake);
  }

  /** Whether a listening link keeps the thread alive; it does not until asked. */
  setRef(isRef: boolean): void {
    this.#isRef = isRef;
    if (this.#onWake === null || this.#port === null) return;
    if (isRef) this.#port.ref();
    else this.#port.unref();
  }

  close(): void {
    this.#port?.close();
    this.#port = null;
    this.#arrived.urgent.clear();
    this.#arrived.normal.clear();
  }

  #listen(port: MessagePort, onWake: () => void): void {
    port.on('message', (message: LinkMessage) => {
      if (message === 'wake') onWake();
      else this.#arrived[message.lane].set(message.sequence, message.payload);
    });
    if (!this.#isRef) port.unref(); // listening made it keep the thread alive
  }

  /** Receives without waiting until the wanted payload is here, or everything is. */
  #receiveUntil(wanted: { readonly lane: Lane; readonly sequence: number } | null): void {
    while (this.#port !== null) {
      const received: { message: LinkMessage } | undefined = receiveMessageOnPort(this.#port);
      if (received === undefined) return;
      const { message } = received;
      if (message === 'wake') continue; // whoever receives is awake
      this.#arrived[message.lane].set(message.sequence, message.payload);
      if (message.lane === wanted?.lane && message.sequence === wanted.sequence) return;
    }
  }
}
