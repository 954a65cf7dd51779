// A member of a KV cluster as a process has it: the node on its folder, the RPC server for peers and native clients, the
// protocols in front, and the pages beside. `reactor-net kv serve` runs one; so may a program that wants a member inside.
// What decides is in kv/node; here are the clock, the disk, the network, and the order in which things begin and end.

import { randomBytes } from 'node:crypto';
import { formatAddress, type Logger } from '../reactor/index.js';
import { RpcServer, type ServiceImplementation } from '../rpc/index.js';
import { closeAll } from './close-all.js';
import { KvError } from './errors.js';
import { describe, join, joinCluster } from './joining.js';
import { KvMetrics } from './kv-metrics.js';
import {
  addressOf,
  certificateNameOf,
  type KvServerOptions,
  respAddressOf,
  transportOf,
} from './kv-server-options.js';
import { KvWeb } from './kv-web.js';
import type { MachineOptions } from './machine/machine.js';
import { NativeExecutor } from './machine/native/native-executor.js';
import { factsOf } from './member-facts.js';
import { systemClock } from './node/node-clock.js';
import { KvNode, type NodeEvent } from './node/kv-node.js';
import { PEER_MESSAGE_BYTES_MAX } from './peer/peer-lane.js';
import type { PeerTransport } from './peer/peer-transport.js';
import { RespFront } from './resp-front.js';
import { RpcTransport } from './peer/rpc-transport.js';
import { ItemWriter } from './machine/batch.js';
import { SETTING_QUOTA, SETTING_VALUE_BYTES } from './machine/settings.js';
import { ErrorReply } from './machine/reply.js';
import { KvService } from './service/kv-service.js';
import { DiskFiles } from './wal/disk-files.js';
import type { WalFiles } from './wal/wal-files.js';

/** A protocol in front of a member. */
export interface KvFront {
  readonly name: 'resp';
  /** Accepts work from now on; gives where. */
  listen(): Promise<string>;
  /** Takes nothing new, finishes what is under way, cuts what is left; gives how much that was. */
  close(graceMs: number): Promise<number>;
  /** Reads its files again. @throws KvError: what it had stays */
  reload?(): Promise<void>;
}

/** What is put on a member; each is made when the node is there. */
export interface KvParts {
  readonly services?: (node: KvNode) => readonly ServiceImplementation[];
  readonly fronts?: (node: KvNode) => readonly KvFront[];
  readonly machine?: Omit<MachineOptions, 'onChanges' | 'onPublish' | 'random' | 'protocolVersion'>;
  /** What the member uses in place of its folder, or of its way to the others: where tests put broken ones. */
  readonly files?: (files: WalFiles) => WalFiles;
  readonly peers?: (peers: PeerTransport) => PeerTransport;
}

export interface KvAddresses {
  readonly rpc: string;
  readonly resp?: string;
  readonly http?: string;
}

export const KV_PORT = 7500;
const SETTING_RETRY_MS = 1000;
/** Of the time to stop: for handing over, and then for clients that wait. */
const TRANSFER_SHARE = 0.3;
const SETTLE_SHARE = 0.8;
const WINDOW_BYTES = 2 ** 20;

interface Running {
  readonly node: KvNode;
  readonly transport: RpcTransport;
  readonly server: RpcServer;
  readonly fronts: readonly KvFront[];
  readonly web: KvWeb | null;
  /** How long calls under way may take once the server goes away. */
  readonly drain: { graceMs: number };
}

export class KvServer {
  readonly #running: Running;
  readonly #addresses: KvAddresses;
  readonly #readiness: { reason: string | null };
  readonly #stopped: Promise<NodeEvent>;
  #closing: Promise<boolean> | null = null;

  private constructor(
    running: Running,
    addresses: KvAddresses,
    readiness: { reason: string | null },
    stopped: Promise<NodeEvent>,
  ) {
    this.#running = running;
    this.#addresses = addresses;
    this.#readiness = readiness;
    this.#stopped = stopped;
  }

  /**
   * Resolves once it accepts work; it may have no leader yet. With `join`: once the cluster has taken it in.
   * @throws KvError KV_OPTION_INVALID, and what KvNode.open throws; ReactorError REACTOR_PORT_IN_USE and the like
   */
  static async start(
    logger: Logger,
    options: KvServerOptions,
    parts: KvParts = {},
    signal: AbortSignal = new AbortController().signal,
  ): Promise<KvServer> {
    const own = options.cluster.get(options.id);
    if (own === undefined) {
      throw new KvError(
        'KV_OPTION_INVALID',
        `cluster has no address for member ${options.id}, which is this one`,
      );
    }
    const certificateName = certificateNameOf(options);
    const opened: (() => Promise<unknown>)[] = [];
    try {
      const files = await DiskFiles.open(options.dataDir);
      const facts = await factsOf(logger, options, signal);
      const metrics = new KvMetrics();
      let node: KvNode | null = null;
      const transport = new RpcTransport({
        clock: systemClock,
        random: Math.random,
        clusterId: facts.clusterId,
        id: options.id,
        address: own,
        tls: options.tls ?? null,
        token: options.token ?? '',
        transport: transportOf(options),
        certificateName,
        describe: () => describe(node, facts.clusterId, options.id),
        join: (request) => join(node, request),
        onState: (to, isBulk, error) => {
          if (isBulk) return;
          if (error === null) logger.info({ member: to }, `connected to member ${to}`);
          else
            logger.warn({ member: to, code: error.code }, `member ${to} cannot be reached: ${error.message}`);
        },
        onRefusal: (from, error) =>
          logger.warn({ member: from, code: error.code }, `turned away: ${error.message}`),
      });
      opened.push(() => transport.close());
      node = await KvNode.open(
        {
          files: parts.files?.(files) ?? files,
          peers: parts.peers?.(transport) ?? transport,
          clock: systemClock,
          random: Math.random,
          logger,
          machine: { native: (keyspace) => new NativeExecutor(keyspace), ...parts.machine },
        },
        {
          id: options.id,
          clusterId: facts.clusterId,
          firstMembers: facts.firstMembers,
          boot: randomNumber(),
          rpcAddress: own,
          respAddress: respAddressOf(options),
          addresses: options.cluster,
          wal: { onFlush: (flush) => metrics.flushed(flush) },
          ...pick(options, [
            'heartbeatMs',
            'electionMs',
            'leaseReads',
            'snapshotEntries',
            'snapshotBytes',
            'trailingEntries',
            'protocolVersion',
          ]),
        },
      );
      const member = node;
      opened.push(() => member.close());
      metrics.watch(member);
      const stopped = new Promise<NodeEvent>((resolve) => member.onEvent(resolve));
      const drain = { graceMs: 0 };
      const kv = new KvService(member, { version: options.version ?? '' });
      opened.push(async () => kv.stop());
      const server = openServer(options, [
        transport.service.implementation(),
        kv.implementation(),
        ...(parts.services?.(member) ?? []),
      ]);
      opened.push(() => server.force());
      server.onDrainState((state) => {
        if (state !== 'draining') return;
        kv.stop();
        // The other members' streams stay while clients wait: what these wait for comes through them.
        void member.settled(drain.graceMs).then(() => transport.service.stop());
      });
      const rpc = formatAddress(await server.listen());
      const readiness = { reason: 'starting' as string | null };
      const fronts = [...(await respFronts(logger, member, options)), ...(parts.fronts?.(member) ?? [])];
      const addresses: { rpc: string; resp?: string; http?: string } = { rpc };
      for (const front of fronts) {
        opened.push(() => front.close(0));
        addresses[front.name] = await front.listen();
      }
      let web: KvWeb | null = null;
      if (options.http !== null && options.http !== undefined) {
        web = new KvWeb({
          metrics: () => metrics.render(),
          notReady: () => readiness.reason ?? member.notReady,
          status: () => member.status(),
        });
        const page = web;
        opened.push(() => page.close());
        addresses.http = formatAddress(await web.listen(options.http));
      }
      if (options.join !== null && options.join !== undefined) {
        await joinCluster(logger, options, member, facts.clusterId, stopped, signal);
      }
      setSetting(logger, member, SETTING_QUOTA, options.quotaBytes ?? null);
      setSetting(logger, member, SETTING_VALUE_BYTES, options.valueBytesMax ?? null);
      readiness.reason = null;
      return new KvServer(
        { node: member, transport, server, fronts, web, drain },
        addresses,
        readiness,
        stopped,
      );
    } catch (error) {
      for (const close of opened.toReversed()) await close().catch(() => undefined); // the first error is the one to tell
      throw error;
    }
  }

  get node(): KvNode {
    return this.#running.node;
  }

  get addresses(): KvAddresses {
    return this.#addresses;
  }

  /** Resolves when this member cannot go on, or was removed. */
  get stopped(): Promise<NodeEvent> {
    return this.#stopped;
  }

  /** Reads again what lies in files. @throws KvError: what was read before stays */
  async reload(): Promise<void> {
    for (const front of this.#running.fronts) await front.reload?.();
  }

  /**
   * Goes away without a failed request: hands leadership over, takes nothing new, finishes what is under way.
   * A second call joins. @returns whether everything was finished within `graceMs`
   * @throws the first thing that could not be closed; everything else is, all the same
   */
  close(graceMs: number = 10_000): Promise<boolean> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<boolean> {
    const { node, transport, server, fronts, web, drain } = this.#running;
    const endMs = performance.now() + graceMs;
    const leftMs = (): number => Math.max(0, endMs - performance.now());
    this.#readiness.reason = 'stopping';
    let isFinished = true;
    await closeAll(
      () => within(node.resign(), graceMs * TRANSFER_SHARE),
      async () => {
        const counts = await Promise.allSettled(fronts.map((front) => front.close(leftMs())));
        for (const count of counts) {
          if (count.status === 'rejected') throw count.reason;
          if (count.value > 0) isFinished = false;
        }
      },
      async () => {
        drain.graceMs = leftMs() * SETTLE_SHARE;
        const { cut } = await server.close({ graceMs: leftMs() });
        if (cut > 0) isFinished = false;
      },
      async () => {
        if (!(await node.settled(leftMs()))) isFinished = false;
      },
      () => node.close(),
      () => transport.close(),
      () => web?.close(),
    );
    return isFinished;
  }
}

function openServer(options: KvServerOptions, services: readonly ServiceImplementation[]): RpcServer {
  const { tls = null, token = '' } = options;
  const listen = options.listen ?? addressOf(options.cluster.get(options.id)!);
  return new RpcServer({
    ...listen,
    transport: transportOf(options),
    ...(tls === null ? {} : { tls }),
    ...(token === '' ? {} : { tokens: [{ token, name: 'cluster' }] }),
    threads: 0,
    agent: 'reactor-net-kv',
    messageBytesMax: PEER_MESSAGE_BYTES_MAX,
    streamWindowBytes: WINDOW_BYTES,
    pingIntervalMsMin: 500,
    services: { services },
  });
}

async function respFronts(logger: Logger, node: KvNode, options: KvServerOptions): Promise<RespFront[]> {
  const { resp = null, tls = null, usersFile = null } = options;
  return resp === null ? [] : [await RespFront.open(node, logger, { ...resp, tls, usersFile })];
}

/** A setting is the cluster's: whoever is started with another value changes it for all. */
function setSetting(logger: Logger, node: KvNode, name: string, value: number | null): void {
  if (value === null || node.machine.settings.get(name) === String(value)) return;
  const writer = new ItemWriter();
  writer.setting(name, String(value));
  node.submit(writer.take(), (error, replies) => {
    const reply = replies?.[0];
    if (reply instanceof ErrorReply) {
      logger.error({ name, value }, `a setting of the cluster was refused: ${reply.text}`);
    } else if (error === null) {
      logger.info({ name, value }, 'a setting of the cluster is set');
    } else if (error.code === 'KV_CLOSED' || error.code === 'KV_STORAGE_FAILED') {
      logger.warn({ err: error, name }, 'a setting of the cluster is not set');
    } else {
      systemClock.after(SETTING_RETRY_MS, () => setSetting(logger, node, name, value)); // the others may come up later
    }
  });
}

function randomNumber(): number {
  return randomBytes(6).readUIntLE(0, 6) + 1;
}

function pick<T extends object, K extends keyof T>(from: T, names: readonly K[]): Pick<T, K> {
  const entries = names.filter((name) => from[name] !== undefined).map((name) => [name, from[name]]);
  return Object.fromEntries(entries) as Pick<T, K>; // those that are there
}

function within(work: Promise<void>, ms: number): Promise<void> {
  return new Promise((resolve) => {
    const cancel = systemClock.after(ms, resolve);
    void work.then(() => {
      cancel();
      resolve();
    });
  });
}
