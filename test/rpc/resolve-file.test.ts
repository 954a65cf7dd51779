// Instances from a file: what may stand in it, and that it is followed. With real files where following is the point.
import assert from 'node:assert/strict';
import { mkdir, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { type TestContext, test } from 'node:test';
import type { RpcError } from '../../rpc/errors.js';
import type { Instance } from '../../rpc/instance.js';
import { systemPoolTime } from '../../rpc/pool/pool-time.js';
import { type FileAccess, FileResolver } from '../../rpc/resolve/file-resolver.js';
import { systemFile } from '../../rpc/resolve/system-file.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { until } from '../support/until.js';
import { VirtualTime } from '../support/virtual-time.js';

class Bench {
  readonly time: VirtualTime = new VirtualTime();
  text: string | Error = '';
  reads: number = 0;
  changed: () => void = () => {};
  isWatched: boolean = false;
  readonly lists: (readonly Instance[])[] = [];
  readonly errors: RpcError[] = [];
  readonly resolver: FileResolver;

  constructor(context: TestContext, text: string | Error) {
    this.text = text;
    const access: FileAccess = {
      read: async () => {
        this.reads += 1;
        if (this.text instanceof Error) throw this.text;
        return this.text;
      },
      watch: (_path, onChange) => {
        this.changed = onChange;
        this.isWatched = true;
        return () => {
          this.isWatched = false;
        };
      },
    };
    this.resolver = new FileResolver('/etc/list.yaml', access, this.time);
    context.after(async () => {
      await this.resolver.close();
      assert.equal(this.isWatched, false);
      assert.equal(this.time.timersWaiting, 0);
    });
    this.resolver.start({
      onInstances: (instances) => this.lists.push(instances),
      onError: (error) => this.errors.push(error),
    });
  }

  ids(): string[] {
    return this.lists.at(-1)?.map(({ id }) => id) ?? [];
  }
}

test('a YAML list, with as much about each instance as is known', async (context) => {
  const bench = new Bench(
    context,
    `instances:
  - 10.0.0.1:9000
  - 10.0.0.2:9000*2
  - host: 10.0.0.3
    port: 9000
    weight: 3
    version: v2
    group: blue
    tags: { zone: a }
    resources: { gpus: 2 }
  - path: /run/x.sock
`,
  );
  await bench.time.pass(0);
  assert.deepEqual(bench.ids(), ['10.0.0.1:9000', '10.0.0.2:9000', '10.0.0.3:9000', '/run/x.sock']);
  const { version, group, tags, resources, weight } = bench.lists[0]![2]!;
  assert.deepEqual([version, group, tags, resources, weight], ['v2', 'blue', { zone: 'a' }, { gpus: 2 }, 3]);
});

test('a JSON list works too, and an empty one is believed: somebody wrote it', async (context) => {
  const bench = new Bench(context, '["a:1", {"host": "b", "port": 2}]');
  await bench.time.pass(0);
  assert.deepEqual(bench.ids(), ['a:1', 'b:2']);
  bench.text = '[]';
  bench.changed();
  await bench.time.pass(100);
  assert.deepEqual(bench.lists[1], []);
});

test('content that makes no sense is reported once with its place, and the last list stays', async (context) => {
  const wrong: [string, RegExp][] = [
    ['', /there is no list of instances/],
    ['- a:1\n- b', /instance 2: 'b' has no port/],
    ['- {host: a, port: 1, wieght: 2}', /instance 1: 'wieght' is none of id, host, port/],
    ['- {host: a, port: "1"}', /instance 1: port must be a number/],
    ['- {host: a, port: 1, tags: {zone: 1}}', /tags.zone must be a string/],
    ['- {host: a, port: 1, weight: -1}', /weight must be a number above 0/],
    ['- a:1\n- a:1', /a:1 is listed twice/],
    ['- 7', /expected host:port or an object, not number/],
    ['- {a: [', /line 1/],
  ];
  const bench = new Bench(context, '- a:1');
  await bench.time.pass(0);
  for (const [text, message] of wrong) {
    const before = bench.errors.length;
    bench.text = text;
    bench.changed();
    await bench.time.pass(70_000); // polled twice meanwhile
    assert.equal(bench.errors.length, before + 1, text);
    const error = bench.errors.at(-1)!;
    assert.equal(error.code, 'RPC_RESOLVE_FAILED');
    assert.match(error.message, message);
    assert.match(error.message, /^\/etc\/list.yaml gives no instances.*the last 1 instances stay in use/);
  }
  assert.deepEqual(bench.ids(), ['a:1']);
  bench.text = '- b:1';
  bench.changed();
  await bench.time.pass(100);
  assert.deepEqual(bench.ids(), ['b:1']);
});

test('a file that is not there yet is reported, and read when it comes', async (context) => {
  const bench = new Bench(context, new Error('ENOENT: no such file'));
  await bench.time.pass(0);
  assert.match(bench.errors[0]!.message, /ENOENT/);
  bench.text = '- a:1';
  await bench.time.pass(30_000); // nobody told of it
  assert.deepEqual(bench.ids(), ['a:1']);
});

test('many changes in a row are one read', async (context) => {
  const bench = new Bench(context, '- a:1');
  await bench.time.pass(0);
  const { reads } = bench;
  for (let change = 0; change < 20; change += 1) {
    bench.text = `- a:${change + 1}`;
    bench.changed();
    await bench.time.pass(50);
  }
  await bench.time.pass(100);
  assert.equal(bench.reads, reads + 1);
  assert.deepEqual(bench.ids(), ['a:20']);
});

test('a real file is followed when it is written, replaced, removed and made again', async (context) => {
  const folder = temporaryFolder(context);
  const file = path.join(folder, 'list.yaml');
  await writeFile(file, '- a:1');
  const resolver = new FileResolver(file, systemFile, systemPoolTime, { settleMs: 5, pollEveryMs: 600_000 });
  context.after(() => resolver.close());
  let ids: string[] = [];
  const errors: RpcError[] = [];
  resolver.start({
    onInstances: (instances) => (ids = instances.map(({ id }) => id)),
    onError: (error) => errors.push(error),
  });
  await until(() => ids.includes('a:1'));
  await writeFile(file, '- a:2');
  await until(() => ids.includes('a:2'));
  await writeFile(`${file}.new`, '- a:3');
  await rename(`${file}.new`, file);
  await until(() => ids.includes('a:3'));
  await rename(file, `${file}.gone`);
  await until(() => errors.length > 0);
  assert.deepEqual(ids, ['a:3']);
  await writeFile(file, '- a:4');
  await until(() => ids.includes('a:4'));
});

test('a folder in the place of the file is an error like another', async (context) => {
  const folder = path.join(temporaryFolder(context), 'list.yaml');
  await mkdir(folder);
  const resolver = new FileResolver(folder, systemFile, systemPoolTime);
  context.after(() => resolver.close());
  const errors: RpcError[] = [];
  resolver.start({
    onInstances: () => assert.fail('there is no list'),
    onError: (error) => errors.push(error),
  });
  await until(() => errors.length > 0);
  assert.match(errors[0]!.message, /EISDIR/);
});
