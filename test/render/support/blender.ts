// Whether there is a Blender here. Without one its tests are skipped, and say so; where it has to be there they fail.

import { spawnSync } from 'node:child_process';

/** For the `skip` of a test. In CI never a reason: .ci/run installs it. */
export const blenderMissing: string | false = findMissing();

function findMissing(): string | false {
  if (process.env['CI'] !== undefined) return false;
  const { status } = spawnSync('blender', ['--version'], { stdio: 'ignore', timeout: 60_000 });
  if (status === 0) return false;
  console.error(
    'no Blender here: the tests with it are SKIPPED (apt-get install --no-install-recommends blender)',
  );
  return 'no Blender here';
}
