// A client that knows nothing of the reactor: raw bytes out, raw bytes in, and every way to misbehave.
// It keeps its side open after the server's FIN, so that a test sees the FIN itself.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import net from 'node:net';
import type { TestContext } from 'node:test';
import { type TlvFrame, tlvFrame } from './tlv.js';

const PATIENCE_MS = 20_000;

export class RawClient {
  readonly socket: net.Socket;
  readonly #chunks: Buffer[] = [];
  #receivedBytes = 0;
  #hasEnded = false;
  #errorCode: string | null = null;
  #isClosed = false;
  #changed: () => void = () => {};

  /** `socket` is connected and belongs to the client from here on. */
  constructor(socket: net.Socket) {
    this.socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#chunks.push(chunk);
      this.#receivedBytes += chunk.length;
      this.#changed();
    });
    socket.on('end', () => {
      this.#hasEnded = true;
      this.#changed();
    });
    socket.on('error', (error: NodeJS.ErrnoException) => {
      this.#errorCode = error.code ?? error.message;
      this.#changed();
    });
    socket.on('close', () => {
      this.#isClosed = true;
      this.#changed();
    });
  }

  /** Connects to a port of 127.0.0.1, or as the options say; destroyed with the test. */
  static async connect(t: TestContext, target: number | net.NetConnectOpts): Promise<RawClient> {
    const where = typeof target === 'number' ? { port: target, host: '127.0.0.1' } : target;
    const socket = net.connect({ ...where, allowHalfOpen: true });
    t.after(() => socket.destroy());
    await once(socket, 'connect');
    socket.setNoDelay(true);
    return new RawClient(socket);
  }

  /** Bytes received so far. */
  get receivedBytes(): number {
    return this.#receivedBytes;
  }

  /** The server's FIN has arrived. */
  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  /** `errno` name of what broke the connection, e.g. ECONNRESET; null when nothing did. */
  get errorCode(): string | null {
    return this.#errorCode;
  }

  write(bytes: Uint8Array | string): void {
    this.socket.write(bytes);
  }

  send(msgId: number, body: Uint8Array | string = ''): void {
    this.socket.write(tlvFrame(msgId, body));
  }

  /** Sends FIN after everything written. */
  end(): void {
    this.socket.end();
  }

  /** Vanishes by RST. */
  reset(): void {
    this.socket.resetAndDestroy();
  }

  received(): Buffer {
    return Buffer.concat(this.#chunks);
  }

  /** Everything received so far as TLV frames; fails when the last one is not whole. */
  frames(): TlvFrame[] {
    return tlvFrames(this.received());
  }

  /** The frames, once `count` of them have arrived. */
  async receiveFrames(count: number): Promise<TlvFrame[]> {
    await this.#until(() => wholeFrames(this.received()) >= count, `${count} frames`);
    return this.frames();
  }

  /** Everything received, once it is at least `bytes`. */
  async receive(bytes: number): Promise<Buffer> {
    await this.#until(() => this.#receivedBytes >= bytes, `${bytes} bytes`);
    return this.received();
  }

  /** Everything the server sent up to its FIN; fails when the connection breaks instead. */
  async receiveUntilEnd(): Promise<Buffer> {
    await this.#until(() => this.#hasEnded || this.#errorCode !== null, "the server's FIN");
    assert.equal(this.#errorCode, null, 'the server ends in order');
    return this.received();
  }

  /** Resolves when the socket is gone, however it went; answers FIN with FIN. */
  async closed(): Promise<void> {
    await this.#until(() => this.#hasEnded || this.#isClosed, 'the end of the connection');
    if (!this.#isClosed) this.socket.end();
    await this.#until(() => this.#isClosed, 'the end of the connection');
  }

  /** Looks at `condition` after every event of the socket; one waiter at a time. */
  async #until(condition: () => boolean, what: string): Promise<void> {
    if (condition()) return;
    await new Promise<void>((resolve, reject) => {
      const deadline = setTimeout(() => {
        reject(new Error(`${what} did not come: ${this.#receivedBytes} bytes received, ${this.#state()}`));
      }, PATIENCE_MS);
      this.#changed = () => {
        if (!condition()) {
          if (!this.#isClosed) return;
          clearTimeout(deadline);
          reject(new Error(`${what} will not come: ${this.#receivedBytes} bytes received, ${this.#state()}`));
          return;
        }
        clearTimeout(deadline);
        resolve();
      };
      this.#changed();
    });
  }

  #state(): string {
    return `ended ${this.#hasEnded}, closed ${this.#isClosed}, error ${this.#errorCode}`;
  }
}

/** Splits a wire of whole TLV frames. */
export function tlvFrames(wire: Buffer): TlvFrame[] {
  const frames: TlvFrame[] = [];
  let offset = 0;
  while (offset < wire.length) {
    assert(wire.length >= offset + 8, 'a whole header');
    const end = offset + 8 + wire.readUInt32LE(offset + 4);
    assert(end <= wire.length, 'a whole body');
    frames.push({ msgId: wire.readUInt32LE(offset), body: wire.subarray(offset + 8, end) });
    offset = end;
  }
  return frames;
}

function wholeFrames(wire: Buffer): number {
  let count = 0;
  for (let offset = 0; offset + 8 <= wire.length; ) {
    offset += 8 + wire.readUInt32LE(offset + 4);
    if (offset <= wire.length) count += 1;
  }
  return count;
}
