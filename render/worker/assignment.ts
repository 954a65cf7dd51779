// Least-loaded assignment: each task goes to the renderer that has the fewest, ties to the lowest id.
// The task table asks it how many of a request's images each renderer gets; they are handed out in slices that hang
// together, so that a renderer's light words do too. Pure.

/**
 * @param loads tasks that each renderer has already, by its id
 * @returns how many more each gets, only those that get some, in the order of ids
 */
export function assignLeastLoaded(
  loads: ReadonlyMap<number, number>,
  taskCount: number,
): Map<number, number> {
  const renderers = Array.from(loads, ([id, load]) => ({ id, load, more: 0 })).toSorted(
    (a, b) => a.id - b.id,
  );
  if (renderers.length === 0) return new Map();
  // Fill the lowest up to the next higher one at once, so that a thousand tasks are no thousand searches.
  let left = taskCount;
  while (left > 0) {
    const lowest = Math.min(...renderers.map(({ load, more }) => load + more));
    const filling = renderers.filter(({ load, more }) => load + more === lowest);
    const higher = renderers.filter(({ load, more }) => load + more > lowest);
    const gap = Math.min(...higher.map(({ load, more }) => load + more)) - lowest;
    const rounds = Math.min(gap, Math.floor(left / filling.length));
    if (rounds === 0) {
      for (const renderer of filling.slice(0, left)) renderer.more += 1;
      left = 0;
    } else {
      for (const renderer of filling) renderer.more += rounds;
      left -= rounds * filling.length;
    }
  }
  return new Map(renderers.filter(({ more }) => more > 0).map(({ id, more }) => [id, more]));
}
