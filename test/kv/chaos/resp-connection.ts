// A connection to a member by the Redis protocol (RESP2), as small as the chaos clients need it: one group of commands at
// a time, each with a deadline. After a failure the connection is gone. Says whether a request may have left.

import { Socket } from 'node:net';

export class RespError {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

export type RespValue = null | number | string | RespError | RespValue[];

/** `mayHaveRun`: the commands were written, their fate is not known. */
export class ConnectionLost extends Error {
  readonly mayHaveRun: boolean;

  constructor(message: string, mayHaveRun: boolean) {
    super(message);
    this.mayHaveRun = mayHaveRun;
  }
}

export class RespConnection {
  readonly #socket: Socket;
  #received: Buffer = Buffer.alloc(0);
  #waiting: { count: number; replies: RespValue[]; resolve: (replies: RespValue[]) => void } | null = null;
  #fail: (error: ConnectionLost) => void = () => {};
  #isOpen = true;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk: Buffer) => {
      this.#received = Buffer.concat([this.#received, chunk]);
      this.#read();
    });
    // The 'close' that follows tells.
    socket.on('error', () => socket.destroy());
    socket.on('end', () => socket.destroy());
    socket.once('close', () => {
      this.#isOpen = false;
      this.#fail(new ConnectionLost('the connection was closed', true));
    });
  }

  static async open(port: number, timeoutMs: number): Promise<RespConnection> {
    const socket = new Socket();
    await new Promise<void>((resolve, reject) => {
      const refuse = (message: string): void => {
        socket.destroy();
        reject(new ConnectionLost(message, false));
      };
      const timer = setTimeout(() => refuse('no connection in time'), timeoutMs);
      socket.once('connect', () => {
        clearTimeout(timer);
        resolve();
      });
      socket.once('error', (error) => {
        clearTimeout(timer);
        refuse(error.message);
      });
      socket.setNoDelay(true);
      socket.connect(port, '127.0.0.1');
    });
    return new RespConnection(socket);
  }

  get isOpen(): boolean {
    return this.#isOpen;
  }

  /** All in one write; gives one reply for each. @throws ConnectionLost, and the connection is closed */
  async send(commands: readonly (readonly string[])[], timeoutMs: number): Promise<RespValue[]> {
    if (!this.#isOpen) throw new ConnectionLost('the connection is closed', false);
    let timer: NodeJS.Timeout | undefined;
    try {
      return await new Promise<RespValue[]>((resolve, reject) => {
        this.#waiting = { count: commands.length, replies: [], resolve };
        this.#fail = reject;
        timer = setTimeout(() => reject(new ConnectionLost('no answer in time', true)), timeoutMs);
        this.#socket.write(commands.map(encode).join(''), 'latin1');
      });
    } catch (error) {
      this.close();
      throw error;
    } finally {
      clearTimeout(timer);
      this.#waiting = null;
      this.#fail = () => {};
    }
  }

  close(): void {
    this.#isOpen = false;
    this.#socket.destroy();
  }

  #read(): void {
    const waiting = this.#waiting;
    if (waiting === null) return;
    let at = 0;
    while (waiting.replies.length < waiting.count) {
      const parsed = parse(this.#received, at);
      if (parsed === null) break;
      waiting.replies.push(parsed.value);
      at = parsed.end;
    }
    this.#received = this.#received.subarray(at);
    if (waiting.replies.length === waiting.count) waiting.resolve(waiting.replies);
  }
}

function encode(args: readonly string[]): string {
  return `*${args.length}\r\n${args.map((arg) => `$${arg.length}\r\n${arg}\r\n`).join('')}`;
}

/** Null: not all of it is there yet. */
function parse(bytes: Buffer, from: number): { value: RespValue; end: number } | null {
  const lineEnd = bytes.indexOf('\r\n', from);
  if (lineEnd === -1) return null;
  const text = bytes.toString('latin1', from + 1, lineEnd);
  const end = lineEnd + 2;
  switch (String.fromCharCode(bytes[from]!)) {
    case '+':
      return { value: text, end };
    case '-':
      return { value: new RespError(text), end };
    case ':':
      return { value: Number(text), end };
    case '$': {
      const length = Number(text);
      if (length < 0) return { value: null, end };
      if (bytes.length < end + length + 2) return null;
      return { value: bytes.toString('latin1', end, end + length), end: end + length + 2 };
    }
    case '*': {
      const length = Number(text);
      if (length < 0) return { value: null, end };
      const items: RespValue[] = [];
      let at = end;
      for (let item = 0; item < length; item += 1) {
        const parsed = parse(bytes, at);
        if (parsed === null) return null;
        items.push(parsed.value);
        at = parsed.end;
      }
      return { value: items, end: at };
    }
    default:
      throw new Error(`not a reply: ${bytes.toString('latin1', from, from + 40)}`);
  }
}
