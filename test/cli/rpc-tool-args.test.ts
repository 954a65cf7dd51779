import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Command, parseArgs } from '../../cli/args.js';
import type { RpcOptions } from '../../cli/rpc-command.js';

function parse(args: readonly string[], environment: NodeJS.ProcessEnv = {}, file = ''): Promise<Command> {
  return parseArgs(['rpc', ...args], {
    environment,
    version: '1.2.3',
    columns: 100,
    readFile: (path) => {
      if (path === 'flags.yaml') return file;
      throw new Error(`ENOENT: no such file: ${path}`);
    },
  });
}

async function optionsOf<Verb extends RpcOptions['verb']>(
  verb: Verb,
  args: readonly string[],
  environment: NodeJS.ProcessEnv = {},
  file = '',
): Promise<Extract<RpcOptions, { verb: Verb }>> {
  const command = await parse([verb, ...args], environment, file);
  assert(command.kind === 'rpc' && command.options.verb === verb);
  return command.options as Extract<RpcOptions, { verb: Verb }>; // asserted above
}

const T = ['--target', 'localhost:9090'];

test('headers may be repeated, have base64 where they are binary, and come from the environment and the file too', async () => {
  const given = ['--header', 'Tenant: blue, green', '--header', 'trace-bin:AAEC'];
  const { headers } = await optionsOf('call', ['demo.Echo/Say', ...T, ...given]);
  assert.deepEqual(headers, [
    ['Tenant', 'blue, green'],
    ['trace-bin', Uint8Array.of(0, 1, 2)],
  ]);
  const environment = { REACTOR_NET_HEADER: 'a: 1\nb: 2' };
  assert.deepEqual((await optionsOf('list', T, environment)).headers, [
    ['a', '1'],
    ['b', '2'],
  ]);
  const file = 'header: ["a: 1", "b: 2"]\ntarget: h:1';
  const inFile = await optionsOf('list', ['--config', 'flags.yaml'], {}, file);
  assert.deepEqual([inFile.headers.length, inFile.target], [2, 'h:1']);
});

test('files and folders are lists with commas, or flags given several times', async () => {
  const given = [
    '--proto',
    'a.proto,b.proto',
    '--proto',
    'c.proto',
    '--import-path',
    'x',
    '--import-path',
    'y',
  ];
  const { proto, importPaths } = await optionsOf('list', given);
  assert.deepEqual(
    [proto, importPaths],
    [
      ['a.proto', 'b.proto', 'c.proto'],
      ['x', 'y'],
    ],
  );
});

test('times are seconds, or carry their unit', async () => {
  const bench = await optionsOf('bench', [
    'demo.Echo/Say',
    ...T,
    '--timeout',
    '0.5',
    '--duration',
    '2m',
    '--warmup',
    '0',
  ]);
  assert.deepEqual([bench.timeoutMs, bench.durationMs, bench.warmupMs], [500, 120_000, 0]);
  assert.equal((await optionsOf('call', ['a.B/C', ...T, '--timeout', '300ms'])).timeoutMs, 300);
});

test('one method is named, a service or a symbol may be', async () => {
  assert.equal((await optionsOf('call', ['demo.Echo/Say', ...T])).method, 'demo.Echo/Say');
  assert.equal((await optionsOf('list', T)).service, null);
  assert.equal((await optionsOf('list', ['demo.Echo', ...T])).service, 'demo.Echo');
  assert.equal((await optionsOf('describe', ['.demo.Echo', ...T])).symbol, '.demo.Echo');
});

for (const [line, said] of [
  ['list', /^--target: name the server, such as --target localhost:9090$/],
  ['call demo.Echo/Say --proto a.proto', /^--target: name the server/],
  ['call --target h:1', /^name a method: SERVICE\/METHOD, such as demo.Echo\/Say/],
  ['call Say --target h:1', /^"Say" should be SERVICE\/METHOD, such as demo.Echo\/Say$/],
  ['call demo.Echo/Say --targt h:1', /^--targt: no such flag; did you mean --target\?/],
  ['call demo.Echo/Say more --target h:1', /^"more" is not expected here/],
  ['call demo.Echo/Say --target h:1 --header tenant=blue', /^--header: "tenant=blue" should be NAME: VALUE/],
  ['call demo.Echo/Say --target h:1 --header a-bin:?', /^--header: .*should have its value in base64/],
  ['call demo.Echo/Say --target h:1 --timeout 0', /^--timeout: "0" should be above 0$/],
  ['call demo.Echo/Say --target h:1 --timeout soon', /^--timeout: "soon" should be seconds/],
  ['call demo.Echo/Say --target registry:demo.Echo', /^--target: registry: needs --registry H:P as well$/],
  ['call demo.Echo/Say --target h:1 --registry h:2', /^--registry: is for --target registry:SERVICE$/],
  ['call demo.Echo/Say --target h:1 --grpc --transport epoll', /^--transport: --grpc has its own/],
  ['call demo.Echo/Say --target h:1 --grpc --serializer json', /^--serializer: --grpc speaks protobuf only$/],
  ['call demo.Echo/Say --target h:1 --tls --transport epoll', /^--transport: epoll speaks no TLS/],
  ['call demo.Echo/Say --target h:1 --tls-cert a.pem', /^--tls-cert: needs --tls-key as well$/],
  ['call demo.Echo/Say --target h:1 --tls-ca a.pem', /^--tls-ca: should be a file that can be read: ENOENT/],
  ['call demo.Echo/Say --target h:1 --token-file a', /^--token-file: should be a file that can be read/],
  ['describe --target h:1 --template', /^--template: name a message or a method/],
  ['bench demo.Echo/Say --target h:1 --rate 0', /^--rate: "0" should be a whole number from 1/],
  [
    'bench demo.Echo/Say --target h:1 --requests 5 --duration 1',
    /^--requests: give either this or --duration$/,
  ],
  ['bench demo.Echo/Say --target h:1 --connections 9 --concurrency 3', /^--connections: should not be more/],
  ['bench demo.Echo/Say --target h:1 --duration 25h', /^--duration: should be a day at most$/],
] as const) {
  test(`rpc ${line} says what would be right`, async () => {
    await assert.rejects(parse(line.split(' ')), { name: 'UsageError', message: said });
  });
}

test('help and completion know the tools and their flags', async () => {
  const area = await parse(['--help']);
  const call = await parse(['call', '--help']);
  assert(area.kind === 'print' && call.kind === 'print');
  assert.match(area.text, /rpc list [^]*\n.*rpc describe [^]*\n.*rpc call [^]*\n.*rpc bench /);
  assert.match(call.text, /rpc call <method>/);
  assert.match(call.text, /--header +NAME: VALUE/);
  const completed = async (...words: string[]): Promise<string[]> => {
    const command = await parseArgs(['--get-yargs-completions', 'reactor-net', 'rpc', ...words], {
      environment: {},
      version: '',
      columns: 100,
      readFile: () => '',
    });
    assert(command.kind === 'print');
    return command.text.split('\n');
  };
  assert((await completed('')).includes('bench'));
  assert((await completed('bench', '--')).includes('--concurrency'));
  assert.deepEqual(await completed('call', '--serializer', ''), ['protobuf', 'json']);
});
