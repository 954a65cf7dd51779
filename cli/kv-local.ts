// `reactor-net kv local`: a whole cluster on this machine, one child process per member.
// It restarts nothing: a member that ends is a matter for whoever tries things out, so it says so and ends as well.
// Signals that ask to stop are passed on; each member then hands over and drains by itself.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { request } from 'node:http';
import { type AddressInfo, createServer } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { withoutFlagVariables } from './flags.js';
import { type KvLocalOptions, memberArgs } from './kv-serve-command.js';
import type { Io } from './main.js';
import { Shutdown } from './shutdown.js';

interface Ports {
  readonly rpc: number;
  readonly resp: number;
  readonly http: number;
}

interface MemberListen {
  readonly rpc: string;
  readonly resp?: string;
  readonly http?: string;
}

interface Member {
  readonly id: number;
  readonly child: ChildProcess;
  /** Rejects when the child ends first. */
  readonly ready: Promise<MemberListen>;
  readonly ended: Promise<string>;
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
    const lost = Promise.race(members.map(({ ended }) => ended));
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
    await Promise.all(members.map(({ ended }) => ended));
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
    launcher(),
    'kv',
    'serve',
    `--id=${id}`,
    `--cluster=${cluster}`,
    `--resp=${HOST}:${resp}`,
    `--http=${HOST}:${http}`,
    `--data=${path.join(folder, `member-${id}`)}`,
    '--json',
    '--lifeline',
    ...memberArgs(options),
  ];
  const child = spawn(process.execPath, args, {
    stdio: ['pipe', 'pipe', 'pipe'], // should we be killed, their standard input ends
    env: withoutFlagVariables(io.environment),
  });
  const ended = once(child, 'close').then(([code, signal]) => {
    const how = signal === null ? `with exit code ${String(code)}` : `by ${String(signal)}`;
    return `member ${id} (process ${child.pid}) ended ${how}`;
  });
  child.stdin.on('error', () => {}); // it ended first, which `ended` tells
  const ready = new Promise<MemberListen>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const listen = listenIn(line);
      if (listen !== null) resolve(listen);
    });
    void ended.then((text) => reject(new Error(text)));
  });
  ready.catch(() => {}); // told by `ended`
  createInterface({ input: child.stderr }).on('line', (line) => io.stderr.write(`${tagged(line, id)}\n`));
  return { id, child, ready, ended };
}

/** Says that the cluster is there: every member listens, and one leads. */
async function announce(members: readonly Member[], { json, data }: KvLocalOptions, io: Io): Promise<void> {
  const listens = await Promise.all(members.map(({ ready }) => ready));
  const first = listens[0]!.http!; // each has one
  const endMs = performance.now() + LEADER_WAIT_MS;
  while (performance.now() < endMs && !(await Promise.all(listens.map(isReady))).every(Boolean)) {
    await delay(LEADER_ASK_MS);
  }
  if (!(await isReady({ rpc: '', http: first }))) throw new Error('no leader was elected');
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
        `  member ${id}  RPC ${listen.rpc}  Redis ${listen.resp ?? 'off'}  http://${listen.http ?? ''}/status`,
    ),
    data === null ? '  data     temporary, removed at the end' : `  data     ${data}`,
  ];
  io.stdout.write(`${lines.join('\n')}\n`);
}

async function stop(members: readonly Member[]): Promise<boolean> {
  for (const { child } of members) child.kill('SIGTERM');
  await Promise.all(members.map(({ ended }) => ended));
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

function isReady({ http }: MemberListen): Promise<boolean> {
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

function listenIn(line: string): MemberListen | null {
  try {
    const { event, listen } = JSON.parse(line) as { event?: unknown; listen?: MemberListen };
    return event === 'ready' && listen !== undefined ? listen : null;
  } catch {
    return null; // not a line of ours
  }
}

/** Lines of the log say whose they are. */
function tagged(line: string, id: number): string {
  return line.startsWith('{') ? `{"member":${id},${line.slice(1)}` : `member ${id}: ${line}`;
}

/** The script this very program was started by, in a checkout and when installed. */
function launcher(): string {
  return fileURLToPath(new URL('../../bin/reactor-net.js', import.meta.url));
}
