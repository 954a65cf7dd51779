// Runs what promises wait for, here and now, so that a simulator of code that awaits can be an ordinary loop: after each
// event everything has happened that follows from it, however many promises that took, and nothing else has.
// V8 does that after every callback anyway; here it is asked to by its own name. Not within a promise's callback, where it
// would do nothing: enter by outsideMicrotasks().

import v8 from 'node:v8';
import vm from 'node:vm';

v8.setFlagsFromString('--allow-natives-syntax');

/** Returns when no promise callback is left to run. */
export const runMicrotasks: () => void = vm.runInThisContext(
  '(() => %PerformMicrotaskCheckpoint())',
) as () => void; // just compiled

/** Calls `run` where runMicrotasks() works. */
export function outsideMicrotasks<T>(run: () => T): Promise<T> {
  return new Promise((resolve, reject) => {
    setImmediate(() => {
      try {
        let works = false;
        void Promise.resolve().then(() => {
          works = true;
        });
        runMicrotasks();
        if (!works) throw new Error('promises do not run when they are asked to');
        resolve(run());
      } catch (error) {
        reject(error instanceof Error ? error : new Error(String(error)));
      }
    });
  });
}
