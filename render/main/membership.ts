// Who is there: drivers and worker nodes register, beat, and are missed. What the service Emulate needs of the main node.
// registrations.ts keeps ids and lives; what follows from somebody's coming and going is told to the runner of jobs.

import { randomBytes } from 'node:crypto';
import { isIPv6 } from 'node:net';
import type { Logger } from '../../reactor/index.js';
import { detached } from '../../rpc/index.js';
import { RenderError } from '../errors.js';
import type { DriverInfo, NodeHeartBeat, NodeInfo, Serial } from '../proto/render.js';
import { SerialAllocator } from '../serials.js';
import { type DriverEntry, driverEntry } from './driver-book.js';
import type { SchedulerFigures } from './effects.js';
import type { EmulateHost } from './emulate-service.js';
import type { JobRecord } from './job-record.js';
import type { JobRunner, Leave } from './job-runner.js';
import type { JobSpec } from './job-spec.js';
import type { JobStore, StoreRecord } from './job-store.js';
import type { MainClock } from './main-clock.js';
import type { CompleteMainOptions } from './main-options.js';
import { type NodeBook, NodeEntry } from './node-book.js';
import { NodeLink } from './node-link.js';
import { type Registration, Registrations } from './registrations.js';
import type { RestoredState } from './restored-state.js';
import type { ResultStore } from './result-store.js';
import { SCHEDULER_DEFAULTS } from './scheduler-options.js';
import type { SceneStore } from './scene-store.js';
import type { Tokens } from './tokens.js';

export interface MembershipParts {
  readonly clock: MainClock;
  readonly logger: Logger;
  readonly nodes: NodeBook;
  readonly runner: JobRunner;
  readonly results: ResultStore;
  readonly scenes: SceneStore;
  readonly store: JobStore | null;
  readonly tokens: Tokens;
}

export interface MainFigures extends SchedulerFigures {
  readonly drivers: number;
  readonly workers: number;
  readonly callsOpen: number;
  readonly attemptsOpen: number;
  readonly driversExpired: number;
  readonly workersExpired: number;
  readonly refusedRegistrations: number;
  readonly resultBytes: number;
  readonly resultMemoryBytes: number;
}

const SCENE_NAME = /^[0-9a-f]{64}$/;
const NAME_CHARS_MAX = 128;
const TAGS_MAX = 32;
const SLOTS_MAX = 4096;
const WEIGHT_MAX = 1_000_000;

export class Membership implements EmulateHost {
  readonly #parts: MembershipParts;
  readonly #options: CompleteMainOptions;
  readonly #drivers: Registrations<DriverEntry, 'driver' | 'node'>;
  readonly #nodes: Registrations<NodeInfo, 'driver' | 'node'>;
  #cancelTick: (() => void) | null = null;
  #isTaking = true;
  #driversExpired = 0;
  #workersExpired = 0;
  #refused = 0;

  constructor(parts: MembershipParts, options: CompleteMainOptions) {
    this.#parts = parts;
    this.#options = options;
    const { driversMax: driver, nodesMax: node, lives, heartbeatMs: intervalMs } = options;
    const serials = new SerialAllocator<'driver' | 'node'>(() => randomBytes(8).readBigUInt64LE(), {
      driver,
      node,
    });
    const beats = { lives, intervalMs };
    this.#drivers = new Registrations('driver', serials, {
      ...beats,
      isEpochNeeded: options.driverToken !== '',
    });
    this.#nodes = new Registrations('node', serials, { ...beats, isEpochNeeded: options.nodeToken !== '' });
  }

  get tokens(): Tokens {
    return this.#parts.tokens;
  }

  get runner(): JobRunner {
    return this.#parts.runner;
  }

  get results(): ResultStore {
    return this.#parts.results;
  }

  get specLimits(): EmulateHost['specLimits'] {
    const { imageBytesMax, scheduler } = this.#options;
    return { imagesMax: scheduler.imagesPerJobMax ?? SCHEDULER_DEFAULTS.imagesPerJobMax, imageBytesMax };
  }

  get messageBytesMax(): number {
    return this.#options.messageBytesMax;
  }

  get heartbeatMs(): number {
    return this.#options.heartbeatMs;
  }

  get lives(): number {
    return this.#options.lives;
  }

  get drivers(): number {
    return this.#drivers.size;
  }

  /** Render calls that somebody waits in. */
  get callsOpen(): number {
    let calls = 0;
    for (const { value } of this.#drivers.values()) calls += value.callsOpen;
    return calls;
  }

  figures(): MainFigures {
    const { runner, results, nodes } = this.#parts;
    return {
      ...runner.figures(),
      drivers: this.drivers,
      workers: nodes.size,
      callsOpen: this.callsOpen,
      attemptsOpen: runner.attemptsOpen,
      driversExpired: this.#driversExpired,
      workersExpired: this.#workersExpired,
      refusedRegistrations: this.#refused,
      resultBytes: results.bytes,
      resultMemoryBytes: results.memoryBytes,
    };
  }

  /** Drivers that were there before a restart are there again, until they fall silent. */
  restore(state: RestoredState): void {
    for (const { key, serial, epoch, name } of state.drivers.values()) {
      if (serial > this.#options.driversMax) continue;
      this.#drivers.restore({ key, serial: { serial, epoch }, value: driverEntry(name) });
    }
    for (const { owner } of state.jobs.values()) this.#drivers.skipKeys(owner.key);
  }

  *snapshot(): Iterable<StoreRecord> {
    for (const { key, serial, value } of this.#drivers.values())
      yield { kind: 'driver', key, serial: serial.serial, epoch: serial.epoch, name: value.name };
  }

  /** From now on who does not beat is missed. */
  begin(): void {
    this.#cancelTick = this.#parts.clock.after(this.#options.heartbeatMs, () => {
      this.#tick();
      this.begin();
    });
  }

  /** No new registrations and jobs. */
  stopTaking(): void {
    this.#isTaking = false;
  }

  async close(): Promise<void> {
    this.#cancelTick?.();
    this.#isTaking = false;
    await Promise.all(Array.from(this.#parts.nodes.values(), ({ link }) => link.close()));
  }

  // Drivers.

  registerDriver({ name, token }: DriverInfo): Registration<DriverEntry> {
    const registration = this.#admitted(() => {
      this.tokens.checkDriver(token);
      return this.#drivers.register(driverEntry(name.slice(0, NAME_CHARS_MAX)));
    });
    const { key, serial, value } = registration;
    this.#parts.store?.append({
      kind: 'driver',
      key,
      serial: serial.serial,
      epoch: serial.epoch,
      name: value.name,
    });
    return registration;
  }

  driver(serial: Serial | undefined): Registration<DriverEntry> | null {
    return serial === undefined ? null : this.#drivers.find(serial);
  }

  beatDriver(serial: Serial): boolean {
    const driver = this.#drivers.beat(serial);
    if (driver === null) return false;
    driver.value.isBeating = true;
    return true;
  }

  releaseDriver(serial: Serial): boolean {
    const driver = this.#drivers.release(serial);
    if (driver === null) return false;
    this.#driverGone(driver, 'said good-bye');
    return true;
  }

  submit(driver: Registration<DriverEntry>, requestId: bigint, spec: JobSpec): JobRecord {
    if (!this.#isTaking) throw new RenderError('RENDER_UNAVAILABLE', 'the main node stops');
    const { runner, scenes } = this.#parts;
    if (SCENE_NAME.test(spec.scene) && scenes.find(spec.scene) === null)
      throw new RenderError('RENDER_NOT_FOUND', `the scene ${spec.scene} is not here: put it first`);
    const owner = { key: driver.key, name: driver.value.name };
    return runner.submit(owner, requestId, spec).record;
  }

  // Worker nodes.

  registerNode(info: NodeInfo, peerAddress: string | undefined): Serial {
    const registration = this.#admitted(() => {
      this.tokens.checkNode(info.token);
      checkNode(info);
      this.#checkVersion(info);
      const address = addressOf(info, peerAddress);
      // Whoever listened there before is gone: its port was free.
      for (const entry of this.#parts.nodes.values())
        if (entry.address === address) this.releaseNode(entry.serial);
      return { ...this.#nodes.register(info), address };
    });
    const { key, serial, address } = registration;
    const { nodeToken: token, tls } = this.#options;
    const entry = new NodeEntry({
      key,
      serial,
      info: { ...info, token: '', slots: Math.max(1, info.slots), weight: Math.max(1, info.weight) },
      address,
      link: detached(() => new NodeLink({ address, token, tls })),
      registeredAt: this.#parts.clock.nowMs(),
    });
    this.#parts.nodes.add(entry);
    this.#parts.logger.info({ node: entry.name, address }, `the worker node ${entry.name} is there`);
    this.#parts.runner.nodeAdded(entry);
    return serial;
  }

  beatNode(beat: NodeHeartBeat): boolean {
    const registration = beat.serial === undefined ? null : this.#nodes.beat(beat.serial);
    const entry = registration === null ? undefined : this.#parts.nodes.get(registration.key);
    if (entry === undefined) return false;
    this.#parts.runner.nodeBeat(entry, entry.beat(this.#parts.clock.nowMs(), beat));
    return true;
  }

  releaseNode(serial: Serial): boolean {
    const node = this.#nodes.release(serial);
    if (node === null) return false;
    this.#nodeGone(node.key, 'said good-bye');
    return true;
  }

  // Time.

  #tick(): void {
    // While the server drains, beats are refused: silence means nothing then.
    if (!this.#isTaking && this.#parts.runner.isClosed) return;
    const now = this.#parts.clock.nowMs();
    for (const { serial, value } of this.#drivers.values())
      if (value.callsOpen > 0 && !value.isBeating) this.#drivers.beat(serial);
    for (const driver of this.#drivers.tick(now)) {
      this.#driversExpired += 1;
      this.#parts.logger.info({ driver: driver.value.name }, 'a driver fell silent and is gone');
      this.#driverGone(driver, 'fell silent');
    }
    for (const { key } of this.#nodes.tick(now)) {
      this.#workersExpired += 1;
      this.#nodeGone(key, 'fell silent');
    }
  }

  #driverGone({ key }: Registration<DriverEntry>, how: Leave): void {
    this.#parts.store?.append({ kind: 'driver-gone', key });
    this.#parts.runner.driverGone(key, how);
  }

  #nodeGone(key: number, how: string): void {
    const entry = this.#parts.nodes.delete(key);
    if (entry === undefined) return;
    this.#parts.logger.warn(
      { node: entry.name, address: entry.address },
      `the worker node ${entry.name} ${how}`,
    );
    this.#parts.runner.nodeRemoved(entry);
    void entry.link.close();
  }

  #admitted<T>(register: () => T): T {
    try {
      if (!this.#isTaking) throw new RenderError('RENDER_UNAVAILABLE', 'the main node stops');
      return register();
    } catch (error) {
      this.#refused += 1;
      throw error;
    }
  }

  /** Nodes that render with different versions give images that do not belong together. */
  #checkVersion({ version }: NodeInfo): void {
    const [other] = this.#parts.nodes.values();
    const wanted = this.#options.nodeVersion ?? other?.info.version ?? version;
    if (version === wanted) return;
    const text = `this worker node renders with "${version}", the others with "${wanted}"`;
    throw new RenderError('RENDER_VERSION_MISMATCH', text);
  }
}

/** @throws RenderError RENDER_REQUEST_INVALID */
function checkNode({ accessPort, weight, slots, tags, name }: NodeInfo): void {
  const problem =
    (accessPort < 1 || accessPort > 65_535 ? `port ${accessPort}` : null) ??
    (weight > WEIGHT_MAX ? `a weight of ${weight}` : null) ??
    (slots > SLOTS_MAX ? `${slots} slots` : null) ??
    (name.length > NAME_CHARS_MAX ? 'a name that long' : null) ??
    (tags.length > TAGS_MAX || tags.some((tag) => tag.length > NAME_CHARS_MAX)
      ? 'so many or so long tags'
      : null);
  if (problem !== null)
    throw new RenderError('RENDER_REQUEST_INVALID', `a worker node cannot have ${problem}`);
}

/** Where it says that it is; without a host, or with one that means every address, where its connection came from. */
function addressOf({ accessUrl, accessPort }: NodeInfo, peerAddress: string | undefined): string {
  const told = accessUrl.replace(/^[a-z]+:\/\//i, '').replace(/^\[(.*)\]$/, '$1');
  const isNamed = told !== '' && told !== '0.0.0.0' && told !== '::';
  const host = isNamed ? told : (peerAddress ?? '127.0.0.1');
  if (/[\s/,]/.test(host))
    throw new RenderError('RENDER_REQUEST_INVALID', `access_url "${accessUrl}" is no host`);
  return isIPv6(host) ? `[${host}]:${accessPort}` : `${host}:${accessPort}`;
}
