// When keys vanished, remembered in a fixed space: for each of some thousand classes of keys the revision in which one of
// them vanished last. EXEC asks whether a key that was absent may have been there in the meantime.
// It may say yes for another key of the class, which costs a transaction; it never says no wrongly. Part of the state.

import { keyHash } from './key-hash.js';
import type { MachineSection } from './section.js';
import { damaged, type ValueReader, type ValueWriter } from './value.js';

const CLASSES = 4096;

export class Vanished implements MachineSection {
  readonly name = 'vanished';
  /** The same whatever is in it. */
  readonly memoryBytes = 0;
  /** Up to this revision anything may have vanished. */
  #floor: number;
  readonly #revisions = new Float64Array(CLASSES);

  /** Begins to remember behind a revision. */
  constructor(revision: number) {
    this.#floor = revision;
  }

  vanished(key: string, revision: number): void {
    this.#revisions[keyHash(key) % CLASSES] = revision;
  }

  allVanished(revision: number): void {
    this.#floor = revision;
    this.#revisions.fill(0);
  }

  /** Whether the key may have been there at some time after a revision and be gone again. */
  mayHaveVanished(key: string, since: number): boolean {
    return this.#floor > since || this.#revisions[keyHash(key) % CLASSES]! > since;
  }

  encode(writer: ValueWriter): void {
    writer.uint(this.#floor);
    // Most stores have few classes in which anything vanished: each with how far it is behind the one before.
    let before = -1;
    for (const [at, revision] of this.#revisions.entries()) {
      if (revision === 0) continue;
      writer.uint(at - before);
      writer.uint(revision);
      before = at;
    }
  }

  decode(reader: ValueReader): void {
    this.#floor = reader.uint();
    this.#revisions.fill(0);
    for (let at = -1; !reader.atEnd; ) {
      at += reader.uint();
      if (at < 0 || at >= CLASSES) throw damaged('more classes of vanished keys than there are');
      this.#revisions[at] = reader.uint();
    }
  }
}
