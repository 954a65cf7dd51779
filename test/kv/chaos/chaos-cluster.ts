// A cluster of member processes with proxies between them: starts, kills, pauses, adds and removes members, and says how
// they are. It decides nothing: faults.ts does what is bad to it. Clients reach members directly, peers through proxies.

import { rmSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import type { MemberOptions, MemberReport } from './member.js';
import { MemberProcess } from './member-process.js';
import { freePort } from '../../support/free-port.js';
import { ProxyNetwork } from './proxy.js';

export interface ClusterOptions {
  readonly folder: string;
  readonly members: number;
  readonly electionMs: number;
  readonly heartbeatMs: number;
  readonly snapshotEntries: number;
  readonly trailingEntries: number;
  readonly readsCarelessly: boolean;
}

export interface Member {
  readonly id: number;
  process: MemberProcess;
  readonly join: string | null;
  /** Somebody does something to it; others leave it alone. */
  isBusy: boolean;
}

/** A sum over all lives of all members. */
export interface Totals {
  starts: number;
  snapshots: number;
  snapshotsInstalled: number;
  elections: number;
  reproposed: number;
  term: number;
}

/** Clients and joining members come from here in the network of proxies. */
const OUTSIDE = 0;
const CLUSTER_ID = 7;
/** Starting three processes takes minutes where others have the processors. */
const READY_MS = 600_000;
const START_TRIES = 3;

export class ChaosCluster {
  readonly #options: ClusterOptions;
  readonly network: ProxyNetwork;
  readonly #members = new Map<number, Member>();
  readonly #first: readonly (readonly [number, string])[];
  readonly #latest = new Map<MemberProcess, MemberReport>();
  readonly #totals: Totals = {
    starts: 0,
    snapshots: 0,
    snapshotsInstalled: 0,
    elections: 0,
    reproposed: 0,
    term: 0,
  };
  #nextId: number;

  private constructor(options: ClusterOptions, network: ProxyNetwork) {
    this.#options = options;
    this.network = network;
    this.#nextId = options.members + 1;
    this.#first = Array.from({ length: options.members }, (_, at) => [
      at + 1,
      network.address(OUTSIDE, at + 1),
    ]);
  }

  static async start(options: ClusterOptions, random: () => number): Promise<ChaosCluster> {
    const ids = Array.from({ length: options.members }, (_, at) => at + 1);
    const cluster = new ChaosCluster(options, await ProxyNetwork.open([OUTSIDE, ...ids], random));
    try {
      await Promise.all(
        ids.map(async (id) => {
          const process = await cluster.#launch(id, null);
          cluster.#members.set(id, { id, process, join: null, isBusy: false });
          await process.ready(READY_MS);
        }),
      );
    } catch (error) {
      await cluster.close();
      throw error;
    }
    return cluster;
  }

  get members(): readonly Member[] {
    return [...this.#members.values()];
  }

  /** Members with nothing done to them that take work. */
  get idle(): readonly Member[] {
    return this.members.filter(({ isBusy, process }) => !isBusy && process.isAlive);
  }

  /** Where clients find a member's native service. */
  rpcAddress(id: number): string {
    return this.network.address(OUTSIDE, id);
  }

  /** Begins another life of a member that ended. */
  async restart(member: Member): Promise<void> {
    for (let tries = 1; ; tries += 1) {
      member.process = await this.#launch(member.id, member.join);
      try {
        // One that joins is ready only when it is in, which is for whoever let it join to wait for.
        if (member.join === null) await member.process.ready(READY_MS);
        return;
      } catch (error) {
        // Its port may have been taken by another process in between.
        if (tries === START_TRIES) throw error;
      }
    }
  }

  /** A new member that asks `contact` to take it in; its process runs, it is not in yet. */
  async join(contact: number): Promise<Member> {
    const id = this.#nextId;
    this.#nextId += 1;
    await this.network.add(id);
    for (const { id: other, process } of this.members) {
      // Whoever is down or stopped is told when it is started again, or reads it when it goes on.
      if (process.isAlive)
        await process
          .order({ do: 'link', id, address: this.network.address(other, id) })
          .catch(() => undefined);
    }
    const join = this.network.address(OUTSIDE, contact);
    const member = { id, process: await this.#launch(id, join), join, isBusy: true };
    this.#members.set(id, member);
    return member;
  }

  /** Ends a member that the others have removed, with all it had. */
  async discard(member: Member): Promise<void> {
    await member.process.stop();
    this.#members.delete(member.id);
    await this.network.remove(member.id);
    rmSync(this.#folderOf(member.id), { recursive: true, force: true });
  }

  /** How those are that answer. */
  async reports(order: 'status' | 'hash' = 'status', timeoutMs = 1000): Promise<Map<number, MemberReport>> {
    const reports = new Map<number, MemberReport>();
    await Promise.all(
      this.members.map(async ({ id, process }) => {
        if (!process.isAlive || process.isPaused) return;
        try {
          const report = await process.order<MemberReport>({ do: order }, timeoutMs);
          this.#latest.set(process, report);
          reports.set(id, report);
        } catch {
          // It is starting, ended or too busy: it is missing from the answer.
        }
      }),
    );
    return reports;
  }

  /** The leader of the newest term; null if nobody says so. */
  async leader(): Promise<Member | null> {
    let found: { id: number; term: number } | null = null;
    for (const [id, { role, term }] of await this.reports()) {
      if (role === 'leader' && (found === null || term > found.term)) found = { id, term };
    }
    return found === null ? null : (this.#members.get(found.id) ?? null);
  }

  /** Waits until somebody leads. @throws Error */
  async someLeader(timeoutMs: number): Promise<Member> {
    const endMs = performance.now() + timeoutMs;
    for (;;) {
      const leader = await this.leader();
      if (leader !== null) return leader;
      if (performance.now() > endMs) throw new Error(`nobody leads after ${timeoutMs} ms`);
      await pause(50);
    }
  }

  totals(): Totals {
    const totals = { ...this.#totals };
    for (const { snapshots, snapshotsInstalled, elections, reproposed, term } of this.#latest.values()) {
      totals.snapshots += snapshots;
      totals.snapshotsInstalled += snapshotsInstalled;
      totals.elections += elections;
      totals.reproposed += reproposed;
      totals.term = Math.max(totals.term, term);
    }
    return totals;
  }

  async close(): Promise<void> {
    await Promise.all(this.members.map(({ process }) => process.kill()));
    await this.network.close();
  }

  async #launch(id: number, join: string | null): Promise<MemberProcess> {
    const { electionMs, heartbeatMs, snapshotEntries, trailingEntries, readsCarelessly } = this.#options;
    // Members keep no port over their lives.
    const port = await freePort();
    const own = [id, this.network.address(OUTSIDE, id)] as const;
    const options: MemberOptions = {
      id,
      clusterId: CLUSTER_ID,
      cluster: join === null ? this.#first : [own],
      join,
      port,
      dataDir: this.#folderOf(id),
      links: this.network.others(id).map((other) => [other, this.network.address(id, other)]),
      electionMs,
      heartbeatMs,
      snapshotEntries,
      trailingEntries,
      readsCarelessly,
    };
    this.network.target(id, port);
    this.#totals.starts += 1;
    return new MemberProcess(options, path.join(this.#options.folder, `member-${id}.log`));
  }

  #folderOf(id: number): string {
    return path.join(this.#options.folder, `member-${id}`);
  }
}
