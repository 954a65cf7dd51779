// The sockets that jbus is held against: a Unix socketpair and TCP over loopback, read with `onread` into one buffer.
// Small messages are collected and written together, large ones go as header and body by one writev; eight MiB may be
// on the way, as in the ring. Readers put messages together (frames.ts), as jbus hands them out whole.

import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { type AddressInfo, createServer, Socket, type SocketConstructorOpts } from 'node:net';
import { loadAddon } from '../../../addon/index.js';
import type { Rotation } from '../../rotation.js';
import {
  batchOf,
  decodeTally,
  encodeTally,
  KIND_DATA,
  KIND_FINISH,
  KIND_PING,
  type SendingEnd,
  type Tally,
  WINDOW_BYTES,
} from './ends.js';
import { FRAME_HEADER_BYTES, FrameReader, writeFrameHeader } from './frames.js';

const READ_BUFFER_BYTES = 256 * 1024;
const CHILD_FD = 3;

export class StreamEnd implements SendingEnd {
  readonly #memory: Buffer;
  readonly #socket: Socket;
  readonly #reader: ChildProcess;
  #onAnswer: ((body: Buffer) => void) | undefined;

  constructor(memory: Buffer, socket: Socket, reader: ChildProcess, frames: FrameReader[]) {
    this.#memory = memory;
    this.#socket = socket;
    this.#reader = reader;
    frames.push(new FrameReader((_, body) => this.#onAnswer?.(body)));
  }

  /** Over a socketpair that the reader inherits as descriptor 3. @throws Error without the addon, which makes it. */
  static async overPair(memory: Buffer, command: string, args: readonly string[]): Promise<StreamEnd> {
    const addon = loadAddon();
    if (addon === null) throw new Error('a socketpair needs the addon');
    const [near, far] = addon.socketPair();
    const frames: FrameReader[] = [];
    const socket = new Socket({ fd: near, ...readingInto(frames), ...WRITING });
    const reader = spawn(command, args, { stdio: ['ignore', 'ignore', 'inherit', far] });
    addon.closeFd(far);
    return new StreamEnd(memory, socket, reader, frames);
  }

  static async overTcp(memory: Buffer, command: string, args: readonly string[]): Promise<StreamEnd> {
    const server = createServer({ noDelay: true, ...WRITING });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo; // it listens at a port
    const reader = spawn(command, [...args, String(port)], { stdio: ['ignore', 'ignore', 'inherit'] });
    const [socket] = (await once(server, 'connection')) as [Socket];
    server.close();
    const frames: FrameReader[] = [];
    socket.on('data', (chunk) => frames[0]!.feed(chunk, viewOf(chunk), chunk.length)); // answers, a few bytes
    return new StreamEnd(memory, socket, reader, frames);
  }

  async send(rotation: Rotation, count: number): Promise<void> {
    const batch = batchOf(rotation.messageBytes);
    for (let left = count; left > 0; left -= batch) {
      const isFree =
        batch === 1 ? this.#sendLarge(rotation) : this.#sendBatch(rotation, Math.min(batch, left));
      if (!isFree) await once(this.#socket, 'drain');
    }
  }

  async finish(): Promise<Tally> {
    return await this.#ask(KIND_FINISH, EMPTY, decodeTally);
  }

  async ping(message: Uint8Array): Promise<void> {
    await this.#ask(KIND_PING, message, () => {});
  }

  async close(): Promise<void> {
    const exited = once(this.#reader, 'exit');
    this.#socket.destroy();
    await exited;
  }

  #ask<T>(kind: number, message: Uint8Array, decode: (body: Buffer) => T): Promise<T> {
    return new Promise((resolve) => {
      this.#onAnswer = (body) => resolve(decode(body));
      this.#socket.write(frameOf(kind, message));
    });
  }

  #sendLarge(rotation: Rotation): boolean {
    const { messageBytes } = rotation;
    const at = rotation.next();
    const header = Buffer.allocUnsafe(FRAME_HEADER_BYTES);
    writeFrameHeader(header, 0, KIND_DATA, messageBytes);
    this.#socket.cork();
    this.#socket.write(header);
    const isFree = this.#socket.write(this.#memory.subarray(at, at + messageBytes));
    this.#socket.uncork();
    return isFree;
  }

  #sendBatch(rotation: Rotation, count: number): boolean {
    const { messageBytes } = rotation;
    const frameBytes = FRAME_HEADER_BYTES + messageBytes;
    const bytes = Buffer.allocUnsafe(count * frameBytes);
    const words = new Int32Array(bytes.buffer, bytes.byteOffset, bytes.length / 4);
    const source = new Int32Array(this.#memory.buffer, this.#memory.byteOffset, this.#memory.length / 4);
    const messageWords = messageBytes / 4;
    for (let to = 0; to < words.length; to += frameBytes / 4) {
      words[to] = KIND_DATA;
      words[to + 1] = messageBytes;
      const from = rotation.next() / 4;
      if (messageWords > 64) words.set(source.subarray(from, from + messageWords), to + 2);
      else for (let word = 0; word < messageWords; word += 1) words[to + 2 + word] = source[from + word]!;
    }
    return this.#socket.write(bytes);
  }
}

const EMPTY = Buffer.alloc(0);
const WRITING = { writableHighWaterMark: WINDOW_BYTES, highWaterMark: WINDOW_BYTES } as const;

/** The reader's process, until the other end hangs up. */
export async function readStream(port: number | null, inPieces: boolean): Promise<void> {
  const frames: FrameReader[] = [];
  const socket =
    port === null
      ? new Socket({ fd: CHILD_FD, ...readingInto(frames) })
      : new Socket({ ...readingInto(frames) }).connect({ port, host: '127.0.0.1', noDelay: true });
  const reader = new FrameReader(
    (kind, body) => {
      const answer = kind === KIND_PING ? body : encodeTally(reader.settle());
      socket.write(frameOf(kind, answer));
    },
    { inPieces },
  );
  frames.push(reader);
  await once(socket, 'close');
}

function frameOf(kind: number, body: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(FRAME_HEADER_BYTES + body.length);
  writeFrameHeader(frame, 0, kind, body.length);
  frame.set(body, FRAME_HEADER_BYTES);
  return frame;
}

/**
 * Reads without a stream in between: every chunk lies at the start of the same buffer. To read the rest of a long message
 * right where it is put together was tried and is no faster: 0.9 times the rate of this buffer, which stays in the cache.
 */
function readingInto(frames: readonly FrameReader[]): SocketConstructorOpts {
  const buffer = Buffer.allocUnsafeSlow(READ_BUFFER_BYTES);
  const view = viewOf(buffer);
  const callback = (bytes: number): boolean => {
    frames[0]!.feed(buffer, view, bytes);
    return true;
  };
  return { onread: { buffer, callback } } as SocketConstructorOpts; // documented, and missing in its type
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
}
