// etcd with three members on this machine, as it is installed, with its default settings: argument the folder for their data.
// Prints the ready line once one leads. The members end with this process, however it ends.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { dyingWithUs, freePorts, lastWords } from './servers.js';

const MEMBERS = 3;
const START_MS = 30_000;

const folder = process.argv[2] ?? '.';
const ports = await freePorts(2 * MEMBERS);
const members = Array.from({ length: MEMBERS }, (_, index) => ({
  name: `member-${index + 1}`,
  client: `127.0.0.1:${ports[2 * index]}`,
  peer: `http://127.0.0.1:${ports[2 * index + 1]}`,
}));
const children = members.map(({ name, client, peer }): ChildProcess => {
  const settings = {
    name,
    'data-dir': join(folder, name),
    'listen-client-urls': `http://${client}`,
    'advertise-client-urls': `http://${client}`,
    'listen-peer-urls': peer,
    'initial-advertise-peer-urls': peer,
    'initial-cluster': members.map((member) => `${member.name}=${member.peer}`).join(','),
    'log-level': 'error',
  };
  const flags = Object.entries(settings).map(([flag, value]) => `--${flag}=${value}`);
  return spawn(...dyingWithUs('etcd', flags), { stdio: ['ignore', 'ignore', 'pipe'] });
});
const words = children.map(lastWords);
const gone = Promise.race(
  children.map(async (child, index) => {
    const [code] = (await once(child, 'exit')) as [number | null];
    throw new Error(`etcd ended with ${code}: ${words[index]?.() ?? ''}`);
  }),
);
let isStopping = false;
gone.catch((error: unknown) => {
  if (isStopping) return;
  process.stderr.write(`${String(error)}\n`);
  process.exit(1);
});
const stop = async (): Promise<void> => {
  isStopping = true;
  const ended = children.map((child) => once(child, 'exit'));
  for (const child of children) child.kill('SIGTERM');
  await Promise.all(ended);
  process.exit(0);
};
process.once('SIGTERM', () => void stop()).once('SIGINT', () => void stop());

const endMs = performance.now() + START_MS;
while (!(await Promise.all(members.map(({ client }) => hasLeader(client)))).every(Boolean)) {
  if (performance.now() > endMs) throw new Error(`no leader within ${START_MS} ms`);
  await delay(50);
}
const listen = Object.fromEntries(members.map(({ name, client }) => [name, client]));
process.stdout.write(`${JSON.stringify({ event: 'ready', pid: process.pid, listen })}\n`);

async function hasLeader(client: string): Promise<boolean> {
  try {
    const response = await fetch(`http://${client}/health`, { signal: AbortSignal.timeout(1000) });
    return response.ok;
  } catch {
    return false; // it does not listen yet
  }
}
