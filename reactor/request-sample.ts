// A uniform sample of recent requests in fixed memory: reservoir sampling over the last two windows.
// A window is a number of requests, so that nothing has to be turned by a clock.
// The thread that serves asks `begin` per request, which costs a subtraction, and times only the sampled ones.
// `mergeSamples` joins the samples of several threads (or windows), each weighted by the requests it stands for.
// Pure: the random source is passed in.
// Algorithm L (Li, "Reservoir-Sampling Algorithms of Time Complexity O(n(1+log(N/n)))", 1994).

import assert from 'node:assert/strict';

/** One finished request. */
export interface SampledRequest {
  /** What was asked, e.g. `tlv 1` or `GET /echo`; cut to NAME_CHARACTERS_MAX. */
  readonly name: string;
  readonly thread: number;
  /** Milliseconds since the Unix epoch. */
  readonly startedMs: number;
  readonly durationUs: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** `ok`, an HTTP status, or an error code. */
  readonly outcome: string;
}

/** A sample and the number of requests it was drawn from; plain data, it crosses threads as it is. */
export interface RequestSample {
  readonly seen: number;
  readonly requests: readonly SampledRequest[];
}

/** Returned by `begin` for a request that is not sampled. */
export const NOT_SAMPLED: number = -1;

const NAME_CHARACTERS_MAX = 80;

export interface RequestSamplerOptions {
  /** Requests kept of each window; two windows are kept. Default 64. */
  capacity?: number;
  /** Requests of one window. Default 65,536: the sample speaks of the last 65,536 to 131,072. */
  windowRequests?: number;
}

const DEFAULTS: Required<RequestSamplerOptions> = { capacity: 64, windowRequests: 65_536 };

export class RequestSampler {
  readonly #random: () => number;
  readonly #options: Required<RequestSamplerOptions>;
  #current: Reservoir;
  #previous: Reservoir;
  #ticketsIssued = 0;

  /** @param random uniform in [0, 1) */
  constructor(random: () => number, options: RequestSamplerOptions = {}) {
    this.#random = random;
    this.#options = { ...DEFAULTS, ...options };
    const { capacity, windowRequests } = this.#options;
    assert(Number.isInteger(capacity) && capacity > 0);
    assert(windowRequests >= capacity, 'a window fills its reservoir');
    this.#current = new Reservoir(random, capacity);
    this.#previous = new Reservoir(random, capacity);
  }

  /** Counts one request. A ticket other than NOT_SAMPLED must be given to `finish` when it is answered. */
  begin(): number {
    if (this.#current.seen >= this.#options.windowRequests) this.#turnWindow();
    const slot = this.#current.take();
    if (slot === NOT_SAMPLED) return NOT_SAMPLED;
    const ticket = this.#ticketsIssued * this.#options.capacity + slot;
    this.#ticketsIssued += 1;
    this.#current.reserve(slot, ticket);
    return ticket;
  }

  /** Keeps a sampled request. One whose slot was given away, or whose window has passed, is left out. */
  finish(ticket: number, request: SampledRequest): void {
    const slot = ticket % this.#options.capacity;
    const kept =
      request.name.length <= NAME_CHARACTERS_MAX
        ? request
        : { ...request, name: request.name.slice(0, NAME_CHARACTERS_MAX) };
    if (!this.#current.fill(slot, ticket, kept)) this.#previous.fill(slot, ticket, kept);
  }

  /** The last two windows as one sample of at most `capacity` requests. */
  snapshot(): RequestSample {
    const windows = [this.#previous.snapshot(), this.#current.snapshot()];
    return mergeSamples(this.#random, windows, this.#options.capacity);
  }

  #turnWindow(): void {
    this.#previous = this.#current;
    this.#current = new Reservoir(this.#random, this.#options.capacity);
  }
}

/**
 * One uniform sample of everything the given samples stand for. Each draw picks a source by the requests
 * it still stands for, so a busy thread contributes in proportion to its traffic, not to its sample's size.
 */
export function mergeSamples(
  random: () => number,
  samples: readonly RequestSample[],
  capacity: number = DEFAULTS.capacity,
): RequestSample {
  const sources = samples.map(({ seen, requests }) => ({ left: seen, requests: [...requests] }));
  const merged: SampledRequest[] = [];
  while (merged.length < capacity) {
    const open = sources.filter(({ requests }) => requests.length > 0);
    let pick = random() * open.reduce((sum, { left }) => sum + left, 0);
    const source = open.find(({ left }) => (pick -= left) < 0) ?? open.at(-1);
    if (source === undefined) break;
    const [request] = source.requests.splice(Math.floor(random() * source.requests.length), 1);
    assert(request !== undefined);
    merged.push(request);
    source.left = Math.max(source.left - 1, source.requests.length);
  }
  return { seen: samples.reduce((sum, { seen }) => sum + seen, 0), requests: merged };
}

/** One window: which requests are drawn, and the slots of those that were. */
class Reservoir {
  readonly #random: () => number;
  readonly #tickets: number[];
  readonly #requests: (SampledRequest | null)[];
  /** Requests that began in this window. */
  seen = 0;
  /** Requests to let pass before the next one is drawn. */
  #skip = 0;
  /** Algorithm L's W: the largest key in the reservoir. */
  #weight = 1;

  constructor(random: () => number, capacity: number) {
    this.#random = random;
    this.#tickets = Array.from({ length: capacity }, () => NOT_SAMPLED);
    this.#requests = Array.from({ length: capacity }, () => null);
  }

  /** The slot for this request, or NOT_SAMPLED. */
  take(): number {
    const position = this.seen;
    this.seen += 1;
    const capacity = this.#tickets.length;
    if (position < capacity) {
      if (position === capacity - 1) this.#drawSkip();
      return position;
    }
    if (this.#skip > 0) {
      this.#skip -= 1;
      return NOT_SAMPLED;
    }
    this.#drawSkip();
    return Math.floor(this.#random() * capacity);
  }

  reserve(slot: number, ticket: number): void {
    this.#tickets[slot] = ticket;
    this.#requests[slot] = null;
  }

  fill(slot: number, ticket: number, request: SampledRequest): boolean {
    if (this.#tickets[slot] !== ticket) return false;
    this.#requests[slot] = request;
    return true;
  }

  /** Requests still under way have no timing yet and are left out, with their share of `seen`. */
  snapshot(): RequestSample {
    const requests = this.#requests.filter((request) => request !== null);
    const reserved = Math.min(this.seen, this.#tickets.length);
    const seen = reserved === 0 ? 0 : Math.round((this.seen * requests.length) / reserved);
    return { seen, requests };
  }

  #drawSkip(): void {
    // 1 - random() lies in (0, 1], so neither logarithm is taken of zero.
    this.#weight *= Math.exp(Math.log(1 - this.#random()) / this.#tickets.length);
    this.#skip = Math.floor(Math.log(1 - this.#random()) / Math.log1p(-this.#weight));
  }
}
