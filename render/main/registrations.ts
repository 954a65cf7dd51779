// Who is registered at the main node, drivers or worker nodes: an id with its epoch, a life that beats keep, and what the
// caller wants to know of them.
// Joins SerialAllocator and LivenessTable. A registration's `key` is never used twice: what is kept under it cannot be
// taken for that of a later owner of the same id.

import { LivenessTable, type LivenessOptions } from '../liveness-table.js';
import type { Serial } from '../proto/render.js';
import type { SerialAllocator } from '../serials.js';

export interface Registration<T> {
  readonly key: number;
  readonly serial: Serial;
  readonly value: T;
}

export interface RegistrationsOptions extends LivenessOptions {
  /**
   * Whether a serial without its epoch is nobody's, also while its id has had one owner only. Where registering takes a
   * token, the epoch is what shows that it was shown: ids alone are guessed. Default false.
   */
  readonly isEpochNeeded?: boolean;
}

export class Registrations<T, Kind extends string = string> {
  readonly #kind: Kind;
  readonly #serials: SerialAllocator<Kind>;
  readonly #lives: LivenessTable<number>;
  readonly #bySerial = new Map<number, Registration<T>>();
  readonly #isEpochNeeded: boolean;
  #lastKey = 0;

  constructor(kind: Kind, serials: SerialAllocator<Kind>, options: RegistrationsOptions = {}) {
    this.#kind = kind;
    this.#serials = serials;
    this.#isEpochNeeded = options.isEpochNeeded ?? false;
    this.#lives = new LivenessTable(options);
  }

  /** @throws RenderError RENDER_IDS_EXHAUSTED */
  register(value: T): Registration<T> {
    const serial = this.#serials.generate(this.#kind);
    this.#lastKey += 1;
    const registration = { key: this.#lastKey, serial, value };
    this.#bySerial.set(serial.serial, registration);
    this.#lives.add(serial.serial);
    return registration;
  }

  /** Of an earlier life of this process: the same serial with the same epoch goes on being theirs. */
  restore(registration: Registration<T>): void {
    const { key, serial } = registration;
    this.#serials.restore(this.#kind, serial);
    this.#lastKey = Math.max(this.#lastKey, key);
    this.#bySerial.set(serial.serial, registration);
    this.#lives.add(serial.serial);
  }

  /** Keys up to this one were given before. */
  skipKeys(lastKey: number): void {
    this.#lastKey = Math.max(this.#lastKey, lastKey);
  }

  /** Null: unknown, gone, or the epoch of an earlier owner. Whoever gets that has to register again. */
  find(serial: Serial): Registration<T> | null {
    if (this.#isEpochNeeded && serial.epoch === 0n) return null;
    if (!this.#serials.holds(this.#kind, serial)) return null;
    return this.#bySerial.get(serial.serial) ?? null;
  }

  beat(serial: Serial): Registration<T> | null {
    const registration = this.find(serial);
    if (registration !== null) this.#lives.beat(registration.serial.serial);
    return registration;
  }

  release(serial: Serial): Registration<T> | null {
    const registration = this.find(serial);
    if (registration === null) return null;
    this.#lives.remove(registration.serial.serial);
    this.#bySerial.delete(registration.serial.serial);
    this.#serials.release(this.#kind, registration.serial);
    return registration;
  }

  /** One interval has passed. Returns who fell silent; their ids are free again. */
  tick(now: number): Registration<T>[] {
    const dead: Registration<T>[] = [];
    for (const serial of this.#lives.tick(now)) {
      const registration = this.#bySerial.get(serial);
      if (registration === undefined) continue;
      this.#bySerial.delete(serial);
      this.#serials.release(this.#kind, registration.serial);
      dead.push(registration);
    }
    return dead;
  }

  values(): Iterable<Registration<T>> {
    return this.#bySerial.values();
  }

  get size(): number {
    return this.#bySerial.size;
  }

  get lives(): number {
    return this.#lives.lives;
  }

  get heartbeatMs(): number {
    return this.#lives.intervalMs;
  }
}
