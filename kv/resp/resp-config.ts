// What CONFIG GET shows and CONFIG SET changes: of Redis's parameters those that clients and tools look at.
// local/config-command.ts serves it. Some are this process's own, maxmemory belongs to all members and goes through the
// log; many only say how things are and cannot be changed.

import { globMatches } from '../machine/commands/glob.js';
import { SETTING_QUOTA } from '../machine/settings.js';
import type { RespShared } from './resp-shared.js';
import { SLOW_ENTRIES_MAX } from './slow-log.js';

/** What a parameter wants of a value. Throws RefusedValue. */
interface Parameter {
  get(shared: RespShared): string;
  /** Judges the value; the function it returns puts it in force. Missing: it cannot be changed. */
  set?(value: string, shared: RespShared): (() => void) | ReplicatedSetting;
}

/** A value that has to go through the log. */
export interface ReplicatedSetting {
  readonly setting: string;
  readonly value: string;
}

export class RefusedValue extends Error {}

const MEGABYTE = 2 ** 20;
export const CLIENTS_MAX: number = 100_000;
const SECONDS_MAX = 2 ** 31 - 1;

const PARAMETERS: ReadonlyMap<string, Parameter> = new Map<string, Parameter>([
  ['save', only('')],
  ['appendonly', only('yes')],
  ['appendfsync', only('always')],
  ['notify-keyspace-events', only('')],
  ['maxmemory-policy', only('noeviction')],
  [
    'maxmemory',
    {
      get: ({ backend }) => String(backend.machine.settings.quotaBytes),
      set: (value) => ({ setting: SETTING_QUOTA, value: String(memoryOf(value)) }),
    },
  ],
  ['maxclients', number(1, CLIENTS_MAX, ({ config }) => config, 'clientsMax')],
  ['timeout', number(0, SECONDS_MAX, ({ config }) => config, 'idleSeconds')],
  [
    'slowlog-log-slower-than',
    number(-1, Number.MAX_SAFE_INTEGER, ({ slowLog }) => slowLog, 'slowerThanMicros'),
  ],
  ['slowlog-max-len', number(0, SLOW_ENTRIES_MAX, ({ slowLog }) => slowLog, 'lengthMax')],
  [
    'proto-max-bulk-len',
    {
      get: ({ limits }) => String(limits.bulkBytesMax),
      set(value, { limits }) {
        const bytes = memoryOf(value);
        if (bytes < 1 || bytes > limits.requestBytesMax)
          throw new RefusedValue(`argument must be between 1 and ${limits.requestBytesMax} inclusive`);
        return () => {
          limits.bulkBytesMax = bytes;
        };
      },
    },
  ],
  ['client-query-buffer-limit', shown(({ limits }) => String(limits.requestBytesMax))],
  ['client-output-buffer-limit', { get: outputLimits, set: setOutputLimits }],
  ['port', shown(({ port }) => String(port))],
  ['databases', shown(() => '1')],
  ['cluster-enabled', shown(() => 'no')],
  ['requirepass', shown(() => '')],
  ['latency-monitor-threshold', shown(() => '0')],
  ['hz', shown(() => '1')],
  ['tcp-keepalive', shown(() => '0')],
]);

/** What of this process alone CONFIG changes and that has no better place. */
export class RespConfig {
  clientsMax: number;
  /** A client that sends nothing for so long is disconnected; 0: never. */
  idleSeconds: number;

  constructor(clientsMax: number, idleSeconds: number) {
    this.clientsMax = clientsMax;
    this.idleSeconds = idleSeconds;
  }

  /** Name and value of those that match one of the patterns. */
  matching(patterns: readonly string[], shared: RespShared): string[] {
    const lower = patterns.map((pattern) => pattern.toLowerCase());
    const found: string[] = [];
    for (const [name, parameter] of PARAMETERS) {
      if (lower.some((pattern) => globMatches(pattern, name))) found.push(name, parameter.get(shared));
    }
    return found;
  }

  /** Judges all values, puts them in force if all are right; returns those that have to go through the log. */
  change(pairs: readonly (readonly [string, string])[], shared: RespShared): ReplicatedSetting[] | string {
    const changes: (() => void)[] = [];
    const replicated: ReplicatedSetting[] = [];
    for (const [given, value] of pairs) {
      const name = given.toLowerCase();
      const parameter = PARAMETERS.get(name);
      if (parameter === undefined) return `Unknown option or number of arguments for CONFIG SET - '${given}'`;
      try {
        if (parameter.set === undefined) throw new RefusedValue("can't set immutable config");
        const change = parameter.set(value, shared);
        if (typeof change === 'function') changes.push(change);
        else replicated.push(change);
      } catch (error) {
        if (!(error instanceof RefusedValue)) throw error;
        return `CONFIG SET failed (possibly related to argument '${name}') - ${error.message}`;
      }
    }
    for (const change of changes) change();
    return replicated;
  }
}

function shown(get: (shared: RespShared) => string): Parameter {
  return { get };
}

/** There is but one way here; saying so once more is no mistake. */
function only(fixed: string): Parameter {
  return {
    get: () => fixed,
    set(value) {
      if (value.toLowerCase() !== fixed) throw new RefusedValue(`here it is always '${fixed}'`);
      return () => {};
    },
  };
}

function number<Name extends string>(
  min: number,
  max: number,
  owner: (shared: RespShared) => Record<Name, number>,
  name: Name,
): Parameter {
  return {
    get: (shared) => String(owner(shared)[name]),
    set(value, shared) {
      const asked = Number(value);
      if (!/^-?\d+$/.test(value)) throw new RefusedValue("argument couldn't be parsed into an integer");
      if (asked < min || asked > max)
        throw new RefusedValue(`argument must be between ${min} and ${max} inclusive`);
      return () => {
        (owner(shared) as Record<string, number>)[name] = asked;
      };
    },
  };
}

const UNITS: Readonly<Record<string, number>> = {
  '': 1,
  b: 1,
  k: 1000,
  kb: 1024,
  m: 1_000_000,
  mb: MEGABYTE,
  g: 1_000_000_000,
  gb: 1024 * MEGABYTE,
};

/** `100mb` and the like. @throws RefusedValue */
function memoryOf(value: string): number {
  const parts = /^(\d{1,15})([a-z]*)$/.exec(value.toLowerCase());
  const unit = parts === null ? undefined : UNITS[parts[2]!];
  const bytes = Number(parts?.[1]) * (unit ?? Number.NaN);
  if (!Number.isSafeInteger(bytes)) throw new RefusedValue('argument must be a memory value');
  return bytes;
}

function outputLimits({ limits }: RespShared): string {
  const { subscriberBytesMax, subscriberSoftBytes, subscriberSoftMs, outputBytesMax } = limits;
  const soft = `${subscriberSoftBytes} ${Math.round(subscriberSoftMs / 1000)}`;
  return `normal ${outputBytesMax} 0 0 slave 0 0 0 pubsub ${subscriberBytesMax} ${soft}`;
}

/** Only the class `pubsub` can be changed. */
function setOutputLimits(value: string, { limits }: RespShared): () => void {
  const [kind, hard, soft, seconds, ...more] = value.split(' ');
  if (
    kind !== 'pubsub' ||
    hard === undefined ||
    soft === undefined ||
    seconds === undefined ||
    more.length > 0
  )
    throw new RefusedValue("only 'pubsub <hard limit> <soft limit> <soft seconds>' can be set");
  const [hardBytes, softBytes] = [memoryOf(hard), memoryOf(soft)];
  if (!/^\d{1,6}$/.test(seconds)) throw new RefusedValue('the seconds must be an integer');
  return () => {
    limits.subscriberBytesMax =
      hardBytes === 0 ? limits.outputBytesMax : Math.min(hardBytes, limits.outputBytesMax);
    limits.subscriberSoftBytes = softBytes === 0 ? limits.subscriberBytesMax : softBytes;
    limits.subscriberSoftMs = Number(seconds) * 1000;
  };
}
