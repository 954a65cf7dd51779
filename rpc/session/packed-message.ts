// A compressed message that waits to be read: it is kept as short as it came and undone when its reader takes it.
// Flow control counts bytes as they came, so what waits must not be longer than that: a kilobyte may stand for a megabyte.

export class PackedMessage<T> {
  readonly #unpack: () => T;

  /** @param unpack throws RpcError when the bytes are no such message */
  constructor(unpack: () => T) {
    this.#unpack = unpack;
  }

  unpack(): T {
    return this.#unpack();
  }
}

/** What a reader gets of what waits. @throws RpcError */
export function unpacked<T>(message: T | PackedMessage<T>): T {
  return message instanceof PackedMessage ? message.unpack() : message;
}
