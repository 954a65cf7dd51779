import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { KV_COMMANDS } from '../../cli/kv-command.js';
import { REGISTRY_COMMANDS } from '../../cli/registry-command.js';
import { RPC_COMMANDS } from '../../cli/rpc-command.js';
import { SERVE_COMMAND } from '../../cli/serve-command.js';
import { SHM_COMMANDS } from '../../cli/shm-command.js';
import { Metrics, SharedCounters } from '../../reactor/index.js';

function page(name: string): string {
  return readFileSync(new URL(`../../../docs/${name}`, import.meta.url), 'utf8');
}

test('docs/cli.md lists every flag of every command and none that does not exist', () => {
  const commands = [SERVE_COMMAND, ...REGISTRY_COMMANDS, ...KV_COMMANDS, ...RPC_COMMANDS, ...SHM_COMMANDS];
  const flags = commands.flatMap((command) => command.flags).filter(({ hidden }) => hidden !== true);
  const text = page('cli.md');
  for (const { flag } of flags) assert(text.includes(`\`--${flag}`), `--${flag} is not described`);
  const known = new Set(['config', 'help', 'version', ...flags.map(({ flag }) => flag)]);
  for (const [, flag] of text.matchAll(/`--([a-z][a-z0-9-]*)/g))
    assert(known.has(flag!), `--${flag} does not exist`);
});

test('docs/metrics.md lists every metric of ours', async () => {
  const text = page('metrics.md');
  const rendered = await new Metrics(SharedCounters.create(1)).render();
  const names = [...rendered.matchAll(/^# TYPE reactor_net_(?!process_|nodejs_)(\S+)/gm)];
  assert(names.length > 25);
  for (const [, name] of names) assert(text.includes(`\`${name}\``), `${name} is not described`);
});
