// A folder in memory that tells page cache from disk: what was not synced survives a crash in part or not at all.
// Of what was not synced, each 512-byte sector survives as it was at some moment since the sync, possibly in the middle of the
// last write; creations, renames and removals survive up to some point, or any of them. A failed fsync loses what it should have written, and nobody notices until a crash.

import { KvError } from '../../../kv/index.js';
import type { WalFile, WalFiles } from '../../../kv/wal/wal-files.js';

const SECTOR_BYTES = 512;

type CallKind =
  | 'write'
  | 'read'
  | 'allocate'
  | 'truncate'
  | 'dataSync'
  | 'create'
  | 'rename'
  | 'remove'
  | 'syncFolder'
  | 'open';
/** Asked before each call. An error fails it; a number shortens a write to so many bytes. */
export type Fault = (kind: CallKind, name: string, call: number) => Error | number | null;

type Pending = { readonly position: number; readonly bytes: Buffer } | { readonly length: number };

/** A creation, renaming or removal. */
type NameChange = (names: Map<string, Inode>) => unknown;

interface Inode {
  name: string;
  cached: Buffer;
  durable: Buffer;
  pending: Pending[];
}

export class FaultyDisk implements WalFiles {
  readonly folder = 'memory';
  /** Bytes that all files may have together. */
  capacityBytes: number = Number.POSITIVE_INFINITY;
  fault: Fault = () => null;
  calls = 0;
  /** The call at which the process dies: it may or may not take effect, every later one fails. */
  diesAtCall: number = Number.POSITIVE_INFINITY;
  readonly #random: () => number;
  #names = new Map<string, Inode>();
  #durableNames = new Map<string, Inode>();
  #nameChanges: NameChange[] = [];
  #locked = false;
  /** Handles of a dead process do nothing. */
  #life = 0;

  constructor(random: () => number) {
    this.#random = random;
  }

  get isDead(): boolean {
    return this.calls >= this.diesAtCall;
  }

  /** The process is gone and begins anew; the machine stayed up, so the page cache is as it was. */
  restart(): void {
    this.#life += 1;
    this.#locked = false;
    this.diesAtCall = Number.POSITIVE_INFINITY;
    this.calls = 0;
  }

  /** The machine lost its power. */
  crash(): void {
    this.restart();
    // A journal keeps their order; a file system without one keeps any of them.
    const kept = this.#random() < 0.5 ? Math.floor(this.#random() * (this.#nameChanges.length + 1)) : null;
    for (const [place, change] of this.#nameChanges.entries()) {
      if (kept === null ? this.#random() < 0.5 : place < kept) change(this.#durableNames);
    }
    this.#nameChanges = [];
    this.#names = new Map(this.#durableNames);
    const luck = [0, 0.5, 0.9, 1][Math.floor(this.#random() * 4)]!;
    for (const [name, inode] of this.#names) {
      inode.name = name;
      inode.durable = this.#survivor(inode, luck);
      inode.pending = [];
      inode.cached = Buffer.from(inode.durable);
    }
  }

  /** What would be found if the machine lost its power now and everything that was not synced were lost. */
  platter(): FaultyDisk {
    const disk = new FaultyDisk(this.#random);
    for (const [name, { durable }] of this.#durableNames) disk.put(name, durable);
    return disk;
  }

  /** A file as the next process would read it, to damage it. */
  bytes(name: string): Buffer {
    return this.#inode(name).cached;
  }

  get usedBytes(): number {
    let used = 0;
    for (const { cached } of this.#names.values()) used += cached.length;
    return used;
  }

  /** Sets a file's content, on the disk and in the cache. */
  put(name: string, bytes: Uint8Array): void {
    const inode = { name, cached: Buffer.from(bytes), durable: Buffer.from(bytes), pending: [] };
    this.#names.set(name, inode);
    this.#durableNames.set(name, inode);
  }

  /** Takes a file away for good. */
  lose(name: string): void {
    this.#names.delete(name);
    this.#durableNames.delete(name);
  }

  names(): string[] {
    return [...this.#names.keys()].toSorted();
  }

  async list(): Promise<string[]> {
    this.#call('read', '');
    return this.names();
  }

  async size(name: string): Promise<number> {
    return this.#inode(name).cached.length;
  }

  async open(name: string): Promise<WalFile> {
    this.#call('open', name);
    return this.#handle(this.#inode(name));
  }

  async create(name: string): Promise<WalFile> {
    this.#call('create', name);
    const inode: Inode = { name, cached: Buffer.alloc(0), durable: Buffer.alloc(0), pending: [] };
    this.#changeNames((names) => names.set(name, inode));
    return this.#handle(inode);
  }

  async rename(from: string, to: string): Promise<void> {
    this.#call('rename', from);
    const inode = this.#inode(from);
    inode.name = to;
    this.#changeNames((names) => {
      if (names.get(from) === inode) names.delete(from);
      names.set(to, inode);
    });
  }

  async remove(name: string): Promise<void> {
    this.#call('remove', name);
    this.#inode(name);
    this.#changeNames((names) => names.delete(name));
  }

  async syncFolder(): Promise<void> {
    this.#call('syncFolder', '');
    this.#durableNames = new Map(this.#names);
    this.#nameChanges = [];
  }

  async lock(): Promise<() => Promise<void>> {
    if (this.#locked) throw new KvError('KV_LOCKED', 'memory is locked');
    this.#locked = true;
    const life = this.#life;
    return async () => {
      if (life === this.#life) this.#locked = false;
    };
  }

  #changeNames(change: NameChange): void {
    change(this.#names);
    this.#nameChanges.push(change);
  }

  #handle(inode: Inode): WalFile {
    const life = this.#life;
    const call = (kind: CallKind): number | null => {
      if (life !== this.#life) throw systemError('EBADF');
      return this.#call(kind, inode.name);
    };
    return {
      write: async (bytes, position) => {
        const short = call('write');
        const part = Buffer.from(short === null ? bytes : bytes.subarray(0, Math.max(1, short)));
        this.#checkSpace(inode, position + part.length);
        change(inode, { position, bytes: part });
        if (this.isDead) throw systemError('EIO');
        return part.length;
      },
      read: async (position, byteCount) => {
        call('read');
        return Buffer.from(inode.cached.subarray(position, position + byteCount));
      },
      allocate: async (byteCount) => {
        call('allocate');
        const missing = byteCount - inode.cached.length;
        if (missing <= 0) return;
        this.#checkSpace(inode, byteCount);
        change(inode, { position: inode.cached.length, bytes: Buffer.alloc(missing) });
      },
      truncate: async (length) => {
        call('truncate');
        change(inode, { length });
      },
      dataSync: async () => {
        try {
          call('dataSync');
        } catch (error) {
          // The kernel marks the pages clean all the same.
          if (!this.isDead) inode.pending = [];
          throw error;
        }
        for (const pending of inode.pending) inode.durable = changed(inode.durable, pending);
        inode.pending = [];
      },
      close: async () => {
        if (life !== this.#life) throw systemError('EBADF');
      },
    };
  }

  #call(kind: CallKind, name: string): number | null {
    if (this.isDead) throw systemError('EIO');
    this.calls += 1;
    // A write that dies is done first: part of it may get to the disk.
    if (this.isDead && kind !== 'write') throw systemError('EIO');
    const fault = this.fault(kind, name, this.calls);
    if (fault instanceof Error) throw fault;
    return fault;
  }

  #checkSpace(inode: Inode, length: number): void {
    let used = Math.max(0, length - inode.cached.length);
    for (const { cached } of this.#names.values()) used += cached.length;
    if (used > this.capacityBytes) throw systemError('ENOSPC');
  }

  /** Each sector as some version of the page cache had it since the last sync, and a length that the file had. */
  #survivor(inode: Inode, luck: number): Buffer {
    if (inode.pending.length === 0) return inode.durable;
    const versions: Buffer[] = [Buffer.from(inode.durable)];
    for (const pending of inode.pending) versions.push(changed(Buffer.from(versions.at(-1)!), pending));
    const last = inode.pending.at(-1)!;
    if (!('length' in last) && this.#random() < 0.3) {
      // The crash came while the bytes were being copied: of this write there is no more than a beginning.
      const bytes = last.bytes.subarray(0, Math.floor(this.#random() * last.bytes.length));
      versions[versions.length - 1] = changed(Buffer.from(versions.at(-2)!), {
        position: last.position,
        bytes,
      });
    }
    const some = (): Buffer =>
      this.#random() < luck ? versions.at(-1)! : versions[Math.floor(this.#random() * versions.length)]!;
    const result = Buffer.alloc(some().length);
    for (let from = 0; from < result.length; from += SECTOR_BYTES) {
      result.set(some().subarray(from, Math.min(from + SECTOR_BYTES, result.length)), from);
    }
    return result;
  }

  #inode(name: string): Inode {
    const inode = this.#names.get(name);
    if (inode === undefined) throw systemError('ENOENT');
    return inode;
  }
}

export function systemError(code: string): Error {
  return Object.assign(new Error(`${code}: injected`), { code });
}

function change(inode: Inode, pending: Pending): void {
  inode.cached = changed(inode.cached, pending);
  inode.pending.push(pending);
}

function changed(bytes: Buffer, pending: Pending): Buffer {
  if ('length' in pending) return resized(bytes, pending.length);
  const end = pending.position + pending.bytes.length;
  const result = end > bytes.length ? resized(bytes, end) : bytes;
  pending.bytes.copy(result, pending.position);
  return result;
}

function resized(bytes: Buffer, length: number): Buffer {
  const result = Buffer.alloc(length);
  bytes.copy(result, 0, 0, Math.min(length, bytes.length));
  return result;
}
