// The service reactornet.kv.Kv in front of one member: checks what is asked, sends writes through the log and reads to the
// machine, and words the answers. kv-server.ts serves implementation(); what commands do is in kv/machine/native.
// Streams end when their client leaves and when the member stops.

import { createHash } from 'node:crypto';
import { implement, RpcError, type ServerCall, type ServiceImplementation } from '../../rpc/index.js';
import { KvError } from '../errors.js';
import { ItemWriter } from '../machine/batch.js';
import type { Machine } from '../machine/machine.js';
import { isRead, NativeExecutor } from '../machine/native/native-executor.js';
import { REQUEST_BYTES_MAX } from '../machine/native/native-limits.js';
import type { OutcomeInit } from '../machine/native/outcomes.js';
import { NativeReply } from '../machine/reply.js';
import {
  type BackupChunk,
  Command,
  type ExecuteRequest,
  type ExecuteResponse,
  type HashAtRequest,
  type HashAtResponse,
  Kv,
  type KvService as KvHandlers,
  type Leader,
  type MemberListResponse,
  ReadLevel,
  type StatusResponse,
  type WatchRequest,
  type WatchResponse,
} from '../proto/kv.js';
import type { MessageInit } from '../../rpc/index.js';
import { onlyForCluster } from './cluster-check.js';
import { rpcErrorOf } from './failures.js';
import { HashMarks } from './hash-marks.js';
import type { ControlDone, ServedNode } from './served-node.js';
import { WatchHub } from './watch-hub.js';
import { WatchStream } from './watch-stream.js';

export interface KvServiceOptions {
  /** Watches of all clients together. Default 100,000. */
  readonly watchesMax?: number;
  /** For calls whose client set no deadline, in milliseconds. Default 30,000. */
  readonly timeoutMs?: number;
  /** Of the program, in Status. Default ''. */
  readonly version?: string;
  /** Milliseconds of a clock that does not jump. Default: performance.now. */
  readonly nowMs?: () => number;
  /** Calls `task` once, `delayMs` from now; what it returns takes that back. Default: a timer. */
  readonly after?: (delayMs: number, task: () => void) => () => void;
}

const DEFAULTS: Required<KvServiceOptions> = {
  watchesMax: 100_000,
  timeoutMs: 30_000,
  version: '',
  nowMs: () => performance.now(),
  after: (delayMs, task) => {
    const timer = setTimeout(task, delayMs);
    return () => clearTimeout(timer);
  },
};

export class KvService {
  readonly #node: ServedNode;
  readonly #options: Required<KvServiceOptions>;
  readonly #writer = new ItemWriter();
  readonly #hub: WatchHub;
  readonly #marks = new HashMarks();
  readonly #streams = new Set<WatchStream>();
  readonly #unsubscribe: (() => void)[];
  readonly #startedMs: number;
  #machine: Machine;
  #isStopping = false;
  #hint: { readonly leader: Leader; readonly atMs: number } = {
    leader: { id: 0, address: '' },
    atMs: Number.NEGATIVE_INFINITY,
  };

  /** Listens to the node until stop(). */
  constructor(node: ServedNode, options: KvServiceOptions = {}) {
    this.#node = node;
    this.#options = { ...DEFAULTS, ...options };
    this.#startedMs = this.#options.nowMs();
    this.#machine = node.machine;
    this.#hub = new WatchHub(node.machine.revision, this.#options.watchesMax);
    this.#marks.attach(node.machine);
    this.#unsubscribe = [node.onChanges((changes) => this.#hub.publish(changes))];
    const onReplaced = node.onReplaced?.(() => this.#follow());
    if (onReplaced !== undefined) this.#unsubscribe.push(onReplaced);
  }

  /** Open watches. */
  get watches(): number {
    return this.#hub.size;
  }

  implementation(): ServiceImplementation {
    return implement(Kv, this.handlers());
  }

  /** Ends all streams; their clients come back, here or elsewhere. */
  stop(): void {
    this.#isStopping = true;
    for (const unsubscribe of this.#unsubscribe) unsubscribe();
    this.#marks.close();
    for (const stream of this.#streams) stream.end();
  }

  /** They refuse calls that are meant for another cluster. */
  handlers(): KvHandlers {
    return onlyForCluster(String(this.#node.status().clusterId ?? ''), this.#handlers());
  }

  #handlers(): KvHandlers {
    return {
      execute: (request, call) => this.#told(this.execute(request, call)),
      openSession: async ({ ttlMs }, call) => {
        const { session } = await this.#told(this.#command(call, { sessionOpen: { ttlMs } }));
        return { clientId: session?.clientId, ttlMs: session?.ttlMs, leader: this.#leader() };
      },
      keepAlive: async ({ clientId }, call) => {
        const outcome = await this.#told(this.#command(call, { sessionKeepAlive: { clientId } }));
        const { session } = outcome;
        return { isAlive: session !== undefined, ttlMs: session?.ttlMs, leader: this.#leader() };
      },
      closeSession: async ({ clientId }, call) => {
        await this.#told(this.#command(call, { sessionClose: { clientId } }));
        return {};
      },
      watch: (requests, call) => this.watch(requests, call),
      status: () => this.status(),
      memberList: async ({ stale }, call) => {
        if (!stale) await this.#told(this.#fresh(call));
        return this.#members();
      },
      memberAdd: ({ id, address, respAddress, asVoter }, call) =>
        this.#change(call, 'addMember', (node, done) =>
          node.addMember!({ id, rpc: address, resp: respAddress }, !asVoter, done),
        ),
      memberPromote: ({ id }, call) =>
        this.#change(call, 'changeMembers', (node, done) =>
          node.changeMembers!([{ type: 'add-voter', id }], done),
        ),
      memberRemove: ({ id }, call) =>
        this.#change(call, 'removeMember', (node, done) => node.removeMember!(id, done)),
      memberUpdate: ({ id, address, respAddress }, call) =>
        this.#change(call, 'addMember', (node, done) => {
          const { members = [], learners = [] } = node.status();
          if (!members.some((member) => member.id === id)) {
            return done(new KvError('KV_REQUEST_INVALID', `there is no member ${id}`));
          }
          return node.addMember!({ id, rpc: address, resp: respAddress }, learners.includes(id), done);
        }),
      transfer: async ({ to }, call) => {
        await this.#change(call, 'transfer', (node, done) => node.transfer!(to === 0 ? null : to, done));
        const leader = this.#leader();
        if (leader.id !== 0 || to === 0) return { leader };
        // The old leader may not have heard of the new one yet; that it was told to take over is known.
        const { members = [] } = this.#node.status();
        return { leader: { id: to, address: members.find(({ id }) => id === to)?.rpc ?? '' } };
      },
      snapshotNow: async () => {
        if (this.#node.snapshotNow === undefined) throw notHere('snapshotNow');
        const { index, term, bytes } = await this.#told(this.#node.snapshotNow());
        return { index: BigInt(index), term: BigInt(term), bytes: BigInt(bytes) };
      },
      backup: (_request, call) => this.backup(call),
      hashAt: (request, call) => this.#told(this.hashAt(request, call)),
    };
  }

  /** @throws KvError */
  async execute(request: ExecuteRequest, call: ServerCall): Promise<MessageInit<ExecuteResponse>> {
    const { command, readLevel } = request;
    if (command === undefined) throw new KvError('KV_REQUEST_INVALID', 'there is no command');
    if (!isRead(command)) {
      const outcome = await this.#write(call, request, command);
      return this.#response(outcome, false);
    }
    const isStale = readLevel === ReadLevel.STALE;
    if (!isStale) await this.#fresh(call);
    return this.#response(this.#node.machine.queryNative(command) as OutcomeInit, isStale);
  }

  async *watch(
    requests: AsyncIterable<WatchRequest>,
    call: ServerCall,
  ): AsyncGenerator<MessageInit<WatchResponse>> {
    const { nowMs, after } = this.#options;
    const stream = new WatchStream({ machine: () => this.#node.machine, hub: this.#hub, nowMs, after });
    const end = (): void => stream.end();
    if (this.#isStopping || call.signal.aborted) end();
    this.#streams.add(stream);
    call.signal.addEventListener('abort', end, { once: true });
    try {
      yield* stream.responses(requests);
    } catch (error) {
      throw rpcErrorOf(error, this.#leader());
    } finally {
      call.signal.removeEventListener('abort', end);
      this.#streams.delete(stream);
    }
    if (!call.signal.aborted)
      throw new RpcError('RPC_SHUTTING_DOWN', 'the member stops: watch another one', { executed: 'no' });
  }

  status(): MessageInit<StatusResponse> {
    const { machine } = this.#node;
    const status = this.#node.status();
    const native = machine.native instanceof NativeExecutor ? machine.native : null;
    const alarm = machine.alarm;
    return {
      id: status.id,
      clusterId: String(status.clusterId ?? ''),
      role: status.role,
      leader: this.#leader(),
      term: BigInt(status.term),
      commitIndex: BigInt(status.commitIndex),
      appliedIndex: BigInt(status.appliedIndex),
      firstIndex: BigInt(status.firstIndex ?? 0),
      lastIndex: BigInt(status.lastIndex ?? 0),
      snapshotIndex: BigInt(status.snapshotIndex ?? 0),
      revision: BigInt(machine.revision),
      timeMs: BigInt(machine.timeMs),
      keys: BigInt(machine.keyspace.size),
      memoryBytes: BigInt(machine.memoryBytes),
      logBytes: BigInt(status.logBytes ?? 0),
      sessions: native?.sessionCount ?? 0,
      leases: native?.leaseCount ?? 0,
      watches: this.#hub.size,
      watchRevision: BigInt(machine.history.compactedRevision + 1),
      alarms: alarm === null ? [] : [alarm],
      version: this.#options.version,
      uptimeMs: BigInt(Math.round(this.#options.nowMs() - this.#startedMs)),
    };
  }

  /** The chunks of a snapshot at the pace of the client, while the member goes on. */
  async *backup(call: ServerCall): AsyncGenerator<MessageInit<BackupChunk>> {
    const { machine } = this.#node;
    const { clusterId = '' } = this.#node.status();
    let snapshot: ReturnType<Machine['snapshot']>;
    try {
      snapshot = machine.snapshot();
    } catch (error) {
      throw rpcErrorOf(error, this.#leader());
    }
    try {
      const { appliedIndex, appliedTerm, revision, timeMs } = machine;
      yield {
        head: {
          clusterId: String(clusterId),
          index: BigInt(appliedIndex),
          term: BigInt(appliedTerm),
          revision: BigInt(revision),
          timeMs: BigInt(timeMs),
        },
      };
      const hash = createHash('sha256');
      let bytes = 0;
      for (const data of snapshot.chunks()) {
        hash.update(data);
        bytes += data.length;
        yield { data };
        if (this.#isStopping || call.signal.aborted)
          throw new RpcError('RPC_SHUTTING_DOWN', 'the member stops: ask another one', { executed: 'no' });
      }
      yield { end: { bytes: BigInt(bytes), sha256: hash.digest('hex') } };
    } finally {
      snapshot.close();
    }
  }

  /** @throws KvError */
  async hashAt(request: HashAtRequest, call: ServerCall): Promise<MessageInit<HashAtResponse>> {
    let index = Number(request.index);
    if (index === 0) {
      const { hashMark, error } = await this.#command(call, { hashMark: {} });
      if (hashMark === undefined) throw new KvError('KV_HASH_UNKNOWN', `no mark: ${error?.message ?? ''}`);
      index = Number(hashMark.index);
    }
    const appliedIndex = (): number => this.#node.status().appliedIndex;
    const found = await this.#marks.at(index, appliedIndex, this.#timeoutMs(call));
    return { index: BigInt(found.index), revision: BigInt(found.revision), hash: found.hash };
  }

  #follow(): void {
    if (this.#machine === this.#node.machine) return;
    this.#machine = this.#node.machine;
    this.#marks.attach(this.#machine);
    this.#hub.replaced(this.#machine.revision);
  }

  /** A command outside of sessions. @throws KvError */
  #command(call: ServerCall, command: MessageInit<Command>): Promise<OutcomeInit> {
    return this.#write(call, OUTSIDE, command);
  }

  #write(
    call: ServerCall,
    { clientId, sequence, acknowledged }: Pick<ExecuteRequest, 'clientId' | 'sequence' | 'acknowledged'>,
    command: MessageInit<Command>,
  ): Promise<OutcomeInit> {
    const encoded = Command.codec('protobuf').encode(command as Command); // the codec takes what is left out for its default
    const { bytes } = encoded;
    if (bytes > REQUEST_BYTES_MAX) {
      const text = `the command has ${bytes} bytes: at most ${REQUEST_BYTES_MAX}`;
      return Promise.reject(new KvError('KV_REQUEST_TOO_LARGE', text));
    }
    if (clientId > MAX_ID || sequence > MAX_ID || acknowledged > MAX_ID) {
      return Promise.reject(new KvError('KV_REQUEST_INVALID', 'ids and sequences are below 2^53'));
    }
    const payload = new Uint8Array(bytes);
    encoded.writeTo(payload, 0);
    this.#writer.native(Number(clientId), Number(sequence), Number(acknowledged), payload);
    const items = this.#writer.take();
    return new Promise((resolve, reject) => {
      this.#node.submit(
        items,
        (error, replies) => {
          if (error !== null) return reject(error);
          const reply = replies?.[0];
          if (reply instanceof NativeReply) resolve(reply.outcome as OutcomeInit);
          else reject(new KvError('KV_OUTCOME_UNKNOWN', 'the member knows no native commands'));
        },
        this.#timeoutMs(call),
      );
    });
  }

  #fresh(call: ServerCall): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#node.read((error) => (error === null ? resolve() : reject(error)), this.#timeoutMs(call));
    });
  }

  #response(outcome: OutcomeInit, isStale: boolean): MessageInit<ExecuteResponse> {
    const { revision, timeMs } = this.#node.machine;
    return { outcome, revision: BigInt(revision), timeMs: BigInt(timeMs), leader: this.#leader(), isStale };
  }

  /** @throws RpcError */
  async #change(
    _call: ServerCall,
    needs: keyof ServedNode,
    change: (node: ServedNode, done: ControlDone) => void,
  ): Promise<MessageInit<MemberListResponse>> {
    const node = this.#node;
    if (node[needs] === undefined) throw notHere(needs);
    await this.#told(
      new Promise<void>((resolve, reject) => {
        change(node, (error) => (error === null ? resolve() : reject(error)));
      }),
    );
    return this.#members();
  }

  #members(): MessageInit<MemberListResponse> {
    this.#hint = { ...this.#hint, atMs: Number.NEGATIVE_INFINITY };
    const { members = [], learners = [], voters = [], matches = [], leader } = this.#node.status();
    return {
      members: members.map(({ id, rpc, resp }) => ({
        id,
        role: voters.includes(id) ? 'voter' : learners.includes(id) ? 'learner' : 'outgoing',
        address: rpc,
        respAddress: resp,
        isLeader: id === leader,
        matchIndex: BigInt(matches.find((match) => match.id === id)?.index ?? 0),
      })),
      leader: this.#leader(),
    };
  }

  /** A whole status for each answer would cost more than most commands. */
  #leader(): Leader {
    const { leader } = this.#node;
    const nowMs = this.#options.nowMs();
    const hint = this.#hint;
    const isKnown = leader === undefined || (leader ?? 0) === hint.leader.id;
    if (isKnown && nowMs - hint.atMs < HINT_MS) return hint.leader;
    const { leader: id, members = [] } = this.#node.status();
    const address = members.find((member) => member.id === id)?.rpc ?? '';
    this.#hint = { leader: { id, address }, atMs: nowMs };
    return this.#hint.leader;
  }

  #timeoutMs(call: ServerCall): number {
    const remaining = call.remainingMs();
    return Number.isFinite(remaining) ? Math.max(1, remaining) : this.#options.timeoutMs;
  }

  /** Words what goes wrong for the client. */
  async #told<T>(work: Promise<T>): Promise<T> {
    try {
      return await work;
    } catch (error) {
      throw rpcErrorOf(error, this.#leader());
    }
  }
}

const MAX_ID = BigInt(Number.MAX_SAFE_INTEGER);
/** How long a leader's address is taken for right. */
const HINT_MS = 500;
const OUTSIDE = { clientId: 0n, sequence: 0n, acknowledged: 0n };

function notHere(what: string): RpcError {
  return new RpcError('RPC_UNIMPLEMENTED', `this member is no part of a cluster: ${what}`, {
    executed: 'no',
  });
}
