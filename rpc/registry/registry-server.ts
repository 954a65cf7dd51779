// A registry, whole: the service on an RPC server, the store with what was on disk, tokens, and the pages beside it.
// `reactor-net registry serve` runs one; so may a test or a program that wants a registry inside.
// Everything is on the calling thread: a registry's work is small, and its store is one.

import { randomBytes } from 'node:crypto';
import { formatAddress, type Logger, type TlsServerOptions } from '../../reactor/index.js';
import { RpcError } from '../errors.js';
import type { DrainReport } from '../server/drain.js';
import { RpcServer } from '../server/rpc-server.js';
import { RegistryAccess } from './access.js';
import { type Clock, systemClock } from './clock.js';
import { TTL_MS_MAX, TTL_MS_MIN } from './limits.js';
import { MemoryStore, type MemoryStoreOptions, type MemoryStoreParts } from './memory-store.js';
import { type RegistryFigures, RegistryMetrics } from './metrics.js';
import { probeByConnect } from './probe.js';
import type { Lease } from './record.js';
import { registryContract } from './registry-contract.js';
import { RegistryService } from './service.js';
import { SnapshotFile } from './snapshot-file.js';
import type { StateDump } from './state.js';
import type { RegistryStore } from './store.js';
import { TokenFile } from './token-file.js';
import { RegistryWeb } from './web.js';

export interface RegistryServerOptions extends MemoryStoreOptions {
  /** Default all addresses. */
  host?: string;
  /** Default 7400; 0 picks a free one. */
  port?: number;
  /** Pages, health and metrics; null for none. Default null. */
  http?: { readonly host: string; readonly port: number } | null;
  /** Folder that keeps what is registered over a restart; null for memory alone. Default null. */
  dataDir?: string | null;
  /** Who may register what; null: everybody everything. Default null. */
  tokenFile?: string | null;
  tls?: TlsServerOptions | null;
  /** Another place for everything, which then keeps it: no `dataDir`. Default: this process's memory. */
  openStore?: (parts: RegistryStoreParts) => Promise<RegistryStore>;
  /** Whether the machines of instances that all fell silent are asked if anybody listens. Default true. */
  probes?: boolean;
}

export interface RegistryAddresses {
  readonly rpc: string;
  readonly http?: string;
}

export const REGISTRY_PORT = 7400;
const ID_BYTES = 16;

/** What a store is given. */
export type RegistryStoreParts = Pick<MemoryStoreParts, 'clock' | 'newId' | 'probe' | 'onHold'> & {
  readonly options: MemoryStoreOptions;
};

/** What a registry is made of. */
interface Parts {
  readonly store: RegistryStore;
  readonly service: RegistryService;
  readonly server: RpcServer;
  readonly tokens: TokenFile | null;
  readonly snapshot: SnapshotFile | null;
  readonly web: RegistryWeb | null;
}

export class RegistryServer {
  readonly #parts: Parts;
  readonly #addresses: RegistryAddresses;
  readonly #readiness: { isReady: boolean };
  #closing: Promise<DrainReport> | null = null;

  private constructor(parts: Parts, addresses: RegistryAddresses, readiness: { isReady: boolean }) {
    this.#parts = parts;
    this.#addresses = addresses;
    this.#readiness = readiness;
  }

  /**
   * Resolves once it accepts work.
   * @throws RpcError RPC_OPTION_INVALID; ReactorError REACTOR_PORT_IN_USE and the like; Error the folder cannot be read
   */
  static async start(
    logger: Logger,
    options: RegistryServerOptions = {},
    clock: Clock = systemClock,
  ): Promise<RegistryServer> {
    const { ttlMs = 30_000, http = null, openStore, dataDir = null } = options;
    if (openStore !== undefined && dataDir !== null)
      throw new RpcError(
        'RPC_OPTION_INVALID',
        'dataDir is for a registry in memory: the store given keeps everything',
      );
    if (!(ttlMs >= TTL_MS_MIN && ttlMs <= TTL_MS_MAX))
      throw new RpcError('RPC_OPTION_INVALID', `ttlMs must be ${TTL_MS_MIN} to ${TTL_MS_MAX}, not ${ttlMs}`);
    const tokens = await openTokens(logger, options.tokenFile ?? null, clock);
    const opened: { close(): Promise<unknown> | void }[] = tokens === null ? [] : [tokens];
    try {
      const snapshot = openSnapshot(logger, options.dataDir ?? null, clock);
      const restored = snapshot === null ? null : await recover(logger, snapshot);
      const storeParts = {
        clock,
        newId: () => randomBytes(ID_BYTES).toString('hex'),
        probe: options.probes === false ? null : probeByConnect,
        onHold: ({ owner }: Lease, services: readonly string[]) =>
          logger.warn({ services, owner }, 'too many fell silent at once: this one stays listed'),
      };
      const store =
        options.openStore === undefined
          ? memoryStore(storeParts, snapshot, restored, options)
          : await options.openStore({ ...storeParts, options });
      opened.push(store);
      const access = new RegistryAccess(() => tokens?.rules ?? null);
      const metrics = new RegistryMetrics(() => figuresOf(store, snapshot));
      const service = new RegistryService(
        {
          store,
          access,
          onRefusal: (method, code, message) => {
            metrics.refused(code);
            logger.info({ method, code }, message);
          },
        },
        options,
      );
      const server = openServer(service, access, options);
      const rpc = formatAddress(await server.listen());
      opened.push({ close: () => server.force() });
      const readiness = { isReady: false };
      const web =
        http === null
          ? null
          : new RegistryWeb({
              store,
              wallMs: () => clock.wallMs(),
              metrics: () => metrics.render(),
              isReady: () => readiness.isReady,
            });
      const addresses =
        web === null || http === null ? { rpc } : { rpc, http: formatAddress(await web.listen(http)) };
      readiness.isReady = true;
      return new RegistryServer({ store, service, server, tokens, snapshot, web }, addresses, readiness);
    } catch (error) {
      for (const each of opened.toReversed()) await each.close();
      throw error;
    }
  }

  get addresses(): RegistryAddresses {
    return this.#addresses;
  }

  figures(): RegistryFigures {
    return figuresOf(this.#parts.store, this.#parts.snapshot);
  }

  /** Reads the token file again. @throws RpcError RPC_OPTION_INVALID: the old rules go on */
  async reload(): Promise<void> {
    await this.#parts.tokens?.reload();
  }

  /** Ends sessions and watches, finishes calls under way, writes what is not on disk yet. A second call joins. */
  close(graceMs: number = 10_000): Promise<DrainReport> {
    this.#closing ??= this.#close(graceMs);
    return this.#closing;
  }

  async #close(graceMs: number): Promise<DrainReport> {
    const { server, store, service, web, tokens, snapshot } = this.#parts;
    this.#readiness.isReady = false;
    // Clients are told to go elsewhere before their streams end, so that they do not come back here.
    server.onDrainState((state) => {
      if (state === 'draining') service.stop();
    });
    const report = await server.close({ graceMs });
    tokens?.close();
    await store.close();
    await snapshot?.close();
    await web?.close();
    return report;
  }
}

function memoryStore(
  parts: Omit<RegistryStoreParts, 'options'>,
  snapshot: SnapshotFile | null,
  restored: StateDump | null,
  options: RegistryServerOptions,
): MemoryStore {
  const store: MemoryStore = new MemoryStore(
    { ...parts, restored, onChange: () => snapshot?.changed(() => store.dump()) },
    options,
  );
  return store;
}

async function openTokens(logger: Logger, path: string | null, clock: Clock): Promise<TokenFile | null> {
  if (path === null) return null;
  return TokenFile.open(path, {
    clock,
    onReload: ({ size }) => logger.info({ path, tokens: size }, 'the token file was read again'),
    onFailure: (error) => logger.error({ err: error }, 'the token file is wrong; the old rules go on'),
  });
}

function openSnapshot(logger: Logger, folder: string | null, clock: Clock): SnapshotFile | null {
  if (folder === null) return null;
  return new SnapshotFile(folder, {
    clock,
    onFailure: (error) =>
      logger.error({ err: error }, 'the snapshot cannot be written; the next one is tried'),
  });
}

async function recover(logger: Logger, snapshot: SnapshotFile): Promise<StateDump | null> {
  const recovered = await snapshot.recover();
  if (recovered === null) return null;
  const { dump, damages, damagedPath } = recovered;
  for (const damage of damages) logger.error({ path: snapshot.path, kept: damagedPath }, damage);
  const { leases, records, revision } = dump;
  logger.info({ leases: leases.length, instances: records.length, revision }, 'recovered what was on disk');
  return dump;
}

function openServer(
  service: RegistryService,
  access: RegistryAccess,
  options: RegistryServerOptions,
): RpcServer {
  const { host, port = REGISTRY_PORT, tls = null } = options;
  return new RpcServer({
    ...(host === undefined ? {} : { host }),
    ...(tls === null ? {} : { tls }),
    port,
    threads: 0,
    services: {
      services: [service.implementation(registryContract())],
      authenticate: (token, peer) => access.authenticate(token, peer),
    },
  });
}

function figuresOf(store: RegistryStore, snapshot: SnapshotFile | null): RegistryFigures {
  const { writes, failures } = snapshot?.counts ?? { writes: 0, failures: 0 };
  return { ...store.figures(), snapshots: writes, snapshotFailures: failures };
}
