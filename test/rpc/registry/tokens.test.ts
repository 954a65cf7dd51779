import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { RpcError } from '../../../rpc/errors.js';
import { Metadata } from '../../../rpc/metadata.js';
import { TokenFile } from '../../../rpc/registry/token-file.js';
import { TokenRules } from '../../../rpc/registry/token-rules.js';
import { FakeClock } from '../../support/fake-clock.js';
import { temporaryFolder } from '../../support/temporary-folder.js';
import { until } from '../../support/until.js';
import { TestRegistry } from './registry.js';

const RENDER = 'render-0123456789abcdef';
const LOOKS = 'looks-0123456789abcdef0';
const OPS = 'ops-0123456789abcdef012';
const FILE = `
tokens:
  - name: render
    token: ${RENDER}
    register: [blendersim.*, demo.Greeter]
  - name: dashboards
    token: ${LOOKS}
  - name: ops
    sha256: ${createHash('sha256').update(OPS).digest('hex')}
    register: ['*']
    confirm: true
`;

test('tokens stand for names, and names for what they may register', () => {
  const rules = TokenRules.parse(FILE);
  assert.deepEqual(
    [RENDER, LOOKS, OPS, 'another'].map((token) => rules.nameOf(token)),
    ['render', 'dashboards', 'ops', null],
  );
  const may = (name: string, service: string) => rules.rightsOf(name)!.mayRegister(service);
  assert.deepEqual(
    [
      'blendersim.Emulate',
      'blendersim.deep.Down',
      'demo.Greeter',
      'demo.Greeter2',
      'xblendersim.E',
      'blendersimXE',
    ].map((service) => may('render', service)),
    [true, true, true, false, false, false],
  );
  assert.equal(may('dashboards', 'demo.Greeter'), false);
  assert.equal(may('ops', 'anything.At.all'), true);
  assert.deepEqual(
    ['render', 'ops'].map((name) => rules.rightsOf(name)!.mayConfirm),
    [false, true],
  );
});

for (const [what, text, message] of [
  ['no YAML', `tokens: [{ name: a, token: ${RENDER}`, /line \d+ is no YAML/],
  ['no list', 'tokens: 5', /must have a list "tokens"/],
  ['a short token', 'tokens: [{ name: a, token: short }]', /a: token must be text of 16 characters or more/],
  ['a number as token', 'tokens: [{ name: a, token: 1234567890123456789 }]', /a: token must be text/],
  [
    'a name twice',
    `tokens: [{ name: a, token: ${RENDER} }, { name: a, token: ${LOOKS} }]`,
    /names must differ/,
  ],
  [
    'a field too many',
    `tokens: [{ name: a, tokens: ${RENDER} }]`,
    /entry 1 has a field that is not name, token/,
  ],
  [
    'patterns that are no list',
    `tokens: [{ name: a, token: ${RENDER}, register: demo }]`,
    /register must be a list/,
  ],
  ['no name', `tokens: [{ token: ${RENDER} }]`, /entry 1 needs a name/],
] as const) {
  test(`a token file with ${what} is refused, and the message holds no token`, () => {
    assert.throws(
      () => TokenRules.parse(text),
      (error: RpcError) => {
        assert.equal(error.code, 'RPC_OPTION_INVALID');
        assert.match(error.message, message);
        assert(!`${error.stack} ${String(error.cause)}`.includes(RENDER));
        return true;
      },
    );
  });
}

test('who may not register is told so by name, and nothing is registered', async (t) => {
  const registry = new TestRegistry(t);
  registry.rules = TokenRules.parse(FILE);
  const register = (metadata: Metadata, service: string) => {
    const reasons: string[] = [];
    registry.client({ callOptions: { metadata } }).register({
      port: 1,
      services: [{ service }],
      onState: (state, reason) => reasons.push(`${state}: ${reason?.code ?? ''} ${reason?.message ?? ''}`),
    });
    return reasons;
  };
  const bearer = (token: string) => Metadata.from({ authorization: `Bearer ${token}` });
  const none = register(new Metadata(), 'demo.Greeter');
  const unknown = register(bearer('nobody-knows-this-one'), 'demo.Greeter');
  const looks = register(bearer(LOOKS), 'demo.Greeter');
  const other = register(bearer(RENDER), 'demo.Other');
  const right = register(bearer(RENDER), 'demo.Greeter');
  await registry.clock.advance(100);
  assert.deepEqual(
    [none, unknown, looks, other, right].map(([first]) => first),
    [
      'refused: RPC_UNAUTHENTICATED the registry asks for a token',
      'refused: RPC_UNAUTHENTICATED the token is not known here',
      'refused: RPC_PERMISSION_DENIED dashboards may not register demo.Greeter',
      'refused: RPC_PERMISSION_DENIED render may not register demo.Other',
      'registered:  ',
    ],
  );
  assert.equal(registry.store.figures().instances, 1);
  assert.deepEqual(registry.refusals.slice(0, 2), [
    'Register RPC_UNAUTHENTICATED',
    'Register RPC_UNAUTHENTICATED',
  ]);
});

test('a name of the connection counts as its token does, one without rights does not', async (t) => {
  const registry = new TestRegistry(t);
  registry.rules = TokenRules.parse(FILE);
  registry.link.identity = 'dashboards';
  assert.deepEqual(await registry.client().discover('demo.Greeter'), []);
  registry.link.identity = 'stranger';
  await assert.rejects(registry.client().discover('demo.Greeter'), { code: 'RPC_UNAUTHENTICATED' });
});

test('a token that is taken back ends what it had registered, at its lease', async (t) => {
  const registry = new TestRegistry(t);
  registry.rules = TokenRules.parse(FILE);
  registry.link.identity = 'render';
  const registration = registry.client().register({ port: 1, services: [{ service: 'demo.Greeter' }] });
  await registry.clock.advance(10_000);
  registry.rules = TokenRules.parse(`tokens: [{ name: render, token: ${RENDER} }]`);
  await registry.clock.advance(10_000);
  assert.deepEqual(Object.values(registration.states), ['refused']);
  await registry.clock.advance(31_000);
  assert.equal(registry.store.figures().instances, 0);
});

test('only who may confirm lets held instances expire', async (t) => {
  const registry = new TestRegistry(t);
  registry.rules = TokenRules.parse(FILE);
  const call = (identity: string) => {
    registry.link.identity = identity;
    return registry.link.unary(
      registry.link.implementation.contract.methods['confirmExpiry']!,
      { service: 'demo.Greeter' },
      {},
    );
  };
  await assert.rejects(call('render'), { code: 'RPC_PERMISSION_DENIED' });
  assert.deepEqual(await call('ops'), { revision: 0n, expired: 0 });
});

test('a changed file is read, a wrong one is told and changes nothing', async (t) => {
  const path = join(temporaryFolder(t), 'tokens.yaml');
  writeFileSync(path, FILE);
  const clock = new FakeClock();
  const failures: string[] = [];
  let reloads = 0;
  const file = await TokenFile.open(path, {
    clock,
    onReload: () => (reloads += 1),
    onFailure: ({ message }) => failures.push(message),
  });
  t.after(() => file.close());
  assert.equal(file.rules.size, 3);
  writeFileSync(`${path}.new`, `tokens: [{ name: a, token: ${OPS} }]`);
  renameSync(`${path}.new`, path);
  await clock.advance(2000);
  await until(() => reloads === 1);
  assert.equal(file.rules.nameOf(OPS), 'a');
  writeFileSync(path, `tokens: [{ name: a, token: ${OPS}, register: 7 }]`);
  await until(() => clock.waiting === 1);
  await clock.advance(2000);
  await until(() => failures.length === 1);
  assert.match(failures[0]!, /tokens\.yaml: the token file: a: register must be a list/);
  assert(!failures[0]!.includes(OPS));
  assert.equal(file.rules.nameOf(OPS), 'a');
  await assert.rejects(file.reload(), { code: 'RPC_OPTION_INVALID' });
});

test('a token file that is not there is said at the start', async () => {
  await assert.rejects(
    TokenFile.open('/nowhere/tokens.yaml', {
      clock: new FakeClock(),
      onReload: () => {},
      onFailure: () => {},
    }),
    { code: 'RPC_OPTION_INVALID', message: /\/nowhere\/tokens\.yaml cannot be read/ },
  );
});
