// What the built-in renderer was told to do wrong, and when: `--fault crash@2` on its command line.
// builtin/main.ts asks at the places where things go wrong with real renderers. For tests and rehearsals of failures.

import { ErrCode } from '../../proto/render.js';
import { encodeRendererReply, rendererReply, type RendererReply } from '../message.js';

interface Fault {
  readonly fault: string;
  readonly at: number;
}

export class Faults {
  readonly #faults: readonly Fault[];
  #requests = 0;

  /** @param planned as `fault@N`: at the Nth request, or before READY when N is 0. */
  constructor(planned: readonly string[]) {
    this.#faults = planned.map((text) => {
      const [fault = '', at] = text.split('@');
      return { fault, at: Number(at) };
    });
  }

  /** A request to render begins. */
  begin(): void {
    this.#requests += 1;
  }

  /** Crashes or hangs here if it is time to; there is no coming back from either. */
  strike(): void {
    if (this.#isDue('crash')) process.kill(process.pid, 'SIGKILL');
    if (!this.#isDue('hang')) return;
    // The thread stands still, and a handler that never runs keeps SIGTERM from ending the process.
    process.on('SIGTERM', () => {});
    Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
  }

  /** What to send instead of this reply; undefined: the reply. */
  spoilt(reply: RendererReply): Uint8Array | undefined {
    if (this.#isDue('garbage')) return Buffer.from('no message at all');
    if (this.#isDue('stray')) return encodeRendererReply({ ...reply, version: (reply.version + 1) >>> 0 });
    if (!this.#isDue('error')) return undefined;
    return encodeRendererReply(
      rendererReply(reply, { err: ErrCode.EC_RENDER_FAILED, text: 'as it was told to' }),
    );
  }

  #isDue(fault: string): boolean {
    return this.#faults.some((planned) => planned.fault === fault && planned.at === this.#requests);
  }
}
