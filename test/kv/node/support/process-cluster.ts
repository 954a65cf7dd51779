// Members as processes of their own, started by `kv serve` on free ports, to be killed, stopped and started again.
// Asked through the native client's service and through HTTP.

import assert from 'node:assert/strict';
import { request } from 'node:http';
import path from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import type { TestContext } from 'node:test';
import type { NodeStatus } from '../../../../kv/index.js';
import { Kv, ReadLevel } from '../../../../kv/proto/kv.js';
import type { TlsClientOptions } from '../../../../reactor/index.js';
import { RpcClient } from '../../../../rpc/index.js';
import { Command, type Ready } from '../../../support/command.js';
import { freePort } from '../../../support/free-port.js';
import { temporaryFolder } from '../../../support/temporary-folder.js';

const PATIENCE_MS = 60_000;
const HOST = '127.0.0.1';

export interface MemberPorts {
  readonly rpc: string;
  readonly http: string;
}

export class ProcessCluster {
  readonly folder: string;
  readonly ports: Map<number, MemberPorts> = new Map();
  readonly commands: Map<number, Command> = new Map();
  readonly #t: TestContext;
  readonly #flags: readonly string[];
  readonly #tls: TlsClientOptions | null;
  readonly #clients: RpcClient[] = [];
  #first: readonly number[] = [];

  constructor(t: TestContext, flags: readonly string[] = [], tls: TlsClientOptions | null = null) {
    this.#t = t;
    this.#flags = flags;
    this.#tls = tls;
    this.folder = temporaryFolder(t);
    t.after(async () => {
      for (const { child, exitCode } of this.commands.values()) {
        child.kill('SIGCONT');
        child.kill('SIGKILL');
        await exitCode;
      }
      for (const client of this.#clients) await client.close(0);
    });
  }

  /** Gives ports to the members a cluster begins with. */
  async plan(ids: readonly number[]): Promise<void> {
    this.#first = ids;
    for (const id of ids) this.ports.set(id, await freePorts());
  }

  async startAll(ids: readonly number[] = [1, 2, 3]): Promise<void> {
    await this.plan(ids);
    for (const id of ids) this.spawn(id);
    await Promise.all(ids.map((id) => this.commands.get(id)!.ready()));
    await this.until('a leader that all know', async () =>
      (await Promise.all(ids.map((id) => this.isReady(id)))).every(Boolean),
    );
  }

  /** Starts the process, again or for the first time, and does not wait. */
  spawn(id: number, flags: readonly string[] = []): Command {
    const { rpc, http } = this.ports.get(id)!;
    const listed = [...new Set([...this.#first, id])];
    const cluster = listed.map((each) => `${each}=${this.ports.get(each)!.rpc}`).join(',');
    const command = new Command(this.#t, [
      'kv',
      'serve',
      `--id=${id}`,
      `--cluster=${cluster}`,
      `--http=${http}`,
      `--data=${path.join(this.folder, `member-${id}`)}`,
      '--json',
      ...this.#flags,
      ...flags,
    ]);
    this.commands.set(id, command);
    assert.ok(rpc);
    return command;
  }

  async start(id: number, flags: readonly string[] = []): Promise<Ready> {
    return this.spawn(id, flags).ready();
  }

  async join(id: number, contact: number, flags: readonly string[] = []): Promise<Ready> {
    this.ports.set(id, await freePorts());
    return this.start(id, [`--join=${this.ports.get(contact)!.rpc}`, ...flags]);
  }

  async kill(id: number): Promise<void> {
    const { child, exitCode } = this.commands.get(id)!;
    child.kill('SIGKILL');
    await exitCode;
  }

  signal(id: number, signal: NodeJS.Signals): void {
    this.commands.get(id)!.child.kill(signal);
  }

  async isReady(id: number): Promise<boolean> {
    return (await get(`http://${this.ports.get(id)!.http}/readyz`))?.status === 200;
  }

  /** null: it does not answer. */
  async status(id: number): Promise<NodeStatus | null> {
    const answer = await get(`http://${this.ports.get(id)!.http}/status`);
    return answer === null ? null : (JSON.parse(answer.text) as NodeStatus);
  }

  async metric(id: number, name: string): Promise<number> {
    const { text } = (await get(`http://${this.ports.get(id)!.http}/metrics`))!;
    const line = text.split('\n').find((each) => each.startsWith(`reactor_net_kv_${name} `));
    return Number(line!.split(' ')[1]);
  }

  /** The leader that the given members agree on. */
  async leader(ids: readonly number[]): Promise<number> {
    let leader = 0;
    await this.until('a leader', async () => {
      const all = await Promise.all(ids.map((id) => this.status(id)));
      leader = all[0]?.leader ?? 0;
      return leader !== 0 && ids.includes(leader) && all.every((status) => status?.leader === leader);
    });
    return leader;
  }

  async until(what: string, condition: () => Promise<boolean>): Promise<void> {
    const endMs = performance.now() + PATIENCE_MS;
    while (!(await condition())) {
      assert.ok(
        performance.now() < endMs,
        `${what}: ${[...this.commands].map(([id, { stderr }]) => `\n${id}: ${stderr.slice(-2000)}`).join('')}`,
      );
      await delay(20);
    }
  }

  /** A client of some members; of several, it goes to another one when one is away. */
  client(ids: readonly number[], tls: TlsClientOptions | null = this.#tls): RpcClient {
    const client = new RpcClient({
      target: ids.map((id) => this.ports.get(id)!.rpc).join(','),
      timeoutMs: 30_000,
      ...(tls === null ? {} : { tls }),
    });
    this.#clients.push(client);
    return client;
  }

  async put(client: RpcClient, key: string, value: string): Promise<void> {
    const command = { put: { key: Buffer.from(key), value: Buffer.from(value) } };
    const { outcome } = await client.unary(Kv.methods.execute, { command } as never);
    assert.equal(outcome?.error, undefined);
  }

  async get(client: RpcClient, key: string, isStale = false): Promise<string | null> {
    const readLevel = isStale ? ReadLevel.STALE : ReadLevel.LINEARIZABLE;
    const { outcome } = await client.unary(Kv.methods.execute, {
      command: { get: { key: Buffer.from(key) } },
      readLevel,
    } as never);
    const value = outcome?.get?.kv?.value;
    return value === undefined ? null : Buffer.from(value).toString();
  }
}

export async function freePorts(): Promise<MemberPorts> {
  return { rpc: `${HOST}:${await freePort()}`, http: `${HOST}:${await freePort()}` };
}

function get(url: string): Promise<{ status: number; text: string } | null> {
  return new Promise((resolve) => {
    const asked = request(url, { timeout: 2000 }, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
    });
    asked.on('timeout', () => asked.destroy());
    asked.on('error', () => resolve(null));
    asked.end();
  });
}
