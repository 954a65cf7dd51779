// The built-in renderer, as the program that a worker node starts: joins its channel, says READY, answers requests.
// builtin-renderer.ts writes its command line, tracer.ts makes the pixels, faults.ts what it was told to do wrong.
// It traces in slices of time, so that between them it hears that a request is canceled, or that it shall end.

import { setImmediate as nextTurn, setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';

import {
  attachFromArguments,
  type Channel,
  JbusError,
  type Lease,
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
    await new Promise<void>((resolve, reject) => {
      this.#channel.listen((lease) => {
        try {
          this.#onMessage(lease, resolve)?.catch(reject);
        } catch (error) {
          reject(error); // the channel has ended
        }
      }, reject);
    });
  }

  #onMessage(lease: Lease, end: () => void): Promise<void> | undefined {
    const { type, msgId } = lease;
    const request = type === RENDERER_MESSAGE.request ? decoded(lease.data) : undefined; // keeps nothing of the lease
    lease.release();
    if (request === undefined) return undefined;
    if (request instanceof RenderError) return this.#refuse(msgId, NOBODY, request.message);
    if (request.op !== RENDERER_OPS.shutdown) return this.#take(msgId, request);
    end();
    return undefined;
  }

  /** Undefined when all of it is done. */
  #take(msgId: number, request: RendererRequest): Promise<void> | undefined {
    switch (request.op) {
      case RENDERER_OPS.render:
        if (this.#current !== undefined) return this.#refuse(msgId, request, 'one request at a time');
        return this.#render(msgId, request);
      case RENDERER_OPS.cancel:
        if (this.#current?.request.serial === request.serial) this.#current.isCanceled = true;
        return undefined;
      case RENDERER_OPS.ping:
      case RENDERER_OPS.move: // every request to render brings its position along
        return this.#reply(msgId, rendererReply(request));
      case RENDERER_OPS.shutdown:
        return undefined;
      default:
        return request.op satisfies never;
    }
  }

  #render(msgId: number, request: RendererRequest): Promise<void> | undefined {
    this.#faults.begin();
    const current = { request, isCanceled: false };
    this.#current = current;
    const { chatterLines, sleepMs, instant } = this.#options;
    for (let line = 1; line <= chatterLines; line += 1)
      process.stdout.write(`request ${request.requestId}, line ${line} of ${chatterLines}\n`);
    const began = performance.now();
    if (sleepMs === 0 && instant) return this.#finish(msgId, current, began, this.#flat(request));
    return this.#renderInTime(msgId, current, began);
  }

  async #renderInTime(msgId: number, current: Current, began: number): Promise<void> {
    const { sleepMs, instant } = this.#options;
    if (sleepMs > 0) await sleepWhile(sleepMs, () => !current.isCanceled);
    const body = instant ? this.#flat(current.request) : await this.#pixels(current);
    await this.#finish(msgId, current, began, body);
  }

  #finish(
    msgId: number,
    current: Current,
    began: number,
    body: Uint8Array | string,
  ): Promise<void> | undefined {
    const { request } = current;
    const renderUs = Math.round((performance.now() - began) * 1000);
    this.#current = undefined;
    if (current.isCanceled)
      return this.#reply(msgId, rendererReply(request, { err: ErrCode.EC_CANCELED, text: 'canceled' }));
    if (typeof body === 'string') return this.#refuse(msgId, request, body);
    const { taskCount, width, height, format } = request;
    return this.#reply(msgId, rendererReply(request, { taskCount, width, height, format, renderUs, body }));
  }

  /** Room for all images of the request; or why there can be none. */
  #room({ scene, taskCount, width, height, format }: RendererRequest): Buffer | string {
    if (scene !== '') return 'the built-in renderer has no scenes but its own';
    const each = imageBytes(width, height, format);
    return each === undefined ? `formats are ${FORMATS.join(', ')}` : Buffer.allocUnsafe(each * taskCount);
  }

  /** Images of the brightness of their first light, without rendering. */
  #flat(request: RendererRequest): Uint8Array | string {
    const body = this.#room(request);
    if (typeof body === 'string') return body;
    this.#faults.strike();
    return body.fill((request.lights[0] ?? 0) >>> 24);
  }

  /** Of all images of the request; or why there are none. Half-done when canceled. */
  async #pixels(current: Current): Promise<Uint8Array | string> {
    const { request } = current;
    const { taskCount, lightCount, lights } = request;
    const body = this.#room(request);
    if (typeof body === 'string') return body;
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

  #refuse(
    msgId: number,
    to: Pick<RendererRequest, 'requestId' | 'serial' | 'version'>,
    text: string,
  ): Promise<void> | undefined {
    return this.#reply(msgId, rendererReply(to, { err: ErrCode.EC_BAD_MESSAGE, text }));
  }

  /** At once where that can be; a promise for every image would cost more than the smallest ones. */
  #reply(msgId: number, reply: RendererReply): Promise<void> | undefined {
    const data = this.#faults.spoilt(reply) ?? encodeRendererReply(reply);
    const isPrinted = process.stdout.writableLength === 0;
    const isSmall = data.length <= SMALL_BYTES;
    if (isPrinted && isSmall && this.#channel.tryWrite(data, { type: RENDERER_MESSAGE.reply, msgId }))
      return undefined;
    return this.#replyInTime(msgId, data);
  }

  async #replyInTime(msgId: number, data: Uint8Array): Promise<void> {
    if (process.stdout.writableLength > 0) await printed(process.stdout);
    const options = { type: RENDERER_MESSAGE.reply, msgId, timeoutMs: REPLY_TIMEOUT_MS };
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
