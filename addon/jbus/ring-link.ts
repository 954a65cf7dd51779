// A link over two rings in shared memory, whichever way the segments came to be.
// sysv-link.ts and memfd-link.ts make the segments and the doorbell; this opens one side of both rings.

import { native } from './errors.js';
import {
  SIDE_CONSUMER,
  SIDE_PRODUCER,
  type SegmentState,
  STATE_CLOSING,
  STATE_POISONED,
  segmentStateOf,
} from './layout.js';
import type { BackingName, ChannelLink, Doorbell, LinkReader, LinkWriter, PeerFacts } from './link.js';
import { shmAddon } from './native.js';
import { checkOpened } from './ring-side.js';
import { ShmSegment } from './shm-segment.js';

export interface RingLinkParts {
  readonly backing: BackingName;
  /** The segment this side writes, and the one it reads. */
  readonly outId: number;
  readonly inId: number;
  readonly messageBytesMax: number;
  /** Called last: who cannot have both sides does not come to the peer's door. */
  openDoorbell(): Doorbell;
  /** The peer has come. */
  onSettle(): void;
  /** Last, once. */
  onClose(): void;
}

export class RingLink implements ChannelLink {
  readonly backing: BackingName;
  readonly canBlock = true;
  readonly writer: LinkWriter;
  readonly reader: LinkReader;
  readonly doorbell: Doorbell;
  readonly outCapacity: number;
  readonly inCapacity: number;
  readonly memory: Uint8Array;
  readonly #parts: RingLinkParts;
  readonly #undo: (() => void)[] = [];
  #isClosed = false;

  /** Everything in `parts` is this object's from here on, also when it throws. @throws JbusError JBUS_SIDE_TAKEN, … */
  constructor(parts: RingLinkParts) {
    const { outId, inId } = parts;
    this.#parts = parts;
    this.backing = parts.backing;
    this.#undo.push(() => parts.onClose());
    try {
      const writer = native(() => new (shmAddon().ShmRingWriter)());
      this.#undo.push(() => writer.close());
      checkOpened(
        native(() => writer.open(outId)),
        outId,
      );
      const reader = native(() => new (shmAddon().ShmRingReader)());
      this.#undo.push(() => reader.close());
      checkOpened(
        native(() => reader.open(inId, parts.messageBytesMax)),
        inId,
      );
      const segment = ShmSegment.attach(inId);
      this.#undo.push(() => segment.close());
      this.writer = writer;
      this.reader = reader;
      this.memory = new Uint8Array(segment.buffer);
      this.inCapacity = segment.header().capacity;
      this.outCapacity = native(() => shmAddon().shmHeader(outId)).capacity;
      this.doorbell = parts.openDoorbell();
    } catch (error) {
      this.close();
      throw error;
    }
  }

  state(): SegmentState {
    const { outId, inId } = this.#parts;
    const [first, second] = [shmAddon().shmState(outId), shmAddon().shmState(inId)];
    const later = Math.max(first, second);
    return segmentStateOf(later >= STATE_CLOSING ? later : Math.min(first, second));
  }

  mark(state: 'closing' | 'poisoned'): void {
    const word = state === 'closing' ? STATE_CLOSING : STATE_POISONED;
    shmAddon().shmMark(this.#parts.outId, word);
    shmAddon().shmMark(this.#parts.inId, word);
  }

  beat(): void {
    shmAddon().shmBeat(this.#parts.outId, SIDE_PRODUCER);
    shmAddon().shmBeat(this.#parts.inId, SIDE_CONSUMER);
  }

  peer(): PeerFacts {
    const writes = shmAddon().shmSide(this.#parts.inId, SIDE_PRODUCER);
    const reads = shmAddon().shmSide(this.#parts.outId, SIDE_CONSUMER);
    const pid = writes.pid || reads.pid;
    const isAlive = pid === 0 ? undefined : writes.alive || reads.alive;
    return { pid, isAlive, heartbeatMs: Math.max(writes.heartbeatMs, reads.heartbeatMs) };
  }

  settle(): void {
    this.#parts.onSettle();
  }

  close(): void {
    if (this.#isClosed) return;
    this.#isClosed = true;
    (this.doorbell as Doorbell | undefined)?.close(); // undefined when the constructor failed
    while (this.#undo.length > 0) this.#undo.pop()!();
  }
}
