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
    for (const revision of this.#revisions) writer.uint(revision);
  }

  decode(reader: ValueReader): void {
    this.#floor = reader.uint();
    for (let at = 0; at < CLASSES; at += 1) this.#revisions[at] = reader.uint();
    if (!reader.atEnd) throw damaged('more classes of vanished keys than there are');
  }
}
