// What a member keeps on its disk: the log and the snapshots, written in the order in which the core asks for it.
// kv-node.ts hands it the effects that concern the disk and is told by token when they are done. `persist` and `install`
// form one queue: while a snapshot is being installed, or the disk is full, what comes waits here, in order.

import { closeAll } from '../close-all.js';
import { KvError } from '../errors.js';
import {
  bootstrap,
  type Entry,
  type HardState,
  type Membership,
  membershipOf,
  type RestoredState,
  type SnapshotMeta,
} from '../raft/index.js';
import type { LogPosition, LogWrite } from '../wal/log-image.js';
import { SnapshotFiles } from '../wal/snapshot-files.js';
import type { SnapshotInfo, SnapshotWriter } from '../wal/snapshot-writer.js';
import type { TornTail } from '../wal/recovery.js';
import { Wal, type WalStats } from '../wal/wal.js';
import type { WalFiles } from '../wal/wal-files.js';
import type { WalOptions } from '../wal/wal-options.js';
import { WAL_RULES, type WalRules } from '../wal/wal-rules.js';
import { stateChunks, type StateLoader, StateReader } from './state-file.js';

export interface NodeStorageOptions<State> {
  readonly clusterId: number;
  readonly memberId: number;
  /** The voters a new cluster begins with; empty for a member that joins. */
  readonly firstMembers: readonly number[];
  readonly snapshotsKept: number;
  readonly wal: WalOptions;
  /** For tests only. */
  readonly walRules?: WalRules;
  readonly newState: () => State;
  readonly newLoader: () => StateLoader<State>;
}

export interface NodeStorageEvents<State> {
  /** Durable, and every earlier `persist` with it; or one chunk is stored. */
  onPersisted(token: number): void;
  onInstalled(token: number, state: State): void;
  onInstallFailed(token: number, error: KvError): void;
  /** Nothing more is said about this disk until a restart. */
  onFailed(error: KvError): void;
  onFull(isFull: boolean): void;
}

/** What was there at the start. */
export interface RestoredNode<State> {
  readonly core: RestoredState;
  readonly state: State;
  readonly tornTail: TornTail | null;
  readonly refused: readonly KvError[];
}

interface Incoming<State> {
  readonly snapshot: SnapshotMeta;
  readonly writer: SnapshotWriter;
  readonly reader: StateReader<State>;
}

type Waiting =
  | { readonly kind: 'write'; readonly token: number; readonly write: LogWrite }
  | { readonly kind: 'install'; readonly token: number; readonly snapshot: SnapshotMeta };

export class NodeStorage<State> {
  readonly #wal: Wal;
  readonly #snapshots: SnapshotFiles;
  readonly #options: NodeStorageOptions<State>;
  readonly #events: NodeStorageEvents<State>;
  /** Given to the log and not back, in order. */
  readonly #underWay = new Map<number, LogWrite>();
  #waiting: Waiting[] = [];
  #isInstalling = false;
  #isFull = false;
  #isRetrying = false;
  #hasFailed = false;
  #isClosed = false;
  #chunks: Promise<void> = Promise.resolve();
  #incoming: Incoming<State> | null = null;
  #incomingError: KvError | null = null;
  #taking: Promise<unknown> = Promise.resolve();
  #compacting: Promise<unknown> = Promise.resolve();
  /** Tokens of our own, below those of the core, with what follows. */
  readonly #own = new Map<number, (error: KvError | null) => void>();
  #nextOwn = -1;
  #inUse: () => readonly SnapshotMeta[] = () => [];

  /** @throws KvError as Wal.open and SnapshotFiles.open; KV_SNAPSHOT_DAMAGED: the log goes on from a snapshot that is gone */
  static async open<State>(
    files: WalFiles,
    options: NodeStorageOptions<State>,
    events: NodeStorageEvents<State>,
  ): Promise<{ storage: NodeStorage<State>; restored: RestoredNode<State> }> {
    const { clusterId, memberId } = options;
    let storage: NodeStorage<State> | null = null;
    const wal = await Wal.open(
      files,
      { clusterId, memberId },
      (token, error) => storage?.completed(token, error),
      options.wal,
      options.walRules ?? WAL_RULES,
    );
    try {
      const snapshots = await SnapshotFiles.open(files, clusterId, {
        keep: options.snapshotsKept,
        inUse: () => storage?.snapshotsInUse() ?? [],
      });
      storage = new NodeStorage(wal, snapshots, options, events);
      return { storage, restored: await storage.#restore() };
    } catch (error) {
      await wal.close();
      throw error;
    }
  }

  private constructor(
    wal: Wal,
    snapshots: SnapshotFiles,
    options: NodeStorageOptions<State>,
    events: NodeStorageEvents<State>,
  ) {
    this.#wal = wal;
    this.#snapshots = snapshots;
    this.#options = options;
    this.#events = events;
  }

  get isFull(): boolean {
    return this.#isFull;
  }

  /** Full, or about to be: only the segment that is being written has room. */
  get isShort(): boolean {
    return this.#isFull || this.#wal.stats().isShort;
  }

  /** Writes given to the log that are not back. */
  get writesUnderWay(): number {
    return this.#underWay.size + this.#waiting.length;
  }

  stats(): WalStats {
    return this.#wal.stats();
  }

  /** For SnapshotFiles: what is being sent stays. */
  snapshotsInUse(): readonly LogPosition[] {
    return this.#inUse();
  }

  keepInUse(inUse: () => readonly SnapshotMeta[]): void {
    this.#inUse = inUse;
  }

  persist(token: number, hardState: HardState, entries: readonly Entry[]): void {
    const write: LogWrite = entries.length === 0 ? { hardState } : { hardState, entries };
    this.#push({ kind: 'write', token, write });
  }

  /** Keeps a piece of a snapshot that is being received; ends in `onPersisted`, whatever becomes of it. */
  storeChunk(token: number, snapshot: SnapshotMeta, offset: number, data: Uint8Array): void {
    this.#chunks = this.#chunks.then(async () => {
      try {
        if (offset === 0) await this.#beginIncoming(snapshot);
        const incoming = this.#incoming;
        if (incoming !== null && this.#incomingError === null) {
          await incoming.writer.write(data);
          incoming.reader.write(data);
        }
      } catch (error) {
        this.#incomingError = asKvError(error); // told when it is to be installed: then it is sent again
      }
      if (!this.#hasFailed && !this.#isClosed) this.#events.onPersisted(token);
    });
  }

  install(token: number, snapshot: SnapshotMeta): void {
    this.#push({ kind: 'install', token, snapshot });
  }

  /** The bytes of a snapshot that is being sent. @throws KvError */
  async readChunk(position: LogPosition, offset: number, byteCount: number): Promise<Buffer> {
    const bytes = Buffer.allocUnsafe(byteCount);
    let at = 0;
    if (byteCount === 0) return bytes;
    for await (const piece of this.#snapshots.read(position, offset)) {
      const part = piece.subarray(0, byteCount - at);
      bytes.set(part, at);
      at += part.length;
      if (at === byteCount) return bytes;
    }
    throw new KvError(
      'KV_SNAPSHOT_DAMAGED',
      `the snapshot at ${position.index} ends before byte ${offset + byteCount}`,
    );
  }

  /** Writes a snapshot of the state; `chunks` is read while writes go on. One at a time. @throws KvError */
  take(meta: Omit<SnapshotMeta, 'byteCount'>, chunks: Iterable<Uint8Array>): Promise<SnapshotInfo> {
    const taken = this.#taking.then(async () => {
      const position = { index: meta.index, term: meta.term };
      const info = await this.#snapshots.write(position, stateChunks(meta.membership, chunks));
      await this.#note(position);
      return info;
    });
    this.#taking = taken.catch(() => undefined); // the caller has the error
    return taken;
  }

  /** Drops log up to `index`, but nothing that the oldest snapshot kept needs to go on from. @throws KvError */
  compact(index: number): Promise<void> {
    const done = this.#compacting.then(async () => {
      const oldest = (await this.#snapshots.list()).at(-1);
      if (oldest === undefined || this.#hasFailed || this.#isClosed) return;
      await this.#wal.compact(Math.min(index, oldest.index));
    });
    this.#compacting = done.catch(() => undefined); // the caller has the error
    return done;
  }

  /** Now and then while the disk is full: looks for space and goes on where it stopped. */
  async retry(): Promise<void> {
    if (!this.isShort || this.#isRetrying || this.#hasFailed || this.#isClosed) return;
    this.#isRetrying = true;
    try {
      if (!(await this.#wal.retry()) || !this.#isFull) return;
      this.#isFull = false;
      this.#events.onFull(false);
      this.#drain();
    } catch (error) {
      this.#fail(asKvError(error));
    } finally {
      this.#isRetrying = false;
    }
  }

  /** Writes what waits and lets go of the folder. */
  async close(): Promise<void> {
    await this.#chunks;
    await this.#taking;
    await this.#compacting;
    this.#isClosed = true;
    await closeAll(
      () => this.#incoming?.writer.abort(),
      () => this.#wal.close(),
    );
  }

  /** For the log: a write is done. */
  completed(token: number, error: KvError | null): void {
    const own = this.#own.get(token);
    const write = this.#underWay.get(token);
    this.#underWay.delete(token);
    if (own !== undefined) {
      this.#own.delete(token);
      own(error);
      return;
    }
    if (error === null) {
      if (!this.#hasFailed) this.#events.onPersisted(token);
      this.#drain();
    } else if (error.code === 'KV_DISK_FULL' && write !== undefined) {
      this.#heldBack(token, write);
    } else {
      this.#fail(error);
    }
  }

  #push(waiting: Waiting): void {
    if (this.#hasFailed || this.#isClosed) return;
    this.#waiting.push(waiting);
    this.#drain();
  }

  #drain(): void {
    while (!this.#isInstalling && !this.#isFull && !this.#hasFailed) {
      const next = this.#waiting[0];
      if (next === undefined) return;
      if (next.kind === 'install') {
        if (this.#underWay.size > 0) return; // what came before it is on its way to the disk
        this.#waiting.shift();
        this.#isInstalling = true;
        void this.#install(next.token, next.snapshot);
        return;
      }
      this.#waiting.shift();
      this.#append(next.token, next.write);
    }
  }

  #append(token: number, write: LogWrite): void {
    try {
      this.#underWay.set(token, write);
      this.#wal.append(token, write);
    } catch (error) {
      this.#underWay.delete(token);
      const failure = asKvError(error);
      if (failure.code === 'KV_DISK_FULL') this.#heldBack(token, write);
      else this.#fail(failure);
    }
  }

  /** Everything behind it fails the same way, in order, and is put in again in order. */
  #heldBack(token: number, write: LogWrite): void {
    const at = this.#waiting.findIndex((waiting) => waiting.token > token);
    const held = { kind: 'write' as const, token, write };
    if (at === -1) this.#waiting.push(held);
    else this.#waiting.splice(at, 0, held);
    if (this.#isFull) return;
    this.#isFull = true;
    this.#events.onFull(true);
  }

  async #beginIncoming(snapshot: SnapshotMeta): Promise<void> {
    const old = this.#incoming;
    this.#incoming = null;
    this.#incomingError = null;
    await old?.writer.abort();
    const { index, term } = snapshot;
    const writer = await this.#snapshots.begin({ index, term });
    this.#incoming = { snapshot, writer, reader: new StateReader(this.#options.newLoader()) };
  }

  async #install(token: number, snapshot: SnapshotMeta): Promise<void> {
    await this.#chunks;
    const incoming = this.#incoming;
    this.#incoming = null;
    try {
      if (this.#incomingError !== null) throw this.#incomingError;
      const { index, term } = snapshot;
      if (incoming === null || incoming.snapshot.index !== index || incoming.snapshot.term !== term) {
        throw new KvError('KV_SNAPSHOT_DAMAGED', `the snapshot at ${index} is not the one that was received`);
      }
      const { state } = incoming.reader.finish();
      await incoming.writer.finish();
      await this.#note({ index, term });
      await this.#snapshots.prune();
      this.#isInstalling = false;
      if (!this.#isClosed) this.#events.onInstalled(token, state);
    } catch (error) {
      await incoming?.writer.abort().catch(() => undefined); // the first error is the one to tell
      this.#isInstalling = false;
      const failure = asKvError(error);
      if (failure.code === 'KV_POISONED') this.#fail(failure);
      else if (!this.#isClosed) this.#events.onInstallFailed(token, failure);
    }
    this.#drain();
  }

  /** Writes into the log that a snapshot is durable. */
  #note(position: LogPosition): Promise<void> {
    return new Promise((resolve, reject) => {
      const token = this.#nextOwn;
      this.#nextOwn -= 1;
      this.#own.set(token, (error) => (error === null ? resolve() : reject(error)));
      try {
        this.#wal.append(token, { snapshot: position });
      } catch (error) {
        this.#own.delete(token);
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  }

  #fail(error: KvError): void {
    if (this.#hasFailed) return;
    this.#hasFailed = true;
    this.#waiting = [];
    this.#events.onFailed(error);
  }

  async #restore(): Promise<RestoredNode<State>> {
    const { recovered } = this.#wal;
    const { snapshot, refused } = await this.#snapshots.newest();
    const { tornTail, hardState, entries, base } = recovered;
    if (base.index > (snapshot?.index ?? 0)) {
      throw new KvError(
        'KV_SNAPSHOT_DAMAGED',
        `the log goes on from entry ${base.index} and no good snapshot reaches that far: ` +
          'give this member an empty folder and a new id',
        { cause: refused[0] },
      );
    }
    if (snapshot === null) {
      const first = bootstrap(membershipOf(this.#options.firstMembers));
      return { core: { ...first, hardState, entries }, state: this.#options.newState(), tornTail, refused };
    }
    const { membership, state } = await this.#load(snapshot);
    // A crash may have come between the snapshot's name and the log's note of it.
    if (recovered.snapshot.index < snapshot.index) await this.#note(snapshot);
    const { index, term, contentBytes } = snapshot;
    const meta: SnapshotMeta = { index, term, membership, byteCount: contentBytes };
    return { core: { hardState, snapshot: meta, entries }, state, tornTail, refused };
  }

  async #load(snapshot: SnapshotInfo): Promise<{ membership: Membership; state: State }> {
    const reader = new StateReader(this.#options.newLoader());
    for await (const piece of this.#snapshots.read(snapshot)) reader.write(piece);
    return reader.finish();
  }
}

function asKvError(error: unknown): KvError {
  if (error instanceof KvError) return error;
  return new KvError('KV_IO', error instanceof Error ? error.message : String(error), { cause: error });
}
