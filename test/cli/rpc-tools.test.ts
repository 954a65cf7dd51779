// The tools against `reactor-net serve --rpc` as a process of its own: what a newcomer and a script do with them.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { Readable } from 'node:stream';
import { test, type TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { addonMissingReason, loadAddon } from '../../addon/index.js';
import type { BenchReport } from '../../cli/rpc-bench-report.js';
import type { FailureFacts } from '../../cli/rpc-failure.js';
import { Command, LAUNCHER } from '../support/command.js';
import { temporaryFolder } from '../support/temporary-folder.js';
import { until } from '../support/until.js';
import { type Outcome, runTool } from './support/rpc-tool.js';

const PROTO = path.join(fileURLToPath(new URL('../../../', import.meta.url)), 'rpc/proto/demo.proto');
/** Nobody listens there: port 1 is not given to anybody. */
const NOWHERE = '127.0.0.1:1';

async function demo(
  t: TestContext,
  ...flags: readonly string[]
): Promise<{ server: Command; target: string }> {
  const server = new Command(t, ['serve', '--rpc', '127.0.0.1:0', '--threads', '1', '--json', ...flags]);
  const { listen } = await server.ready();
  assert.deepEqual(Object.keys(listen), ['rpc']);
  return { server, target: listen['rpc']! };
}

/** A tool that runs as a process, and may be typed to and interrupted. */
function tool(t: TestContext, ...args: readonly string[]): Command {
  return new Command(t, ['rpc', ...args], {}, LAUNCHER, 'pipe');
}

test('against the demo server', async (t) => {
  const { server, target } = await demo(t);
  const T = ['--target', target];
  const call = (method: string, data: string, ...flags: string[]): Promise<Outcome> =>
    runTool(['call', method, '--data', data, ...T, '--json', ...flags]);

  await t.test('list and describe ask the server itself', async () => {
    const { exitCode, lines } = await runTool(['list', ...T]);
    assert.deepEqual(
      [exitCode, lines],
      [
        0,
        [
          'demo.Echo',
          'grpc.health.v1.Health',
          'grpc.reflection.v1.ServerReflection',
          'grpc.reflection.v1alpha.ServerReflection',
        ],
      ],
    );
    const methods = await runTool(['list', 'demo.Echo', ...T]);
    assert.deepEqual(methods.lines, [
      'demo.Echo/Say',
      'demo.Echo/Repeat',
      'demo.Echo/Collect',
      'demo.Echo/Chat',
    ]);
    const asked = await runTool(['describe', 'demo.SayRequest', ...T]);
    const read = await runTool(['describe', 'demo.SayRequest', '--proto', PROTO]);
    assert.equal(asked.stdout, read.stdout);
    assert.match(
      asked.stdout,
      /^demo\.SayRequest is a message:\nmessage SayRequest \{\n {2}string text = 1;\n/,
    );
    const missing = await runTool(['describe', 'demo.Nope', ...T]);
    assert.equal(missing.exitCode, 1);
    assert.match(missing.stderr, /NOT_FOUND/);
  });

  await t.test('every kind of call takes JSON and gives JSON', async () => {
    const { exitCode, stdout } = await runTool(['call', 'demo.Echo/Say', '--data', '{"text":"hi"}', ...T]);
    assert.deepEqual([exitCode, stdout], [0, '{\n  "text": "hi",\n  "number": 1\n}\n']);
    const repeated = await call('demo.Echo/Repeat', '{"text":"a","times":3}');
    assert.deepEqual(
      repeated.lines,
      [1, 2, 3].map((number) => `{"text":"a","number":${number}}`),
    );
    const collected = await call('demo.Echo/Collect', '{"text":"ab"}{"text":"c"}\n{}');
    assert.deepEqual(collected.lines, ['{"texts":["ab","c",""],"characters":"3"}']);
    const chat = await call('/demo.Echo/Chat', '{"text":"x"} {"text":"y"}');
    assert.deepEqual(chat.lines, ['{"text":"x","number":1}', '{"text":"y","number":2}']);
  });

  await t.test('no data is an empty message, or an empty stream', async () => {
    assert.deepEqual((await runTool(['call', 'demo.Echo.Say', ...T, '--json'])).lines, ['{"number":1}']);
    assert.deepEqual((await runTool(['call', 'demo.Echo/Collect', ...T, '--json'])).lines, ['{}']);
  });

  await t.test('requests come from standard input and from files too', async () => {
    const stdin = Readable.from(['{"te', 'xt":"a"}{"text"', ':"b"}']);
    const { lines } = await runTool(['call', 'demo.Echo/Collect', '--data', '@', ...T, '--json'], { stdin });
    assert.deepEqual(lines, ['{"texts":["a","b"],"characters":"2"}']);
    const missing = await call('demo.Echo/Collect', '@/nowhere/at-all.json');
    assert.equal(missing.exitCode, 2);
    assert.match(missing.stderr, /^reactor-net: --data: should be a file that can be read: ENOENT/);
  });

  await t.test('mistakes in the data end with one line and exit code 2', async () => {
    for (const [method, data, said] of [
      ['Say', '{"txt":"hi"}', 'txt: demo.SayRequest has no such field; rpc describe --template shows one'],
      ['Say', '{"text":"hi"', 'line 1: no JSON value: '],
      ['Say', '{} {}', '/demo.Echo/Say takes one request, not several'],
      [
        'Chat',
        '{}\n{"text":1}',
        'value 2: cannot read from JSON demo.SayRequest: text: expected a string, got 1',
      ],
    ] as const) {
      const { exitCode, stderr } = await call(`demo.Echo/${method}`, data);
      assert.equal(exitCode, 2, data);
      assert(stderr.startsWith('reactor-net: --data: ') && stderr.includes(said), stderr);
      assert.equal(stderr.indexOf('\n'), stderr.length - 1);
    }
    const unknown = await call('demo.Echo/Sya', '{}');
    assert.equal(unknown.stderr.includes('demo.Echo has no method Sya: there are Say, Repeat'), true);
    assert.equal(unknown.exitCode, 1);
  });

  await t.test('a failed call tells its status, for people and for programs', async () => {
    const data = '{"text":"no such job","failWith":"NOT_FOUND"}';
    const failed = await call('demo.Echo/Say', data, '--header', 'echo-id: 7');
    assert.deepEqual([failed.exitCode, failed.stdout], [1, '']);
    assert.deepEqual(JSON.parse(failed.stderr), {
      event: 'error',
      code: 'RPC_NOT_FOUND',
      status: 'NOT_FOUND',
      statusNumber: 5,
      message: 'no such job',
      executed: 'unknown',
      attempts: 1,
      details: [],
      trailers: { 'echo-id': '7' },
    });
    const told = await runTool(['call', 'demo.Echo/Say', '--data', data, ...T]);
    assert.equal(
      told.stderr,
      'the call failed\n  status    NOT_FOUND (5)\n  message   no such job\n  executed  unknown\n',
    );
    const late = await call('demo.Echo/Say', '{"delayMs":60000}', '--timeout', '200ms');
    assert.equal((JSON.parse(late.stderr) as FailureFacts).status, 'DEADLINE_EXCEEDED');
    assert.equal(late.exitCode, 1);
    const large = await call(
      'demo.Echo/Say',
      '{"text":"0123456789"}',
      '--max-message-bytes',
      '5',
      '--proto',
      PROTO,
    );
    assert.equal((JSON.parse(large.stderr) as FailureFacts).status, 'RESOURCE_EXHAUSTED');
  });

  await t.test('headers go along, binary ones too, and --verbose shows what comes back', async () => {
    const headers = ['--header', 'echo-a: 1', '--header', 'echo-a: 2', '--header', 'echo-b-bin: AAEC'];
    const { exitCode, stderr, lines } = await call('demo.Echo/Say', '{}', '--verbose', ...headers);
    const back = { 'echo-a': ['1', '2'], 'echo-b-bin': 'AAEC' };
    assert.deepEqual([exitCode, lines], [0, ['{"number":1}']]);
    assert.deepEqual(
      stderr
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line) as unknown),
      [
        { event: 'call', method: '/demo.Echo/Say', kind: 'unary', target },
        { event: 'headers', headers: back },
        { event: 'trailers', trailers: back },
      ],
    );
  });

  await t.test('the JSON serializer and the other transport give the same answers', async (s) => {
    const json = await call('demo.Echo/Chat', '{"text":"ü"}', '--serializer', 'json');
    assert.deepEqual(json.lines, ['{"text":"ü","number":1}']);
    if (loadAddon() === null) {
      s.diagnostic(`without the epoll transport: ${addonMissingReason()}`);
      return;
    }
    const epoll = await call('demo.Echo/Chat', '{"text":"ü"}', '--transport', 'epoll');
    assert.deepEqual(epoll.lines, json.lines);
  });

  await t.test('a conversation: each line is answered before the next is typed', async (s) => {
    const chat = tool(s, 'call', 'demo.Echo/Chat', '--data', '@', '--json', ...T);
    for (const text of ['one', 'two', 'three']) {
      chat.child.stdin!.write(`{"text":"${text}"}\n`);
      assert.match(await chat.line((line) => line.includes(text)), /^\{"text":"\w+","number":\d\}$/);
    }
    chat.child.stdin!.end();
    assert.equal(await chat.exitCode, 0, chat.stderr);
    assert.equal(chat.lines.length, 3);
  });

  await t.test('a server that ends the call ends the tool, though nobody has ended its input', async (s) => {
    const chat = tool(s, 'call', 'demo.Echo/Chat', '--data', '@', '--json', ...T);
    chat.child.stdin!.write('{"text":"enough","failWith":"ABORTED"}\n');
    assert.equal(await chat.exitCode, 1);
    assert.match(chat.stderr, /"status":"ABORTED"/);
  });

  await t.test('SIGINT cancels the call and exits with 130', async (s) => {
    const data = '{"text":"tick","times":1000000,"intervalMs":20}';
    const repeat = tool(s, 'call', 'demo.Echo/Repeat', '--data', data, '--json', ...T);
    await repeat.line((line) => line.includes('"number":2'));
    assert.equal(await repeat.stop('SIGINT'), 130);
    assert.equal(repeat.stderr, '');
  });

  await t.test('SIGINT ends a call whose answers nobody reads', async (s) => {
    const file = path.join(temporaryFolder(s), 'data.json');
    writeFileSync(file, JSON.stringify({ text: 'x'.repeat(500_000), times: 1000 }));
    const args = ['rpc', 'call', 'demo.Echo/Repeat', '--data', `@${file}`, '--json', ...T];
    const child = spawn(process.execPath, [LAUNCHER, ...args], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    s.after(() => child.kill('SIGKILL'));
    child.stdout.on('readable', () => {}); // and never reads: one answer is more than the pipe holds
    await until(() => child.stdout.readableLength >= child.stdout.readableHighWaterMark);
    child.kill('SIGINT');
    assert.deepEqual(await exited, [130, null]);
  });

  await t.test('when whoever reads the answers leaves, the call ends', async (s) => {
    const data = '{"text":"tick","times":1000000,"intervalMs":1}';
    const repeat = tool(s, 'call', 'demo.Echo/Repeat', '--data', data, '--json', ...T);
    await repeat.line((line) => line.includes('"number":2'));
    repeat.child.stdout!.destroy();
    assert.equal(await repeat.exitCode, 1);
    assert.equal(repeat.stderr, '');
  });

  await t.test('bench makes the calls asked for and reports them', async () => {
    const args = [
      '--data',
      '{"text":"a"} {"text":"bcd"}',
      '--requests',
      '200',
      '--connections',
      '2',
      '--json',
    ];
    const { exitCode, lines } = await runTool(['bench', 'demo.Echo/Say', ...T, ...args]);
    const report = JSON.parse(lines.at(-1)!) as BenchReport;
    assert.equal(exitCode, 0);
    assert.deepEqual(
      [report.event, report.method, report.calls, report.failed, report.connections],
      ['result', '/demo.Echo/Say', 200, 0, 2],
    );
    assert.deepEqual([report.messagesSent, report.messagesReceived], [200, 200]);
    assert.deepEqual([report.bytesSent, report.bytesReceived], [100 * (3 + 5), 100 * (5 + 7)]);
    assert.equal(
      report.histogram.reduce((sum, { count }) => sum + count, 0),
      200,
    );
    const { min, p50, p99, max } = report.latencyMs;
    assert(0 < min! && min! <= p50! && p50! <= p99! && p99! <= max!, JSON.stringify(report.latencyMs));
    assert(report.clientCpuSeconds > 0 && report.seconds > 0);
  });

  await t.test('bench reads streams to their end, and keeps to a rate', async () => {
    const args = ['--data', '{"text":"a","times":5}', '--rate', '100', '--duration', '500ms', '--json'];
    const { lines } = await runTool(['bench', 'demo.Echo/Repeat', ...T, ...args]);
    const report = JSON.parse(lines.at(-1)!) as BenchReport;
    assert.equal(report.calls + report.unsent, 50);
    assert.equal(report.messagesReceived, 5 * report.calls);
    const chat = await runTool([
      'bench',
      'demo.Echo/Chat',
      ...T,
      '--data',
      '{}{}{}',
      '--requests',
      '10',
      '--json',
    ]);
    assert.equal((JSON.parse(chat.lines.at(-1)!) as BenchReport).messagesReceived, 30);
  });

  await t.test(
    'bench counts failures by code, for people too, and exits with 1 when nothing succeeded',
    async () => {
      const data = '{"text":"full","failWith":"RESOURCE_EXHAUSTED"}';
      const { exitCode, stdout } = await runTool([
        'bench',
        'demo.Echo/Say',
        ...T,
        '--data',
        data,
        '--requests',
        '20',
      ]);
      assert.equal(exitCode, 1);
      assert.match(stdout, /^calls +20 in \d+\.\d\d s, 20 failed$/m);
      assert.match(stdout, /^ +RPC_RESOURCE_EXHAUSTED +20 +full$/m);
      assert.doesNotMatch(stdout, /p99/);
    },
  );

  await t.test('an interrupted bench reports what it has and exits with 130', async (s) => {
    const bench = tool(s, 'bench', 'demo.Echo/Say', '--duration', '600', '--json', ...T);
    await bench.line((line) => line.includes('"stats"'));
    assert.equal(await bench.stop('SIGINT'), 130);
    const report = JSON.parse(bench.lines.at(-1)!) as BenchReport;
    assert.deepEqual([report.event, report.interrupted, report.failed], ['result', true, 0]);
    assert(report.calls > 0);
  });

  await t.test('a drain lets the call under way finish, and refuses the next', async (s) => {
    const data = '{"text":"tick","times":40,"intervalMs":50}';
    const repeat = tool(s, 'call', 'demo.Echo/Repeat', '--data', data, '--json', ...T);
    await repeat.line((line) => line.includes('"number":1}'));
    const stopped = server.stop('SIGTERM');
    assert.equal(await repeat.exitCode, 0, repeat.stderr);
    assert.equal(repeat.lines.length, 40);
    assert.equal(await stopped, 0, server.stderr);
  });
});

test('a server that is not there ends with one line and exit code 3', async () => {
  for (const args of [
    ['list'],
    ['call', 'demo.Echo/Say'],
    ['call', 'demo.Echo/Chat', '--proto', PROTO],
    ['call', 'demo.Echo/Say', '--grpc', '--proto', PROTO],
  ]) {
    const { exitCode, stderr, stdout } = await runTool([...args, '--target', NOWHERE]);
    assert.equal(exitCode, 3, stderr);
    assert.match(stderr, /^reactor-net: could not reach the server: .*\n$/);
    assert.equal(stdout, '');
  }
  const bench = ['bench', 'demo.Echo/Say', '--proto', PROTO, '--requests', '10', '--target', NOWHERE];
  assert.equal((await runTool(bench)).exitCode, 3);
  const named = await runTool(['call', 'demo.Echo/Say', '--proto', PROTO, '--target', 'nonsense']);
  assert.equal(named.exitCode, 2);
  assert.match(named.stderr, /^reactor-net: --target: .*nonsense/);
});

test('a server that accepts and never says a word is given up, with exit code 3', async (t) => {
  const { createServer } = await import('node:net');
  const silent = createServer((socket) => socket.on('error', () => {})).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  t.after(() => silent.close());
  const { port } = silent.address() as { port: number };
  const args = ['list', '--target', `127.0.0.1:${port}`, '--timeout', '300ms'];
  const { exitCode, stderr } = await runTool(args);
  assert.equal(exitCode, 3, stderr);
});

test('supervised processes share the RPC port, and drain', async (t) => {
  if (loadAddon() === null) {
    t.skip(`needs the native addon: ${addonMissingReason()}`);
    return;
  }
  const { server, target } = await demo(t, '--processes', '2');
  const { lines } = await runTool([
    'call',
    'demo.Echo/Say',
    '--data',
    '{"text":"hi"}',
    '--target',
    target,
    '--json',
  ]);
  assert.deepEqual(lines, ['{"text":"hi","number":1}']);
  assert.equal(await server.stop(), 0);
});
