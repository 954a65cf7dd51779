// Closing several things one after the other, each whatever becomes of the ones before it.

/** Runs all in order. @throws the first error, once all have run */
export async function closeAll(...closers: readonly (() => unknown)[]): Promise<void> {
  const failures: unknown[] = [];
  for (const close of closers) {
    try {
      await close();
    } catch (error) {
      failures.push(error);
    }
  }
  if (failures.length > 0) throw failures[0];
}
