// What the addon offers for two processes of one machine beside shared segments: Unix streams, doorbells over them, and
// memory files that travel over them; part of `Addon` in api.ts. The C++ side is addon/src/binding/doorbell.* and
// local_stream_functions.*; addon/jbus decides and names. Descriptors are numbers that their receiver closes.

/** What a Doorbell's callback and `wait` tell: Heard in addon/src/core/doorbell_socket.h. */
export const BELL_RUNG = 0;
/** The other end is closed; nothing is told after it. */
export const BELL_GONE = 1;
/** A listening socket: somebody wants to connect. Told again until it is accepted. */
export const BELL_CALLER = 2;
export const BELL_NOTHING = 3;

/** One end of a Unix stream by which two processes wake each other, or the socket that waits for the other end. */
export interface NativeDoorbell {
  /** Wakes the other end; never waits, never throws. */
  ring(): void;
  /** Blocks the thread for up to `timeoutMs`; one of BELL_. A signal may end it early. */
  wait(timeoutMs: number): number;
  /** Keeps the loop alive while open, as it does from the start. */
  ref(): this;
  /** Lets the loop end although this is open. */
  unref(): this;
  /** Closes the descriptor; no callback follows. Calling it again does nothing. */
  close(): void;
}

export interface LocalAddon {
  /** Two connected ends, non-blocking and closed on exec. */
  socketPair(): [number, number];
  /** A leading NUL makes it an abstract name. ECONNREFUSED or ENOENT when nobody listens. */
  connectUnix(path: string): number;
  /** The next connection, or -1 when none waits. */
  acceptUnix(fd: number): number;
  /** The user id of the process at the other end, when it connected, listened, or made the pair. */
  userBehind(fd: number): number;
  /** A new memory file as a segment id below 0, which only this process knows; its size is sealed. */
  createMemoryFile(bytes: number): number;
  /** The id means nothing from now on; mappings stay. */
  closeMemoryFile(id: number): void;
  /** Sends a message of 1 to 4096 bytes with memory files, 8 at most. */
  sendMemoryFiles(fd: number, bytes: Uint8Array, ids: readonly number[]): void;
  /** The next such message, `bytes` empty at the end of the stream; null when none is there yet. EPERM for a file that is not sealed. */
  receiveMemoryFiles(
    fd: number,
    bytesMax: number,
  ): { readonly bytes: Uint8Array; readonly ids: number[] } | null;
  /** Takes over a connected or listening Unix socket. When it throws, the caller keeps the descriptor. */
  Doorbell: new (
    fd: number,
    callback: (heard: number) => void,
  ) => NativeDoorbell;
}
