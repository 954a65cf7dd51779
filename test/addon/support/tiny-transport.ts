// The smallest TypeScript half of a Transport that tests need: its memory, and output by slot.
// The real one lives in reactor/; this one has no policy, so that a test sees what C++ does.
import {
  CONTROL_SEND_BYTES,
  CONTROL_SEND_RECORDS,
  CONTROL_WORDS,
  EVENT_A,
  EVENT_B,
  EVENT_C,
  EVENT_SLOT,
  EVENT_TYPE,
  EVENT_WORDS,
  requireAddon,
  SEND_BYTES,
  SEND_OFFSET,
  SEND_SLOT,
  SEND_WORDS,
  STATUS_PENDING_BYTES,
  STATUS_WORDS,
  type Transport,
  type TransportMemory,
  type TransportOptions,
} from '../../../addon/index.js';

export interface TransportEvent {
  readonly type: number;
  readonly slot: number;
  readonly a: number;
  readonly b: number;
  readonly c: number;
}

export interface TinyOptions extends Partial<Omit<TransportOptions, keyof TransportMemory>> {
  receiveSlabBytes?: number;
  eventRecords?: number;
  slotsMax?: number;
}

const KIB = 1024;

export interface Deferred<T> {
  readonly promise: Promise<T>;
  readonly resolve: (value: T) => void;
}

/** A promise that an event settles. */
export function deferred<T>(): Deferred<T> {
  let resolve!: (value: T) => void;
  const promise = new Promise<T>((settle) => {
    resolve = settle;
  });
  return { promise, resolve };
}

export class TinyTransport {
  readonly transport: Transport;
  readonly memory: TransportMemory;
  /** Called for every event; the receive slab is valid until it returns. */
  onEvent: (event: TransportEvent) => void;
  /** Called at the end of every batch, which may be one of no events. */
  onBatchEnd: (eventCount: number) => void = () => {};
  #next = 0;

  constructor(options: TinyOptions, onEvent: (event: TransportEvent) => void) {
    this.onEvent = onEvent;
    this.memory = {
      receiveSlab: new Uint8Array(options.receiveSlabBytes ?? 1024 * KIB),
      events: new Uint32Array((options.eventRecords ?? 4096) * EVENT_WORDS),
      sendSlab: new Uint8Array(1024 * KIB),
      sends: new Uint32Array(4096 * SEND_WORDS),
      status: new Uint32Array((options.slotsMax ?? 4096) * STATUS_WORDS),
      control: new Uint32Array(CONTROL_WORDS),
    };
    const { Transport: NativeTransport } = requireAddon();
    this.transport = new NativeTransport(
      {
        ...this.memory,
        outputBytesMax: options.outputBytesMax ?? 64 * KIB * KIB,
        ...(options.asyncResource === undefined ? {} : { asyncResource: options.asyncResource }),
      },
      (eventCount) => this.#onBatch(eventCount),
    );
  }

  /** A copy of the bytes an event points to. */
  bytesOf(event: TransportEvent): Buffer {
    return Buffer.from(this.memory.receiveSlab.subarray(event.b, event.b + event.c));
  }

  /** Describes `bytes` as output; the transport sends it after the batch, or at `flush`. */
  send(slot: number, bytes: Uint8Array): void {
    const { control, sends, sendSlab } = this.memory;
    if (control[CONTROL_SEND_BYTES]! + bytes.length > sendSlab.length) this.transport.flush();
    if ((control[CONTROL_SEND_RECORDS]! + 1) * SEND_WORDS > sends.length) this.transport.flush();
    const offset = control[CONTROL_SEND_BYTES]!;
    const record = control[CONTROL_SEND_RECORDS]! * SEND_WORDS;
    sendSlab.set(bytes, offset);
    sends[record + SEND_SLOT] = slot;
    sends[record + SEND_OFFSET] = offset;
    sends[record + SEND_BYTES] = bytes.length;
    control[CONTROL_SEND_BYTES] = offset + bytes.length;
    control[CONTROL_SEND_RECORDS]!++;
  }

  pendingBytes(slot: number): number {
    return this.memory.status[slot * STATUS_WORDS + STATUS_PENDING_BYTES]!;
  }

  #onBatch(eventCount: number): void {
    const { events } = this.memory;
    while (this.#next < eventCount) {
      const at = this.#next++ * EVENT_WORDS;
      this.onEvent({
        type: events[at + EVENT_TYPE]!,
        slot: events[at + EVENT_SLOT]!,
        a: events[at + EVENT_A]!,
        b: events[at + EVENT_B]!,
        c: events[at + EVENT_C]!,
      });
    }
    this.#next = 0;
    this.onBatchEnd(eventCount);
  }
}
