// Members in one process on a clock, a network and disks that a test moves, breaks and crashes. Everything is drawn from a
// seed: the same seed gives the same course of events.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';
import type { KvError } from '../../../../kv/errors.js';
import { ItemWriter } from '../../../../kv/machine/batch.js';
import type { Reply } from '../../../../kv/machine/reply.js';
import type { NodeClock } from '../../../../kv/node/node-clock.js';
import { KvNode, type NodeEvent, type NodeLogger } from '../../../../kv/node/kv-node.js';
import type { KvNodeOptions } from '../../../../kv/node/node-options.js';
import { FakeClock } from '../../../support/fake-clock.js';
import { FaultyDisk } from '../../support/faulty-disk.js';
import { seededRandom } from '../../support/seeded-random.js';
import { MemoryNetwork } from './memory-network.js';

export class NodeClockForTests extends FakeClock implements NodeClock {
  defer(task: () => void): void {
    this.after(0, task);
  }
}

export interface Answer {
  readonly error: KvError | null;
  readonly replies: readonly Reply[] | null;
}

export type NodeOverrides = Partial<Omit<KvNodeOptions, 'id' | 'clusterId' | 'boot'>>;

const SILENT: NodeLogger = { info: () => {}, warn: () => {}, error: () => {} };
const STEP_MS = 5;
const CHANGE_ATTEMPTS = 20;

export class NodeCluster {
  readonly clock: NodeClockForTests = new NodeClockForTests();
  readonly network: MemoryNetwork;
  readonly disks: Map<number, FaultyDisk> = new Map();
  readonly nodes: Map<number, KvNode> = new Map();
  readonly events: Map<number, NodeEvent[]> = new Map();
  readonly #random: () => number;
  readonly #first: readonly number[];
  readonly #options: NodeOverrides;
  readonly #addresses = new Map<number, string>();
  #boots = 0;

  constructor(t: TestContext, seed: number, first: readonly number[], options: NodeOverrides = {}) {
    t.diagnostic(`seed ${seed}`);
    this.#random = seededRandom(seed);
    this.network = new MemoryNetwork(this.clock, this.#random);
    this.#first = first;
    this.#options = options;
    for (const id of first) this.#addresses.set(id, `member-${id}:1`);
    t.after(async () => {
      for (const node of this.nodes.values()) await node.close();
    });
  }

  /** Starts a member, or starts it again on the disk it left. */
  async start(id: number, overrides: NodeOverrides = {}): Promise<KvNode> {
    let disk = this.disks.get(id);
    if (disk === undefined) {
      disk = new FaultyDisk(this.#random);
      this.disks.set(id, disk);
    }
    this.#boots += 1;
    const isFirst = this.#first.includes(id);
    const node = await KvNode.open(
      {
        files: disk,
        peers: this.network.transport(id),
        clock: this.clock,
        random: this.#random,
        logger: SILENT,
      },
      {
        id,
        clusterId: 77,
        boot: this.#boots,
        firstMembers: isFirst ? this.#first : [],
        addresses: this.#addresses,
        rpcAddress: `member-${id}:1`,
        wal: { segmentBytes: 65_536 },
        ...this.#options,
        ...overrides,
      },
    );
    this.nodes.set(id, node);
    const events: NodeEvent[] = [];
    this.events.set(id, events);
    node.onEvent((event) => events.push(event));
    return node;
  }

  async startAll(): Promise<void> {
    for (const id of this.#first) await this.start(id);
    await this.until('a leader', () => this.leader() !== null);
  }

  /** The process dies and its machine loses power: what was not synced may be gone. */
  async crash(id: number): Promise<void> {
    this.network.detach(id);
    const node = this.node(id);
    this.nodes.delete(id);
    this.disks.get(id)!.crash(); // its handles are dead from here on
    await node.close();
  }

  /** A change of the members, asked of the leader until one makes it. */
  async change(ask: (leader: KvNode, done: (error: KvError | null) => void) => void): Promise<void> {
    for (let attempt = 1; ; attempt += 1) {
      await this.until('a leader', () => this.leader() !== null);
      const outcome = { error: undefined as KvError | null | undefined };
      ask(this.leader()!, (error) => (outcome.error = error));
      await this.until('the answer', () => outcome.error !== undefined);
      if (outcome.error === null) return;
      if (attempt === CHANGE_ATTEMPTS) throw outcome.error;
      await this.clock.advance(100);
    }
  }

  /** The member stops for good. */
  async leave(id: number): Promise<void> {
    this.network.detach(id);
    const node = this.node(id);
    this.nodes.delete(id);
    await node.close();
  }

  node(id: number): KvNode {
    const node = this.nodes.get(id);
    assert.ok(node, `member ${id} runs`);
    return node;
  }

  /** The one that leads, if all that run and are heard agree that it does. */
  leader(): KvNode | null {
    const leaders = [...this.nodes.values()].filter((node) => node.isLeader);
    const newest = leaders.toSorted((a, b) => b.status().term - a.status().term)[0];
    return newest ?? null;
  }

  followers(): KvNode[] {
    return [...this.nodes.values()].filter((node) => !node.isLeader);
  }

  async until(what: string, condition: () => boolean, withinMs = 30_000): Promise<void> {
    for (let waited = 0; !condition(); waited += STEP_MS) {
      assert.ok(waited < withinMs, `${what} within ${withinMs} ms`);
      await this.clock.advance(STEP_MS);
    }
  }

  /** Runs commands as one request; the answer comes while the clock is moved. */
  submit(
    node: KvNode,
    commands: readonly (readonly string[])[],
    timeoutMs?: number,
  ): { answer: Answer | null } {
    const writer = new ItemWriter();
    for (const command of commands) writer.redis(command, false);
    const result: { answer: Answer | null } = { answer: null };
    node.submit(writer.take(), (error, replies) => (result.answer = { error, replies }), timeoutMs);
    return result;
  }

  async run(node: KvNode, ...command: string[]): Promise<Reply> {
    const result = this.submit(node, [command]);
    await this.until(`an answer to ${command.join(' ')}`, () => result.answer !== null);
    const { error, replies } = result.answer!;
    if (error !== null) throw error;
    return replies![0]!;
  }

  /** Every member that runs has applied what the leader has, and has the same state. */
  async agree(): Promise<string> {
    await this.until('a leader', () => this.leader() !== null);
    await this.until('everybody to catch up', () => {
      const last = this.leader()?.status().lastIndex;
      return [...this.nodes.values()].every((node) => node.status().appliedIndex === last);
    });
    const hashes = [...this.nodes.values()].map((node) => node.machine.hash());
    assert.equal(new Set(hashes).size, 1, 'one state');
    return hashes[0]!;
  }
}
