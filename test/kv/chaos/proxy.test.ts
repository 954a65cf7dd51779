import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Server, Socket } from 'node:net';
import { test, type TestContext } from 'node:test';
import { seededRandom } from '../../support/seeded-random.js';
import { until } from '../../support/until.js';
import { ProxyNetwork } from './proxy.js';

/** Members 1 to 3; those to whom somebody connects keep what they were sent and by which connection. */
async function open(t: TestContext): Promise<{ network: ProxyNetwork; members: Map<number, Member> }> {
  const network = await ProxyNetwork.open([1, 2, 3], seededRandom(1));
  t.after(() => network.close());
  const members = new Map<number, Member>();
  for (const id of [1, 2, 3]) {
    const member = await Member.listen(t);
    members.set(id, member);
    network.target(id, member.port);
  }
  return { network, members };
}

class Member {
  readonly #server: Server;
  readonly connections: Peer[] = [];

  private constructor(server: Server) {
    this.#server = server;
    server.on('connection', (socket: Socket) => this.connections.push(new Peer(socket)));
  }

  static async listen(t: TestContext): Promise<Member> {
    const server = createServer({ allowHalfOpen: true });
    const member = new Member(server);
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => {
      for (const { socket } of member.connections) socket.destroy();
      server.close();
    });
    return member;
  }

  get port(): number {
    const address = this.#server.address();
    assert(address !== null && typeof address === 'object');
    return address.port;
  }
}

/** One end of a connection and what it saw. */
class Peer {
  readonly socket: Socket;
  received = '';
  end: 'none' | 'end' | 'reset' = 'none';

  constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => (this.received += text));
    socket.on('end', () => {
      this.end = 'end';
      socket.end();
    });
    socket.on('error', () => (this.end = 'reset'));
  }
}

function dial(t: TestContext, network: ProxyNetwork, from: number, to: number): Peer {
  const [host, port] = network.address(from, to).split(':');
  const peer = new Peer(new Socket({ allowHalfOpen: true }));
  peer.socket.connect(Number(port), host!);
  t.after(() => peer.socket.destroy());
  return peer;
}

/** A connection that has passed bytes in both directions. */
async function connected(
  t: TestContext,
  { network, members }: Awaited<ReturnType<typeof open>>,
  from: number,
  to: number,
): Promise<{ near: Peer; far: Peer }> {
  const accepted = members.get(to)!.connections;
  const before = accepted.length;
  const near = dial(t, network, from, to);
  near.socket.write('hello ');
  await until(() => accepted.length > before && accepted[before]!.received === 'hello ');
  const far = accepted[before]!;
  far.socket.write('welcome ');
  await until(() => near.received === 'welcome ');
  return { near, far };
}

test('bytes pass in both directions, and so does the end of a stream', async (t) => {
  const all = await open(t);
  const { near, far } = await connected(t, all, 1, 2);
  near.socket.end('bye');
  await until(() => far.end === 'end' && near.end === 'end');
  assert.equal(far.received, 'hello bye');
});

test('many bytes pass unchanged while the receiver reads slowly', async (t) => {
  const all = await open(t);
  const { near, far } = await connected(t, all, 1, 2);
  const text = Array.from({ length: 400_000 }, (_, at) => String(at)).join(' ');
  far.socket.pause();
  near.socket.write(text);
  const held = (): number => all.network.counts(1, 2).passedBytes;
  await until(() => held() > 100_000);
  far.socket.resume();
  await until(() => far.received.length === text.length + 6);
  assert.equal(far.received, `hello ${text}`);
});

test('a black hole works in one direction; healing resets the connection that lost bytes and spares the others', async (t) => {
  const all = await open(t);
  const { near, far } = await connected(t, all, 1, 2);
  const other = await connected(t, all, 1, 3);
  all.network.steer(1, 2, { kind: 'drop' });
  near.socket.write('lost');
  far.socket.write('kept');
  await until(() => near.received === 'welcome kept' && all.network.counts(1, 2).droppedBytes === 4);
  // The black hole is about what 1 sends to 2, so answers of 1 on connections that 2 made are lost too.
  const accepted = all.members.get(1)!.connections;
  const back = dial(t, all.network, 2, 1);
  back.socket.write('ask');
  await until(() => accepted.at(-1)?.received === 'ask');
  accepted.at(-1)!.socket.write('answer');
  await until(() => all.network.counts(2, 1).droppedBytes === 6);
  assert.deepEqual([far.received, back.received], ['hello ', '']);
  all.network.heal();
  await until(() => near.end === 'reset' && far.end === 'reset' && back.end === 'reset');
  other.near.socket.write('still');
  await until(() => other.far.received === 'hello still');
  await connected(t, all, 1, 2);
});

test('a connection made into a black hole looks open and is reset on healing', async (t) => {
  const all = await open(t);
  all.network.isolate(2);
  const near = dial(t, all.network, 1, 2);
  near.socket.write('lost');
  await until(() => all.network.counts(1, 2).droppedBytes === 4);
  assert.equal(near.end, 'none');
  all.network.heal();
  await until(() => near.end === 'reset');
  await connected(t, all, 1, 2);
});

test('a partition separates its groups and nobody else', async (t) => {
  const all = await open(t);
  const [toTwo, toThree] = [await connected(t, all, 1, 2), await connected(t, all, 1, 3)];
  all.network.partition([1, 2], [3]);
  toTwo.near.socket.write('a');
  toThree.near.socket.write('b');
  toThree.far.socket.write('c');
  await until(() => toTwo.far.received === 'hello a' && all.network.counts(1, 3).droppedBytes === 2);
  assert.deepEqual([toThree.far.received, toThree.near.received], ['hello ', 'welcome ']);
});

test('delayed bytes arrive in order and not before their time', async (t) => {
  const all = await open(t);
  const { near, far } = await connected(t, all, 1, 2);
  all.network.steer(1, 2, { kind: 'delay', minMs: 30, maxMs: 60 });
  const startMs = performance.now();
  for (const piece of ['a', 'b', 'c', 'd']) {
    near.socket.write(piece);
    await new Promise((resolve) => setImmediate(resolve));
  }
  near.socket.end();
  await until(() => far.end === 'end');
  assert(performance.now() - startMs >= 29);
  assert.equal(far.received, 'hello abcd');
});

test('a cut connection ends for both sides, a reset one is reset for both', async (t) => {
  const all = await open(t);
  const first = await connected(t, all, 1, 2);
  all.network.cut(1, 2, 'end');
  await until(() => first.near.end === 'end' && first.far.end === 'end');
  const second = await connected(t, all, 1, 2);
  all.network.cut(1, 2, 'reset');
  await until(() => second.near.end === 'reset' && second.far.end === 'reset');
});

test('refused connections are reset at once until they are allowed again', async (t) => {
  const all = await open(t);
  all.network.refuse(1, 2, true);
  const near = dial(t, all.network, 1, 2);
  await until(() => near.end === 'reset');
  assert.equal(all.network.counts(1, 2).refused, 1);
  all.network.refuse(1, 2, false);
  await connected(t, all, 1, 2);
});

test('a half-open connection is reset for the far side while the dialler notices nothing until healing', async (t) => {
  const all = await open(t);
  const { near, far } = await connected(t, all, 1, 2);
  all.network.halfOpen(1, 2);
  await until(() => far.end === 'reset');
  near.socket.write('nobody hears');
  await until(() => all.network.counts(1, 2).droppedBytes === 12);
  assert.equal(near.end, 'none');
  all.network.heal();
  await until(() => near.end === 'reset');
});

test('a target that is down refuses the dialler, and reaches it again once it is back under another port', async (t) => {
  const all = await open(t);
  const closed = createServer();
  closed.listen(0, '127.0.0.1');
  await once(closed, 'listening');
  const address = closed.address();
  assert(address !== null && typeof address === 'object');
  closed.close();
  await once(closed, 'close');
  all.network.target(2, address.port);
  const near = dial(t, all.network, 1, 2);
  await until(() => near.end === 'reset');
  all.network.target(2, all.members.get(2)!.port);
  await connected(t, all, 1, 2);
});

test('a member may come later, reach those who were there, and go again', async (t) => {
  const all = await open(t);
  await all.network.add(4);
  all.members.set(4, await Member.listen(t));
  all.network.target(4, all.members.get(4)!.port);
  const { near } = await connected(t, all, 3, 4);
  await connected(t, all, 4, 1);
  await all.network.remove(4);
  await until(() => near.end === 'reset');
  assert.throws(() => all.network.address(3, 4), RangeError);
  await connected(t, all, 1, 3);
});
