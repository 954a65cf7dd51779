// What renderers printed while they had an image, for the images of late: the worker node answers FarmWorker/Log with it.
// The desk notes each try here. Bounded: the oldest requests go first, and of one image the end is kept. Pure.

/** One try at an image. */
export interface LoggedTry {
  readonly pid: number;
  /** What was printed. */
  readonly log: string;
  /** '' when it was rendered. */
  readonly error: string;
  readonly tookMs: number;
}

interface RequestLog {
  readonly tries: Map<number, LoggedTry[]>;
  chars: number;
}

const IMAGE_CHARS_MAX = 64 * 1024;
const TRIES_MAX = 16;

export class AttemptLogs {
  readonly #charsMax: number;
  readonly #imagesMax: number;
  /** The oldest first. */
  readonly #requests = new Map<bigint, RequestLog>();
  #chars = 0;
  #images = 0;

  constructor(charsMax: number, imagesMax: number) {
    this.#charsMax = charsMax;
    this.#imagesMax = imagesMax;
  }

  add(requestId: bigint, index: number, one: LoggedTry): void {
    let request = this.#requests.get(requestId);
    if (request === undefined) {
      request = { tries: new Map(), chars: 0 };
      this.#requests.set(requestId, request);
    }
    const tries = request.tries.get(index);
    if (tries === undefined) {
      request.tries.set(index, [one]);
      this.#images += 1;
    } else {
      if (tries.length === TRIES_MAX) this.#count(request, -charsOf(tries.shift()!));
      tries.push(one);
    }
    this.#count(request, charsOf(one));
    if (this.#chars > this.#charsMax || this.#images > this.#imagesMax) this.#shrink();
  }

  /** Null: not known, or not kept any more. */
  find(requestId: bigint, index: number): string | null {
    const tries = this.#requests.get(requestId)?.tries.get(index);
    return tries === undefined ? null : tries.map(textOf).join('').slice(-IMAGE_CHARS_MAX);
  }

  #shrink(): void {
    for (const [requestId, { tries, chars }] of this.#requests) {
      // The newest stays whatever it takes: it cannot take more than its renderers may print.
      if (this.#requests.size === 1) return;
      this.#requests.delete(requestId);
      this.#chars -= chars;
      this.#images -= tries.size;
      if (this.#chars <= this.#charsMax && this.#images <= this.#imagesMax) return;
    }
  }

  #count(request: RequestLog, chars: number): void {
    request.chars += chars;
    this.#chars += chars;
  }
}

function charsOf({ log, error }: LoggedTry): number {
  return log.length + error.length;
}

function textOf({ pid, log, error, tookMs }: LoggedTry): string {
  const end = log === '' || log.endsWith('\n') ? '' : '\n';
  return `${log}${end}[renderer ${pid}: ${error === '' ? 'rendered' : error}, ${Math.round(tookMs)} ms]\n`;
}
