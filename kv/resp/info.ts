// INFO: how this member is, in the sections and fields that clients and tools read.

import { REDIS_VERSION } from './redis-version.js';
import type { RespShared } from './resp-shared.js';

type Fields = Readonly<Record<string, string | number>>;

const SECTIONS: Readonly<Record<string, (shared: RespShared) => Fields>> = {
  Server: server,
  Clients: clients,
  Memory: memory,
  Persistence: persistence,
  Stats: stats,
  Replication: replication,
  CPU: cpu,
  Commandstats: commandStats,
  Raft: raft,
  Cluster: () => ({ cluster_enabled: 0 }),
  Keyspace: keyspace,
};
/** As in Redis: it is long. */
const ONLY_WHEN_ASKED = new Set(['Commandstats']);

/** The sections of these names; without names, those that are shown by default. */
export function infoText(shared: RespShared, names: readonly string[]): string {
  const asked = names.map((name) => name.toLowerCase());
  const isEverything = asked.includes('all') || asked.includes('everything');
  const isDefault = asked.length === 0 || asked.includes('default');
  const texts: string[] = [];
  for (const [name, fields] of Object.entries(SECTIONS)) {
    const isAsked = asked.includes(name.toLowerCase());
    if (!isAsked && !isEverything && !(isDefault && !ONLY_WHEN_ASKED.has(name))) continue;
    const lines = Object.entries(fields(shared)).map(([field, value]) => `${field}:${value}\r\n`);
    texts.push(`# ${name}\r\n${lines.join('')}`);
  }
  return texts.join('\r\n');
}

function server({ startedMs, port }: RespShared): Fields {
  const seconds = Math.floor((Date.now() - startedMs) / 1000);
  return {
    redis_version: REDIS_VERSION,
    redis_mode: 'standalone',
    server_name: 'reactor-net',
    os: process.platform,
    arch_bits: 64,
    process_id: process.pid,
    tcp_port: port,
    server_time_usec: Date.now() * 1000,
    uptime_in_seconds: seconds,
    uptime_in_days: Math.floor(seconds / 86_400),
  };
}

function clients({ clients, config, subscriptions, budget }: RespShared): Fields {
  let busy = 0;
  let subscribers = 0;
  for (const client of clients.values()) {
    if (client.isBusy) busy += 1;
    if (client.isSubscribed) subscribers += 1;
  }
  return {
    connected_clients: clients.size,
    maxclients: config.clientsMax,
    blocked_clients: 0,
    clients_waiting_for_log: busy,
    pubsub_clients: subscribers,
    pubsub_channels: subscriptions.channelCount,
    pubsub_patterns: subscriptions.patternCount,
    client_input_bytes: budget.bytes,
  };
}

function memory({ backend }: RespShared): Fields {
  const { machine } = backend;
  const { rss, heapUsed } = process.memoryUsage();
  return {
    used_memory: machine.memoryBytes,
    used_memory_rss: rss,
    used_memory_heap: heapUsed,
    maxmemory: machine.settings.quotaBytes,
    maxmemory_policy: 'noeviction',
    alarm: machine.alarm ?? 'none',
  };
}

function persistence({ lastSaveSeconds }: RespShared): Fields {
  return {
    loading: 0,
    async_loading: 0,
    aof_enabled: 1,
    rdb_bgsave_in_progress: 0,
    rdb_last_save_time: lastSaveSeconds,
  };
}

function stats({ figures, slowLog }: RespShared): Fields {
  return {
    total_connections_received: figures.connections,
    total_commands_processed: figures.commands,
    total_runs_processed: figures.runs,
    total_net_input_bytes: figures.bytesReceived,
    rejected_connections: figures.connectionsRefused,
    protocol_errors: figures.protocolErrors,
    clients_cut: figures.clientsCut,
    clients_idle: figures.clientsIdle,
    pubsub_messages: figures.messagesPublished,
    slowlog_length: slowLog.length,
    internal_errors: figures.defects,
  };
}

function replication({ backend }: RespShared): Fields {
  const { role, commitIndex, leader, id } = backend.status();
  const isLeader = role === 'leader';
  return {
    role: isLeader ? 'master' : 'slave',
    ...(isLeader ? {} : { master_link_status: leader === 0 ? 'down' : 'up' }),
    connected_slaves: 0,
    member_id: id,
    master_repl_offset: commitIndex,
  };
}

function cpu(): Fields {
  const { user, system } = process.cpuUsage();
  return { used_cpu_sys: (system / 1e6).toFixed(6), used_cpu_user: (user / 1e6).toFixed(6) };
}

function commandStats({ commands }: RespShared): Fields {
  const fields: Record<string, string> = {};
  for (const { name, stats } of commands.all.values()) {
    const { calls, micros, rejected, failed } = stats;
    if (calls + rejected + failed === 0) continue;
    const each = calls === 0 ? 0 : micros / calls;
    fields[`cmdstat_${name}`] =
      `calls=${calls},usec=${Math.round(micros)},usec_per_call=${each.toFixed(2)},rejected_calls=${rejected},failed_calls=${failed}`;
  }
  return fields;
}

function raft({ backend }: RespShared): Fields {
  const fields: Record<string, string | number> = {};
  for (const [name, value] of Object.entries(backend.status()) as [string, unknown][]) {
    if (typeof value === 'string' || typeof value === 'number')
      fields[`raft_${name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)}`] = value;
  }
  return fields;
}

function keyspace({ backend }: RespShared): Fields {
  const { size } = backend.machine.keyspace;
  return size === 0 ? {} : { db0: `keys=${size},expires=0,avg_ttl=0` };
}
