// One System V segment in this thread: its id, its memory as one ArrayBuffer, what the kernel knows of it.
// ShmRing builds a ring in it. All ShmSegments of one id in a thread share the view; the process maps a segment once.
// Closing the last of them detaches the view, so that what still looks at it sees length 0; the memory is unmapped
// when no thread's view and no ring refers to it any more.

import type { ShmHeader, ShmStatus } from '../index.js';
import { JbusError, native } from './errors.js';
import { shmAddon } from './native.js';

/** The view of one segment in this thread. `handles` counts the ShmSegments that were not closed. */
interface SharedView {
  readonly buffer: WeakRef<ArrayBuffer>;
  handles: number;
}

/** By segment id; this module exists once per thread. An entry goes with its buffer. */
const views = new Map<number, SharedView>();
const collected = new FinalizationRegistry<{ id: number; view: WeakRef<SharedView> }>(({ id, view }) => {
  if (views.get(id) === view.deref()) views.delete(id);
});

export class ShmSegment {
  readonly id: number;
  readonly bytes: number;
  #buffer: ArrayBuffer | undefined;

  private constructor(id: number) {
    this.id = id;
    this.#buffer = openView(id);
    this.bytes = this.#buffer.byteLength;
  }

  /**
   * A new segment with mode 0600 and all zeros, attached. Key 0 makes one that is only found by its id.
   * @throws JbusError JBUS_KEY_IN_USE: whoever has it, dead or alive; ShmManager looks closer.
   */
  static create(key: number, bytes: number): ShmSegment {
    const id = native(() => shmAddon().shmCreate(key, bytes));
    try {
      return new ShmSegment(id);
    } catch (error) {
      shmAddon().shmRemove(id); // nobody else knows of it
      throw error;
    }
  }

  /** @throws JbusError JBUS_NO_SEGMENT, JBUS_FORBIDDEN. */
  static attach(id: number): ShmSegment {
    return new ShmSegment(id);
  }

  /** @throws JbusError JBUS_NO_SEGMENT, JBUS_FORBIDDEN. */
  static attachByKey(key: number): ShmSegment {
    return new ShmSegment(native(() => shmAddon().shmFind(key)));
  }

  get isClosed(): boolean {
    return this.#buffer === undefined;
  }

  /** The whole segment, header included. It cannot be transferred to another thread: attach there by `id`. */
  get buffer(): ArrayBuffer {
    if (this.#buffer === undefined) throw new JbusError('JBUS_CLOSED', `segment ${this.id} is closed`);
    return this.#buffer;
  }

  stat(): ShmStatus {
    return native(() => shmAddon().shmStat(this.id));
  }

  /** The first page, taken for the header of a ring. */
  header(): ShmHeader {
    return native(() => shmAddon().shmHeader(this.id));
  }

  /** Gives up the key at once; the memory lives until the last process detaches. Doing it again does nothing. */
  remove(): void {
    const status = this.stat();
    if (!status.removed) native(() => shmAddon().shmRemove(this.id));
  }

  /** With the thread's last ShmSegment of this id, all views get length 0. Calling it again does nothing. */
  close(): void {
    const buffer = this.#buffer;
    if (buffer === undefined) return;
    this.#buffer = undefined;
    const view = views.get(this.id);
    if (view === undefined || view.buffer.deref() !== buffer || --view.handles > 0) return;
    views.delete(this.id);
    shmAddon().shmUnmap(buffer);
  }
}

function openView(id: number): ArrayBuffer {
  const found = views.get(id);
  const existing = found?.buffer.deref();
  if (found !== undefined && existing !== undefined) {
    found.handles += 1;
    return existing;
  }
  const buffer = native(() => shmAddon().shmMap(id));
  const view: SharedView = { buffer: new WeakRef(buffer), handles: 1 };
  views.set(id, view);
  collected.register(buffer, { id, view: new WeakRef(view) });
  return buffer;
}

/** How many segments this thread has views of; for tests and diagnostics. */
export function segmentViewCount(): number {
  return views.size;
}
