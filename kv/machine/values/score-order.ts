// The order of a sorted set as strings: 8 bytes whose order is that of the scores, then the member.
// So a skip list of such strings (../../skip-list.ts) is ordered by score and, among equal scores, by member.

const SCRATCH = Buffer.alloc(8 + 1024);

/** `score` is not NaN; -0 counts as 0. */
export function orderKey(score: number, member: string): string {
  const length = 8 + member.length;
  const bytes = length <= SCRATCH.length ? SCRATCH : Buffer.alloc(length);
  bytes.writeDoubleBE(score + 0, 0);
  if (bytes[0]! >= 0x80) for (let at = 0; at < 8; at += 1) bytes[at] = ~bytes[at]!;
  else bytes[0] = bytes[0]! | 0x80;
  bytes.write(member, 8, 'latin1');
  return bytes.toString('latin1', 0, length);
}

/** The score in an order key. */
export function scoreOf(key: string): number {
  SCRATCH.write(key, 0, 8, 'latin1');
  if (SCRATCH[0]! < 0x80) for (let at = 0; at < 8; at += 1) SCRATCH[at] = ~SCRATCH[at]!;
  else SCRATCH[0] = SCRATCH[0]! & 0x7f;
  return SCRATCH.readDoubleBE(0);
}

/** Whether a member comes before another one. */
export function comesBefore(scoreA: number, memberA: string, scoreB: number, memberB: string): boolean {
  return scoreA < scoreB || (scoreA === scoreB && memberA < memberB);
}
