// The program: reads the command line, runs one command, answers its exit code.
// bin/reactor-net.js calls `runCommandLine`; each command is a file of its own, imported when it runs.
// Exit codes: 0 done, 1 failed, 2 wrong usage, 3 could not reach the other side, 130 interrupted.

import { existsSync, readFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { parseArgs } from './args.js';
import { UsageError } from './flags.js';
import { packageVersion } from './package-version.js';

/** A command's surroundings, so that a test may provide its own. */
export interface Io {
  readonly stdout: NodeJS.WritableStream & { readonly isTTY?: boolean; readonly columns?: number };
  readonly stderr: NodeJS.WritableStream;
  /** Default: that of the process. */
  readonly stdin?: Readable;
  readonly environment: NodeJS.ProcessEnv;
}

export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;
export const EXIT_UNREACHABLE = 3;
/** Another process does what this one did. */
export const EXIT_REPLACED = 4;

const COLUMNS_DEFAULT = 100;

/** @returns the exit code, once the command has ended */
export function runCommandLine(args: readonly string[]): Promise<number> {
  return main(args, {
    stdout: process.stdout,
    stderr: process.stderr,
    environment: process.env,
  });
}

export async function main(args: readonly string[], io: Io): Promise<number> {
  // Whoever read our output may be gone: no reason for a server to go as well.
  io.stdout.on('error', () => {});
  try {
    const command = await parseArgs(args, {
      environment: io.environment,
      version: packageVersion(),
      columns: io.stdout.columns || COLUMNS_DEFAULT,
      readFile: (path) => readFileSync(path, 'utf8'),
    });
    switch (command.kind) {
      case 'print':
        io.stdout.write(`${command.text}\n`);
        return 0;
      case 'serve': {
        const { serve } = await import('./serve.js');
        return await serve(command.options, io);
      }
      case 'rpc': {
        const { rpc } = await import('./rpc.js');
        return await rpc(command.options, io);
      }
      case 'shm': {
        const { shm } = await import('./shm.js');
        return shm(command.options, io);
      }
      case 'registry-serve': {
        const { registryServe } = await import('./registry-serve.js');
        return await registryServe(command.options, io);
      }
      case 'kv': {
        const { kv } = await import('./kv.js');
        return await kv(command.options, io);
      }
      case 'render': {
        const { render } = await import('./render.js');
        return await render(command.options, io);
      }
      case 'bench':
        return await runBench(command.args);
      default:
        return command satisfies never;
    }
  } catch (error) {
    io.stderr.write(`reactor-net: ${oneLine(error)}\n`);
    return error instanceof UsageError ? EXIT_USAGE : EXIT_FAILED;
  }
}

/** The benches are compiled in a checkout; an installed package comes without them. */
async function runBench(args: readonly string[]): Promise<number> {
  // Not a literal: the compiler would take the benches to be always there.
  const program = new URL('../bench/main.js', import.meta.url);
  if (!existsSync(program)) {
    throw new UsageError('bench: the benches are part of a checkout, not of the installed package');
  }
  const bench = (await import(program.href)) as { main(args: readonly string[]): Promise<number> };
  return bench.main(args);
}

function oneLine(error: unknown): string {
  return (error instanceof Error ? error.message : String(error)).split('\n', 1)[0] ?? '';
}
