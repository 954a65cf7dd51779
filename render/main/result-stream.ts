// The images of a job as messages of the contract, as they come: several small ones in one message, a large one in several.
// Read by drivers at their own speed: what they have not taken yet stays in the result store.

import type { MessageInit } from '../../rpc/index.js';
import { Code, ErrCode, type RenderRsp, type Serial, type TaskStatus } from '../proto/render.js';
import { imageBytesAtMost, isRaw } from './job-spec.js';
import type { JobRecord } from './job-record.js';
import type { JobRunner } from './job-runner.js';
import type { ResultStore } from './result-store.js';

/** Of images in one message; a larger image comes in pieces of it. */
export const CHUNK_BYTES: number = 2 * 2 ** 20;
const CHUNK_IMAGES_MAX = 1024;
/** Why an image is missing, where all have to fit into one message. */
const WHOLE_ERROR_CHARS = 160;
const NO_BYTES = new Uint8Array(0);
const ZEROS = new Uint8Array(CHUNK_BYTES);

export interface ResultSources {
  readonly runner: JobRunner;
  readonly results: ResultStore;
}

interface Piece {
  readonly status: MessageInit<TaskStatus>;
  /** Null: zeros, `bytes` of them. */
  readonly pixels: Uint8Array | null;
  readonly bytes: number;
}

/** Ends after the message with `last`, or without one when `signal` aborts. */
export async function* resultMessages(
  sources: ResultSources,
  record: JobRecord,
  id: Serial | undefined,
  signal: AbortSignal,
): AsyncGenerator<MessageInit<RenderRsp>> {
  const writer = new ChunkWriter(record, id);
  yield writer.empty();
  const isDelivered = new Uint8Array(record.spec.images);
  let { settled } = record;
  let at = 0;
  for (;;) {
    while (at < settled.length && !signal.aborted) {
      const index = settled[at]!;
      at += 1;
      if (isDelivered[index] === 1) continue;
      isDelivered[index] = 1;
      const piece = pieceOf(sources, record, index);
      yield* writer.add(piece instanceof Promise ? await piece : piece);
      if (settled !== record.settled) break;
    }
    if (signal.aborted) return;
    if (settled !== record.settled) {
      // Its missing images were asked for again meanwhile: the list began anew.
      ({ settled } = record);
      at = 0;
      continue;
    }
    yield* writer.flush();
    if (signal.aborted) return;
    if (record.end !== null && at === record.settled.length && settled === record.settled) {
      yield writer.last(record.end.code, record.end.message);
      return;
    }
    if (sources.runner.isClosed || !sources.runner.has(record.id)) {
      yield writer.last(Code.UNAVAILABLE, 'the main node stops, or the job was deleted');
      return;
    }
    if (at === settled.length && settled === record.settled) await record.changed(signal);
  }
}

/** The whole result in one message; the caller saw to it that it fits. */
export async function wholeResult(
  sources: ResultSources,
  record: JobRecord,
  id: Serial | undefined,
  signal: AbortSignal,
): Promise<MessageInit<RenderRsp>> {
  while (record.end === null && !signal.aborted && !sources.runner.isClosed && sources.runner.has(record.id))
    await record.changed(signal);
  const writer = new ChunkWriter(record, id);
  if (record.end === null)
    return writer.last(Code.UNAVAILABLE, 'the main node stops, or the job was deleted');
  const { code, message } = record.end;
  for (let index = 0; index < record.spec.images; index += 1)
    writer.hold(await pieceOf(sources, record, index, WHOLE_ERROR_CHARS));
  return { ...writer.take(), status: { code, message }, last: true };
}

/** At once, where the pixels are in memory. */
function pieceOf(
  { results }: ResultSources,
  record: JobRecord,
  index: number,
  errorChars: number = Number.POSITIVE_INFINITY,
): Piece | Promise<Piece> {
  if (record.facts(index).code !== ErrCode.EC_OK) return pieceWith(record, index, null, errorChars);
  const pixels = results.inMemory(record.id, index);
  if (pixels !== null) return pieceWith(record, index, pixels, errorChars);
  return results.get(record.id, index).then((read) => pieceWith(record, index, read, errorChars));
}

function pieceWith(record: JobRecord, index: number, pixels: Uint8Array | null, errorChars: number): Piece {
  const facts = record.facts(index);
  const { attempts, renderMs, nodeSerial, times } = facts;
  let { code, error } = facts;
  if (pixels === null && code === ErrCode.EC_OK) {
    code = ErrCode.EC_NO_OUTPUT;
    error = 'its pixels are not kept any more';
  }
  const status = {
    index,
    code,
    attempts,
    renderMs,
    error: error.slice(0, errorChars),
    node: nodeSerial ?? undefined,
    times: times ?? undefined,
  };
  const hole = isRaw(record.spec) ? imageBytesAtMost(record.spec) : 0;
  return { status, pixels, bytes: pixels?.byteLength ?? hole };
}

class ChunkWriter {
  readonly #record: JobRecord;
  readonly #id: Serial | undefined;
  #chunk = 0;
  #held: Piece[] = [];
  #bytes = 0;

  constructor(record: JobRecord, id: Serial | undefined) {
    this.#record = record;
    this.#id = id;
  }

  /** Messages that are full because of this image. */
  *add(piece: Piece): Iterable<MessageInit<RenderRsp>> {
    const isAlone = !isRaw(this.#record.spec) || piece.bytes > CHUNK_BYTES;
    if (isAlone || this.#bytes + piece.bytes > CHUNK_BYTES || this.#held.length >= CHUNK_IMAGES_MAX)
      yield* this.flush();
    if (piece.bytes > CHUNK_BYTES) {
      yield* this.#pieces(piece);
      return;
    }
    this.hold(piece);
    if (isAlone) yield* this.flush();
  }

  hold(piece: Piece): void {
    this.#held.push(piece);
    this.#bytes += piece.bytes;
  }

  /** Tells which job it is, before anything of it is there. */
  empty(): MessageInit<RenderRsp> {
    return this.#message(NO_BYTES, []);
  }

  *flush(): Iterable<MessageInit<RenderRsp>> {
    if (this.#held.length > 0) yield this.take();
  }

  take(): MessageInit<RenderRsp> {
    const held = this.#held;
    const bytes = this.#bytes;
    this.#held = [];
    this.#bytes = 0;
    return this.#message(
      joined(held, bytes),
      held.map(({ status }) => status),
    );
  }

  last(code: Code, message: string): MessageInit<RenderRsp> {
    return { ...this.#message(NO_BYTES, []), status: { code, message }, last: true };
  }

  *#pieces({ pixels, bytes, status }: Piece): Iterable<MessageInit<RenderRsp>> {
    for (let from = 0; from < bytes; from += CHUNK_BYTES) {
      const to = Math.min(bytes, from + CHUNK_BYTES);
      const part = pixels?.subarray(from, to) ?? ZEROS.subarray(0, to - from);
      yield this.#message(part, to === bytes ? [status] : []);
    }
  }

  #message(imgs: Uint8Array, tasks: MessageInit<TaskStatus>[]): MessageInit<RenderRsp> {
    const { width, height, format, images } = this.#record.spec;
    const chunk = this.#chunk;
    this.#chunk += 1;
    return {
      ...(this.#id === undefined ? {} : { id: this.#id }),
      status: { code: Code.OK },
      taskCount: images,
      width,
      height,
      format,
      imgs,
      tasks,
      chunk,
      job: BigInt(this.#record.id),
    };
  }
}

function joined(held: readonly Piece[], bytes: number): Uint8Array {
  const [first] = held;
  if (held.length === 1 && first !== undefined && first.pixels !== null) return first.pixels;
  const whole = new Uint8Array(bytes); // zeros where there is no image
  let at = 0;
  for (const { pixels, bytes: each } of held) {
    if (pixels !== null) whole.set(pixels, at);
    at += each;
  }
  return whole;
}
