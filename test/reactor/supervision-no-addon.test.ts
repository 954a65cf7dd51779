// Without the native addon: one thread, or every thread through Node's own SO_REUSEPORT where Node has it.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { NODE_HAS_REUSE_PORT } from '../../reactor/listening-socket.js';
import { runScript } from '../support/script.js';
import { TRANSPORTS } from '../support/transports.js';

const SCRIPT = new URL('fixtures/without-addon.js', import.meta.url);
const MISSING = '/nowhere/reactor_net.node';

interface Outcome {
  readonly threads: number;
  readonly tcp: string;
  readonly unix: string;
  readonly http: string;
  readonly inUse: string;
  readonly afterLoss: string;
  readonly drained: boolean;
}

for (const transport of TRANSPORTS.filter((name) => name !== 'epoll')) {
  test(`without the addon everything is served, on fewer threads, with one line that says so (${transport})`, async () => {
    const environment = { REACTOR_NET_ADDON: MISSING };
    const { stdout, stderr, code } = await runScript(SCRIPT, [transport], 60_000, environment);
    assert.equal(code, 0, stderr);
    assert.deepEqual(stderr.trimEnd().split('\n').length, 1, stderr);
    assert.match(stderr, /native addon is missing: \/nowhere\/reactor_net\.node/);
    assert.deepEqual(JSON.parse(stdout) as Outcome, {
      threads: NODE_HAS_REUSE_PORT ? 2 : 0,
      tcp: 'over tcp',
      unix: 'over unix',
      http: NODE_HAS_REUSE_PORT ? 'a thread' : 'main',
      inUse: 'REACTOR_PORT_IN_USE',
      afterLoss: 'served',
      drained: true,
    });
  });
}

test('the native transport says that it needs the addon', async () => {
  const environment = { REACTOR_NET_ADDON: MISSING };
  const { stderr, code } = await runScript(SCRIPT, ['epoll'], 60_000, environment);
  assert.equal(code, 1);
  assert.match(stderr, /REACTOR_ADDON_MISSING/);
});
