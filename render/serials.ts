// Gives ids out and takes them back: one FIFO of returned ids for each kind, and an epoch for every registration.
// An id is used again at once, so whoever speaks under it is known by id and epoch together.
// Pure: epochs come from a function. One thread owns an allocator; others send it messages.

import assert from 'node:assert/strict';
import { RenderError } from './errors.js';
import type { Serial } from './proto/render.js';

interface Generator {
  readonly serialsMax: number;
  /** The next id that was never given; above `serialsMax` there is none. */
  next: number;
  /** Returned ids, oldest first. */
  readonly recycled: Set<number>;
  readonly used: Map<number, bigint>;
  /** Ids that have had more than one owner: for these the epoch may not be left out. */
  readonly reissued: Set<number>;
}

export class SerialAllocator<Kind extends string = string> {
  readonly #generators = new Map<string, Generator>();
  readonly #random64: () => bigint;

  /**
   * @param random64 whole numbers below 2^64, so random that nobody guesses them
   * @param serialsMax how many of each kind may be out at once; their ids are 1 to this
   */
  constructor(random64: () => bigint, serialsMax: Readonly<Record<Kind, number>>) {
    this.#random64 = random64;
    for (const [kind, max] of Object.entries<number>(serialsMax)) {
      if (!Number.isInteger(max) || max < 1 || max > 0xffff_ffff)
        throw new RenderError('RENDER_OPTION_INVALID', `${kind}: ${max} is no number of ids`);
      this.#generators.set(kind, {
        serialsMax: max,
        next: 1,
        recycled: new Set(),
        used: new Map(),
        reissued: new Set(),
      });
    }
  }

  /** @throws RenderError RENDER_IDS_EXHAUSTED: as many are out as may be. */
  generate(kind: Kind): Serial {
    const generator = this.#generator(kind);
    const serial = this.#free(generator);
    if (serial === null) {
      throw new RenderError('RENDER_IDS_EXHAUSTED', `there are ${generator.serialsMax} ${kind}s already`);
    }
    const epoch = this.#epoch();
    generator.used.set(serial, epoch);
    assert(generator.used.size + generator.recycled.size === generator.next - 1);
    return { serial, epoch };
  }

  /** An id that an earlier life of this process gave: it is out to that owner. */
  restore(kind: Kind, { serial, epoch }: Serial): void {
    const generator = this.#generator(kind);
    if (serial < 1 || serial > generator.serialsMax || generator.used.has(serial))
      throw new RenderError('RENDER_OPTION_INVALID', `${kind} ${serial} cannot be taken up again`);
    for (; generator.next <= serial; generator.next += 1) {
      // Whoever had it before is not known any more.
      generator.recycled.add(generator.next);
      generator.reissued.add(generator.next);
    }
    generator.recycled.delete(serial);
    generator.used.set(serial, epoch);
  }

  /** Gives an id back. False, and nothing happens, when it is not out or out to somebody else. */
  release(kind: Kind, serial: Serial): boolean {
    if (!this.holds(kind, serial)) return false;
    const generator = this.#generator(kind);
    generator.used.delete(serial.serial);
    generator.recycled.add(serial.serial);
    return true;
  }

  /** Whether `serial` is out to this very owner. Without an epoch (0): while the id has had one owner only. */
  holds(kind: Kind, { serial, epoch }: Serial): boolean {
    const generator = this.#generator(kind);
    const current = generator.used.get(serial);
    if (current === undefined) return false;
    return epoch === 0n ? !generator.reissued.has(serial) : epoch === current;
  }

  inUse(kind: Kind): number {
    return this.#generator(kind).used.size;
  }

  #free(generator: Generator): number | null {
    for (const serial of generator.recycled) {
      generator.recycled.delete(serial);
      generator.reissued.add(serial);
      return serial;
    }
    if (generator.next > generator.serialsMax) return null;
    generator.next += 1;
    return generator.next - 1;
  }

  #epoch(): bigint {
    const epoch = BigInt.asUintN(64, this.#random64());
    return epoch === 0n ? 1n : epoch;
  }

  #generator(kind: Kind): Generator {
    const generator = this.#generators.get(kind);
    if (generator === undefined)
      throw new RenderError('RENDER_OPTION_INVALID', `${kind} is no kind of serial`);
    return generator;
  }
}
