// A machine's state at one moment, as a stream of bytes that is made while entries go on being applied.
// Everything but keys is small and encoded at once; keys come from a view that the keyspace copies around.

import { crc32 } from 'node:zlib';
import { writeU32 } from './bytes.js';
import { type Keyspace, type KeyspaceView, typeOfValue } from './keyspace.js';
import type { Origins } from './origins.js';
import type { MachineSection } from './section.js';
import type { Settings } from './settings.js';
import type { Slot } from './slot.js';
import { isContainer } from './slot.js';
import {
  FRAME_BYTES,
  FRAME_HEAD_BYTES,
  RECORD_END,
  RECORD_HEAD_BYTES,
  RECORD_KEY,
  RECORD_ORIGINS,
  RECORD_SECTION,
  RECORD_SETTINGS,
  RECORD_STATE,
  STREAM_HEAD_BYTES,
  STREAM_MAGIC,
  STREAM_VERSION,
  VALUE_TYPES,
} from './snapshot-format.js';
import { ValueWriter } from './value.js';

export class MachineSnapshot {
  /** Of the state in it. */
  readonly revision: number;
  readonly timeMs: number;
  /** Keys in it. */
  readonly keys: number;
  readonly #view: KeyspaceView;
  /** Head and records before the keys. */
  readonly #prelude: Buffer;

  /** For machine.ts. */
  constructor(keyspace: Keyspace, origins: Origins, settings: Settings, sections: readonly MachineSection[]) {
    this.revision = keyspace.revision;
    this.timeMs = keyspace.nowMs;
    const prelude = new ValueWriter();
    const record = new ValueWriter();
    const head = Buffer.alloc(STREAM_HEAD_BYTES);
    writeU32(head, STREAM_MAGIC, 0);
    writeU32(head, STREAM_VERSION, 4);
    prelude.raw(head);
    const add = (kind: number, fields: (writer: ValueWriter) => void): void => {
      beginRecord(record, kind);
      fields(record);
      prelude.raw(endRecord(record));
    };
    add(RECORD_STATE, (writer) => {
      writer.uint(keyspace.revision);
      writer.uint(keyspace.nowMs);
      writer.uint(keyspace.size);
    });
    add(RECORD_ORIGINS, (writer) => origins.encode(writer));
    add(RECORD_SETTINGS, (writer) => settings.encode(writer));
    for (const section of sections) {
      add(RECORD_SECTION, (writer) => {
        writer.bytes(section.name);
        section.encode(writer);
      });
    }
    this.#prelude = Buffer.from(prelude.view());
    this.#view = keyspace.view();
    this.keys = this.#view.size;
  }

  /**
   * The bytes, in chunks of at most 64 KiB, each a buffer of its own. One is made as it is asked for: give the event loop
   * its turns between them.
   * @throws KvError KV_CLOSED: the snapshot was closed.
   */
  *chunks(): Generator<Buffer, void, undefined> {
    const frames = new FrameWriter();
    yield* frames.add(this.#prelude);
    const record = new ValueWriter();
    for (const { key, value } of this.#view.entries()) {
      beginRecord(record, RECORD_KEY);
      encodeKey(record, key, value);
      const bytes = endRecord(record);
      // Most records fit into the frame; the generator is for those that do not.
      if (!frames.fits(bytes)) yield* frames.add(bytes);
    }
    beginRecord(record, RECORD_END);
    record.uint(this.keys);
    yield* frames.add(endRecord(record));
    yield frames.end();
  }

  /** Lets go of the state. May be called twice. */
  close(): void {
    this.#view.close();
  }
}

/** Cuts a stream into frames. */
class FrameWriter {
  #frame = Buffer.allocUnsafeSlow(FRAME_BYTES);
  #filled = FRAME_HEAD_BYTES;

  /** Takes bytes that leave room in the frame; false, with nothing taken, if they do not. */
  fits(bytes: Uint8Array): boolean {
    if (this.#filled + bytes.length >= FRAME_BYTES) return false;
    this.#frame.set(bytes, this.#filled);
    this.#filled += bytes.length;
    return true;
  }

  *add(bytes: Uint8Array): Generator<Buffer, void, undefined> {
    let at = 0;
    while (at < bytes.length) {
      const part = bytes.subarray(at, at + FRAME_BYTES - this.#filled);
      this.#frame.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled === FRAME_BYTES) yield this.#seal();
    }
  }

  /** The last frame, which may be empty. */
  end(): Buffer {
    return this.#seal();
  }

  #seal(): Buffer {
    const frame = this.#frame.subarray(0, this.#filled);
    const payload = frame.subarray(FRAME_HEAD_BYTES);
    writeU32(frame, payload.length, 0);
    writeU32(frame, crc32(payload), 4);
    this.#frame = Buffer.allocUnsafeSlow(FRAME_BYTES);
    this.#filled = FRAME_HEAD_BYTES;
    return frame;
  }
}

function beginRecord(record: ValueWriter, kind: number): void {
  record.clear();
  record.u32(0);
  record.byte(kind);
}

/** A view, valid until the record is begun again. */
function endRecord(record: ValueWriter): Buffer {
  const bytes = record.view();
  writeU32(bytes, bytes.length - RECORD_HEAD_BYTES, 0);
  return bytes;
}

function encodeKey(record: ValueWriter, key: string, slot: Slot): void {
  const { value } = slot;
  record.bytes(key);
  record.uint(slot.version);
  record.uint(slot.createRevision);
  record.uint(slot.writes);
  record.uint(slot.expireAtMs);
  record.uint(slot.lease);
  record.byte(VALUE_TYPES.indexOf(typeOfValue(value)));
  if (isContainer(value)) value.encode(record);
  else record.bytes(value);
}
