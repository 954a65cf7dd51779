// One member as a process of its own, as `reactor-net kv serve` is one, on a disk that can be made slow and reaching the
// others through proxies. member-process.ts starts it, with its options as JSON, and tells it what to do, one JSON line
// per order on standard input, answered on standard output. It ends when its input does, so none is ever left behind.

import { createInterface } from 'node:readline';
import v8 from 'node:v8';
import vm from 'node:vm';
import { KvServer } from '../../../kv/index.js';
import type { PeerTransport } from '../../../kv/peer/peer-transport.js';
import { createLogger } from '../../../reactor/index.js';
import { SlowFiles } from './slow-files.js';

export interface MemberOptions {
  readonly id: number;
  readonly clusterId: number;
  /** Where clients find the members that begin the cluster, and this one. */
  readonly cluster: readonly (readonly [id: number, address: string])[];
  readonly join: string | null;
  readonly port: number;
  readonly dataDir: string;
  /** Where this member finds the others, by id. */
  readonly links: readonly (readonly [id: number, address: string])[];
  readonly electionMs: number;
  readonly heartbeatMs: number;
  readonly snapshotEntries: number;
  /** Default: the member's. */
  readonly snapshotBytes?: number;
  readonly trailingEntries: number;
  /** Answers reads from what it has, without a round among the members: a bug that a run must notice. */
  readonly readsCarelessly: boolean;
}

export type Order =
  | { readonly do: 'status' | 'hash' | 'snapshot' | 'fail-disk' | 'heap' }
  | { readonly do: 'link'; readonly id: number; readonly address: string }
  | { readonly do: 'slow-disk'; readonly minMs: number; readonly maxMs: number }
  | { readonly do: 'stall-disk'; readonly isStalled: boolean }
  | { readonly do: 'transfer'; readonly to: number | null }
  | { readonly do: 'remove'; readonly id: number };

export interface MemberReport {
  readonly role: string;
  readonly leader: number;
  readonly term: number;
  readonly commitIndex: number;
  readonly appliedIndex: number;
  readonly snapshotIndex: number;
  readonly voters: readonly number[];
  readonly learners: readonly number[];
  readonly isReady: boolean;
  readonly snapshots: number;
  readonly snapshotsInstalled: number;
  readonly elections: number;
  readonly reproposed: number;
  /** To other members, in this life. */
  readonly sentMessages: number;
  /** Content of the last snapshot that it took. */
  readonly snapshotBytes: number;
  /** Of the state as of appliedIndex; with order `hash` alone. */
  readonly hash?: string;
}

const EXIT_GRACE_MS = 5000;

/** Sends to a proxy in place of each member, whatever address that gives of itself. */
class ProxiedPeers implements PeerTransport {
  readonly #peers: PeerTransport;
  readonly #links: ReadonlyMap<number, string>;
  #addresses: ReadonlyMap<number, string> = new Map();

  constructor(peers: PeerTransport, links: ReadonlyMap<number, string>) {
    this.#peers = peers;
    this.#links = links;
  }

  /** The map of links has changed. */
  linksChanged(): void {
    this.setAddresses(this.#addresses);
  }

  start(receive: Parameters<PeerTransport['start']>[0]): void {
    this.#peers.start(receive);
  }

  send(...message: Parameters<PeerTransport['send']>): void {
    this.#peers.send(...message);
  }

  setAddresses(addresses: ReadonlyMap<number, string>): void {
    this.#addresses = addresses;
    const known = [...addresses.keys()].filter((id) => this.#links.has(id));
    this.#peers.setAddresses(new Map(known.map((id) => [id, this.#links.get(id)!])));
  }

  figures(): ReturnType<PeerTransport['figures']> {
    return this.#peers.figures();
  }

  close(): Promise<void> {
    return this.#peers.close();
  }
}

async function main(options: MemberOptions): Promise<void> {
  const logger = await createLogger({ level: 'info' });
  let disk: SlowFiles | null = null;
  let peers: ProxiedPeers | null = null;
  let server: KvServer | null = null;
  const links = new Map(options.links);
  const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);
  const carryOut = async (order: Order): Promise<object> => {
    switch (order.do) {
      case 'link':
        links.set(order.id, order.address);
        peers?.linksChanged();
        return {};
      case 'slow-disk':
        disk?.delay(order.minMs, order.maxMs);
        return {};
      case 'stall-disk':
        disk?.stall(order.isStalled);
        return {};
      case 'fail-disk':
        disk?.fail();
        return {};
      case 'heap':
        return { heapBytes: heapBytes() };
      default:
        if (server === null) throw new Error('the member is starting');
        return carryOutOn(server, order);
    }
  };
  const orders = createInterface({ input: process.stdin });
  orders.on('line', (line) => {
    const { number, order } = JSON.parse(line) as { number: number; order: Order };
    carryOut(order).then(
      (result) => say({ number, result }),
      (error: unknown) => say({ number, error: String(error) }),
    );
  });
  orders.once('close', () => process.exit(0));
  server = await KvServer.start(
    logger,
    {
      id: options.id,
      clusterId: options.clusterId,
      cluster: new Map(options.cluster),
      join: options.join,
      listen: { host: '127.0.0.1', port: options.port },
      resp: { host: '127.0.0.1', port: 0 },
      advertiseResp: '127.0.0.1:1',
      dataDir: options.dataDir,
      electionMs: options.electionMs,
      heartbeatMs: options.heartbeatMs,
      snapshotEntries: options.snapshotEntries,
      ...(options.snapshotBytes === undefined ? {} : { snapshotBytes: options.snapshotBytes }),
      trailingEntries: options.trailingEntries,
    },
    {
      services: (node) => {
        if (options.readsCarelessly) node.read = (done) => done(null);
        return [];
      },
      files: (files) => (disk = new SlowFiles(files, Math.random)),
      peers: (real) => (peers = new ProxiedPeers(real, links)),
    },
  );
  const running = server;
  say({ event: 'ready', resp: running.addresses.resp });
  process.once('SIGTERM', () => void running.close(EXIT_GRACE_MS).then(() => process.exit(0)));
  const event = await running.stopped;
  say({ event: event.kind });
  process.exit(event.kind === 'failed' ? 1 : 0);
}

/** What is in use, without garbage. */
function heapBytes(): number {
  v8.setFlagsFromString('--expose-gc');
  const collect = vm.runInNewContext('gc') as () => void; // as just exposed
  collect();
  collect();
  return process.memoryUsage().heapUsed;
}

async function carryOutOn({ node }: KvServer, order: Order): Promise<object> {
  const done = (work: (done: (error: Error | null) => void) => void): Promise<object> =>
    new Promise((resolve, reject) => work((error) => (error === null ? resolve({}) : reject(error))));
  switch (order.do) {
    case 'snapshot':
      await node.snapshotNow();
      return {};
    case 'transfer':
      return done((whenDone) => node.transfer(order.to, whenDone));
    case 'remove':
      return done((whenDone) => node.removeMember(order.id, whenDone));
    case 'status':
    case 'hash': {
      const status = node.status();
      const figures = node.figures();
      const report: MemberReport = {
        role: status.role,
        leader: status.leader,
        term: status.term,
        commitIndex: status.commitIndex,
        appliedIndex: status.appliedIndex,
        snapshotIndex: status.snapshotIndex,
        voters: status.voters,
        learners: status.learners,
        isReady: status.isReady,
        snapshots: figures.snapshots,
        snapshotsInstalled: figures.snapshotsInstalled,
        elections: figures.elections,
        reproposed: figures.reproposed,
        sentMessages: node.peerFigures().reduce((sum, { sentMessages }) => sum + sentMessages, 0),
        snapshotBytes: figures.snapshotBytes,
      };
      return order.do === 'hash' ? { ...report, hash: node.machine.hash() } : report;
    }
    default:
      throw new Error(`no order ${order.do}`);
  }
}

main(JSON.parse(process.argv[2] ?? '{}') as MemberOptions).catch((error: unknown) => {
  console.error(error);
  process.exit(1);
});
