// Commands about this member as a server: time, snapshots, the slow log, roles, and what is refused in words.

import { KEY_OVERHEAD_BYTES } from '../../machine/limits.js';
import { ErrorReply, MapReply, OK, type Reply, StatusReply, VerbatimReply } from '../../machine/reply.js';
import type { LocalCommand } from '../command-set.js';
import { unknownSubcommand, wrongArity } from '../error-replies.js';
import { infoText } from '../info.js';
import type { RespClient } from '../resp-client.js';
import { lookFresh } from './through-log.js';

const BACKGROUND_SAVE = new StatusReply('Background saving started');
const NOT_OFFERED = new ErrorReply('ERR this server does not offer it');
const CLUSTER_DISABLED = new ErrorReply('ERR This instance has cluster support disabled');
const HERE = { inTransaction: 'refuse' } as const;

export const serverCommands: readonly LocalCommand[] = [
  { name: 'time', arity: 1, run: time, summary: 'Tells the time of this machine' },
  { name: 'info', arity: -1, run: info, summary: 'Tells how this member is' },
  { name: 'save', arity: 1, run: save, ...HERE, summary: 'Writes a snapshot and waits for it' },
  { name: 'bgsave', arity: -1, run: saveInBackground, ...HERE, summary: 'Writes a snapshot' },
  {
    name: 'bgrewriteaof',
    arity: 1,
    run: (client) => saveInBackground(client),
    ...HERE,
    summary: 'Writes a snapshot, after which the log can be shortened',
  },
  {
    name: 'lastsave',
    arity: 1,
    run: ({ shared }) => shared.lastSaveSeconds,
    summary: 'When SAVE last did its work',
  },
  { name: 'slowlog', arity: -2, run: slowLog, summary: 'Shows the slowest commands' },
  { name: 'monitor', arity: 1, run: refuse('MONITOR is not supported'), ...HERE, summary: 'Refused' },
  {
    name: 'shutdown',
    arity: -1,
    run: refuse('SHUTDOWN is not supported: send SIGTERM to the process'),
    ...HERE,
    summary: 'Refused',
  },
  { name: 'debug', arity: -2, run: refuse('DEBUG is not supported'), ...HERE, summary: 'Refused' },
  { name: 'latency', arity: -2, run: latency, summary: 'Nothing is sampled here: see the metrics' },
  { name: 'memory', arity: -2, run: memory, ...HERE, summary: 'Estimates the memory of a key' },
  { name: 'wait', arity: 3, run: wait, summary: 'How many other members have what was written' },
  { name: 'role', arity: 1, run: role, summary: 'Leader or follower' },
  {
    name: 'cluster',
    arity: -2,
    run: () => CLUSTER_DISABLED,
    summary: 'There are no slots: every member has every key',
  },
];

function refuse(text: string): () => Reply {
  const reply = new ErrorReply(`ERR ${text}`);
  return () => reply;
}

function time(): Reply {
  const micros = Math.round((performance.timeOrigin + performance.now()) * 1000);
  return [String(Math.floor(micros / 1_000_000)), String(micros % 1_000_000)];
}

function info(client: RespClient, args: readonly string[]): Reply {
  return new VerbatimReply('txt', infoText(client.shared, args.slice(1)));
}

function save({ shared }: RespClient): Reply | Promise<Reply> {
  if (shared.admin === null) return NOT_OFFERED;
  return shared.admin.snapshotNow().then(() => {
    shared.lastSaveSeconds = Math.floor(Date.now() / 1000);
    return OK;
  });
}

function saveInBackground(client: RespClient): Reply {
  const { shared } = client;
  if (shared.admin === null) return NOT_OFFERED;
  shared.admin.snapshotNow().then(
    () => {
      shared.lastSaveSeconds = Math.floor(Date.now() / 1000);
    },
    (error: unknown) => shared.reportDefect(error),
  );
  return BACKGROUND_SAVE;
}

function slowLog({ shared }: RespClient, args: readonly string[]): Reply {
  switch (args[1]!.toLowerCase()) {
    case 'get': {
      const asked = args[2] ?? '10';
      if (args.length > 3 || !/^-?\d{1,9}$/.test(asked))
        return new ErrorReply('ERR count should be greater than or equal to -1');
      return shared.slowLog
        .newest(Number(asked))
        .map((each) => [each.id, each.atSeconds, each.micros, each.args, each.address, each.clientName]);
    }
    case 'len':
      return shared.slowLog.length;
    case 'reset':
      shared.slowLog.clear();
      return OK;
    case 'help':
      return ['SLOWLOG <subcommand>: GET [<count>], LEN, RESET'];
    default:
      return unknownSubcommand('slowlog', args[1]!);
  }
}

function latency(_client: RespClient, args: readonly string[]): Reply {
  switch (args[1]!.toLowerCase()) {
    case 'latest':
    case 'history':
      return [];
    case 'histogram':
      return new MapReply([]);
    case 'reset':
      return 0;
    case 'doctor':
      return new VerbatimReply(
        'txt',
        'Latency is not sampled here: the metrics of this member have histograms.\n',
      );
    default:
      return unknownSubcommand('latency', args[1]!);
  }
}

function memory(client: RespClient, args: readonly string[]): Reply | Promise<Reply> {
  switch (args[1]!.toLowerCase()) {
    case 'usage': {
      if (args.length < 3) return wrongArity('memory|usage');
      const key = args[2]!;
      return lookFresh(client.shared, () => {
        const value = client.shared.backend.machine.keyspace.find(key)?.value;
        if (value === undefined) return null;
        const bytes = typeof value === 'string' || Buffer.isBuffer(value) ? value.length : value.memoryBytes;
        return key.length + KEY_OVERHEAD_BYTES + bytes;
      });
    }
    case 'doctor':
      return new VerbatimReply('txt', 'Memory is counted by content: see used_memory in INFO.\n');
    case 'purge':
      return OK;
    case 'help':
      return ['MEMORY <subcommand>: USAGE <key>, DOCTOR, PURGE'];
    default:
      return unknownSubcommand('memory', args[1]!);
  }
}

/**
 * What a client was told is on a majority, this member or the leader being one of it: that many others have it for sure,
 * and nobody waits for more.
 */
function wait({ shared }: RespClient, args: readonly string[]): Reply {
  if (!/^\d{1,9}$/.test(args[1]!) || !/^\d{1,15}$/.test(args[2]!))
    return new ErrorReply('ERR value is not an integer or out of range');
  const voters = shared.admin?.members().filter(({ isLearner }) => !isLearner).length ?? 1;
  return Math.floor(voters / 2);
}

function role({ shared }: RespClient): Reply {
  const status = shared.backend.status();
  if (status.role === 'leader') return ['master', status.commitIndex, []];
  const leader = shared.admin?.members().find(({ id }) => id === status.leader);
  const [, host = '', port = '0'] = /^(.*):(\d+)$/.exec(leader?.address ?? '') ?? [];
  const state = status.leader === 0 ? 'connect' : 'connected';
  return ['slave', host, Number(port), state, status.appliedIndex];
}
