// The content of a snapshot: who belongs to the cluster at its index, then the machine's own bytes.
// Layout: `RNKVSTA1`, u32 bytes of the membership | membership (kv/raft has its form) | the machine to the end.
// node-storage.ts writes it and reads it back, whole from a file or in the pieces in which another member sends it.

import { decodeMembership, encodeMembership, type Membership } from '../raft/index.js';
import { KvError } from '../errors.js';

const MAGIC = Buffer.from('RNKVSTA1', 'latin1');
const HEAD_BYTES = 12;
const MEMBERSHIP_BYTES_MAX = 2 ** 20;

/** Where the machine's bytes go, and what becomes of them. */
export interface StateLoader<State> {
  write(bytes: Uint8Array): void;
  finish(): State;
}

export function stateHead(membership: Membership): Buffer {
  const bytes = encodeMembership(membership);
  const size = Buffer.alloc(4);
  size.writeUInt32LE(bytes.byteLength, 0);
  return Buffer.concat([MAGIC, size, bytes]);
}

/** The head, then what the machine gives, piece by piece. */
export function* stateChunks(
  membership: Membership,
  machine: Iterable<Uint8Array>,
): Generator<Uint8Array, void, undefined> {
  yield stateHead(membership);
  yield* machine;
}

export class StateReader<State> {
  readonly #loader: StateLoader<State>;
  #head: Buffer = Buffer.alloc(0);
  #membership: Membership | null = null;

  constructor(loader: StateLoader<State>) {
    this.#loader = loader;
  }

  /** @throws KvError KV_SNAPSHOT_DAMAGED, or what the machine's loader throws */
  write(bytes: Uint8Array): void {
    if (this.#membership !== null) {
      this.#loader.write(bytes);
      return;
    }
    this.#head = Buffer.concat([this.#head, bytes]);
    if (this.#head.length < HEAD_BYTES) return;
    if (!this.#head.subarray(0, MAGIC.length).equals(MAGIC)) throw damaged('it does not begin like one');
    const size = this.#head.readUInt32LE(MAGIC.length);
    if (size > MEMBERSHIP_BYTES_MAX) throw damaged('its list of members is too long');
    if (this.#head.length < HEAD_BYTES + size) return;
    this.#membership = decodeMembership(this.#head.subarray(HEAD_BYTES, HEAD_BYTES + size));
    const rest = this.#head.subarray(HEAD_BYTES + size);
    this.#head = Buffer.alloc(0);
    if (rest.length > 0) this.#loader.write(rest);
  }

  /** @throws as `write` */
  finish(): { readonly membership: Membership; readonly state: State } {
    if (this.#membership === null) throw damaged('it is cut off in its head');
    return { membership: this.#membership, state: this.#loader.finish() };
  }
}

function damaged(what: string): KvError {
  return new KvError('KV_SNAPSHOT_DAMAGED', `the content of a snapshot is no state: ${what}`);
}
