// A plain TLV client for tests of whole servers: written against the wire, not against our codec.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const HEADER_BYTES = 8;

export interface TlvFrame {
  readonly msgId: number;
  readonly body: Buffer;
}

export function tlvFrame(msgId: number, body: Uint8Array | string): Buffer {
  const bytes = Buffer.from(body);
  const header = Buffer.alloc(HEADER_BYTES);
  header.writeUInt32LE(msgId, 0);
  header.writeUInt32LE(bytes.length, 4);
  return Buffer.concat([header, bytes]);
}

export class TlvClient {
  readonly socket: Socket;
  #received = Buffer.alloc(0);

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.on('error', () => socket.destroy());
  }

  /** @param address `host:port`, or the path of a Unix socket */
  static async connect(address: string): Promise<TlvClient> {
    const [, host, port] = /^(.+):(\d+)$/.exec(address) ?? [];
    const socket = port === undefined ? connect(address) : connect(Number(port), host);
    await once(socket, 'connect');
    return new TlvClient(socket);
  }

  async ask(msgId: number, body: Uint8Array | string): Promise<TlvFrame> {
    this.socket.write(tlvFrame(msgId, body));
    return this.next();
  }

  /** The next frame; fails when the server closes first. */
  async next(): Promise<TlvFrame> {
    for (;;) {
      const frame = this.#take();
      if (frame !== null) return frame;
      const chunk = await this.#chunk();
      assert(chunk !== null, 'the server closed the connection');
      this.#received = Buffer.concat([this.#received, chunk]);
    }
  }

  /** Resolves when the server has closed the connection. */
  async closed(): Promise<void> {
    this.socket.resume();
    if (!this.socket.closed) await once(this.socket, 'close');
  }

  #take(): TlvFrame | null {
    const bytes = this.#received;
    if (bytes.length < HEADER_BYTES) return null;
    const end = HEADER_BYTES + bytes.readUInt32LE(4);
    if (bytes.length < end) return null;
    this.#received = bytes.subarray(end);
    return { msgId: bytes.readUInt32LE(0), body: bytes.subarray(HEADER_BYTES, end) };
  }

  async #chunk(): Promise<Buffer | null> {
    for (;;) {
      const chunk = this.socket.read() as Buffer | null;
      if (chunk !== null) return chunk;
      if (this.socket.readableEnded || this.socket.destroyed) return null;
      const settled = new AbortController(); // takes the listener back that was not called
      const { signal } = settled;
      await Promise.race([once(this.socket, 'readable', { signal }), once(this.socket, 'close', { signal })]);
      settled.abort();
    }
  }
}
