// Whether there is a Blender here. Without one its tests are skipped, and say so; where it has to be there they fail.

import { existsSync } from 'node:fs';
import path from 'node:path';

/** For the `skip` of a test. In CI never a reason: .ci/run installs it. */
export const blenderMissing: string | false = findMissing();

function findMissing(): string | false {
  if (process.env['CI'] !== undefined) return false;
  const folders = (process.env['PATH'] ?? '').split(path.delimiter);
  if (folders.some((folder) => existsSync(path.join(folder, 'blender')))) return false;
  console.error(
    'no Blender here: the tests with it are SKIPPED (apt-get install --no-install-recommends blender)',
  );
  return 'no Blender here';
}
