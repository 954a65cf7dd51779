// LCS: the longest common subsequence of two strings, by the usual table of lengths.

import { textOf } from '../bytes.js';
import { MapReply, type Reply } from '../reply.js';
import { isContainer } from '../slot.js';
import { fail, failSyntax, indexOf, optionAt } from './arguments.js';
import { type CommandContext, define, READ, type RedisCommand, TWO_KEYS } from './command.js';

export const LCS_COMMANDS: readonly RedisCommand[] = [
  define('lcs', -3, READ, TWO_KEYS, 'Finds the longest common subsequence of two strings.', lcs),
];

/** Places of the table, four bytes each; the members' one thread works on it without a break. */
const TABLE_PLACES_MAX = 2 ** 24;

interface Match {
  readonly a: readonly [number, number];
  readonly b: readonly [number, number];
  readonly length: number;
}

function lcs({ keyspace }: CommandContext, args: readonly string[]): Reply {
  let wantsLength = false;
  let wantsPlaces = false;
  let withLengths = false;
  let lengthMin = 0;
  for (let at = 3; at < args.length; at += 1) {
    const option = optionAt(args, at);
    if (option === 'LEN') wantsLength = true;
    else if (option === 'IDX') wantsPlaces = true;
    else if (option === 'WITHMATCHLEN') withLengths = true;
    else if (option === 'MINMATCHLEN' && at + 1 < args.length) {
      at += 1;
      lengthMin = Math.max(0, indexOf(args[at]!));
    } else failSyntax();
  }
  const [a, b] = [args[1]!, args[2]!].map((key) => {
    const value = keyspace.find(key)?.value ?? '';
    return isContainer(value) ? fail('ERR The specified keys must contain string values') : textOf(value);
  }) as [string, string];
  if (wantsLength && wantsPlaces) fail('ERR If you want both the length and indexes, please just use IDX.');
  if ((a.length + 1) * (b.length + 1) > TABLE_PLACES_MAX) {
    fail('ERR Insufficient memory, transient memory for LCS exceeds proto-max-bulk-len');
  }
  const { text, matches } = common(a, b);
  if (wantsLength) return text.length;
  if (!wantsPlaces) return text;
  const shown = matches
    .filter((match) => match.length >= lengthMin)
    .map((match): Reply => (withLengths ? [match.a, match.b, match.length] : [match.a, match.b]));
  return new MapReply(['matches', shown, 'len', text.length]);
}

/** The subsequence, and its parts that lie together in both strings, the last one first. */
function common(a: string, b: string): { text: string; matches: Match[] } {
  const width = b.length + 1;
  const lengths = new Uint32Array((a.length + 1) * width);
  for (let i = 1; i <= a.length; i += 1) {
    for (let j = 1; j <= b.length; j += 1) {
      const here = i * width + j;
      lengths[here] =
        a.charCodeAt(i - 1) === b.charCodeAt(j - 1)
          ? lengths[here - width - 1]! + 1
          : Math.max(lengths[here - width]!, lengths[here - 1]!);
    }
  }
  const matches: Match[] = [];
  const parts: string[] = [];
  let i = a.length;
  let j = b.length;
  while (i > 0 && j > 0) {
    let run = 0;
    while (i > 0 && j > 0 && a.charCodeAt(i - 1) === b.charCodeAt(j - 1)) {
      i -= 1;
      j -= 1;
      run += 1;
    }
    if (run > 0) {
      matches.push({ a: [i, i + run - 1], b: [j, j + run - 1], length: run });
      parts.push(a.slice(i, i + run));
    } else if (lengths[(i - 1) * width + j]! > lengths[i * width + j - 1]!) {
      i -= 1;
    } else {
      j -= 1;
    }
  }
  return { text: parts.toReversed().join(''), matches };
}
