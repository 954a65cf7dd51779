// All keys with what they hold, as commands see them: ordered, with deadlines by log time, versions and a feed of changes.
// machine.ts frames each command with begin() and commit(), which makes one revision of whatever it changed.
// A snapshot view shares slots and containers with the keyspace; what such a view may hold is copied before its first change.

import assert from 'node:assert/strict';
import type { Entry, Range } from '../skip/range.js';
import { SkipList } from '../skip-list.js';
import { textOf, writeLatin1 } from './bytes.js';
import type { SipKey } from './half-sip-hash.js';
import { ChangeHistory, type ChangeKind } from './changes.js';
import { Deadlines } from './deadlines.js';
import { CLEAR_LISTED_MAX, DEADLINE_OVERHEAD_BYTES, KEY_OVERHEAD_BYTES } from './limits.js';
import { seededRandom } from './random.js';
import { WRONG_TYPE_FAILURE } from './reply.js';
import { ScanIndex } from './scan-index.js';
import { Vanished } from './vanished.js';
import { isContainer, Slot, type Terms, termsOf } from './slot.js';
import { type Bytes, type Container, stringMemoryBytes, type Value, type ValueType } from './value.js';

export type { Slot } from './slot.js';

export interface SetOptions {
  /** Keep deadline and lease. Default false. */
  readonly keepTtl?: boolean;
  /** Log time at which the key goes; 0: never. Default 0. */
  readonly expireAtMs?: number;
  /** Default 0, none. */
  readonly lease?: number;
}

/** All slots as they were at one moment. */
export interface KeyspaceView {
  readonly size: number;
  /** In key order. @throws KvError KV_CLOSED: the view was closed under the iterator. */
  entries(): Generator<Entry<Slot>, void, undefined>;
  /** Lets go of it. May be called twice. */
  close(): void;
}

/** A container that a command may be changing. */
interface Lent {
  readonly container: Container;
  /** Its memory as counted, 0 while it is not in the keyspace. */
  bytes: number;
  present: boolean;
}

export class Keyspace {
  readonly #slots = new SkipList<Slot>(seededRandom(1), { snapshotsMax: SNAPSHOTS_MAX });
  #scanIndex = new ScanIndex();
  #scanKey: SipKey | null = null;
  readonly #deadlines = new Deadlines((key) => this.#slots.get(key)?.expireAtMs ?? 0);
  /** Containers lent to the command that runs, by key. */
  readonly #lent = new Map<string, Lent>();
  readonly #viewRevisions: number[] = [];
  /** Slots of this version and below may be held by a view; -1 without views. */
  #sharedVersion = -1;
  #revision = 0;
  #nowMs = 0;
  #memoryBytes = 0;
  #leased = 0;
  #changed = false;
  /** What changed, for those who watch. */
  readonly history: ChangeHistory;
  readonly #records: boolean;
  /** What lies behind values that may grow where they are: theirs alone, zeros behind their end. */
  readonly #roomy = new WeakSet<ArrayBufferLike>();
  /** Where keys vanished; null until all members remember it. */
  vanished: Vanished | null = null;
  /** Called when a key gets, changes or loses its lease, also as it is deleted. 0: none. For the owner of leases. */
  onLeaseChange: ((key: string, before: number, after: number) => void) | null = null;

  constructor(history: ChangeHistory = new ChangeHistory()) {
    this.history = history;
    this.#records = history.isOn;
  }

  /** Keys, expired ones included that are not removed yet. */
  get size(): number {
    return this.#slots.size;
  }

  /** Log time. */
  get nowMs(): number {
    return this.#nowMs;
  }

  /** Goes up by one with each command that changed something. */
  get revision(): number {
    return this.#revision;
  }

  /** An estimate from the content alone, the same on every member. */
  get memoryBytes(): number {
    return this.#memoryBytes;
  }

  /** Whether the command that runs has changed something so far. */
  get isChanged(): boolean {
    return this.#changed;
  }

  /** Keys with a deadline. */
  get volatileKeys(): number {
    return this.#deadlines.live;
  }

  /** From here on it is remembered where keys vanish. Does nothing the second time. */
  rememberVanished(): void {
    this.vanished ??= new Vanished(this.#revision);
  }

  /** The order of SCAN is drawn by another key. */
  scanBy(key: SipKey | null): void {
    const before = this.#scanKey;
    if (key?.low === before?.low && key?.high === before?.high) return;
    this.#scanKey = key;
    this.#scanIndex = new ScanIndex(key);
    this.#slots.visit((name) => this.#scanIndex.add(name));
  }

  // Reading. Expired keys are not there.

  find(key: string): Slot | undefined {
    const slot = this.#slots.get(key);
    return slot === undefined || this.#isOver(slot) ? undefined : slot;
  }

  has(key: string): boolean {
    return this.find(key) !== undefined;
  }

  typeOf(key: string): ValueType | 'none' {
    const slot = this.find(key);
    return slot === undefined ? 'none' : typeOfValue(slot.value);
  }

  /**
   * A string value as text; a Buffer is copied.
   * @throws CommandFailure WRONGTYPE
   */
  text(key: string): string | null {
    const value = this.string(key);
    return value === undefined ? null : textOf(value);
  }

  /**
   * A string value as it is kept. A Buffer is to be read only, and changes later: do not put it into a reply.
   * @throws CommandFailure WRONGTYPE
   */
  string(key: string): Bytes | undefined {
    const slot = this.find(key);
    if (slot === undefined) return undefined;
    if (isContainer(slot.value)) throw WRONG_TYPE_FAILURE;
    return slot.value;
  }

  /**
   * A container to read from; use writable() to change it.
   * @throws CommandFailure WRONGTYPE
   */
  container<T extends Container>(key: string, type: T['type']): T | undefined {
    const slot = this.find(key);
    if (slot === undefined) return undefined;
    const { value } = slot;
    if (!isContainer(value) || value.type !== type) throw WRONG_TYPE_FAILURE;
    return value as T; // its type says so
  }

  /** Gives keys of the range in order to `visit`, at most `limit`; true when it stopped with keys left. */
  scan(range: Range, limit: number, visit: (key: string, slot: Slot) => void): boolean {
    let left = limit;
    let last: string | null = null;
    let more: boolean;
    const take = (key: string, slot: Slot): void => {
      last = key;
      if (this.#isOver(slot)) return;
      left -= 1;
      visit(key, slot);
    };
    let rest = range;
    for (;;) {
      more = !this.#slots.visitSome(rest, left, take);
      if (!more || left === 0) return more;
      // Expired keys took places of the limit: go on behind them.
      rest = range.reverse === true ? { ...range, to: last! } : { ...range, after: last! };
    }
  }

  /**
   * A step of SCAN: gives at least `count` keys from the hash `cursor` on to `visit`. The result is the cursor of the
   * next step, 0 at the end; scan-index.ts says what that guarantees.
   */
  scanByHash(cursor: number, count: number, visit: (key: string) => void): number {
    return this.#scanIndex.scan(cursor, count, (key) => {
      if (!this.#hidesSome() || this.has(key)) visit(key);
    });
  }

  /** Keys in the range. */
  count(range: Range = {}): number {
    if (!this.#hidesSome()) return this.#slots.count(range);
    let count = 0;
    this.#slots.visit((_, slot) => {
      if (!this.#isOver(slot)) count += 1;
    }, range);
    return count;
  }

  /** How many keys are below `key`. */
  rank(key: string): number {
    return this.#hidesSome() ? this.count({ to: key }) : this.#slots.rank(key);
  }

  /** The key that `rank` keys are below. */
  at(rank: number): { key: string; slot: Slot } | undefined {
    if (!this.#hidesSome()) {
      const entry = this.#slots.at(rank);
      return entry === undefined ? undefined : { key: entry.key, slot: entry.value };
    }
    let found: { key: string; slot: Slot } | undefined;
    this.scan({}, rank + 1, (key, slot) => {
      found = { key, slot };
    });
    return rank < this.count() ? found : undefined;
  }

  /** A key drawn by `r` from [0, 1); undefined without keys. */
  random(r: number): { key: string; slot: Slot } | undefined {
    return this.at(Math.floor(r * (this.#hidesSome() ? this.count() : this.#slots.size)));
  }

  // Writing, by commands in the log alone.

  /** Puts a value. A container becomes the keyspace's and must be held by nobody else. */
  set(key: string, value: Value, options?: SetOptions): void {
    const slot = this.#findForWrite(key);
    let terms: Terms | null = null;
    if (options !== undefined) {
      const expireAtMs = options.keepTtl === true ? (slot?.expireAtMs ?? 0) : (options.expireAtMs ?? 0);
      const lease = options.lease ?? (options.keepTtl === true ? (slot?.lease ?? 0) : 0);
      terms = termsOf(expireAtMs, lease);
    }
    if (terms !== null && terms.expireAtMs !== 0 && terms.expireAtMs <= this.#nowMs) {
      if (slot !== undefined) this.#remove(key, slot, 'delete');
      return;
    }
    if (this.#lent.size > 0) this.#lent.delete(key);
    this.#put(key, slot, value, terms, true);
  }

  /**
   * The container of a key, to be changed in place and then reported with changed(); a new one from `make` if there is
   * none, which enters the keyspace with changed().
   * @throws CommandFailure WRONGTYPE
   */
  writable<T extends Container>(key: string, type: T['type'], make: () => T): T {
    const lent = this.#lent.get(key);
    if (lent !== undefined) {
      if (lent.container.type !== type) throw WRONG_TYPE_FAILURE;
      return lent.container as T; // its type says so
    }
    const slot = this.#findForWrite(key);
    let container: Container;
    if (slot === undefined) {
      container = make();
    } else {
      const { value } = slot;
      if (!isContainer(value) || value.type !== type) throw WRONG_TYPE_FAILURE;
      container = value;
      if (slot.version <= this.#sharedVersion) {
        container = value.clone();
        this.#slots.set(key, copyOf(slot, container));
      }
    }
    this.#lent.set(key, {
      container,
      bytes: slot === undefined ? 0 : container.memoryBytes,
      present: slot !== undefined,
    });
    return container as T; // its type says so
  }

  /**
   * The string value of a key as a Buffer of at least `length` bytes (zeros behind what was there), to be changed in
   * place and then reported with changed().
   * @throws CommandFailure WRONGTYPE
   */
  writableBytes(key: string, length: number): Buffer {
    const slot = this.#findForWrite(key);
    if (slot === undefined) {
      const made = this.#roomFor(length, 0);
      this.#put(key, undefined, made, null, false);
      return made;
    }
    const { value } = slot;
    if (isContainer(value)) throw WRONG_TYPE_FAILURE;
    if (typeof value !== 'string' && value.length >= length && slot.version > this.#sharedVersion)
      return value;
    const isOwn = slot.version > this.#sharedVersion;
    const size = Math.max(length, value.length);
    let grown: Buffer;
    if (
      isOwn &&
      typeof value !== 'string' &&
      size <= value.buffer.byteLength &&
      this.#roomy.has(value.buffer)
    ) {
      grown = Buffer.from(value.buffer, 0, size);
    } else {
      grown = this.#roomFor(size, value.length);
      if (typeof value === 'string') writeLatin1(grown, value, 0);
      else grown.set(value);
    }
    this.#memoryBytes += stringMemoryBytes(size) - stringMemoryBytes(value.length);
    if (isOwn) slot.value = grown;
    else this.#slots.set(key, copyOf(slot, grown));
    return grown;
  }

  /** Zeros, with room behind them where a value has grown: byte by byte it would be copied as a whole each time. */
  #roomFor(size: number, before: number): Buffer {
    const room = before === 0 || size === before ? size : size + Math.min(size, ROOM_BYTES_MAX);
    const { buffer } = Buffer.alloc(room);
    this.#roomy.add(buffer);
    return Buffer.from(buffer, 0, size);
  }

  /** After a change in place: counts it, and removes the key if its container is empty. */
  changed(key: string): void {
    const lent = this.#lent.get(key);
    const slot = this.#slots.get(key);
    if (lent === undefined) {
      assert(slot !== undefined && Buffer.isBuffer(slot.value), 'what changed was lent by the keyspace');
      this.#touch(key, slot, true);
      return;
    }
    const { container } = lent;
    const isEmpty = container.size === 0 && container.keepEmpty !== true;
    if (!lent.present) {
      if (isEmpty) return;
      lent.present = true;
      lent.bytes = container.memoryBytes;
      this.#put(key, undefined, container, null, true);
      return;
    }
    if (isEmpty) {
      this.#lent.delete(key);
      this.#memoryBytes += container.memoryBytes - lent.bytes;
      this.#remove(key, slot!, 'delete');
      return;
    }
    const bytes = container.memoryBytes;
    this.#memoryBytes += bytes - lent.bytes;
    lent.bytes = bytes;
    this.#touch(key, slot!, true);
  }

  /**
   * True when the key was there.
   * @param kind what watchers are told: 'expire' where a lease took it along
   */
  delete(key: string, kind: 'delete' | 'expire' = 'delete'): boolean {
    const slot = this.#findForWrite(key);
    if (slot === undefined) return false;
    this.#remove(key, slot, kind);
    return true;
  }

  /** Moves a value with its deadline and lease; what `to` held is gone. False when there is no `from`. */
  rename(from: string, to: string): boolean {
    const slot = this.#findForWrite(from);
    if (slot === undefined) return false;
    if (from === to) return true;
    const { terms } = slot;
    const value = this.#ownValue(from, slot);
    this.#remove(from, slot, 'delete');
    const target = this.#findForWrite(to);
    this.#lent.delete(to);
    this.#put(to, target, value, terms, true);
    return true;
  }

  /** Sets a deadline; one that has passed deletes the key at once. False when there is no such key. */
  expire(key: string, atMs: number): boolean {
    const slot = this.#findForWrite(key);
    if (slot === undefined) return false;
    if (atMs <= this.#nowMs) this.#remove(key, slot, 'delete');
    else this.#setTerms(key, slot, termsOf(atMs, slot.lease));
    return true;
  }

  /** Takes the deadline away. True when there was one. */
  persist(key: string): boolean {
    const slot = this.#findForWrite(key);
    if (slot === undefined || slot.expireAtMs === 0) return false;
    this.#setTerms(key, slot, termsOf(0, slot.lease));
    return true;
  }

  /** Ties a key to a lease, or with 0 to none. False when there is no such key. */
  setLease(key: string, lease: number): boolean {
    const slot = this.#findForWrite(key);
    if (slot === undefined) return false;
    if (slot.lease !== lease) this.#setTerms(key, slot, termsOf(slot.expireAtMs, lease));
    return true;
  }

  /** Removes every key. */
  clear(): void {
    if (this.#slots.size === 0) return;
    const listed = this.#slots.size <= CLEAR_LISTED_MAX && this.#records;
    if (listed || this.#leased > 0) {
      this.#slots.visit((key, slot) => {
        if (listed) this.#record('delete', key, slot, null, previousOf(slot.value));
        this.#leaseMoved(key, slot.lease, 0);
      });
    }
    this.#slots.clear();
    this.#scanIndex.clear();
    this.vanished?.allVanished(this.#revision + 1);
    this.#deadlines.clear();
    this.#lent.clear();
    this.#memoryBytes = 0;
    this.#changed = true;
    if (!listed && this.#records) this.history.recordClear();
  }

  // For the machine.

  /** Log time of the entry that begins. Never goes back. */
  advance(timeMs: number): void {
    if (timeMs > this.#nowMs) this.#nowMs = timeMs;
  }

  /** Removes keys whose time has come, earliest first, at most `limit`; gives how many. */
  expireDue(limit: number): number {
    let count = 0;
    while (count < limit) {
      const key = this.#deadlines.due(this.#nowMs);
      if (key === null) break;
      this.#remove(key, this.#slots.get(key)!, 'expire');
      count += 1;
    }
    return count;
  }

  nextDeadlineMs(): number | null {
    return this.#deadlines.next();
  }

  /** Ends a command: its changes, if any, become one revision. True when there were any. */
  commit(): boolean {
    if (this.#lent.size > 0) this.#endLoans();
    if (!this.#changed) return false;
    this.#changed = false;
    this.#revision += 1;
    if (this.#records) this.history.seal(this.#revision, this.#nowMs);
    return true;
  }

  /** The slots as they are now, in key order, however writes go on. Close it. */
  view(): KeyspaceView {
    const view = this.#slots.snapshot();
    const revision = this.#revision;
    this.#viewRevisions.push(revision);
    this.#sharedVersion = Math.max(...this.#viewRevisions);
    let open = true;
    return {
      size: view.size,
      entries: () => view.entries(),
      close: () => {
        view.close();
        if (!open) return;
        open = false;
        this.#viewRevisions.splice(this.#viewRevisions.indexOf(revision), 1);
        this.#sharedVersion = Math.max(-1, ...this.#viewRevisions);
      },
    };
  }

  /** Puts a slot back as a snapshot has it. Keys come in ascending order. */
  restore(key: string, slot: Slot): void {
    this.#slots.set(key, slot);
    this.#scanIndex.add(key);
    this.#memoryBytes += memoryOf(key, slot.value, slot.terms);
    this.#deadlines.move(key, 0, slot.expireAtMs);
    this.#leaseMoved(key, 0, slot.lease);
  }

  /** Puts time and revision back as a snapshot has them. */
  restoreClock(revision: number, timeMs: number): void {
    this.#revision = revision;
    this.#nowMs = timeMs;
    this.history.restart(revision);
  }

  /** For tests: O(size). @throws AssertionError: something in here contradicts something else. */
  checkInvariants(): void {
    this.#slots.checkInvariants();
    let memoryBytes = 0;
    let live = 0;
    let leased = 0;
    this.#slots.visit((key, slot) => {
      memoryBytes += memoryOf(key, slot.value, slot.terms);
      if (slot.expireAtMs !== 0) live += 1;
      if (slot.lease !== 0) leased += 1;
      assert(slot.createRevision <= slot.version && slot.version <= this.#revision);
      assert(!isContainer(slot.value) || slot.value.size > 0 || slot.value.keepEmpty === true);
    });
    assert.equal(this.#memoryBytes, memoryBytes, 'memory is that of the keys');
    assert.equal(this.#deadlines.live, live, 'each deadline is counted once');
    assert.equal(this.#leased, leased, 'each lease is counted once');
    assert(this.#deadlines.places <= 2 * live + 1024 + 1, 'the deadlines are bounded');
    assert.equal(this.#lent.size, 0);
  }

  /** A key to be written: one that has expired goes first. */
  #findForWrite(key: string): Slot | undefined {
    const slot = this.#slots.getForWrite(key);
    if (slot === undefined) return undefined;
    if (!this.#isOver(slot)) return slot;
    this.#remove(key, slot, 'expire');
    return undefined;
  }

  #isOver(slot: Slot): boolean {
    return slot.terms !== null && slot.terms.expireAtMs !== 0 && slot.terms.expireAtMs <= this.#nowMs;
  }

  /** Whether expired keys are still there, which happens when too many expired at once. */
  #hidesSome(): boolean {
    if (this.#deadlines.live === 0) return false;
    const next = this.#deadlines.next();
    return next !== null && next <= this.#nowMs;
  }

  #put(key: string, slot: Slot | undefined, value: Value, terms: Terms | null, records: boolean): void {
    const version = this.#revision + 1;
    const before = slot === undefined ? null : slot.terms;
    const previous = slot === undefined || !this.#records ? null : previousOf(slot.value);
    let after: Slot;
    if (slot === undefined) {
      after = new Slot(value, version, version, records ? 1 : 0, terms);
      this.#memoryBytes += memoryOf(key, value, terms);
      this.#slots.set(key, after);
      this.#scanIndex.add(key);
    } else {
      this.#memoryBytes +=
        valueMemory(value) - valueMemory(slot.value) + termsMemory(terms) - termsMemory(before);
      if (slot.version > this.#sharedVersion) {
        slot.value = value;
        slot.version = version;
        slot.writes += 1;
        slot.terms = terms;
        after = slot;
      } else {
        after = new Slot(value, version, slot.createRevision, slot.writes + 1, terms);
        this.#slots.set(key, after);
      }
    }
    if (before !== null || terms !== null) this.#termsMoved(key, before, terms);
    this.#changed = true;
    if (records && this.#records) this.#record('put', key, after, valueFor(value), previous);
  }

  #remove(key: string, slot: Slot, kind: 'delete' | 'expire'): void {
    this.#memoryBytes -= memoryOf(key, slot.value, slot.terms);
    this.#slots.delete(key);
    this.#scanIndex.remove(key);
    this.vanished?.vanished(key, this.#revision + 1);
    if (this.#lent.size > 0) this.#lent.delete(key);
    if (slot.terms !== null) this.#termsMoved(key, slot.terms, null);
    this.#changed = true;
    if (this.#records) this.#record(kind, key, slot, null, previousOf(slot.value));
  }

  #setTerms(key: string, slot: Slot, terms: Terms | null): void {
    const before = slot.terms;
    let own = slot;
    if (slot.version <= this.#sharedVersion) {
      own = copyOf(slot, this.#ownValue(key, slot));
      this.#slots.set(key, own);
    }
    own.terms = terms;
    this.#memoryBytes += termsMemory(terms) - termsMemory(before);
    this.#termsMoved(key, before, terms);
    this.#touch(key, own, false);
  }

  /** Marks a slot, which is nobody else's, as changed. */
  #touch(key: string, slot: Slot, isWrite: boolean): void {
    slot.version = this.#revision + 1;
    if (isWrite) slot.writes += 1;
    this.#changed = true;
    if (this.#records) this.#record('put', key, slot, valueFor(slot.value), null);
  }

  /** The value of a slot, to be held by a slot of a new version: a copy if a view may hold it. */
  #ownValue(key: string, slot: Slot): Value {
    const { value } = slot;
    if (typeof value === 'string' || slot.version > this.#sharedVersion || this.#lent.has(key)) return value;
    return isContainer(value) ? value.clone() : Buffer.from(value);
  }

  #termsMoved(key: string, before: Terms | null, after: Terms | null): void {
    this.#deadlines.move(key, before === null ? 0 : before.expireAtMs, after === null ? 0 : after.expireAtMs);
    this.#leaseMoved(key, before === null ? 0 : before.lease, after === null ? 0 : after.lease);
  }

  #leaseMoved(key: string, before: number, after: number): void {
    if (before === after) return;
    if (before === 0) this.#leased += 1;
    if (after === 0) this.#leased -= 1;
    this.onLeaseChange?.(key, before, after);
  }

  #record(kind: ChangeKind, key: string, slot: Slot, value: string | null, previous: string | null): void {
    const { createRevision, writes, terms } = slot;
    const expireAtMs = terms === null ? 0 : terms.expireAtMs;
    const lease = terms === null ? 0 : terms.lease;
    const type = typeOfValue(slot.value);
    this.history.record(kind, key, type, value, previous, createRevision, writes, expireAtMs, lease);
  }

  #endLoans(): void {
    for (const { container, bytes, present } of this.#lent.values()) {
      assert(
        present ? container.memoryBytes === bytes : container.size === 0 || container.keepEmpty === true,
        'a command changed a container and did not say so',
      );
    }
    this.#lent.clear();
  }
}

/** Views at once: snapshots that are written, sent and compared. */
const SNAPSHOTS_MAX = 16;
/** As in Redis: a value that grows has so much room at most to grow on. */
const ROOM_BYTES_MAX = 2 ** 20;
/** A value that is changed in place is copied into the feed up to this size. */
const COPIED_BYTES_MAX = 4096;

export function typeOfValue(value: Value): ValueType {
  return isContainer(value) ? value.type : 'string';
}

function copyOf(slot: Slot, value: Value): Slot {
  return new Slot(value, slot.version, slot.createRevision, slot.writes, slot.terms);
}

function valueFor(value: Value): string | null {
  if (typeof value === 'string') return value;
  return isContainer(value) || value.length > COPIED_BYTES_MAX ? null : textOf(value);
}

function previousOf(value: Value): string | null {
  return typeof value === 'string' ? value : null;
}

function memoryOf(key: string, value: Value, terms: Terms | null): number {
  return KEY_OVERHEAD_BYTES + ((16 + key.length + 7) & ~7) + valueMemory(value) + termsMemory(terms);
}

function valueMemory(value: Value): number {
  return isContainer(value) ? value.memoryBytes : stringMemoryBytes(value.length);
}

function termsMemory(terms: Terms | null): number {
  return terms === null ? 0 : DEADLINE_OVERHEAD_BYTES;
}
