// Fuzz rounds of the RPC sessions in memory: a spoilt conversation is fed to a server or to a client of ours.
// Whatever comes, no exception leaves a session, every call ends once, and in the end nothing is held: no call, no timer,
// no unfinished message, and all credit is given back. Then another client is served as if nothing had been.

import assert from 'node:assert/strict';
import { setImmediate as nextTurn } from 'node:timers/promises';

import type { MethodContract } from '../../rpc/contract.js';
import { RpcError } from '../../rpc/index.js';
import type { ClientCall } from '../../rpc/session/client-call.js';
import type { SessionState } from '../../rpc/session/session.js';
import { FRAME } from '../../rpc/wire/frame-types.js';
import { readStatus } from '../../rpc/wire/call-frames.js';
import { readWindow } from '../../rpc/wire/control-frames.js';
import { ECHO, echoService, type SayRequest } from '../rpc/support/echo.js';
import { memoryClient, type MemoryLink, MemoryServer } from '../rpc/support/memory-rpc.js';
import * as wire from '../rpc/support/wire-frames.js';
import type { WireFrame } from '../rpc/support/wire-frames.js';
import type { SeededRandom } from '../support/seeded-random.js';
import { clientFrames, serverFrames } from './rpc-mutations.js';

const WINDOW_BYTES = 300_000;
const OPTIONS = { connectionWindowBytes: WINDOW_BYTES, streamsMax: 50 };
/** Turns of the loop after which every handler below has answered. */
const TURNS = 12;

/** One round, of a server or of a client. */
export async function fuzzRpc(random: SeededRandom): Promise<void> {
  if (random.chance(0.65)) await fuzzServer(random);
  else await fuzzClient(random);
}

/** Answers as demo.Echo does, but without timers, and sometimes badly. */
export function fuzzedService(random: SeededRandom): ReturnType<typeof echoService> {
  return echoService({
    say: ({ text = '' }: SayRequest) => ({ text }),
    count: () => {
      if (random.chance(0.3)) throw new RpcError('RPC_ABORTED', 'as it happens');
      return Promise.resolve({ text: 'x'.repeat(random.pick([0, 100, 30_000, 500_000])) });
    },
    upload: async (requests: AsyncIterable<SayRequest>) => {
      let count = 0n;
      const readsMax = random.pick([0, 1, 1000]);
      for await (const _ of requests) {
        count += 1n;
        if (count >= readsMax) break;
      }
      return { count };
    },
  });
}

async function fuzzServer(random: SeededRandom): Promise<void> {
  const server = new MemoryServer([fuzzedService(random)], OPTIONS);
  try {
    const { link, session } = server.connect();
    let dataBytes = 0;
    let creditBytes = 0;
    const statuses = new Map<number, number>();
    const look = (): void => {
      for (const frame of link.take()) {
        const streamId = frame.body.readUInt32LE(4);
        if (frame.msgId === FRAME.WINDOW && streamId === 0) creditBytes += readWindow(frame.body);
        if (frame.msgId !== FRAME.STATUS) continue;
        statuses.set(streamId, (statuses.get(streamId) ?? 0) + 1);
        readStatus(frame.body, 8192); // what we send can be read
      }
    };
    for (const { msgId, body } of clientFrames(random)) {
      const isData = msgId === FRAME.DATA && isOpen(session);
      session.receive(msgId, Buffer.from(body));
      if (isData && isOpen(session)) dataBytes += body.length;
      if (random.chance(0.1)) link.isFull = !link.isFull;
      if (!link.isFull && random.chance(0.3)) session.drained();
      if (random.chance(0.2)) await nextTurn();
    }
    link.isFull = false;
    session.drained();
    await turns();
    if (isOpen(session)) {
      for (const id of session.streams.keys()) feed(session, wire.cancel(id, 1, 'the end'));
      await turns();
      look();
      assert.equal(session.streams.size, 0, 'no call is left');
      if (isOpen(session)) {
        assert.equal(session.heldBytes, 0, 'all credit is given back');
        const owed = dataBytes - creditBytes;
        assert(owed >= 0 && owed * 2 < WINDOW_BYTES, `credit of ${owed} bytes was not sent back`);
      }
    }
    look();
    for (const [streamId, count] of statuses) assert.equal(count, 1, `stream ${streamId} has one status`);
    session.lost(new RpcError('RPC_CONNECTION_LOST', 'gone'));
    await turns();
    assert.equal(session.gathering.bytes, 0, 'no unfinished message is held');
    await serves(server);
    const { connections, callsInFlight } = server.server.figures();
    assert.deepEqual({ connections, callsInFlight }, { connections: 0, callsInFlight: 0 });
    assert.equal(server.memory.loop.timers.size, 0, 'no timer is left');
  } finally {
    server.close();
  }
}

/** Another client of the same server. */
async function serves(server: MemoryServer): Promise<void> {
  const { link, session } = server.connect();
  feed(session, wire.hello());
  feed(session, wire.request(1, '/demo.Echo/Say', Buffer.from([0x0a, 2, 0x68, 0x69]), 16));
  await nextTurn();
  const status = link.take().find(({ msgId }) => msgId === FRAME.STATUS);
  assert(status !== undefined && readStatus(status.body, 8192).error === null, 'the next client is served');
  session.lost(new RpcError('RPC_CONNECTION_LOST', 'gone'));
}

async function fuzzClient(random: SeededRandom): Promise<void> {
  const server = new MemoryServer([]); // for its loop
  try {
    const { link, session } = memoryClient(server.memory, OPTIONS);
    let greeting = 'waits';
    const ready = session.greet().then(
      () => (greeting = 'done'),
      (error: unknown) => {
        assert(error instanceof RpcError, 'a greeting fails with a code');
        greeting = 'failed';
      },
    );
    const calls = random.integer(0, 8);
    const ends: number[] = [];
    const [hello, ...frames] = serverFrames(random, calls);
    let dataBytes = 0;
    const receive = (frame: WireFrame): void => {
      const isData = frame.msgId === FRAME.DATA && isOpen(session);
      session.receive(frame.msgId, Buffer.from(frame.body));
      if (isData && isOpen(session)) dataBytes += frame.body.length;
    };
    if (hello !== undefined) receive(hello);
    await nextTurn();
    for (let index = 0; index < calls && session.isUsable; index += 1) open(random, session, ends);
    for (const frame of frames) {
      receive(frame);
      if (random.chance(0.1)) link.isFull = !link.isFull;
      if (!link.isFull && random.chance(0.3)) session.drained();
      if (random.chance(0.2)) await nextTurn();
    }
    for (const call of session.streams.values()) {
      if (random.chance(0.5)) call.cancel(new RpcError('RPC_CANCELLED', 'enough'));
    }
    if (isOpen(session) && session.streams.size === 0) {
      assert.equal(session.heldBytes, 0, 'all credit is given back');
      const owed = dataBytes - creditOf(link);
      assert(owed >= 0 && owed * 2 < WINDOW_BYTES, `credit of ${owed} bytes was not sent back`);
    }
    session.lost(new RpcError('RPC_CONNECTION_LOST', 'gone'));
    await ready;
    assert.notEqual(greeting, 'waits');
    assert.equal(session.streams.size, 0, 'no call is left');
    assert(
      ends.every((count) => count === 1),
      `every call ended once: ${ends.join(' ')}`,
    );
    assert.equal(session.gathering.bytes, 0, 'no unfinished message is held');
    assert.equal(server.memory.loop.timers.size, 0, 'no timer is left');
  } finally {
    server.close();
  }
}

function open(
  random: SeededRandom,
  session: ReturnType<typeof memoryClient>['session'],
  ends: number[],
): void {
  const method = random.pick([ECHO.say, ECHO.list, ECHO.upload, ECHO.chat]) as MethodContract<SayRequest>;
  const index = ends.push(0) - 1;
  const reads = random.chance(0.7);
  let call: ClientCall<SayRequest, unknown> | null = null;
  let unread = 0;
  const head = {
    path: method.path,
    timeoutMs: random.pick([0, 60_000]),
    previousAttempts: 0,
    callFlags: 0,
    metadata: null,
  };
  const payload = Buffer.alloc(random.pick([0, 100, 20_000, 200_000]));
  try {
    call = session.open(
      method,
      head,
      { payload },
      {
        get hasUnread() {
          return unread > 0;
        },
        headersReceived: () => {},
        messageReceived: (_, cost) => {
          if (reads) call?.messageTaken(cost);
          else unread += 1;
        },
        callEnded: (error) => {
          assert(error === null || error instanceof RpcError);
          ends[index]! += 1;
        },
      },
    );
    if (method.kind === 'client-stream' || method.kind === 'bidi-stream') call.sendRequest({ payload });
  } catch (error) {
    assert(error instanceof RpcError, 'a call is refused with a code');
    if (call === null) ends[index] = 1;
  }
}

function creditOf(link: MemoryLink): number {
  return link.sent
    .filter(({ msgId, body }) => msgId === FRAME.WINDOW && body.readUInt32LE(4) === 0)
    .reduce((sum, { body }) => sum + readWindow(body), 0);
}

function feed(session: { receive(msgId: number, body: Buffer): void }, { msgId, body }: WireFrame): void {
  session.receive(msgId, body);
}

function isOpen({ state }: { readonly state: SessionState }): boolean {
  return state === 'open' || state === 'draining';
}

async function turns(): Promise<void> {
  for (let turn = 0; turn < TURNS; turn += 1) await nextTurn();
}
