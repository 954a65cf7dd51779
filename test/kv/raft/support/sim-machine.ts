// The simplest state machine whose state tells everything that was applied and in which order: a running hash.

import type { Entry } from '../../../../kv/raft/index.js';

export const SNAPSHOT_BYTES = 40;

export class SimMachine {
  index = 0;
  hash = 0x811c9dc5;

  /** @throws Error when an entry comes out of turn */
  apply(entry: Entry): void {
    if (entry.index !== this.index + 1) throw new Error(`applied ${entry.index} after ${this.index}`);
    this.index = entry.index;
    this.hash = mix(this.hash, entry.term);
    for (const byte of entry.data) this.hash = mix(this.hash, byte);
  }

  save(): Uint8Array {
    const bytes = new Uint8Array(SNAPSHOT_BYTES);
    const view = new DataView(bytes.buffer);
    for (let at = 0; at < SNAPSHOT_BYTES; at += 8) {
      view.setUint32(at, this.index + at);
      view.setUint32(at + 4, this.hash + at);
    }
    return bytes;
  }

  /** @throws Error on bytes that are no snapshot, or not of `index` */
  load(bytes: Uint8Array, index: number): void {
    if (index === 0 && bytes.length === 0) {
      this.index = 0;
      this.hash = 0x811c9dc5;
      return;
    }
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.index = view.getUint32(0);
    this.hash = view.getUint32(4);
    if (this.index !== index) throw new Error(`a snapshot of ${this.index} was announced as one of ${index}`);
    const again = this.save();
    if (!again.every((byte, at) => byte === bytes[at])) throw new Error('a snapshot is damaged');
  }
}

export function mix(hash: number, value: number): number {
  let mixed = Math.imul(hash ^ value, 0x01000193) >>> 0;
  mixed ^= mixed >>> 15;
  return mixed >>> 0;
}
