// Which batches of each member have been executed, so that one proposed twice is executed once.
// Part of the state. Per member: its boot, the numbers executed as runs (there is one, but for lost batches), and boots
// that are over. A number too far below the highest counts as executed.

import { ORIGIN_WINDOW, ORIGINS_MAX, RETIRED_BOOTS_MAX } from './limits.js';
import { damaged, type ValueReader, type ValueWriter } from './value.js';

interface OriginState {
  boot: number;
  /** Numbers executed: first, last, first, last … ascending; neighbours have a gap between them. */
  runs: number[];
  /** Boots that are over, the latest last. */
  retired: number[];
  /** The order in which origins were last heard of. */
  heard: number;
}

export class Origins {
  readonly #byMember = new Map<number, OriginState>();
  #heard = 0;

  get size(): number {
    return this.#byMember.size;
  }

  /** Notes a batch; false when it was executed before, or belongs to a boot that is over. */
  accept(member: number, boot: number, sequence: number): boolean {
    let origin = this.#byMember.get(member);
    if (origin === undefined) {
      if (this.#byMember.size === ORIGINS_MAX) this.#forgetOldest();
      origin = { boot, runs: [], retired: [], heard: 0 };
      this.#byMember.set(member, origin);
    }
    if (origin.boot !== boot) {
      if (origin.retired.includes(boot)) return false;
      origin.retired.push(origin.boot);
      if (origin.retired.length > RETIRED_BOOTS_MAX) origin.retired.shift();
      origin.boot = boot;
      origin.runs = [];
    }
    if (!addTo(origin.runs, sequence)) return false;
    this.#heard += 1;
    origin.heard = this.#heard;
    return true;
  }

  encode(writer: ValueWriter): void {
    writer.uint(this.#heard);
    writer.uint(this.#byMember.size);
    for (const [member, origin] of [...this.#byMember].toSorted(([a], [b]) => a - b)) {
      writer.uint(member);
      writer.uint(origin.boot);
      writer.uint(origin.heard);
      for (const numbers of [origin.runs, origin.retired]) {
        writer.uint(numbers.length);
        for (const number of numbers) writer.uint(number);
      }
    }
  }

  static decode(reader: ValueReader): Origins {
    const origins = new Origins();
    origins.#heard = reader.uint();
    const count = reader.count(5);
    if (count > ORIGINS_MAX) throw damaged('too many origins');
    for (let index = 0; index < count; index += 1) {
      const member = reader.uint();
      const boot = reader.uint();
      const heard = reader.uint();
      const [runs, retired] = [numbersOf(reader), numbersOf(reader)];
      if (runs.length % 2 !== 0) throw damaged('a run without an end');
      origins.#byMember.set(member, { boot, runs, retired, heard });
    }
    return origins;
  }

  #forgetOldest(): void {
    let oldest = -1;
    let heard = Number.POSITIVE_INFINITY;
    for (const [member, origin] of this.#byMember) {
      if (origin.heard >= heard) continue;
      oldest = member;
      heard = origin.heard;
    }
    this.#byMember.delete(oldest);
  }
}

function addTo(runs: number[], sequence: number): boolean {
  const count = runs.length;
  if (count === 0) {
    // What came before the first one that we see may be under way, within the window.
    runs.push(sequence, sequence);
    return true;
  }
  const last = runs[count - 1]!;
  if (sequence === last + 1) {
    runs[count - 1] = sequence;
  } else if (sequence > last) {
    runs.push(sequence, sequence);
  } else if (sequence <= last - ORIGIN_WINDOW || !insert(runs, sequence)) {
    return false;
  }
  // What fell out of the window counts as executed: no need to remember which of it was.
  const floor = runs.at(-1)! - ORIGIN_WINDOW;
  while (runs.length > 2 && runs[1]! <= floor) runs.splice(0, 2);
  return true;
}

function insert(runs: number[], sequence: number): boolean {
  // Gaps are few and new: from the end.
  let at = runs.length - 2;
  while (at >= 0 && runs[at]! > sequence) at -= 2;
  if (at >= 0 && sequence <= runs[at + 1]!) return false;
  const joinsLower = at >= 0 && sequence - 1 === runs[at + 1];
  const joinsUpper = sequence + 1 === runs[at + 2];
  if (joinsLower && joinsUpper) runs.splice(at + 1, 2);
  else if (joinsLower) runs[at + 1] = sequence;
  else if (joinsUpper) runs[at + 2] = sequence;
  else runs.splice(at + 2, 0, sequence, sequence);
  return true;
}

function numbersOf(reader: ValueReader): number[] {
  const count = reader.count();
  const numbers: number[] = [];
  for (let index = 0; index < count; index += 1) numbers.push(reader.uint());
  return numbers;
}
