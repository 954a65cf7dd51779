// The built-in renderer, as the program that a worker node starts: joins its channel, says READY, answers requests.
// builtin-renderer.ts writes its command line, tracer.ts makes the pixels, faults.ts what it was told to do wrong.
// It traces in slices of time, so that between them it hears that a request is canceled, or that it shall end.

import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import {
  attachFromArguments,
  type Channel,
  JbusError,
  parsePeerArguments,
} from '../../../addon/jbus/index.js';
import { RenderError } from '../../errors.js';
import { ErrCode } from '../../proto/render.js';
import {
  decodeRendererRequest,
  encodeRendererReply,
  imageBytes,
  RENDERER_MESSAGE,
  RENDERER_MESSAGE_BYTES_MAX,
  RENDERER_OPS,
  rendererReply,
  type RendererReply,
  type RendererRequest,
} from '../message.js';
import { encodeFacts } from '../renderer.js';
import { Faults } from './faults.js';
import { traceRows } from './tracer.js';

interface BuiltinOptions {
  readonly instant: boolean;
  readonly sleepMs: number;
  readonly chatterLines: number;
}

interface Current {
  readonly request: RendererRequest;
  isCanceled: boolean;
}

const FORMATS = ['GRAY8', 'RGB8', 'RGBA8', 'RGBA32F'] as const;
const SLICE_MS = 20;
const REPLY_TIMEOUT_MS = 30_000;
/** Such a reply fits any ring whole. */
const SMALL_BYTES = 1024;
const UNTIL_IT_ENDS = { timeoutMs: Infinity };
const VERSION = '1';
const NOBODY = { requestId: 0n, serial: 0, version: 0 };

class BuiltinRenderer {
  readonly #channel: Channel;
  readonly #options: BuiltinOptions;
  readonly #faults: Faults;
  /** The request that is being rendered; there is one at a time. */
  #current: Current | undefined;

  constructor(channel: Channel, options: BuiltinOptions, faults: Faults) {
    this.#channel = channel;
    this.#options = options;
    this.#faults = faults;
  }

  /** Until it is told to end, or the channel ends. */
  async serve(): Promise<void> {
    this.#faults.strike();
    const facts = { renderer: 'builtin', version: VERSION, threads: 1, formats: FORMATS };
    await this.#channel.writeAsync(encodeFacts(facts), { type: RENDERER_MESSAGE.ready });
    for (;;) {
      const lease = this.#channel.tryLease() ?? (await this.#channel.leaseAsync(UNTIL_IT_ENDS));
      const { type, msgId } = lease;
      const request = type === RENDERER_MESSAGE.request ? decoded(lease.data) : undefined; // keeps nothing of the lease
      lease.release();
      if (request === undefined) continue;
      if (request instanceof RenderError) await this.#refuse(msgId, NOBODY, request.message);
      else if (request.op === RENDERER_OPS.shutdown) return;
      else await this.#take(msgId, request);
    }
  }

  async #take(msgId: number, request: RendererRequest): Promise<void> {
    switch (request.op) {
      case RENDERER_OPS.render:
        if (this.#current !== undefined) return await this.#refuse(msgId, request, 'one request at a time');
        return void this.#render(msgId, request).catch(endWith);
      case RENDERER_OPS.cancel:
        if (this.#current?.request.serial === request.serial) this.#current.isCanceled = true;
        return;
      case RENDERER_OPS.ping:
      case RENDERER_OPS.move: // every request to render brings its position along
        return await this.#reply(msgId, rendererReply(request));
      case RENDERER_OPS.shutdown:
        return;
      default:
        return request.op satisfies never;
    }
  }

  async #render(msgId: number, request: RendererRequest): Promise<void> {
    this.#faults.begin();
    const current = { request, isCanceled: false };
    this.#current = current;
    const { chatterLines, sleepMs } = this.#options;
    for (let line = 1; line <= chatterLines; line += 1)
      process.stdout.write(`request ${request.requestId}, line ${line} of ${chatterLines}\n`);
    const began = process.hrtime.bigint();
    if (sleepMs > 0) await sleepWhile(sleepMs, () => !current.isCanceled);
    const body =
      request.scene === '' ? await this.#pixels(current) : 'the built-in renderer has no scenes but its own';
    const renderUs = Number((process.hrtime.bigint() - began) / 1000n);
    this.#current = undefined;
    if (current.isCanceled) {
      return await this.#reply(msgId, rendererReply(request, { err: ErrCode.EC_CANCELED, text: 'canceled' }));
    }
    if (typeof body === 'string') return await this.#refuse(msgId, request, body);
    const { taskCount, width, height, format } = request;
    await this.#reply(msgId, rendererReply(request, { taskCount, width, height, format, renderUs, body }));
  }

  /** Of all images of the request; or why there are none. Half-done when canceled. */
  async #pixels(current: Current): Promise<Uint8Array | string> {
    const { request } = current;
    const { taskCount, lightCount, width, height, format, lights } = request;
    const each = imageBytes(width, height, format);
    if (each === undefined) return `formats are ${FORMATS.join(', ')}`;
    const body = Buffer.allocUnsafe(each * taskCount);
    if (this.#options.instant) {
      this.#faults.strike();
      return body.fill((lights[0] ?? 0) >>> 24);
    }
    let offset = 0;
    let sliceEndMs = performance.now() + SLICE_MS;
    for (let task = 0; task < taskCount; task += 1) {
      const own = lights.slice(task * lightCount, (task + 1) * lightCount);
      for (const row of traceRows({ ...request, lights: own, frame: request.frames[task] ?? 0 })) {
        body.set(row, offset);
        offset += row.length;
        if (offset >= body.length / 2) this.#faults.strike();
        if (performance.now() < sliceEndMs) continue;
        await nextTurn();
        if (current.isCanceled) return body;
        sliceEndMs = performance.now() + SLICE_MS;
      }
    }
    return body;
  }

  async #refuse(
    msgId: number,
    to: Pick<RendererRequest, 'requestId' | 'serial' | 'version'>,
    text: string,
  ): Promise<void> {
    await this.#reply(msgId, rendererReply(to, { err: ErrCode.EC_BAD_MESSAGE, text }));
  }

  async #reply(msgId: number, reply: RendererReply): Promise<void> {
    const data = this.#faults.spoilt(reply) ?? encodeRendererReply(reply);
    const options = { type: RENDERER_MESSAGE.reply, msgId, timeoutMs: REPLY_TIMEOUT_MS };
    if (process.stdout.writableLength > 0) await printed(process.stdout);
    if (data.length <= SMALL_BYTES && this.#channel.tryWrite(data, options)) return;
    await this.#channel.writeAsync(data, options);
  }
}

/** What was printed has left this process: of many short lines the socket that is our output takes only some at once. */
async function printed(output: NodeJS.WriteStream): Promise<void> {
  await new Promise((resolve) => output.write('', resolve)); // also when it failed: nobody reads it then
}

async function sleepWhile(ms: number, goOn: () => boolean): Promise<void> {
  const endMs = performance.now() + ms;
  for (let leftMs = ms; leftMs > 0 && goOn(); leftMs = endMs - performance.now())
    await sleep(Math.min(SLICE_MS, leftMs));
}

function decoded(data: Uint8Array): RendererRequest | RenderError {
  try {
    return decodeRendererRequest(data);
  } catch (error) {
    return error as RenderError; // the decoder throws nothing else
  }
}

/** That the worker node closed the channel or is gone is the end, and not a failure. */
function endWith(error: unknown): void {
  if (error instanceof JbusError && (error.code === 'JBUS_PEER_DEAD' || error.code === 'JBUS_CLOSED')) return;
  console.error(error);
  process.exitCode = 1;
}

const { rest } = parsePeerArguments(process.argv.slice(2));
const { values } = parseArgs({
  args: rest,
  options: {
    instant: { type: 'boolean', default: false },
    'sleep-ms': { type: 'string', default: '0' },
    'chatter-lines': { type: 'string', default: '0' },
    fault: { type: 'string', multiple: true, default: [] },
  },
});
const options = {
  instant: values.instant,
  sleepMs: Number(values['sleep-ms']),
  chatterLines: Number(values['chatter-lines']),
};
process.on('SIGINT', () => {}); // a ^C on the terminal is the worker node's to handle
const channel = await attachFromArguments({ messageBytesMax: RENDERER_MESSAGE_BYTES_MAX });
try {
  await new BuiltinRenderer(channel, options, new Faults(values.fault)).serve();
} catch (error) {
  endWith(error);
} finally {
  channel.close();
  process.exit(); // what is still being rendered has nobody to be rendered for
}
