// An upgrade of a cluster under load, member by member. What an older program knows is played by --protocol-version.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { Clerk } from '../../../kv/index.js';
import { PROTOCOL_VERSION } from '../../../kv/machine/protocol-version.js';
import { ProcessCluster } from './support/process-cluster.js';

const THREE = [1, 2, 3];
const OLD = '--protocol-version=1';

/** Clients that append and read without a break; none of their requests may fail. */
class Load {
  acknowledged = 0;
  readonly #clerk: Clerk;
  readonly #over = new AbortController();
  readonly #writers: Promise<void>[];
  readonly #written = new Map<string, string>();

  constructor(t: TestContext, cluster: ProcessCluster) {
    this.#clerk = new Clerk({ endpoints: THREE.map((id) => cluster.ports.get(id)!.rpc), timeoutMs: 30_000 });
    t.after(() => this.#clerk.close());
    this.#writers = ['a', 'b', 'c', 'd'].map((key) => this.#write(key));
    for (const writer of this.#writers) writer.catch(() => {}); // told by end()
  }

  async #write(key: string): Promise<void> {
    for (let count = 0; !this.#over.signal.aborted; count += 1) {
      await this.#clerk.append(key, `${count},`);
      this.#written.set(key, `${this.#written.get(key) ?? ''}${count},`);
      this.acknowledged += 1;
      assert.equal((await this.#clerk.get(key))?.text, this.#written.get(key), 'each once, in order');
    }
  }

  /** @throws what failed, or what was lost */
  async end(): Promise<void> {
    this.#over.abort();
    await Promise.all(this.#writers);
    for (const [key, text] of this.#written) assert.equal((await this.#clerk.get(key))?.text, text);
  }
}

async function restart(
  cluster: ProcessCluster,
  load: Load,
  id: number,
  flags: readonly string[],
): Promise<void> {
  const { child, exitCode } = cluster.commands.get(id)!;
  child.kill('SIGTERM');
  assert.equal(await exitCode, 0);
  await cluster.start(id, flags);
  await cluster.until('it to be ready', () => cluster.isReady(id));
  const before = load.acknowledged;
  await cluster.until('some more writes', async () => load.acknowledged > before + 20);
}

test('members are upgraded one after the other under load: nothing fails, nothing is lost, the new is used at the end', async (t) => {
  const cluster = new ProcessCluster(t, ['--snapshot-every=500']);
  await cluster.plan(THREE);
  await Promise.all(THREE.map((id) => cluster.start(id, [OLD])));
  await cluster.until('all to be ready', async () =>
    (await Promise.all(THREE.map((id) => cluster.isReady(id)))).every(Boolean),
  );
  const load = new Load(t, cluster);
  for (const id of THREE) {
    for (const each of THREE) assert.equal((await cluster.status(each))!.protocolVersion, 1);
    await restart(cluster, load, id, []);
  }
  await cluster.until('all to use what is new', async () => {
    const all = await Promise.all(THREE.map((id) => cluster.status(id)));
    return all.every((status) => status?.protocolVersion === PROTOCOL_VERSION);
  });
  await restart(cluster, load, await cluster.leader(THREE), []);
  await load.end();

  // There is no way back, and an older member says so instead of drifting apart.
  const { child, exitCode } = cluster.commands.get(2)!;
  child.kill('SIGTERM');
  assert.equal(await exitCode, 0);
  const old = cluster.spawn(2, [OLD]);
  assert.equal(await old.exitCode, 1);
  assert.match(old.stderr, /gone on to protocol version 2, this program knows 1/);
  cluster.spawn(2);
  await cluster.until('it to be ready', () => cluster.isReady(2));

  await assert.rejects(cluster.join(4, 1, [OLD]));
  assert.match(
    cluster.commands.get(4)!.stderr,
    /knows protocol version 1, the cluster has gone on to 2: upgrade it/,
  );
});
