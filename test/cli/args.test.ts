import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Command, parseArgs } from '../../cli/args.js';
import { UsageError, withoutFlagVariables } from '../../cli/flags.js';
import type { ServeOptions } from '../../cli/serve-options.js';

function parse(line: string, environment: NodeJS.ProcessEnv = {}, file = ''): Promise<Command> {
  return parseArgs(line === '' ? [] : line.split(' '), {
    environment,
    version: '1.2.3',
    columns: 100,
    readFile: (path) => {
      if (path !== 'flags.yaml') throw new Error(`ENOENT: no such file: ${path}`);
      return file;
    },
  });
}

async function serveOptions(
  line: string,
  environment: NodeJS.ProcessEnv = {},
  file = '',
): Promise<ServeOptions> {
  const command = await parse(`serve ${line}`.trim(), environment, file);
  assert(command.kind === 'serve');
  return command.options;
}

async function drainTimeout(text: string): Promise<number> {
  return (await serveOptions(`--drain-timeout ${text}`)).drainTimeoutMs;
}

test('a flag beats the environment, which beats the file, which beats the default', async () => {
  const file = 'threads: 3\nlog-level: warn\njson: true\n';
  const environment = { REACTOR_NET_THREADS: '4', REACTOR_NET_LOG_LEVEL: 'error' };
  const options = await serveOptions('--threads 5 --config flags.yaml', environment, file);
  assert.equal(options.threads, 5);
  assert.equal(options.logLevel, 'error');
  assert.equal(options.json, true);
  assert.equal(options.accept, 'master');
});

test('the configuration file may itself be named by the environment', async () => {
  const options = await serveOptions('', { REACTOR_NET_CONFIG: 'flags.yaml' }, 'threads: 3');
  assert.equal(options.threads, 3);
});

test('without any listener flag TLV, HTTP and metrics are on at their default ports', async () => {
  const { tcp, http, udp, unix, metrics } = await serveOptions('');
  assert.deepEqual(tcp, { host: '0.0.0.0', port: 9000 });
  assert.deepEqual(http, { host: '0.0.0.0', port: 8080 });
  assert.deepEqual(metrics, { host: '127.0.0.1', port: 9100 });
  assert.deepEqual([udp, unix], [null, null]);
});

test('naming one listener leaves the others off', async () => {
  const { tcp, http, udp, unix, metrics } = await serveOptions('--tcp 127.0.0.1:0');
  assert.deepEqual(tcp, { host: '127.0.0.1', port: 0 });
  assert.deepEqual([http, udp, unix, metrics], [null, null, null, null]);
});

test('off disables one default listener and keeps the others', async () => {
  const { tcp, http, metrics } = await serveOptions('--http off');
  assert.equal(http, null);
  assert.notEqual(tcp, null);
  assert.notEqual(metrics, null);
});

test('an address is read in each of its spellings', async () => {
  const spellings: [string, unknown][] = [
    ['7', { host: '0.0.0.0', port: 7 }],
    [':7', { host: '0.0.0.0', port: 7 }],
    ['localhost:7', { host: 'localhost', port: 7 }],
    ['[::1]:7', { host: '::1', port: 7 }],
    ['fd:7', { fd: 7 }],
  ];
  for (const [text, expected] of spellings) {
    assert.deepEqual((await serveOptions(`--tcp ${text}`)).tcp, expected);
  }
});

test('a socket of systemd is found by its name, and a missing one is wrong usage', async () => {
  const environment = {
    LISTEN_PID: String(process.pid),
    LISTEN_FDS: '2',
    LISTEN_FDNAMES: 'web:control',
  };
  const { http, unix } = await serveOptions('--http systemd:web --unix systemd:control', { ...environment });
  assert.deepEqual([http, unix], [{ fd: 3 }, { fd: 4 }]);
  const missing = serveOptions('--tcp systemd:game', { ...environment });
  await assert.rejects(
    missing,
    /--tcp: systemd opened no socket named "game" for us; it opened web, control$/,
  );
});

test('wrong usage is one line that names the flag and what would be right', async () => {
  const mistakes: [line: string, said: RegExp][] = [
    ['serve --thread 2', /^--thread: no such flag; did you mean --threads\?/],
    ['serve --threads many', /^--threads: "many" should be a whole number from 0 to 256$/],
    ['serve --threads=-1', /^--threads: "-1" should be a whole number/],
    ['serve --threads', /^--threads: a value must follow/],
    ['serve --threads 1 --threads 2', /^--threads: give it once/],
    ['serve --accept fast', /^--accept: "fast" should be one of master, reuseport, shared$/],
    ['serve --tcp 127.0.0.1:70000', /^--tcp: "127.0.0.1:70000" should be HOST:PORT/],
    ['serve --tcp ::1:9000', /^--tcp: .*\[::1\]:9000/],
    ['serve --tcp [localhost]:9000', /^--tcp: .*should be HOST:PORT/],
    ['serve --drain-timeout soon', /^--drain-timeout: "soon" should be milliseconds, or .*10s/],
    ['serve --max-frame-bytes 1GiB', /^--max-frame-bytes: "1GiB" should be 1 to/],
    ['serve --json=maybe', /^--json: "maybe" should be true or false$/],
    ['serve --tls-cert flags.yaml', /^--tls-cert: needs --tls-key/],
    ['serve --tls-cert a.pem --tls-key b.pem', /^--tls-cert: should be a file that can be read: ENOENT/],
    ['serve --tcp off --http off', /^--tcp, --http, --udp, --unix and --rpc are all off/],
    ['serve now', /^"now" is not expected here/],
    ['serve -- --tcp 9000', /^"--" is not expected here/],
    ['serve -t 2', /^-t: no such flag/],
    ['serv', /^"serv" is no area: serve, .*shm, bench and completion are$/],
    ['', /^name an area: serve, .*shm, bench or completion$/],
    ['shm', /^name a verb of shm: ls, rm or gc$/],
    ['shm list', /^"list" is no verb of shm: ls, rm and gc are$/],
    ['shm ls 7', /^"7" is not expected here/],
    ['shm rm', /^name a segment: an id such as 7, or a key such as 0x4a000002$/],
    ['shm rm seven', /^"seven" should be a segment's id such as 7, or its key/],
    ['shm rm 0x0', /^"0x0" should be a segment's id/],
    ['shm rm 2147483648', /^"2147483648" should be a segment's id/],
    ['shm rm 7 --frce', /^--frce: no such flag; did you mean --force\?/],
    ['shm gc --heartbeat often', /^--heartbeat: "often" should be milliseconds/],
    ['serve --config other.yaml', /^--config: other.yaml should be a readable YAML file: ENOENT/],
  ];
  for (const [line, said] of mistakes) {
    await assert.rejects(parse(line), (error: unknown) => {
      assert(error instanceof UsageError, `${line}: ${String(error)}`);
      assert.match(error.message, said);
      assert(!error.message.includes('\n'));
      return true;
    });
  }
});

test('a bad value says whether the environment or the file holds it', async () => {
  await assert.rejects(
    serveOptions('', { REACTOR_NET_THREADS: 'x' }),
    /^UsageError: --threads \(from REACTOR_NET_THREADS\): /,
  );
  const inFile = serveOptions('--config flags.yaml', {}, 'threads: x');
  await assert.rejects(inFile, /^UsageError: --threads \(from the configuration file\): /);
  const unknown = serveOptions('--config flags.yaml', {}, 'thread: 2');
  await assert.rejects(unknown, /"thread"; did you mean "threads"\?/);
  await assert.rejects(serveOptions('--config flags.yaml', {}, '- threads'), /should hold flags as keys/);
});

test('durations are milliseconds unless they say otherwise', async () => {
  assert.deepEqual(
    [
      await drainTimeout('250'),
      await drainTimeout('250ms'),
      await drainTimeout('2s'),
      await drainTimeout('1.5s'),
      await drainTimeout('1m'),
    ],
    [250, 250, 2000, 1500, 60_000],
  );
});

test('variables that are no flag of the command are left alone', async () => {
  const { threads } = await serveOptions('--threads 1', {
    REACTOR_NET_ADDON: '/a.node',
    REACTOR_NET_ID: '1',
  });
  assert.equal(threads, 1);
});

test('a launched command inherits no flag variables, only where the addon is', () => {
  const environment = { PATH: '/bin', REACTOR_NET_THREADS: '2', REACTOR_NET_ADDON: '/a.node' };
  assert.deepEqual(withoutFlagVariables(environment), { PATH: '/bin', REACTOR_NET_ADDON: '/a.node' });
});

test('segments are named by id, 0 included, or by key, and the environment may say json', async () => {
  const command = await parse('shm rm 0 7 0x4A000002 0xffffffff --heartbeat 2s', { REACTOR_NET_JSON: '1' });
  const segments = [{ id: 0 }, { id: 7 }, { key: 0x4a000002 }, { key: -1 }];
  assert.deepEqual(command, {
    kind: 'shm',
    options: { verb: 'rm', segments, force: false, json: true, heartbeatMs: 2000 },
  });
});

test('help exists at every level, and the version is the one of the package', async () => {
  const top = await parse('--help');
  const serve = await parse('serve --help');
  const shm = await parse('shm --help');
  const rm = await parse('shm rm --help');
  const version = await parse('--version');
  assert(top.kind === 'print' && serve.kind === 'print' && version.kind === 'print');
  assert(shm.kind === 'print' && rm.kind === 'print');
  assert.match(shm.text, /shm ls .*\n.*shm rm .*\n.*shm gc /);
  assert.match(rm.text, /--force /);
  assert.match(top.text, /serve/);
  assert.match(serve.text, /--drain-timeout/);
  assert.doesNotMatch(serve.text, /process-index/);
  assert.equal(version.text, '1.2.3');
});

test('completion prints a script, and completes the flags of a command', async () => {
  const script = await parse('completion');
  assert(script.kind === 'print');
  assert.match(script.text, /get-yargs-completions/);
  const flags = await parse('--get-yargs-completions reactor-net serve --');
  assert(flags.kind === 'print');
  assert.match(flags.text, /^--threads$/m);
  const modes = await parse('--get-yargs-completions reactor-net serve --accept ');
  assert(modes.kind === 'print');
  assert.deepEqual(modes.text.split('\n'), ['master', 'reuseport', 'shared']);
  const verbs = await parse('--get-yargs-completions reactor-net shm ');
  assert(verbs.kind === 'print');
  assert.deepEqual(verbs.text.split('\n').slice(0, 3), ['ls', 'rm', 'gc']);
  const shmFlags = await parse('--get-yargs-completions reactor-net shm rm --');
  assert(shmFlags.kind === 'print');
  assert.match(shmFlags.text, /^--force$/m);
});

test('what follows bench is left to the benches', async () => {
  assert.deepEqual(await parse('bench tcp --quick'), { kind: 'bench', args: ['tcp', '--quick'] });
});
