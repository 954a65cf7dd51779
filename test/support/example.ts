// Runs one of examples/ as a user would, on a free port, and stops it as a user would.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import { createInterface } from 'node:readline';
import type { TestContext } from 'node:test';
import { fileURLToPath } from 'node:url';
import { addonMissingReason, loadAddon } from '../../addon/index.js';
import { Command } from './command.js';

export interface Example {
  readonly command: Command;
  readonly port: number;
}

/** Starts examples/`name`/main.js; resolves once it has said where it listens. */
export async function startExample(
  t: TestContext,
  name: string,
  environment: NodeJS.ProcessEnv = {},
): Promise<Example> {
  const command = new Command(t, [], { PORT: '0', ...environment }, programOf(name, 'main'));
  const line = await command.line((text) => text.includes(' listens on '));
  return { command, port: Number(/127\.0\.0\.1:(\d+)/.exec(line)?.[1]) };
}

/** Runs the client of an example with `words` to its end, and gives it back. */
export async function runClient(
  t: TestContext,
  name: string,
  port: number,
  words: readonly string[],
): Promise<Command> {
  return await runProgram(t, name, 'client', words, { PORT: String(port) });
}

/** Runs a program of an example with `words` to its end, and gives it back. */
export async function runProgram(
  t: TestContext,
  name: string,
  program: string,
  words: readonly string[],
  environment: NodeJS.ProcessEnv = {},
): Promise<Command> {
  const command = new Command(t, words, environment, programOf(name, program));
  await command.exitCode;
  return command;
}

/** Ctrl-C: the example must go by itself, without a word of complaint. */
export async function stopExample({ command }: Example): Promise<void> {
  await stopQuietly(command, 'SIGINT');
}

/** The program must end with 0 and have complained of nothing but a missing addon, where it is missing. */
export async function stopQuietly(command: Command, signal: NodeJS.Signals): Promise<void> {
  assert.equal(await command.stop(signal), 0);
  assert.equal(complaintsOf(command), '');
}

/** What a program said on standard error, apart from the one line about a missing addon. */
export function complaintsOf({ stderr }: Command): string {
  return loadAddon() === null ? stderr.replace(`${addonMissingReason()}\n`, '') : stderr;
}

/** A connection that is destroyed when the test ends. */
export async function connectTo(t: TestContext, port: number): Promise<net.Socket> {
  const socket = net.connect({ port, host: '127.0.0.1', noDelay: true });
  t.after(() => socket.destroy());
  await once(socket, 'connect');
  return socket;
}

/** The lines a peer sends, one by one. */
export class LineReader {
  readonly #lines: AsyncIterator<string>;

  constructor(socket: net.Socket) {
    this.#lines = createInterface({ input: socket })[Symbol.asyncIterator]();
  }

  async next(): Promise<string> {
    const { value, done } = await this.#lines.next();
    assert(done !== true, 'the peer closed instead of sending another line');
    return value;
  }
}

function programOf(example: string, program: string): string {
  return fileURLToPath(new URL(`../../examples/${example}/${program}.js`, import.meta.url));
}
