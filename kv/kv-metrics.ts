// A member's figures for Prometheus. kv-web.ts serves `render()`; counts are asked for at scrape time, only the time of
// each fdatasync is noted as it happens.

import { Counter, Gauge, Histogram, Registry } from 'prom-client';
import type { KvNode, NodeFigures } from './node/kv-node.js';

const PREFIX = 'reactor_net_kv_';
const FSYNC_BUCKETS_S = [
  0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5,
];
const BATCH_BUCKETS = [1, 2, 4, 8, 16, 32, 64, 128, 256, 1024, 4096];

type Read = (figures: NodeFigures, node: KvNode) => number;

const GAUGES: readonly (readonly [name: string, help: string, read: Read])[] = [
  ['is_leader', '1 while this member leads.', (_, node) => (node.isLeader ? 1 : 0)],
  ['has_leader', '1 while a leader is known.', ({ status }) => (status.leader === null ? 0 : 1)],
  ['term', 'Raft term.', ({ status }) => status.term],
  ['commit_index', 'Last entry known to be committed.', ({ status }) => status.commitIndex],
  ['applied_index', 'Last entry applied.', ({ status }) => status.appliedIndex],
  ['last_index', 'Last entry of the log.', ({ status }) => status.lastIndex],
  [
    'apply_lag_entries',
    'Committed and not applied.',
    ({ status }) => status.commitIndex - status.appliedIndex,
  ],
  ['log_bytes', 'Log held in memory.', ({ status }) => status.logBytes],
  ['uncommitted_bytes', 'Proposed and not committed.', ({ status }) => status.uncommittedBytes],
  ['wal_segments', 'Segments of the log on disk.', ({ wal }) => wal.segments],
  ['wal_queued_bytes', 'Waiting for the disk.', ({ wal }) => wal.queuedBytes],
  ['disk_full', '1 while there is no space.', ({ isDiskFull }) => (isDiskFull ? 1 : 0)],
  ['snapshot_index', 'Entry of the newest snapshot.', ({ status }) => status.snapshotIndex],
  ['snapshot_bytes', 'Size of the newest snapshot taken here.', ({ snapshotBytes }) => snapshotBytes],
  ['snapshot_seconds', 'How long it took.', ({ snapshotMs }) => snapshotMs / 1000],
  ['pending_requests', 'Requests that wait or are under way.', ({ pendingCount }) => pendingCount],
  ['pending_bytes', 'Bytes of them.', ({ pendingBytes }) => pendingBytes],
  ['pending_reads', 'Reads that wait for the leader.', ({ readsWaiting }) => readsWaiting],
  ['keys', 'Keys in the store.', (_, node) => node.machine.keyspace.size],
  ['memory_bytes', 'Estimate of keys and values.', (_, node) => node.machine.memoryBytes],
  [
    'quota_bytes',
    'Memory above which growing writes are refused; 0: none.',
    (_, node) => node.machine.settings.quotaBytes,
  ],
  [
    'quota_exceeded',
    '1 while growing writes are refused.',
    (_, node) => (node.machine.alarm === null ? 0 : 1),
  ],
  ['revision', 'Revision of the store.', (_, node) => node.machine.revision],
];

const COUNTERS: readonly (readonly [name: string, help: string, read: Read])[] = [
  ['leader_changes_total', 'Leaders this member came to know.', ({ leaderChanges }) => leaderChanges],
  ['elections_total', 'Elections this member stood in.', ({ elections }) => elections],
  ['missed_ticks_total', 'Ticks that came late and were made up for.', ({ missedTicks }) => missedTicks],
  ['applied_entries_total', 'Entries applied by this process.', ({ appliedEntries }) => appliedEntries],
  ['apply_seconds_total', 'Time spent applying.', ({ applyMs }) => applyMs / 1000],
  ['requests_total', 'Requests for the log.', ({ submitted }) => submitted],
  ['batches_total', 'Batches made of them.', ({ batches }) => batches],
  ['forwarded_batches_total', 'Batches sent to the leader.', ({ forwarded }) => forwarded],
  ['reproposed_batches_total', 'Batches proposed again.', ({ reproposed }) => reproposed],
  ['reads_total', 'Linearizable reads.', ({ reads }) => reads],
  ['read_rounds_total', 'Rounds that confirmed them.', ({ readRounds }) => readRounds],
  ['snapshots_total', 'Snapshots taken.', ({ snapshots }) => snapshots],
  [
    'snapshot_failures_total',
    'Snapshots that could not be taken.',
    ({ snapshotFailures }) => snapshotFailures,
  ],
  [
    'snapshots_installed_total',
    'Snapshots received from others.',
    ({ snapshotsInstalled }) => snapshotsInstalled,
  ],
  [
    'refused_messages_total',
    'Messages of members that make no sense.',
    ({ refusedMessages }) => refusedMessages,
  ],
  ['wal_flushes_total', 'Calls of fdatasync.', ({ wal }) => wal.flushes],
  ['wal_appends_total', 'Appends they made durable.', ({ wal }) => wal.appends],
];

/** Flushes that the histograms are told of together. */
const FLUSHES_MAX = 256;

export class KvMetrics {
  readonly registry: Registry = new Registry();
  readonly #fsync: Histogram;
  readonly #batch: Histogram;
  /** Flushes that the histograms were not told of yet: one by one, in between, they cost many times as much. */
  #flushes: { readonly appends: number; readonly ms: number }[] = [];

  constructor() {
    const registers = [this.registry];
    this.#fsync = new Histogram({
      name: `${PREFIX}fsync_seconds`,
      help: 'Write and fdatasync of a batch of the log.',
      buckets: FSYNC_BUCKETS_S,
      registers,
      collect: () => this.#observe(),
    });
    this.#batch = new Histogram({
      name: `${PREFIX}fsync_appends`,
      help: 'Appends made durable by one fdatasync.',
      buckets: BATCH_BUCKETS,
      registers,
      collect: () => this.#observe(),
    });
  }

  /** For the log, after each fdatasync. */
  flushed({ appends, ms }: { readonly appends: number; readonly ms: number }): void {
    this.#flushes.push({ appends, ms });
    if (this.#flushes.length >= FLUSHES_MAX) this.#observe();
  }

  #observe(): void {
    const flushes = this.#flushes;
    this.#flushes = [];
    for (const { appends, ms } of flushes) {
      this.#fsync.observe(ms / 1000);
      this.#batch.observe(appends);
    }
  }

  watch(node: KvNode): void {
    const registers = [this.registry];
    for (const [name, help, read] of GAUGES) {
      const gauge: Gauge = new Gauge({
        name: PREFIX + name,
        help,
        registers,
        collect: () => gauge.set(read(node.figures(), node)),
      });
    }
    for (const [name, help, read] of COUNTERS) {
      const counter: Counter = new Counter({
        name: PREFIX + name,
        help,
        registers,
        collect: () => {
          counter.reset();
          counter.inc(read(node.figures(), node));
        },
      });
    }
    const peers: Gauge<'peer'> = new Gauge({
      name: `${PREFIX}peer_connected`,
      help: '1 while messages can be sent to the member.',
      labelNames: ['peer'],
      registers,
      collect: () => {
        peers.reset();
        for (const { id, isConnected } of node.peerFigures()) peers.set({ peer: id }, isConnected ? 1 : 0);
      },
    });
    const queues: Gauge<'peer'> = new Gauge({
      name: `${PREFIX}peer_queued_bytes`,
      help: 'Messages waiting for the member.',
      labelNames: ['peer'],
      registers,
      collect: () => {
        queues.reset();
        for (const { id, queuedBytes } of node.peerFigures()) queues.set({ peer: id }, queuedBytes);
      },
    });
  }

  /** The Prometheus text format. */
  render(): Promise<string> {
    return this.registry.metrics();
  }
}
