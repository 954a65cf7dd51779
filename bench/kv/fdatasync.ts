// What this disk does for writers that each make a record durable before the next: 4 KiB written and fdatasync, over and
// over, on a preallocated file each, all at once. A program: `node fdatasync.js FOLDER [writers] [seconds]`.
// It prints one line with the median and the p99; the caller removes the folder.

import { closeSync, fdatasyncSync, fsyncSync, openSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isMainThread, parentPort, Worker, workerData } from 'node:worker_threads';
import { quantile } from '../statistics.js';

const RECORD_BYTES = 4096;
const FILE_BYTES = 8 * 2 ** 20;

if (isMainThread) await main();
else parentPort?.postMessage(write(workerData as { file: string; seconds: number }));

async function main(): Promise<void> {
  const [folder = '.', writers = '3', seconds = '1'] = process.argv.slice(2);
  const perWriter = await Promise.all(
    Array.from({ length: Number(writers) }, (_, index) => {
      const data = { file: join(folder, `fdatasync-${index}`), seconds: Number(seconds) };
      return new Promise<number[]>((resolve, reject) => {
        const worker = new Worker(fileURLToPath(import.meta.url), { workerData: data });
        worker.once('message', resolve).once('error', reject);
      });
    }),
  );
  const micros = perWriter.flat().toSorted((a, b) => a - b);
  const line = {
    event: 'result',
    writers: perWriter.length,
    count: micros.length,
    p50_us: quantile(micros, 0.5),
    p99_us: quantile(micros, 0.99),
  };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function write({ file, seconds }: { file: string; seconds: number }): number[] {
  const record = Buffer.alloc(RECORD_BYTES, 'x');
  const fd = openSync(file, 'w');
  try {
    for (let at = 0; at < FILE_BYTES; at += RECORD_BYTES) writeSync(fd, record, 0, RECORD_BYTES, at);
    fsyncSync(fd);
    const micros: number[] = [];
    const endMs = performance.now() + seconds * 1000;
    for (let at = 0; performance.now() < endMs; at = (at + RECORD_BYTES) % FILE_BYTES) {
      const startMs = performance.now();
      writeSync(fd, record, 0, RECORD_BYTES, at);
      fdatasyncSync(fd);
      micros.push((performance.now() - startMs) * 1000);
    }
    return micros;
  } finally {
    closeSync(fd);
  }
}
