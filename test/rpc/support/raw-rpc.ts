// A raw socket that speaks as much of the RPC protocol as a test wants it to, for being rude to a real server.

import assert from 'node:assert/strict';
import type { TestContext } from 'node:test';

import { RpcError } from '../../../rpc/index.js';
import { readStatus } from '../../../rpc/wire/call-frames.js';
import { type Goaway, readGoaway } from '../../../rpc/wire/control-frames.js';
import { FRAME } from '../../../rpc/wire/frame-types.js';
import { RawClient } from '../../support/raw-client.js';
import { until } from '../../support/until.js';
import { hello, tlv, type WireFrame } from './wire-frames.js';

export class RawRpc {
  readonly raw: RawClient;

  private constructor(raw: RawClient) {
    this.raw = raw;
  }

  /** Connects, and greets unless told not to. */
  static async connect(t: TestContext, target: string, greets: boolean = true): Promise<RawRpc> {
    const peer = new RawRpc(await RawClient.connect(t, Number(target.split(':')[1])));
    if (greets) {
      peer.say(hello());
      await peer.frame(FRAME.HELLO);
    }
    return peer;
  }

  say(...frames: readonly WireFrame[]): void {
    this.raw.write(Buffer.concat(frames.map(tlv)));
  }

  /** The first frame of a type, of a stream, once it is there. */
  async frame(msgId: number, streamId: number = 0): Promise<Buffer> {
    let found: Buffer | undefined;
    await until(() => {
      found = this.#whole().find(
        (frame) => frame.msgId === msgId && frame.body.readUInt32LE(4) === streamId,
      )?.body;
      return found !== undefined;
    });
    return found!;
  }

  /** How a call ended: null is well. */
  async status(streamId: number): Promise<RpcError | null> {
    return readStatus(await this.frame(FRAME.STATUS, streamId), 8192).error;
  }

  /** What the server says before it closes the connection, which it has to do. */
  async goaway(): Promise<Goaway> {
    const said = readGoaway(await this.frame(FRAME.GOAWAY));
    await this.raw.closed();
    return said;
  }

  #whole(): WireFrame[] {
    const wire = this.raw.received();
    const frames: WireFrame[] = [];
    for (let at = 0; at + 8 <= wire.length; ) {
      const end = at + 8 + wire.readUInt32LE(at + 4);
      if (end > wire.length) break;
      frames.push({ msgId: wire.readUInt32LE(at), body: wire.subarray(at + 8, end) });
      at = end;
    }
    return frames;
  }
}

/** Bytes that this process holds outside of and inside of the heap, after a collection where there is one. */
export function memoryBytes(): number {
  const { gc } = globalThis as { gc?: () => void };
  gc?.();
  const { heapUsed, external, arrayBuffers } = process.memoryUsage();
  assert(heapUsed > 0);
  return heapUsed + external + arrayBuffers;
}
