// What the choice in docs/adr/0006 rests on: CPU per request of the two parsers on the same bytes, inside a worker,
// and how many requests of the smuggling corpus each refuses by itself. Run it as `node dist/bench/http-parsers.js`.

import { once } from 'node:events';
import { createRequire } from 'node:module';
import { runInNewContext } from 'node:vm';
import { isMainThread, Worker } from 'node:worker_threads';
import { RequestHead } from '../reactor/http1/request-head.js';
import { RequestParser } from '../reactor/http1/request-parser.js';
import { SMUGGLED_TARGET, SMUGGLING_CASES } from '../test/support/smuggling-cases.js';
import { summarize } from './statistics.js';
import { formatTable } from '../cli/text-table.js';

/** Parses whole requests and forgets them. */
interface Subject {
  readonly name: string;
  /** @throws Error when the parser refuses. */
  parse(wire: Buffer): void;
  /** Targets of the requests that were parsed whole. */
  readonly targets: string[];
}

/** What we use of http-parser-js. */
interface JsParser {
  execute(chunk: Buffer): number | Error;
  [hook: number]: (...values: never[]) => void;
}
interface JsParserClass {
  new (type: unknown): JsParser;
  readonly REQUEST: unknown;
  readonly kOnHeadersComplete: number;
  readonly kOnBody: number;
  readonly kOnMessageComplete: number;
}

const ROUNDS = 9;
const ROUND_MS = 60;
/** A parser that took this long for a hundred bytes will never end. */
const HANG_MS = 300;
const HOST = 'Host: 127.0.0.1:8080\r\n';
const HELLO = `GET / HTTP/1.1\r\n${HOST}\r\n`;
const BROWSER = [
  `GET /index.html?a=b HTTP/1.1\r\n${HOST}Connection: keep-alive\r\nCache-Control: max-age=0`,
  'User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0',
  'Accept: text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8',
  'Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate, br\r\nUpgrade-Insecure-Requests: 1',
  'Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: none\r\nCookie: a=b; c=d\r\n\r\n',
].join('\r\n');
const LOADS: readonly (readonly [name: string, wire: string, requests: number])[] = [
  ['hello as wrk sends it', HELLO, 1],
  ['a browser’s GET', BROWSER, 1],
  ['POST of 1 KiB', `POST /echo HTTP/1.1\r\n${HOST}Content-Length: 1024\r\n\r\n${'x'.repeat(1024)}`, 1],
  [
    'POST of 4 chunks of 256 bytes',
    `POST /echo HTTP/1.1\r\n${HOST}Transfer-Encoding: chunked\r\n\r\n${`100\r\n${'x'.repeat(256)}\r\n`.repeat(4)}0\r\n\r\n`,
    1,
  ],
  ['16 pipelined hellos', HELLO.repeat(16), 16],
];

/** llhttp as the reactor uses it, its head rules apart. */
function llhttp(): Subject {
  const parser = new RequestParser();
  const targets: string[] = [];
  return {
    name: 'llhttp (undici, WebAssembly)',
    targets,
    parse(wire) {
      for (let offset = 0; offset < wire.length; offset = parser.position) {
        const stop = parser.parse(wire, offset, wire.length);
        if (stop === 'error') throw new Error(parser.errorText);
        if (stop === 'input') continue;
        if (stop === 'head' && hasBody(new RequestHead(parser))) {
          parser.readBody();
          continue;
        }
        targets.push(parser.head.slice(parser.targetStart, parser.targetEnd));
        parser.nextRequest();
      }
    },
  };
}

function hasBody(head: RequestHead): boolean {
  return head.has('content-length') || head.has('transfer-encoding');
}

function httpParserJs(): Subject {
  const { HTTPParser } = createRequire(import.meta.url)('http-parser-js') as { HTTPParser: JsParserClass };
  const parser = new HTTPParser(HTTPParser.REQUEST);
  const targets: string[] = [];
  let target = '';
  parser[HTTPParser.kOnHeadersComplete] = (...[info]: { readonly url: string }[]) => {
    target = info!.url;
  };
  parser[HTTPParser.kOnBody] = () => {};
  parser[HTTPParser.kOnMessageComplete] = () => targets.push(target);
  return {
    name: 'http-parser-js',
    targets,
    parse(wire) {
      const result = parser.execute(wire);
      if (result instanceof Error) throw result;
    },
  };
}

/** Median microseconds per request. */
function micros(create: () => Subject, text: string, requests: number): number {
  const subject = create();
  const wire = Buffer.from(text);
  const round = (): number => {
    const endMs = performance.now() + ROUND_MS;
    const cpuBefore = process.cpuUsage();
    let count = 0;
    while (performance.now() < endMs) {
      for (let index = 0; index < 100; index += 1) subject.parse(wire);
      count += 100 * requests;
      if (subject.targets.length !== count) throw new Error(`${subject.name} lost requests`);
    }
    subject.targets.length = 0;
    const { user, system } = process.cpuUsage(cpuBefore);
    return (user + system) / count;
  };
  round();
  return summarize(Array.from({ length: ROUNDS }, round)).median;
}

interface Verdicts {
  /** Refused, and no request was seen. */
  refused: number;
  /** The request behind the malformed one was seen. */
  smuggled: number;
  /** The parser did not come back. */
  hung: number;
}

function judge(create: () => Subject): Verdicts {
  const verdicts = { refused: 0, smuggled: 0, hung: 0 };
  for (const { wire } of SMUGGLING_CASES) {
    const subject = create();
    try {
      const run = (): void => subject.parse(Buffer.from(wire, 'latin1'));
      runInNewContext('run()', { run }, { timeout: HANG_MS });
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_SCRIPT_EXECUTION_TIMEOUT') verdicts.hung += 1;
      else if (subject.targets.length === 0) verdicts.refused += 1;
    }
    if (subject.targets.includes(SMUGGLED_TARGET)) verdicts.smuggled += 1;
  }
  return verdicts;
}

function main(): void {
  const subjects = [llhttp, httpParserJs];
  const rows = [['µs of CPU per request', ...subjects.map((create) => create().name)]];
  for (const [name, wire, requests] of LOADS) {
    rows.push([name, ...subjects.map((create) => micros(create, wire, requests).toFixed(2))]);
  }
  const found = subjects.map(judge);
  rows.push([
    `refused by itself, of ${SMUGGLING_CASES.length}`,
    ...found.map(({ refused }) => String(refused)),
  ]);
  rows.push(['a second request seen', ...found.map(({ smuggled }) => String(smuggled))]);
  rows.push(['never came back', ...found.map(({ hung }) => String(hung))]);
  process.stdout.write(`${formatTable(rows, 1)}\n`);
}

if (isMainThread) await once(new Worker(new URL(import.meta.url)), 'exit');
else main();
