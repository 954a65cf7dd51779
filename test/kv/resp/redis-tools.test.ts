// Redis's own programs against a server in a process of its own: redis-cli in both protocols, and redis-benchmark.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { Command } from '../../support/command.js';
import { requestOf } from '../support/resp-pair.js';

const PROGRAM = fileURLToPath(new URL('../support/resp-local.js', import.meta.url));
const PATIENCE_MS = 120_000;

async function server(t: TestContext): Promise<string> {
  const command = new Command(t, [], {}, PROGRAM, 'pipe');
  const { port } = JSON.parse(await command.line((line) => line.includes('ready'))) as { port: number };
  return String(port);
}

/** What the tool printed; it must end with 0. */
async function run(tool: string, args: readonly string[], input: Uint8Array | string = ''): Promise<string> {
  const child = spawn(tool, args, { stdio: ['pipe', 'pipe', 'pipe'], timeout: PATIENCE_MS });
  let output = '';
  child.stdout.setEncoding('latin1').on('data', (chunk: string) => (output += chunk));
  child.stderr.setEncoding('latin1').on('data', (chunk: string) => (output += chunk));
  child.stdin.on('error', () => {}); // it may end before it has read all
  child.stdin.end(input);
  const [code] = (await once(child, 'close')) as [number | null];
  assert.equal(code, 0, output);
  return output;
}

test('redis-cli speaks both protocols with it', async (t) => {
  const port = await server(t);
  for (const version of ['-2', '-3']) {
    const cli = (...args: string[]): Promise<string> => run('redis-cli', [version, '-p', port, ...args]);
    assert.equal(await cli('SET', 'k', `v${version}`), 'OK\n');
    assert.equal(await cli('GET', 'k'), `v${version}\n`);
    assert.equal(await cli('PING'), 'PONG\n');
    assert.match(await cli('INFO', 'server'), /redis_version:7\.0\.15/);
    assert.match(await cli('NOSUCH'), /^ERR unknown command 'NOSUCH'/);
    assert.match(await cli('CONFIG', 'GET', 'maxclients'), /10000/);
    assert.match(await cli('CLIENT', 'LIST'), /cmd=client/);
  }
});

test('redis-cli as people use it: commands on its standard input, a transaction among them', async (t) => {
  const port = await server(t);
  const output = await run('redis-cli', ['-p', port], 'set a "x y"\nget a\nmulti\nset a 2\nget a\nexec\n');
  assert.equal(output, 'OK\nx y\nOK\nQUEUED\nQUEUED\nOK\n2\n');
});

test('redis-cli --pipe loads fifty thousand keys without an error', async (t) => {
  const port = await server(t);
  const count = 50_000;
  const wire = Buffer.concat(
    Array.from({ length: count }, (_, index) => requestOf(['SET', `key:${index}`, `value ${index}`])),
  );
  const output = await run('redis-cli', ['-p', port, '--pipe'], wire);
  assert.match(output, new RegExp(`errors: 0, replies: ${count}`));
  assert.equal(await run('redis-cli', ['-p', port, 'GET', `key:${count - 1}`]), `value ${count - 1}\n`);
});

test('redis-cli --scan lists every key', async (t) => {
  const port = await server(t);
  const keys = Array.from({ length: 1000 }, (_, index) => `key:${index}`);
  await run(
    'redis-cli',
    ['-p', port, '--pipe'],
    Buffer.concat(keys.map((key) => requestOf(['SET', key, '1']))),
  );
  const found = (await run('redis-cli', ['-p', port, '--scan'])).trim().split('\n');
  assert.deepEqual(found.toSorted(), keys.toSorted());
});

test('redis-benchmark runs its default list without an error', async (t) => {
  const port = await server(t);
  for (const depth of ['1', '16']) {
    const output = await run('redis-benchmark', ['-p', port, '-n', '1000', '-c', '20', '-P', depth, '--csv']);
    assert.doesNotMatch(output, /error|warning/i);
    assert(output.trim().split('\n').length >= 20, output);
  }
});
