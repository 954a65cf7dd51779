// Every request of the corpus is refused and ends its connection: over sockets, and cut at every byte.

import assert from 'node:assert/strict';
import { test, type TestContext } from 'node:test';
import { type Http1Handlers, HttpServer } from '../../reactor/index.js';
import { MemoryHttp, settle } from '../support/memory-http.js';
import { RawClient } from '../support/raw-client.js';
import { SMUGGLED_TARGET, SMUGGLING_CASES } from '../support/smuggling-cases.js';
import { forEachTransport } from '../support/transports.js';

const REFUSED = /^HTTP\/1\.1 [45]\d\d [^\r\n]+\r\n(?:[^\r\n]+\r\n)*Connection: close\r\n/;

/** Answers a request once it is whole, and notes its target. */
function noting(targets: string[]): Http1Handlers {
  return {
    async request(request, respond) {
      targets.push(request.target);
      respond(200, {}, await request.bytes());
    },
  };
}

interface Outcome {
  readonly answer: string;
  readonly hasEnded: boolean;
}

/** What a fresh connection answers to these pieces. */
async function exchange(http: MemoryHttp, pieces: readonly Buffer[]): Promise<Outcome> {
  const connection = http.connect();
  for (const piece of pieces) connection.feedBytes(piece);
  await settle();
  http.endTurn();
  const outcome = { answer: connection.sent().toString('latin1'), hasEnded: connection.hasSentFin };
  connection.destroy();
  return outcome;
}

function assertRefused({ answer, hasEnded }: Outcome, targets: readonly string[], what: string): void {
  assert.match(answer, REFUSED, what);
  assert.equal(answer.match(/^HTTP\/1\.1 \d/gm)?.length, 1, `one answer: ${what}`);
  assert(hasEnded, `the connection ends: ${what}`);
  assert(!targets.includes(SMUGGLED_TARGET), `the second request is not seen: ${what}`);
}

for (const { title, wire } of SMUGGLING_CASES) {
  const bytes = Buffer.from(wire, 'latin1');

  test(`${title}: is refused wherever it is cut`, async (t) => {
    const targets: string[] = [];
    const http = new MemoryHttp(t, noting(targets));
    for (let cut = 0; cut < bytes.length; cut += 1) {
      const pieces = [bytes.subarray(0, cut), bytes.subarray(cut)].filter(({ length }) => length > 0);
      assertRefused(await exchange(http, pieces), targets, `cut at ${cut}`);
    }
    const single = Array.from(bytes, (_, at) => bytes.subarray(at, at + 1));
    assertRefused(await exchange(http, single), targets, 'in single bytes');
  });
}

forEachTransport((transport) => {
  test(`over sockets all ${SMUGGLING_CASES.length} cases are refused and counted (${transport})`, async (t: TestContext) => {
    const targets: string[] = [];
    const server = new HttpServer({
      transport,
      threads: 0,
      host: '127.0.0.1',
      handlers: () => noting(targets),
    });
    t.after(() => server.close({ drainTimeoutMs: 0 }));
    const { port } = await server.listen();
    for (const { title, wire } of SMUGGLING_CASES) {
      const client = await RawClient.connect(t, port!);
      client.write(Buffer.from(wire, 'latin1'));
      const answer = (await client.receiveUntilEnd()).toString('latin1');
      assertRefused({ answer, hasEnded: true }, targets, title);
      client.end();
    }
    const { counters } = server.reactor;
    const counted = [
      'REACTOR_REQUEST_MALFORMED',
      'REACTOR_REQUEST_TOO_LARGE',
      'REACTOR_REQUEST_UNSUPPORTED',
    ] as const;
    const total = counted.reduce((sum, code) => sum + counters.errorTotal(code), 0);
    assert.equal(total, SMUGGLING_CASES.length);
  });
});
