// Chance for the towers of the skip lists inside of values, which shows in no answer and in no snapshot.

/** Numbers in [0, 1) by xorshift from a fixed seed. */
export function towerHeights(): () => number {
  let state = 0x9e3779b9;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return (state >>> 0) / 0x1_0000_0000;
  };
}
