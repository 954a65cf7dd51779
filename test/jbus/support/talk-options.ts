// How a talk is described on a command line: count, largest payload, seed.

import type { TalkOptions } from './talk.js';

export function talkArguments({ count, bytesMax, seed }: TalkOptions): string[] {
  return [count, bytesMax, seed].map(String);
}

export function talkOptions([count, bytesMax, seed]: readonly string[]): TalkOptions {
  return { count: Number(count), bytesMax: Number(bytesMax), seed: Number(seed) };
}
