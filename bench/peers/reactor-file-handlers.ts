// Answers a frame with the same message id and the whole file as its body.

import { statSync } from 'node:fs';
import { getEnvironmentData } from 'node:worker_threads';
import type { Handlers } from '../../reactor/index.js';

/** Under which the main thread leaves the file's path. */
export const FILE_PATH = 'reactor-net bench file';

export default (): Handlers => {
  const path = getEnvironmentData(FILE_PATH) as string; // set by reactor-file.ts
  const { size } = statSync(path);
  return {
    onFrame(connection, { msgId }) {
      const header = Buffer.allocUnsafe(8);
      header.writeUInt32LE(msgId, 0);
      header.writeUInt32LE(size, 4);
      connection.write(header);
      return connection.sendFile(path);
    },
  };
};
