// The YAML file that names a machine's channels: who owns each, who joins, how large it is.
// channel-manager.ts opens what it says; docs/jbus.md shows one. Pure: text in, complete settings out, and every mistake
// told with its line, the field, and what would be right.

import { isScalar, type YAMLMap } from 'yaml';

import { CHANNEL_DEFAULTS } from './channel-options.js';
import { JbusError } from './errors.js';
import { NODE_ID_MAX, pairKey } from './keys.js';
import type { SharedBacking } from './open-channel.js';
import { capacity, evenInteger, type FieldReader, flag, integer, oneOf, size, text } from './yaml-fields.js';
import { child, startOf, YamlReading } from './yaml-reading.js';

/** One channel between two nodes; the owner makes it, the peer attaches. */
export interface ChannelSettings {
  readonly name: string;
  /** Names of nodes. */
  readonly owner: string;
  readonly peer: string;
  readonly key: number;
  readonly backing: SharedBacking | 'auto';
  /** Of the ring the owner writes, and of the one it reads. */
  readonly capacityOut: number;
  readonly capacityIn: number;
  readonly messageBytesMax: number;
  readonly heartbeatMs: number;
  readonly writeTimeoutMs: number;
  readonly readTimeoutMs: number;
  readonly pendingWritesMax: number;
  readonly pendingWriteBytesMax: number;
  readonly pendingReadsMax: number;
  readonly spinMicros: number;
  readonly persistent: boolean;
  readonly crc: boolean;
}

export interface ChannelConfig {
  /** Ids by name. */
  readonly nodes: ReadonlyMap<string, number>;
  readonly channels: readonly ChannelSettings[];
}

type Tunable = Omit<ChannelSettings, 'name' | 'owner' | 'peer' | 'key'>;

const MIB = 1024 * 1024;
const KEY_MAX = 2 ** 31 - 2;
const NAMESPACE_MAX = 2 ** 23 - 1;

const { name: _, ...CHANNEL_TUNABLES } = CHANNEL_DEFAULTS;
const DEFAULTS: Tunable = {
  ...CHANNEL_TUNABLES,
  backing: 'auto',
  capacityOut: MIB,
  capacityIn: MIB,
  persistent: false,
  crc: false,
};

/** How each field is read; the text says what would be right. */
const TUNABLES: { readonly [Field in keyof Tunable]: FieldReader<Tunable[Field]> } = {
  backing: oneOf('auto', 'sysv', 'memfd', 'socket'),
  capacityOut: capacity(),
  capacityIn: capacity(),
  messageBytesMax: size(0, 2 ** 32 - 1),
  heartbeatMs: integer(0, 60_000),
  writeTimeoutMs: integer(0, 2 ** 31 - 1),
  readTimeoutMs: integer(0, 2 ** 31 - 1),
  pendingWritesMax: integer(1, 2 ** 20),
  pendingWriteBytesMax: size(1, Number.MAX_SAFE_INTEGER),
  pendingReadsMax: integer(1, 2 ** 20),
  spinMicros: integer(0, 1000),
  persistent: flag(),
  crc: flag(),
};

const TUNABLE_NAMES: readonly string[] = Object.keys(TUNABLES);

/** @throws JbusError JBUS_CONFIG_INVALID: `FILE:LINE: field …`, one line per mistake, all of them. */
export function parseChannelConfig(source: string, file: string): ChannelConfig {
  const reading = new YamlReading(source, file);
  const root = reading.map(reading.root, 'the file', ['namespace', 'defaults', 'nodes', 'channels']);
  const config = reading.isSound && root !== undefined ? readConfig(reading, root) : undefined;
  if (config !== undefined && reading.isSound) return config;
  throw new JbusError('JBUS_CONFIG_INVALID', reading.complaints.join('\n'));
}

function readConfig(reading: YamlReading, root: YAMLMap): ChannelConfig {
  const namespace = reading.field(root, 'namespace', integer(0, NAMESPACE_MAX)) ?? 0;
  const nodes = readNodes(reading, root);
  const given = root.has('defaults')
    ? reading.map(child(root, 'defaults'), 'defaults', TUNABLE_NAMES)
    : undefined;
  const defaults = { ...DEFAULTS, ...(given === undefined ? {} : readTunables(reading, given)) };
  const channels: ChannelSettings[] = [];
  for (const item of reading.items(root, 'channels')) {
    const map = reading.map(item, 'a channel', ['name', 'owner', 'peer', 'key', ...TUNABLE_NAMES]);
    const ends = map === undefined ? undefined : readEnds(reading, map, nodes);
    if (map === undefined || ends === undefined) continue;
    const [ownerId, peerId] = [nodes.get(ends.owner)!, nodes.get(ends.peer)!];
    const key = reading.field(map, 'key', evenInteger(2, KEY_MAX)) ?? pairKey(ownerId, peerId, namespace);
    channels.push({ ...defaults, ...readTunables(reading, map), ...ends, key });
    checkUnique(reading, channels, map);
  }
  return { nodes, channels };
}

/** Undefined when one of them is missing or wrong. */
function readEnds(
  reading: YamlReading,
  map: YAMLMap,
  nodes: ReadonlyMap<string, number>,
): Pick<ChannelSettings, 'name' | 'owner' | 'peer'> | undefined {
  const name = reading.required(map, 'name', text());
  const owner = reading.required(map, 'owner', oneOf(...nodes.keys()));
  const peer = reading.required(map, 'peer', oneOf(...nodes.keys()));
  if (name === undefined || owner === undefined || peer === undefined) return undefined;
  if (owner === peer)
    reading.complain(startOf(child(map, 'peer')), 'peer must be another node than the owner');
  return { name, owner, peer };
}

function readNodes(reading: YamlReading, root: YAMLMap): Map<string, number> {
  const nodes = new Map<string, number>();
  const names = new Map<number, string>();
  const map = reading.map(child(root, 'nodes'), 'nodes');
  for (const { key, value } of map?.items ?? []) {
    const name = isScalar(key) ? String(key.value) : '';
    const id = reading.value(value, `nodes.${name}`, integer(0, NODE_ID_MAX));
    nodes.set(name, id ?? 0); // known, if wrong: who refers to it is not to blame
    if (id === undefined) continue;
    const other = names.get(id);
    if (other !== undefined) reading.complain(startOf(value), `nodes.${name} has the id of ${other}, ${id}`);
    names.set(id, name);
  }
  return nodes;
}

function readTunables(reading: YamlReading, map: YAMLMap): Partial<Tunable> {
  const entries = Object.entries(TUNABLES).map(([field, reader]: [string, FieldReader<unknown>]) => [
    field,
    reading.field(map, field, reader),
  ]);
  return Object.fromEntries(entries.filter(([, value]) => value !== undefined)) as Partial<Tunable>; // readers decide
}

/** The last channel against those before it. */
function checkUnique(reading: YamlReading, channels: readonly ChannelSettings[], map: YAMLMap): void {
  const last = channels.at(-1)!;
  for (const other of channels.slice(0, -1)) {
    if (other.name === last.name)
      reading.complain(startOf(child(map, 'name')), `name ${last.name} is taken already`);
    if (other.key === last.key) {
      reading.complain(
        startOf(map),
        `channel ${last.name} has the key of ${other.name}: give one of them a key of its own`,
      );
    }
  }
}
