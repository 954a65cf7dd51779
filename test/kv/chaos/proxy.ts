// A network between processes that can be broken: one TCP proxy for every ordered pair of members, each direction of
// each connection steered by itself. Member i reaches member j at address(i, j).
// Bytes are never lost out of the middle of a stream that goes on: a connection that lost some is reset on healing.
// Memory is bounded: what a side does not take makes the other side's reading pause.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server, Socket } from 'node:net';

/** What happens to the bytes of one direction. */
export type Passage =
  | { readonly kind: 'pass' }
  /** A black hole: taken from the sender, never delivered. */
  | { readonly kind: 'drop' }
  /** Every piece comes later, by a drawn time between the two, in order. */
  | { readonly kind: 'delay'; readonly minMs: number; readonly maxMs: number };

export interface LinkCounts {
  accepted: number;
  refused: number;
  passedBytes: number;
  droppedBytes: number;
}

const PASS: Passage = { kind: 'pass' };
const DROP: Passage = { kind: 'drop' };
/** Of one direction, while delayed. */
const HELD_BYTES_MAX = 2 ** 20;
const CONNECT_TIMEOUT_MS = 5_000;

export class ProxyNetwork {
  readonly #links = new Map<string, Link>();
  readonly #ids: number[] = [];
  readonly #targets = new Map<number, number>();
  readonly #random: () => number;

  private constructor(random: () => number) {
    this.#random = random;
  }

  /** Links between all members, on ports of 127.0.0.1 that the system picks. `random` draws delays. */
  static async open(ids: readonly number[], random: () => number): Promise<ProxyNetwork> {
    const network = new ProxyNetwork(random);
    try {
      for (const id of ids) await network.add(id);
    } catch (error) {
      await network.close();
      throw error;
    }
    return network;
  }

  /** Links between a new member and all others. */
  async add(id: number): Promise<void> {
    for (const other of this.#ids) {
      this.#links.set(`${other} ${id}`, await Link.open(this.#random));
      const back = await Link.open(this.#random);
      back.targetPort = this.#targets.get(other) ?? 0;
      this.#links.set(`${id} ${other}`, back);
    }
    this.#ids.push(id);
  }

  /** Ends all links of a member that is gone for good. */
  async remove(id: number): Promise<void> {
    assert(this.#ids.includes(id));
    this.#ids.splice(this.#ids.indexOf(id), 1);
    for (const [from, to] of this.#ids.flatMap(
      (other) =>
        [
          [other, id],
          [id, other],
        ] as const,
    )) {
      const link = this.#link(from, to);
      this.#links.delete(`${from} ${to}`);
      await link.close();
    }
  }

  /** Where `from` finds `to`. */
  address(from: number, to: number): string {
    return `127.0.0.1:${this.#link(from, to).port}`;
  }

  /** Where `to` really listens; until it is told connections to it are refused. */
  target(to: number, port: number): void {
    this.#targets.set(to, port);
    for (const from of this.others(to)) this.#link(from, to).targetPort = port;
  }

  /** Everything that `from` sends to `to`, over connections that either of them made. */
  steer(from: number, to: number, passage: Passage): void {
    this.#link(from, to).forward = passage;
    this.#link(to, from).backward = passage;
  }

  /** New connections from `from` to `to` are refused, or not any more. */
  refuse(from: number, to: number, refused: boolean): void {
    this.#link(from, to).refuses = refused;
  }

  /** Ends the connections that `from` made to `to`: both sides see it end in order, or be reset. */
  cut(from: number, to: number, how: 'end' | 'reset'): void {
    this.#link(from, to).cut(how);
  }

  /** The far side of the connections that `from` made is reset; `from` is told nothing and its bytes go nowhere. */
  halfOpen(from: number, to: number): void {
    this.#link(from, to).halfOpen();
  }

  /** Nothing passes between members of different groups, in either direction. Whoever is in no group is not touched. */
  partition(...groups: readonly (readonly number[])[]): void {
    for (const from of groups.flat())
      for (const to of groups.flat()) {
        if (from === to) continue;
        const together = groups.some((members) => members.includes(from) && members.includes(to));
        this.steer(from, to, together ? PASS : DROP);
      }
  }

  isolate(id: number): void {
    this.partition([id], this.others(id));
  }

  /** Everything passes again. Connections that lost bytes are reset. */
  heal(): void {
    for (const link of this.#links.values()) link.heal();
  }

  counts(from: number, to: number): Readonly<LinkCounts> {
    return this.#link(from, to).counts;
  }

  async close(): Promise<void> {
    await Promise.all([...this.#links.values()].map((link) => link.close()));
  }

  /** Everybody else. */
  others(id: number): number[] {
    return this.#ids.filter((other) => other !== id);
  }

  #link(from: number, to: number): Link {
    const link = this.#links.get(`${from} ${to}`);
    if (link === undefined) throw new RangeError(`no link from ${from} to ${to}`);
    return link;
  }
}

/** The proxy for the connections that one member makes to another. */
class Link {
  readonly #server: Server;
  readonly #random: () => number;
  readonly #pairs = new Set<Pair>();
  readonly counts: LinkCounts = { accepted: 0, refused: 0, passedBytes: 0, droppedBytes: 0 };
  targetPort = 0;
  refuses = false;
  #forward: Passage = PASS;
  #backward: Passage = PASS;

  private constructor(server: Server, random: () => number) {
    this.#server = server;
    this.#random = random;
    server.on('connection', (socket: Socket) => this.#accept(socket));
  }

  static async open(random: () => number): Promise<Link> {
    const server = createServer({ allowHalfOpen: true, noDelay: true });
    const link = new Link(server, random);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    return link;
  }

  get port(): number {
    const address = this.#server.address();
    if (address === null || typeof address === 'string') throw new Error('the proxy is closed');
    return address.port;
  }

  set forward(passage: Passage) {
    this.#forward = passage;
    for (const pair of this.#pairs) pair.forward.passage = passage;
  }

  set backward(passage: Passage) {
    this.#backward = passage;
    for (const pair of this.#pairs) pair.backward.passage = passage;
  }

  heal(): void {
    this.refuses = false;
    this.forward = PASS;
    this.backward = PASS;
    for (const pair of this.#pairs) if (pair.hasLost) pair.reset();
  }

  cut(how: 'end' | 'reset'): void {
    for (const pair of this.#pairs) {
      if (how === 'end') pair.end();
      else pair.reset();
    }
  }

  halfOpen(): void {
    for (const pair of this.#pairs) pair.halfOpen();
  }

  async close(): Promise<void> {
    this.cut('reset');
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }

  #accept(socket: Socket): void {
    if (this.refuses || this.targetPort === 0) {
      this.counts.refused += 1;
      // Whoever is refused may have gone; nothing is left to do for it then.
      socket.on('error', () => socket.destroy());
      reset(socket);
      return;
    }
    this.counts.accepted += 1;
    const pair = new Pair(socket, this.targetPort, this.counts, this.#random);
    pair.forward.passage = this.#forward;
    pair.backward.passage = this.#backward;
    this.#pairs.add(pair);
    pair.onClosed = () => this.#pairs.delete(pair);
  }
}

/** One connection through the proxy: the dialler's socket and ours to the target. */
class Pair {
  readonly #dialler: Socket;
  readonly #target: Socket;
  readonly forward: Direction;
  readonly backward: Direction;
  onClosed: () => void = () => {};
  #isHalfOpen = false;
  #openSockets = 2;

  constructor(dialler: Socket, targetPort: number, counts: LinkCounts, random: () => number) {
    this.#dialler = dialler;
    this.#target = new Socket({ allowHalfOpen: true });
    this.#target.setNoDelay(true);
    this.forward = new Direction(this.#dialler, this.#target, counts, random);
    this.backward = new Direction(this.#target, this.#dialler, counts, random);
    this.#target.setTimeout(CONNECT_TIMEOUT_MS, () => this.reset());
    this.#target.once('connect', () => this.#target.setTimeout(0));
    for (const [socket, other] of [
      [this.#dialler, this.#target],
      [this.#target, this.#dialler],
    ] as const) {
      // The 'close' that follows passes it on.
      socket.on('error', () => socket.destroy());
      socket.once('close', (hadError) => {
        this.#openSockets -= 1;
        if (this.#isHalfOpen && socket === this.#target) return;
        this.forward.stop();
        this.backward.stop();
        if (hadError) reset(other);
        else other.destroySoon();
        if (this.#openSockets === 0) this.onClosed();
      });
    }
    this.#target.connect(targetPort, '127.0.0.1');
  }

  /** A direction lost bytes: the connection cannot be used again. */
  get hasLost(): boolean {
    return this.#isHalfOpen || this.forward.hasLost || this.backward.hasLost;
  }

  end(): void {
    this.forward.stop();
    this.backward.stop();
    this.#dialler.destroySoon();
    this.#target.destroySoon();
  }

  reset(): void {
    this.#isHalfOpen = false;
    reset(this.#target);
    reset(this.#dialler);
    // Both may have been closed while half open.
    if (this.#openSockets === 0) this.onClosed();
  }

  halfOpen(): void {
    if (this.#target.destroyed) return;
    this.#isHalfOpen = true;
    this.forward.passage = DROP;
    this.forward.isStuck = true;
    reset(this.#target);
  }
}

/** The bytes from one socket to another. */
class Direction {
  readonly #from: Socket;
  readonly #to: Socket;
  readonly #counts: LinkCounts;
  readonly #random: () => number;
  readonly #held: { chunk: Buffer | null; dueMs: number }[] = [];
  #heldBytes = 0;
  #timer: NodeJS.Timeout | null = null;
  passage: Passage = PASS;
  hasLost = false;
  /** Stays a black hole whatever the passage. */
  isStuck = false;

  constructor(from: Socket, to: Socket, counts: LinkCounts, random: () => number) {
    this.#from = from;
    this.#to = to;
    this.#counts = counts;
    this.#random = random;
    from.on('data', (chunk: Buffer) => this.#take(chunk));
    from.once('end', () => this.#take(null));
    to.on('drain', () => this.#resume());
  }

  stop(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
    this.#timer = null;
    this.#held.length = 0;
    this.#heldBytes = 0;
  }

  /** Null is the end of the stream; in a black hole it is lost as well. */
  #take(chunk: Buffer | null): void {
    // After a loss nothing more may arrive: what follows would look like the continuation.
    if (this.isStuck || this.hasLost || this.passage.kind === 'drop') {
      this.hasLost = true;
      this.#counts.droppedBytes += chunk?.byteLength ?? 0;
      return;
    }
    if (this.passage.kind === 'pass' && this.#held.length === 0) {
      this.#deliver(chunk);
      return;
    }
    const { minMs, maxMs } = this.passage.kind === 'delay' ? this.passage : { minMs: 0, maxMs: 0 };
    const last = this.#held.at(-1)?.dueMs ?? 0;
    const dueMs = Math.max(last, performance.now() + minMs + this.#random() * (maxMs - minMs));
    this.#held.push({ chunk, dueMs });
    this.#heldBytes += chunk?.byteLength ?? 0;
    if (this.#heldBytes >= HELD_BYTES_MAX) this.#from.pause();
    this.#timer ??= setTimeout(() => this.#release(), dueMs - performance.now());
  }

  #release(): void {
    this.#timer = null;
    while (this.#held.length > 0) {
      const waitMs = this.#held[0]!.dueMs - performance.now();
      if (waitMs > 0) {
        this.#timer = setTimeout(() => this.#release(), waitMs);
        break;
      }
      const { chunk } = this.#held.shift()!;
      this.#heldBytes -= chunk?.byteLength ?? 0;
      // What was on its way when the hole opened falls into it.
      if (this.hasLost || this.passage.kind === 'drop') {
        this.hasLost = true;
        this.#counts.droppedBytes += chunk?.byteLength ?? 0;
      } else this.#deliver(chunk);
    }
    this.#resume();
  }

  #deliver(chunk: Buffer | null): void {
    if (this.#to.destroyed) return;
    if (chunk === null) {
      this.#to.end();
      return;
    }
    this.#counts.passedBytes += chunk.byteLength;
    if (!this.#to.write(chunk)) this.#from.pause();
  }

  #resume(): void {
    if (this.#heldBytes < HELD_BYTES_MAX && !this.#to.writableNeedDrain) this.#from.resume();
  }
}

/**
 * Node forgets to close a socket that is destroyed between its reset and the end of what it still had to write, so one
 * with something to write is closed the plain way, and none that is reset keeps the process from exiting.
 */
function reset(socket: Socket): void {
  if (socket.destroyed) return;
  socket.unref();
  if (socket.writableLength > 0 || socket.writableEnded) socket.destroy();
  else socket.resetAndDestroy();
}
