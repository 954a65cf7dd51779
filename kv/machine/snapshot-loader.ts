// Builds a machine's state from the bytes of a snapshot, cut anywhere. Nothing comes of it before the last byte was right.
// kv/node feeds it from a file or from the leader's chunks.

import { crc32 } from 'node:zlib';
import { readU32 } from './bytes.js';
import type { Keyspace } from './keyspace.js';
import { Origins } from './origins.js';
import { VERSION_OF_VANISHED } from './protocol-version.js';
import type { NativePart, NativePartFactory } from './section.js';
import { Settings } from './settings.js';
import { Slot, termsOf } from './slot.js';
import {
  FRAME_BYTES,
  FRAME_HEAD_BYTES,
  RECORD_BYTES_MAX,
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
import { damaged, type Value, ValueReader } from './value.js';
import { CONTAINER_DECODERS } from './values/decoders.js';

/** What a machine is made of. */
export interface RestoredParts {
  readonly keyspace: Keyspace;
  readonly origins: Origins;
  readonly settings: Settings;
  readonly native: NativePart;
}

export class MachineLoader<M> {
  readonly #make: (parts: RestoredParts) => M;
  readonly #keyspace: Keyspace;
  readonly #native: NativePart;
  /** Names of sections still to come. */
  readonly #sections: Set<string>;
  #origins: Origins | null = null;
  #settings: Settings | null = null;
  /** The frame that is being collected. */
  readonly #frame = Buffer.allocUnsafeSlow(FRAME_BYTES);
  #filled = 0;
  /** True after a frame that was not full. */
  #lastFrame = false;
  /** Stream bytes that are no whole record yet. */
  #parts: Buffer[] = [];
  #partBytes = 0;
  /** Bytes needed before there is something to read. */
  #needed = STREAM_HEAD_BYTES;
  #hasHead = false;
  #lastKind = 0;
  #lastKey: string | null = null;
  #keysAnnounced = 0;
  #failed = false;

  /** For Machine.loader(). */
  constructor(keyspace: Keyspace, native: NativePartFactory, make: (parts: RestoredParts) => M) {
    this.#keyspace = keyspace;
    this.#make = make;
    this.#native = native(this.#keyspace);
    this.#sections = new Set(this.#native.sections.map(({ name }) => name));
  }

  /**
   * Takes the next bytes, which may be cut anywhere and used again afterwards.
   * @throws KvError KV_SNAPSHOT_DAMAGED: they are not what was written; the loader is of no more use.
   */
  write(bytes: Uint8Array): void {
    if (this.#failed) throw damaged('it was found so before');
    this.#failed = true;
    let at = 0;
    while (at < bytes.length) {
      if (this.#lastFrame) throw damaged('bytes follow the last frame');
      const part = bytes.subarray(at, at + this.#frameBytes() - this.#filled);
      this.#frame.set(part, this.#filled);
      this.#filled += part.length;
      at += part.length;
      if (this.#filled >= FRAME_HEAD_BYTES && this.#filled === this.#frameBytes()) this.#endFrame();
    }
    this.#failed = false;
  }

  /** The machine. @throws KvError KV_SNAPSHOT_DAMAGED: the bytes ended early. */
  finish(): M {
    if (this.#failed) throw damaged('it was found so before');
    this.#failed = true;
    if (this.#filled > 0 || this.#partBytes > 0 || this.#lastKind !== RECORD_END || !this.#lastFrame) {
      throw damaged('it ends early');
    }
    const [origins, settings] = [this.#origins!, this.#settings!];
    return this.#make({ keyspace: this.#keyspace, origins, settings, native: this.#native });
  }

  /** Bytes of the frame being collected, as far as that is known. */
  #frameBytes(): number {
    if (this.#filled < FRAME_HEAD_BYTES) return FRAME_HEAD_BYTES;
    const payload = readU32(this.#frame, 0);
    if (payload > FRAME_BYTES - FRAME_HEAD_BYTES) throw damaged('a frame is too long');
    return FRAME_HEAD_BYTES + payload;
  }

  #endFrame(): void {
    const payload = this.#frame.subarray(FRAME_HEAD_BYTES, this.#filled);
    if (crc32(payload) !== readU32(this.#frame, 4)) throw damaged('a checksum is wrong');
    this.#lastFrame = this.#filled < FRAME_BYTES;
    this.#filled = 0;
    this.#feed(payload);
  }

  /** Takes stream bytes; whole records in them are read where they are. */
  #feed(payload: Buffer): void {
    let at = 0;
    while (at < payload.length) {
      if (this.#partBytes === 0 && payload.length - at >= this.#needed) {
        const unit = payload.subarray(at, at + this.#needed);
        at += this.#needed;
        this.#read(unit);
        continue;
      }
      const part = payload.subarray(at, at + this.#needed - this.#partBytes);
      this.#parts.push(Buffer.from(part));
      this.#partBytes += part.length;
      at += part.length;
      if (this.#partBytes < this.#needed) return;
      const unit = Buffer.concat(this.#parts);
      this.#parts = [];
      this.#partBytes = 0;
      this.#read(unit);
    }
  }

  /** The stream's head, then by turns a record's length and the record. */
  #read(unit: Buffer): void {
    if (!this.#hasHead) {
      if (readU32(unit, 0) !== STREAM_MAGIC) throw damaged('it is no snapshot of a machine');
      if (readU32(unit, 4) !== STREAM_VERSION) {
        throw damaged(`its format is ${readU32(unit, 4)}, this program reads ${STREAM_VERSION}`);
      }
      this.#hasHead = true;
      this.#needed = RECORD_HEAD_BYTES;
      this.#inRecord = false;
      return;
    }
    if (!this.#inRecord) {
      const length = readU32(unit, 0);
      if (length === 0 || length > RECORD_BYTES_MAX) throw damaged('a record has an impossible length');
      this.#needed = length;
      this.#inRecord = true;
      return;
    }
    this.#needed = RECORD_HEAD_BYTES;
    this.#inRecord = false;
    this.#record(unit);
  }

  #inRecord = false;

  #record(unit: Buffer): void {
    const reader = new ValueReader(unit, 1);
    const kind = unit[0]!;
    const last = this.#lastKind;
    const repeats = kind === last && (kind === RECORD_SECTION || kind === RECORD_KEY);
    const skips = kind === RECORD_KEY || kind === RECORD_END ? last >= RECORD_SETTINGS : kind === last + 1;
    if (!repeats && (kind <= last || !skips)) throw damaged('records are out of order');
    this.#lastKind = kind;
    switch (kind) {
      case RECORD_STATE: {
        const [revision, timeMs] = [reader.uint(), reader.uint()];
        this.#keyspace.restoreClock(revision, timeMs);
        this.#keysAnnounced = reader.uint();
        break;
      }
      case RECORD_ORIGINS:
        this.#origins = Origins.decode(reader);
        break;
      case RECORD_SETTINGS:
        this.#settings = Settings.decode(reader);
        this.#keyspace.scanBy(this.#settings.scanKey);
        if (this.#settings.protocolVersion >= VERSION_OF_VANISHED) {
          this.#keyspace.rememberVanished();
          this.#sections.add(this.#keyspace.vanished!.name);
        }
        break;
      case RECORD_SECTION: {
        const name = reader.string();
        const { vanished } = this.#keyspace;
        const sections = vanished === null ? this.#native.sections : [...this.#native.sections, vanished];
        const section = sections.find((each) => each.name === name);
        if (section === undefined || !this.#sections.delete(name))
          throw damaged(`section '${name}' is not known`);
        section.decode(reader);
        break;
      }
      case RECORD_KEY:
        this.#key(reader);
        break;
      case RECORD_END:
        if (reader.uint() !== this.#keyspace.size || this.#keyspace.size !== this.#keysAnnounced) {
          throw damaged('keys are missing');
        }
        break;
      default:
        throw damaged('a record has an unknown kind');
    }
    if (!reader.atEnd) throw damaged('a record is longer than what is in it');
  }

  #key(reader: ValueReader): void {
    const key = reader.string();
    if (this.#lastKey !== null && key <= this.#lastKey) throw damaged('keys are out of order');
    this.#lastKey = key;
    const version = reader.uint();
    const createRevision = reader.uint();
    const writes = reader.uint();
    const terms = termsOf(reader.uint(), reader.uint());
    if (version > this.#keyspace.revision || createRevision > version)
      throw damaged('a version is impossible');
    const value = decodeValue(reader);
    this.#keyspace.restore(key, new Slot(value, version, createRevision, writes, terms));
  }
}

function decodeValue(reader: ValueReader): Value {
  const type = VALUE_TYPES[reader.byte()];
  if (type === undefined) throw damaged('a value has an unknown type');
  if (type === 'string') return reader.string();
  const decode = CONTAINER_DECODERS[type];
  if (decode === undefined) throw damaged(`this program knows no ${type}`);
  return decode(reader);
}
