// `npm run soak:kv -- [--minutes N] [--seed S] [--clients N] [--patience SECONDS] [--out FILE] [--quiet]`: a long chaos run. Prints what it
// does and what came of it, writes the same as JSON, and keeps the folder with logs and history when something is wrong.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { runChaos } from './chaos-run.js';

const USAGE =
  'usage: npm run soak:kv -- [--minutes N] [--seed S] [--clients N] [--patience SECONDS] [--out FILE] [--quiet]';

process.exitCode = await main(process.argv.slice(2));

async function main(args: readonly string[]): Promise<number> {
  let options;
  try {
    options = parse(args);
  } catch (error) {
    console.error(`${error instanceof Error ? error.message : String(error)}\n${USAGE}`);
    return 2;
  }
  const { minutes, seed, clients, patience, out, isQuiet } = options;
  const folder = mkdtempSync(path.join(tmpdir(), 'reactor-net-chaos-'));
  console.log(`seed ${seed}, ${minutes} minutes, ${clients} clients, folder ${folder}`);
  const result = await runChaos({
    seed,
    durationMs: minutes * 60_000,
    folder,
    respClients: clients - 2 * Math.floor(clients / 5),
    nativeClients: Math.floor(clients / 5),
    clerks: Math.floor(clients / 5),
    patienceMs: patience * 1000,
    churn: true,
    log: isQuiet ? () => {} : console.log,
  });
  writeFileSync(out, `${JSON.stringify(result, null, 2)}\n`);
  console.log(JSON.stringify(result, null, 2));
  if (result.failures.length > 0) {
    console.log(`kept: ${folder}`);
    return 1;
  }
  rmSync(folder, { recursive: true });
  console.log(`no violation, no acknowledged write lost; ${out}`);
  return 0;
}

function parse(args: readonly string[]): {
  minutes: number;
  seed: number;
  clients: number;
  patience: number;
  out: string;
  isQuiet: boolean;
} {
  const { values } = parseArgs({
    args: [...args],
    options: {
      minutes: { type: 'string', default: '30' },
      seed: { type: 'string' },
      clients: { type: 'string', default: '10' },
      patience: { type: 'string', default: '60' },
      out: { type: 'string', default: 'soak-kv.json' },
      quiet: { type: 'boolean', default: false },
    },
  });
  const minutes = Number(values.minutes);
  const seed = values.seed === undefined ? Date.now() % 2 ** 31 : Number(values.seed);
  const clients = Number(values.clients);
  if (!(minutes > 0)) throw new Error('--minutes is a number above 0');
  if (!Number.isSafeInteger(seed)) throw new Error('--seed is a whole number');
  if (!Number.isInteger(clients) || clients < 1) throw new Error('--clients is a whole number from 1');
  const patience = Number(values.patience);
  if (!(patience > 0)) throw new Error('--patience is a number of seconds above 0');
  return { minutes, seed, clients, patience, out: values.out, isQuiet: values.quiet };
}
