// A thread that takes the consumer's side, blocks for `count` records and tells the sum of their bytes.

import { parentPort, workerData } from 'node:worker_threads';

import { JbusError, ShmRing } from '../../../addon/jbus/index.js';

const { id, count } = workerData as { id: number; count: number };
const ring = ShmRing.attach(id);
try {
  const reader = ring.reader();
  let sum = 0;
  for (let read = 0; read < count && reader.waitForRecord(10_000, 50); ) {
    const taken = reader.readBatch();
    for (let row = 0; row < taken; row += 1) {
      for (const byte of reader.record(row).bytes) sum += byte;
    }
    reader.release();
    read += taken;
  }
  reader.close();
  parentPort?.postMessage({ sum });
} catch (error) {
  parentPort?.postMessage({ code: (error as JbusError).code });
} finally {
  ring.close();
}
