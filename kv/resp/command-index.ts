// Finds a command by its name as it lies in the input, whatever its case, without making a string of it.
// resp-client.ts asks it for every command; command-set.ts fills it once.

/** Redis's longest is below; a longer word is no command. */
const NAME_BYTES_MAX = 32;

export class CommandIndex<T extends { readonly name: string }> {
  readonly #mask: number;
  readonly #entries: (T | undefined)[];

  constructor(entries: readonly T[]) {
    const size = 2 ** Math.ceil(Math.log2(entries.length * 4 + 1));
    this.#mask = size - 1;
    this.#entries = Array.from<T | undefined>({ length: size });
    for (const entry of entries) {
      let slot = hashOf(Buffer.from(entry.name, 'latin1'), 0, entry.name.length) & this.#mask;
      while (this.#entries[slot] !== undefined) slot = (slot + 1) & this.#mask;
      this.#entries[slot] = entry;
    }
  }

  find(bytes: Buffer, start: number, end: number): T | undefined {
    if (end - start > NAME_BYTES_MAX) return undefined;
    let slot = hashOf(bytes, start, end) & this.#mask;
    for (;;) {
      const entry = this.#entries[slot];
      if (entry === undefined || isNamed(entry.name, bytes, start, end)) return entry;
      slot = (slot + 1) & this.#mask;
    }
  }
}

function hashOf(bytes: Buffer, start: number, end: number): number {
  let hash = end - start;
  for (let at = start; at < end; at += 1) hash = (Math.imul(hash, 31) + (bytes[at]! | 0x20)) | 0;
  return hash ^ (hash >>> 10);
}

/** `name` is in lower case. */
function isNamed(name: string, bytes: Buffer, start: number, end: number): boolean {
  if (name.length !== end - start) return false;
  for (let index = 0; index < name.length; index += 1) {
    const byte = bytes[start + index]!;
    const lower = byte >= 0x41 && byte <= 0x5a ? byte | 0x20 : byte;
    if (lower !== name.charCodeAt(index)) return false;
  }
  return true;
}
