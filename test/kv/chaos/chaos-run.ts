// One chaos run: a cluster of processes, clients on it, faults from a seed, and then the judgement: the history is
// linearizable, nothing acknowledged was lost, all members hold the same state, and after every healing all of them
// served again in time. soak.ts runs it for long, chaos.test.ts briefly.

import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { SeededRandom } from '../../support/seeded-random.js';
import { judge, type Judgement, told } from '../history/check-history.js';
import { HistoryRecorder } from '../history/recorder.js';
import { asHtml } from '../history/report.js';
import { ChaosCluster, type Totals } from './chaos-cluster.js';
import type { ClientSettings, Endpoint, OutcomeCounts } from './client-settings.js';
import { type Scene, someFault } from './faults.js';
import { KeyRing } from './key-ring.js';
import { changeMembers, type ChurnCounts } from './membership-churn.js';
import { ClerkClient } from './clerk-client.js';
import { NativeClient } from './native-client.js';
import { RespClient } from './resp-client.js';
import { RespConnection } from './resp-connection.js';

export interface ChaosOptions {
  readonly seed: number;
  readonly durationMs: number;
  /** Empty; gets the members' data and logs and the history. */
  readonly folder: string;
  readonly respClients: number;
  readonly nativeClients: number;
  readonly clerks: number;
  /** Within this every member has to serve again after a fault, and all to hold the same state in the end. */
  readonly patienceMs: number;
  /** Members join and leave. */
  readonly churn: boolean;
  /** Members have a bug that the run must notice (see member.ts). */
  readonly readsCarelessly?: boolean;
  readonly log: (line: string) => void;
}

export interface ChaosResult {
  readonly seed: number;
  readonly seconds: number;
  readonly operations: OutcomeCounts;
  /** Of native clients: reads that may be stale, and requests sent again under their sequence. */
  readonly staleReads: number;
  readonly resent: number;
  readonly faults: Readonly<Record<string, number>>;
  readonly churn: ChurnCounts;
  readonly cluster: Totals;
  /** From the end of a fault until every member had executed a write for a client. */
  readonly healing: { readonly count: number; readonly medianMs: number; readonly maxMs: number };
  readonly judgement: Omit<Judgement, 'violations'> & { readonly violations: number };
  readonly stateHash: string;
  readonly members: number;
  /** What was wrong; empty: nothing. */
  readonly failures: readonly string[];
}

const MEMBERS = 3;
const SETTINGS: ClientSettings = { timeoutMs: 4000, thinkMsMax: 25 };
const READING_MS = 600_000;
const SECOND_FAULT = 0.25;
const CHURN_PAUSE_MS = [2000, 15_000] as const;

export async function runChaos(options: ChaosOptions): Promise<ChaosResult> {
  const run = new ChaosRun(options);
  return run.run();
}

class ChaosRun {
  readonly #options: ChaosOptions;
  readonly #random: SeededRandom;
  readonly #recorder: HistoryRecorder;
  readonly #keys = new KeyRing();
  readonly #startMs: number = performance.now();
  readonly #faults: Record<string, number> = {};
  readonly #healingMs: number[] = [];
  readonly #churn: ChurnCounts = { joined: 0, removed: 0, givenUp: 0 };
  readonly #failures: string[] = [];
  readonly #log: (text: string) => void;

  constructor(options: ChaosOptions) {
    this.#options = options;
    this.#random = new SeededRandom(options.seed);
    mkdirSync(options.folder, { recursive: true });
    this.#recorder = new HistoryRecorder(path.join(options.folder, 'history.jsonl'));
    this.#log = (text) =>
      options.log(`${((performance.now() - this.#startMs) / 1000).toFixed(1)} s: ${text}`);
  }

  async run(): Promise<ChaosResult> {
    const { seed, folder } = this.#options;
    const network = new SeededRandom(seed + 2);
    const cluster = await ChaosCluster.start(
      {
        folder,
        members: MEMBERS,
        electionMs: 1000,
        heartbeatMs: 100,
        snapshotEntries: 300,
        trailingEntries: 100,
        readsCarelessly: this.#options.readsCarelessly ?? false,
      },
      () => network.fraction(),
    );
    try {
      await cluster.someLeader(this.#options.patienceMs);
      this.#log('a leader is there');
      const clients = this.#clients(cluster);
      const working = new AbortController();
      const work = Promise.all(
        clients.map((client) =>
          client.run(working.signal).catch((error: unknown) => {
            this.#failures.push(`a client ended: ${error instanceof Error ? error.stack : String(error)}`);
          }),
        ),
      );
      await this.#breakThings(cluster);
      working.abort();
      await work;
      this.#recorder.flush();
      await this.#readAll(cluster);
      const stateHash = await this.#converged(cluster);
      this.#recorder.flush();
      this.#log('judging the history');
      const judgement = judge({ history: this.#recorder.history(), failed: [...this.#recorder.failed()] });
      this.#note(judgement);
      const native = clients.filter((client) => client instanceof NativeClient);
      for (const { failures } of native) this.#failures.push(...failures);
      const sum = (what: keyof OutcomeCounts): number =>
        clients.reduce((total, { counts }) => total + counts[what], 0);
      const sorted = this.#healingMs.toSorted((a, b) => a - b);
      return {
        seed,
        seconds: Math.round((performance.now() - this.#startMs) / 1000),
        operations: { answered: sum('answered'), unknown: sum('unknown'), never: sum('never') },
        staleReads: native.reduce((total, client) => total + client.staleReads, 0),
        resent: native.reduce((total, client) => total + client.resent, 0),
        faults: this.#faults,
        churn: this.#churn,
        cluster: cluster.totals(),
        healing: {
          count: sorted.length,
          medianMs: Math.round(sorted[sorted.length >> 1] ?? 0),
          maxMs: Math.round(sorted.at(-1) ?? 0),
        },
        judgement: { ...judgement, violations: judgement.violations.length },
        stateHash,
        members: cluster.members.length,
        failures: this.#failures,
      };
    } finally {
      this.#recorder.flush();
      await cluster.close();
    }
  }

  #clients(cluster: ChaosCluster): (RespClient | NativeClient | ClerkClient)[] {
    const { respClients, nativeClients, clerks, seed } = this.#options;
    return Array.from({ length: respClients + nativeClients + clerks }, (_, at) => {
      const Client =
        at < respClients ? RespClient : at < respClients + nativeClients ? NativeClient : ClerkClient;
      const random = new SeededRandom(seed * 1000 + at);
      return new Client(at + 1, random, this.#keys, this.#recorder, () => endpoints(cluster), SETTINGS);
    });
  }

  async #breakThings(cluster: ChaosCluster): Promise<void> {
    const over = new AbortController();
    const timer = setTimeout(() => over.abort(), this.#options.durationMs);
    const scene: Scene = { cluster, random: this.#random, signal: over.signal, log: this.#log };
    const churning = this.#options.churn ? this.#churnMembers(scene) : Promise.resolve();
    try {
      while (!over.signal.aborted) {
        await calm(over.signal, this.#random.integer(200, 3000));
        if (over.signal.aborted) break;
        const two = this.#random.chance(SECOND_FAULT);
        const names = await Promise.all([
          someFault(scene, true),
          ...(two
            ? [someFault({ ...scene, random: new SeededRandom(this.#random.integer(0, 2 ** 31)) }, false)]
            : []),
        ]);
        for (const name of names) this.#faults[name] = (this.#faults[name] ?? 0) + 1;
        await this.#healed(cluster);
        if (this.#failures.length > 0) break;
      }
    } finally {
      over.abort();
      clearTimeout(timer);
      cluster.network.heal();
      await churning;
    }
    await this.#healed(cluster);
  }

  async #churnMembers(scene: Scene): Promise<void> {
    const random = new SeededRandom(this.#options.seed + 1);
    while (!scene.signal.aborted) {
      await calm(scene.signal, random.integer(...CHURN_PAUSE_MS));
      if (scene.signal.aborted) return;
      try {
        await changeMembers({ ...scene, random }, MEMBERS, this.#churn);
      } catch (error) {
        this.#failures.push(`a change of members: ${String(error)}`);
        return;
      }
    }
  }

  /** Every member that nothing is done to executes a write within the deadline; none has ended by itself. */
  async #healed(cluster: ChaosCluster): Promise<void> {
    const { patienceMs } = this.#options;
    const startMs = performance.now();
    const asked = new Set<number>();
    for (let isDone = false; !isDone; ) {
      isDone = true;
      for (const member of cluster.members) {
        if (member.isBusy || asked.has(member.id)) continue;
        if (!member.process.isAlive && member.process.lastWord !== 'removed') {
          this.#failures.push(`member ${member.id} has ended by itself: ${member.process.lastWord}`);
          return;
        }
        const port = member.process.respPort;
        if (port !== null && (await probe(port))) asked.add(member.id);
        else isDone = false;
      }
      if (!isDone && performance.now() - startMs > patienceMs) {
        const missing = cluster.members.filter(({ id, isBusy }) => !isBusy && !asked.has(id));
        this.#failures.push(
          `${missing.map(({ id }) => id).join(', ')} did not serve ${patienceMs} ms after healing`,
        );
        this.#log(JSON.stringify([...(await cluster.reports()).entries()]));
        return;
      }
      if (!isDone) await pause(20);
    }
    this.#healingMs.push(performance.now() - startMs);
  }

  /** Reads every key there ever was, through all members in turn: what was acknowledged must be there. */
  async #readAll(cluster: ChaosCluster): Promise<void> {
    this.#log(`reading ${this.#keys.all.length} keys`);
    const endMs = performance.now() + READING_MS;
    const keys = [...this.#keys.all];
    const reader = async (at: number): Promise<void> => {
      const random = new SeededRandom(this.#options.seed - at);
      const client = new RespClient(
        1000 + at,
        random,
        this.#keys,
        this.#recorder,
        () => endpoints(cluster),
        SETTINGS,
      );
      try {
        for (let key = keys.pop(); key !== undefined; key = keys.pop()) await client.readFinally(key, endMs);
      } finally {
        client.close();
      }
    };
    try {
      await Promise.all([1, 2, 3, 4].map(reader));
    } catch (error) {
      this.#failures.push(String(error));
    }
  }

  /** All members hold the same state at the same index. */
  async #converged(cluster: ChaosCluster): Promise<string> {
    const endMs = performance.now() + this.#options.patienceMs;
    let seen = '';
    while (performance.now() < endMs) {
      const reports = [...(await cluster.reports('hash', 20_000)).entries()];
      seen = JSON.stringify(reports);
      const indexes = new Set(reports.map(([, { appliedIndex }]) => appliedIndex));
      if (reports.length === cluster.members.length && indexes.size === 1) {
        const hashes = new Set(reports.map(([, { hash }]) => hash));
        if (hashes.size > 1) this.#failures.push(`states differ at one index: ${seen}`);
        this.#log(`all members at index ${[...indexes].join('')}`);
        return [...hashes].join(' ');
      }
      await pause(100);
    }
    this.#failures.push(`members do not come to the same index: ${seen}`);
    return '';
  }

  #note(judgement: Judgement): void {
    const { violations, anomalies, undecided } = judgement;
    for (const [at, violation] of violations.entries()) {
      const file = path.join(this.#options.folder, `violation-${at + 1}.html`);
      writeFileSync(file, asHtml(violation));
    }
    const bad = violations.length + anomalies.length + undecided.length;
    if (bad > 0) this.#failures.push(told(judgement));
  }
}

function endpoints(cluster: ChaosCluster): Endpoint[] {
  return cluster.members.flatMap(({ id, process }) =>
    process.respPort === null ? [] : [{ id, port: process.respPort, rpc: cluster.rpcAddress(id) }],
  );
}

/** Whether a write through this member was answered. */
async function probe(port: number): Promise<boolean> {
  try {
    const connection = await RespConnection.open(port, SETTINGS.timeoutMs);
    try {
      const [reply] = await connection.send([['SET', 'probe', 'x']], SETTINGS.timeoutMs);
      return reply === 'OK';
    } finally {
      connection.close();
    }
  } catch {
    return false; // asked again until the deadline
  }
}

async function calm(signal: AbortSignal, ms: number): Promise<void> {
  try {
    await pause(ms, undefined, { signal });
  } catch (error) {
    if (!signal.aborted) throw error;
  }
}
