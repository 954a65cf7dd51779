// A connection over a node:net socket (or a node:tls one): the portable transport.
// tcp-service.ts and tcp-client.ts make the sockets; connection.ts decides what happens on them.
// Plain sockets read into one static buffer per thread (`onread`), so an idle connection holds no memory
// and a read allocates nothing; TLS and adopted streams deliver chunks of their own.

import net from 'node:net';
import type tls from 'node:tls';
import { receivingMemory } from './body-lender.js';

import type { ConnectionHost } from './connection-host.js';
import { ReactorError, type ReactorErrorCode } from './errors.js';
import { FileReader } from './file-reader.js';
import type { CloseReason } from './handlers.js';
import { READ_BUFFER_BYTES } from './limits.js';
import { type OutputChunk, OutputQueue } from './output-queue.js';
import type { SendableFile } from './sendable-file.js';
import { type SocketAddress, StreamConnection, type StreamOptions } from './stream-connection.js';

/** Reads that filled the whole buffer in a row after which a connection lets others have their turn. */
const FULL_READS_MAX = 4;
/** The same for streams, whose chunks do not tell whether more waits: bytes after which they yield. */
const STREAM_BYTES_PER_TURN = FULL_READS_MAX * READ_BUFFER_BYTES;
const NO_BYTES = Buffer.alloc(0);
const CONNECTION: unique symbol = Symbol('reactor-net connection');

type ConnectionSocket = net.Socket & {
  [CONNECTION]?: NetConnection;
  readonly _handle?: { readonly writeQueueSize?: number } | null;
};

/** Node's shape for reading into one buffer; the same object serves every socket of a thread. */
export interface ReadInto {
  readonly buffer: Buffer;
  readonly callback: (this: net.Socket, bytes: number, buffer: Uint8Array) => boolean;
}

/** Makes the static read buffer of a thread. Pass it as `onread` to the sockets made for NetConnections. */
export function createReadInto(): ReadInto {
  const buffer = receivingMemory(READ_BUFFER_BYTES);
  return { buffer, callback: onReadInto };
}

/**
 * Adopts a connected descriptor; the socket owns it from here on and does not read yet.
 * @throws ReactorError REACTOR_UNSUPPORTED when the descriptor is no TCP or Unix stream socket.
 */
export function adoptStream(fd: number, readInto: ReadInto | null): net.Socket {
  try {
    return new net.Socket({
      fd,
      allowHalfOpen: true,
      readable: true,
      writable: true,
      pauseOnCreate: true,
      ...(readInto === null ? {} : { onread: readInto }),
    } as net.SocketConstructorOpts);
  } catch (cause) {
    throw new ReactorError('REACTOR_UNSUPPORTED', `descriptor ${fd} is not a stream socket`, { cause });
  }
}

export interface NetConnectionOptions extends StreamOptions {
  /**
   * 'buffer': the socket was made with `onread: createReadInto()`. 'stream': it emits 'data' (TLS, or a
   * socket that node:net accepted itself).
   */
  readonly input: 'buffer' | 'stream';
  /** A bare TCP socket: the only kind Node can close by RST. */
  readonly canReset: boolean;
  /** Code of a failure once connected but not open yet. Default REACTOR_CONNECT_FAILED. */
  readonly handshakeFailure?: ReactorErrorCode;
}

export class NetConnection extends StreamConnection {
  readonly #socket: ConnectionSocket;
  readonly #canReset: boolean;
  readonly #handshakeFailure: ReactorErrorCode;
  readonly #output: OutputQueue;
  /** The chunk the kernel did not take at once; null when it keeps up. */
  #inFlight: OutputChunk | null = null;
  /** The file of which the chunk in flight is a piece. */
  #inFlightOf: FileReader | null = null;
  #fullReads = 0;
  /** Bytes a stream delivered since it yielded. */
  #streamBytes = 0;
  #closeReason: CloseReason = 'peer-ended';
  #isSocketGone = false;

  /**
   * `socket` is connected (state 'open'), or still connecting or shaking hands ('connecting'), does not
   * read yet, allows half-open, and belongs to this connection from here on. Call `start` next.
   */
  constructor(
    host: ConnectionHost,
    id: number,
    socket: net.Socket | tls.TLSSocket,
    options: NetConnectionOptions,
  ) {
    const output = new OutputQueue(host.loop.pool);
    super(host, id, output, options);
    this.#output = output;
    this.#socket = socket;
    this.#socket[CONNECTION] = this;
    this.#canReset = options.canReset;
    this.#handshakeFailure = options.handshakeFailure ?? 'REACTOR_CONNECT_FAILED';
    if (options.input === 'stream') socket.on('data', onData);
    socket.on('end', onEnd);
    socket.on('error', onError);
    socket.on('close', onClose);
    if (options.input === 'stream') socket.pause();
  }

  /** Still connecting (tcp-client.ts): arms the handshake timeout. */
  awaitOpen(): void {
    this.watchDeadlines();
  }

  override get peerCertificate(): tls.PeerCertificate | null {
    const socket = this.#socket as Partial<tls.TLSSocket>; // TLS or not
    if (socket.authorized !== true || socket.getPeerCertificate === undefined) return null;
    const certificate = socket.getPeerCertificate();
    return Object.keys(certificate).length === 0 ? null : certificate; // Node's way to say that there is none
  }

  protected socketAddress(): SocketAddress {
    return { address: this.#socket.remoteAddress, port: this.#socket.remotePort };
  }

  protected get inFlightBytes(): number {
    return this.#inFlight === null || this.#inFlightOf !== null ? 0 : this.#inFlight.usedBytes;
  }

  protected get untakenBytes(): number {
    // Node's own socket timeout asks the handle in the same way; there is no public name for it.
    return this.#socket._handle?.writeQueueSize ?? this.inFlightBytes;
  }

  protected startReading(): void {
    if (this.takeHeldBack()) this.#socket.resume();
  }

  protected stopReading(): void {
    this.#socket.pause();
  }

  protected transmit(): void {
    while (this.#inFlight === null && this.state !== 'closed') {
      const { file } = this.#output;
      if (file !== null) {
        this.#transmitPiece(file);
        return;
      }
      const chunk = this.#output.shift();
      if (chunk === null) return;
      this.#write(chunk, null);
    }
  }

  protected transmitFile(file: SendableFile): void {
    this.#output.appendFile(new FileReader(file));
  }

  protected shutdownWrite(): void {
    this.#socket.end();
  }

  protected closeTransport(reset: boolean): void {
    if (reset && this.#canReset) this.#socket.resetAndDestroy();
    else this.#socket.destroy();
  }

  /** Called by the socket for every read into the thread's buffer; false stops the reading. @internal */
  readInto(bytes: number, buffer: Buffer): boolean {
    if (bytes === buffer.length) {
      this.take(buffer, 0, bytes);
      this.#fullReads += 1;
      if (this.#fullReads >= FULL_READS_MAX && this.isReadingWanted) {
        this.#fullReads = 0;
        this.yieldTurn();
      }
    } else {
      this.#fullReads = 0;
      this.take(buffer, 0, bytes);
    }
    return true; // pausing went through stopReading already
  }

  /** @internal */
  readChunk(chunk: Buffer): void {
    this.take(chunk, 0, chunk.length);
    this.#streamBytes += chunk.length;
    if (this.#streamBytes < STREAM_BYTES_PER_TURN || !this.isReadingWanted) return;
    this.#streamBytes = 0;
    this.yieldTurn();
  }

  /** @internal */
  socketEnded(): void {
    if (this.state === 'connecting') this.close('peer-ended');
    else this.peerEnded();
  }

  /** @internal */
  socketFailed(error: NodeJS.ErrnoException): void {
    this.#closeReason = 'peer-reset';
    if (this.state === 'closed' || this.isDelivered) return;
    this.report(new ReactorError(this.#failureCode(error), error.message, { cause: error }));
  }

  /** @internal */
  socketClosed(): void {
    this.#inFlight?.slab.release(); // libuv has let go of it: the handle is closed
    this.#inFlight = null;
    this.#inFlightOf = null;
    this.#isSocketGone = true;
    // A read under way holds a slab and a descriptor: the connection has not let go before that is over.
    if (this.#output.file?.isReading !== true) this.transportClosed(this.#closeReason);
  }

  #failureCode({ syscall }: NodeJS.ErrnoException): ReactorErrorCode {
    if (this.state !== 'connecting') return 'REACTOR_CONNECTION_CLOSED';
    return syscall === 'connect' || syscall === 'getaddrinfo'
      ? 'REACTOR_CONNECT_FAILED'
      : this.#handshakeFailure;
  }

  /** Reads and sends on in the file whose turn it is; `transmit` is called again when the kernel has the piece. */
  #transmitPiece(file: FileReader): void {
    if (file.isReading) return;
    if (file.bytesLeft === 0) {
      this.#pieceWritten(file, 0); // the file is empty
      return;
    }
    try {
      file.read(this.loop.pool, (error, piece) => {
        if (this.state !== 'closed' && !this.#isSocketGone) {
          if (piece !== null) this.#write(piece, file);
          else if (error !== null) this.fileFailed(error);
          return;
        }
        piece?.slab.release();
        if (this.#isSocketGone) this.transportClosed(this.#closeReason);
      });
    } catch (error) {
      this.fileFailed(error as ReactorError); // the pool throws nothing else
    }
  }

  #pieceWritten(file: FileReader, bytes: number): void {
    const isOver = file.bytesLeft === 0;
    if (isOver) this.#output.finishFile();
    this.filesWritten(bytes, isOver ? 1 : 0);
    if (!isOver) this.transmit();
  }

  /** Writes a chunk of bytes, or the next piece of `file`. */
  #write(chunk: OutputChunk, file: FileReader | null): void {
    const bytes = chunk.usedBytes;
    this.#socket.write(chunk.slab.bytes.subarray(0, bytes));
    // libuv tries at once: an empty queue afterwards means that the kernel has copied every byte, or that
    // the socket has failed, and then nothing was taken and 'close' follows.
    if (this.#socket.writableLength === 0 && this.#socket.writable) {
      chunk.slab.release();
      if (file === null) this.written(bytes);
      else this.#pieceWritten(file, bytes);
      return;
    }
    this.#inFlight = chunk;
    this.#inFlightOf = file;
    // Completion is asked for only here, where it is rare, by a write of nothing that queues behind.
    this.#socket.write(NO_BYTES, (error) => {
      if (error != null || this.#inFlight !== chunk) return; // 'close' follows and releases the slab
      this.#inFlight = null;
      this.#inFlightOf = null;
      chunk.slab.release();
      if (file === null) this.writtenLater(bytes);
      else this.#pieceWritten(file, bytes);
    });
  }
}

function onReadInto(this: ConnectionSocket, bytes: number, buffer: Uint8Array): boolean {
  return this[CONNECTION]!.readInto(bytes, buffer as Buffer);
}

function onData(this: ConnectionSocket, chunk: Buffer): void {
  this[CONNECTION]!.readChunk(chunk);
}

function onEnd(this: ConnectionSocket): void {
  this[CONNECTION]!.socketEnded();
}

function onError(this: ConnectionSocket, error: Error): void {
  this[CONNECTION]!.socketFailed(error);
}

function onClose(this: ConnectionSocket): void {
  this[CONNECTION]!.socketClosed();
}
