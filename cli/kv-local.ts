// `reactor-net kv local`: a whole cluster on this machine, one child process per member.
// It restarts nothing: a member that ends is a matter for whoever tries things out, so it says so and ends as well.
// Signals that ask to stop are passed on; each member then hands over and drains by itself.

import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { ChildCommand, type ListenTexts } from './child-command.js';
import { type KvLocalOptions, memberArgs } from './kv-serve-command.js';
import type { Io } from './main.js';
import { Shutdown } from './shutdown.js';

interface Ports {
  readonly rpc: number;
  readonly resp: number;
  readonly http: number;
}

interface Member {
  readonly id: number;
  readonly child: ChildCommand;
}

const HOST = '127.0.0.1';
const LEADER_WAIT_MS = 30_000;
const LEADER_ASK_MS = 25;

/** @returns the exit code, once every member has ended */
export async function kvLocal(options: KvLocalOptions, io: Io): Promise<number> {
  const shutdown = new Shutdown({ isSupervised: false });
  const temporary = options.data === null ? await mkdtemp(path.join(tmpdir(), 'reactor-net-kv-')) : null;
  const members: Member[] = [];
  try {
    const ports = await portsOf(options);
    const cluster = ports.map(({ rpc }, at) => `${at + 1}=${HOST}:${rpc}`).join(',');
    const folder = options.data ?? temporary!;
    for (const [at, port] of ports.entries()) members.push(start(at + 1, cluster, port, folder, options, io));
    const lost = Promise.race(members.map(({ child }) => child.ended));
    const state = { isStopping: false, lost: null as string | null };
    const someoneLost = lost.then((text) => {
      if (!state.isStopping) state.lost = text;
    });
    // A signal while they start is passed on as well: `run` drains at once.
    const started = announce(members, options, io);
    void started.catch(() => {}); // told below, where it is awaited
    const failedStart = started.then(
      () => new Promise<never>(() => {}),
      () => undefined,
    );
    const exitCode = await shutdown.run(
      {
        reload: async () => {
          for (const { child } of members) child.kill('SIGHUP');
        },
        reloadFailed: () => {},
        drain: async () => {
          state.isStopping = true;
          return stop(members);
        },
        abandon: () => {
          for (const { child } of members) child.kill('SIGKILL');
        },
      },
      Promise.race([someoneLost, failedStart]),
    );
    if (state.lost === null) return exitCode;
    io.stderr.write(`reactor-net: ${state.lost}; the others were stopped\n`);
    return 1;
  } finally {
    for (const { child } of members) if (child.exitCode === null) child.kill('SIGKILL');
    await Promise.all(members.map(({ child }) => child.ended));
    if (temporary !== null) await rm(temporary, { recursive: true, force: true });
    shutdown.close();
  }
}

function start(
  id: number,
  cluster: string,
  { rpc: _rpc, resp, http }: Ports,
  folder: string,
  options: KvLocalOptions,
  io: Io,
): Member {
  const args = [
    'kv',
    'serve',
    `--id=${id}`,
    `--cluster=${cluster}`,
    `--resp=${HOST}:${resp}`,
    `--http=${HOST}:${http}`,
    `--data=${path.join(folder, `member-${id}`)}`,
    ...memberArgs(options),
  ];
  return { id, child: new ChildCommand(`member ${id}`, args, io, { member: id }) };
}

/** Says that the cluster is there: every member listens, and one leads. */
async function announce(members: readonly Member[], { json, data }: KvLocalOptions, io: Io): Promise<void> {
  const listens = await Promise.all(members.map(({ child }) => child.ready));
  const first = listens[0]!['http']!; // each has one
  const endMs = performance.now() + LEADER_WAIT_MS;
  while (performance.now() < endMs && !(await Promise.all(listens.map(isReady))).every(Boolean)) {
    await delay(LEADER_ASK_MS);
  }
  if (!(await isReady({ http: first }))) throw new Error('no leader was elected');
  const listed = members.map(({ id, child }, at) => ({ id, pid: child.pid, listen: listens[at]! }));
  if (json) {
    const listen = listens[0]!;
    io.stdout.write(`${JSON.stringify({ event: 'ready', pid: process.pid, listen, members: listed })}\n`);
    return;
  }
  const lines = [
    `reactor-net kv: ${members.length} members (process ${process.pid}); Ctrl-C stops`,
    ...listed.map(
      ({ id, listen }) =>
        `  member ${id}  RPC ${listen['rpc']}  Redis ${listen['resp'] ?? 'off'}  http://${listen['http'] ?? ''}/status`,
    ),
    data === null ? '  data     temporary, removed at the end' : `  data     ${data}`,
  ];
  io.stdout.write(`${lines.join('\n')}\n`);
}

async function stop(members: readonly Member[]): Promise<boolean> {
  for (const { child } of members) child.kill('SIGTERM');
  await Promise.all(members.map(({ child }) => child.ended));
  return members.every(({ child }) => child.exitCode === 0);
}

async function portsOf({ nodes, basePort }: KvLocalOptions): Promise<Ports[]> {
  const numbers = Array.from({ length: nodes }, (_, at) => at + 1);
  const wanted = numbers.flatMap((i) =>
    basePort === 0 ? [0, 0, 0] : [basePort + i, basePort + 100 + i, basePort + 200 + i],
  );
  const ports = await heldAtOnce(wanted);
  return numbers.map((i) => ({ rpc: ports[3 * i - 3]!, resp: ports[3 * i - 2]!, http: ports[3 * i - 1]! }));
}

/**
 * Holds all of them for a moment, so that no free one is given twice and a busy one is told before anything starts.
 * @throws Error that names the flag
 */
async function heldAtOnce(wanted: readonly number[]): Promise<number[]> {
  const servers = wanted.map(() => createServer());
  try {
    return await Promise.all(
      servers.map(async (server, at) => {
        server.listen(wanted[at], HOST);
        await once(server, 'listening');
        return (server.address() as AddressInfo).port; // bound, so no path
      }),
    );
  } catch (cause) {
    const { code, port } = cause as NodeJS.ErrnoException & { port?: number };
    const why = code === 'EADDRINUSE' ? 'is in use' : `cannot be had: ${code ?? String(cause)}`;
    throw new Error(`--base-port: ${HOST}:${port ?? ''} ${why}; choose another base, or 0 for free ports`, {
      cause,
    });
  } finally {
    await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  }
}

function isReady({ http }: ListenTexts): Promise<boolean> {
  return new Promise((resolve) => {
    const asked = request(`http://${http ?? ''}/readyz`, { timeout: 1000 }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(false));
    asked.end();
  });
}
