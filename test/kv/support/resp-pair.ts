// A RESP server on a backend without a log, and clients that know nothing but bytes.

import assert from 'node:assert/strict';
import type net from 'node:net';
import type { TestContext } from 'node:test';
import { RespServer } from '../../../kv/resp/resp-server.js';
import type { RespServerOptions } from '../../../kv/resp/resp-options.js';
import { RawClient } from '../../support/raw-client.js';
import { LocalBackend } from './local-backend.js';

export interface RespPair {
  readonly server: RespServer;
  readonly backend: LocalBackend;
  readonly port: number;
  readonly connect: () => Promise<RespTalk>;
}

/** A server that is closed with the test. */
export async function respPair(
  t: TestContext,
  options: RespServerOptions = {},
  backend: LocalBackend = new LocalBackend(),
): Promise<RespPair> {
  const server = new RespServer(backend, null, { host: '127.0.0.1', ...options });
  await server.listen();
  t.after(() => server.close(0));
  const { port } = server.address;
  assert(port !== undefined);
  return { server, backend, port, connect: () => RespTalk.connect(t, port) };
}

/** A conversation in bytes: what is asked, and the very bytes that must come back. */
export class RespTalk {
  readonly raw: RawClient;
  #seen = 0;

  constructor(raw: RawClient) {
    this.raw = raw;
  }

  static async connect(t: TestContext, target: number | net.NetConnectOpts): Promise<RespTalk> {
    return new RespTalk(await RawClient.connect(t, target));
  }

  /** Sends a command: words of one line, or arguments as they are. */
  send(command: string | readonly string[]): void {
    this.raw.write(requestOf(typeof command === 'string' ? command.split(' ') : command));
  }

  /** The next bytes to come are these. */
  async hears(reply: string): Promise<void> {
    const expected = Buffer.from(reply, 'latin1');
    const all = await this.raw.receive(this.#seen + expected.length);
    const got = all.toString('latin1', this.#seen, this.#seen + expected.length);
    assert.equal(got, reply);
    this.#seen += expected.length;
  }

  async asks(command: string | readonly string[], reply: string): Promise<void> {
    this.send(command);
    await this.hears(reply);
  }

  /** Everything up to the server's FIN, from what was not looked at yet. */
  async hearsToTheEnd(): Promise<string> {
    const all = await this.raw.receiveUntilEnd();
    return all.toString('latin1', this.#seen);
  }
}

/** A command as clients encode it; one byte per character. */
export function requestOf(args: readonly string[]): Buffer {
  const parts = args.map((arg) => `$${arg.length}\r\n${arg}\r\n`);
  return Buffer.from(`*${args.length}\r\n${parts.join('')}`, 'latin1');
}
