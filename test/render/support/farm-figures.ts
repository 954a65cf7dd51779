// What a main node with --metrics tells of itself.

import assert from 'node:assert/strict';
import type { Command } from '../../support/command.js';

/** One of its metrics, without the prefix of their names. */
export async function figure(main: Command, name: string): Promise<number> {
  const { listen } = await main.ready();
  const text = await (await fetch(`http://${listen['metrics']}/metrics`)).text();
  const value = new RegExp(`^reactor_net_render_${name} (\\d+)$`, 'm').exec(text)?.[1];
  assert(value !== undefined, `no ${name} in the metrics`);
  return Number(value);
}
