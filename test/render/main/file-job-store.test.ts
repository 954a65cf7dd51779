// The journal of a main node, by itself.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FileJobStore } from '../../../render/main/file-job-store.js';
import type { StoreRecord } from '../../../render/main/job-store.js';
import { temporaryFolder } from '../../support/temporary-folder.js';

function driver(key: number): StoreRecord {
  return { kind: 'driver', key, serial: key, epoch: 1n, name: 'somebody' };
}

test('a record that is given in the moment in which the one before is kept is kept as well', async (t) => {
  const folder = temporaryFolder(t);
  const store = await FileJobStore.open(folder, (error) => assert.fail(error));
  assert.deepEqual(await store.load(), []);
  const records = [1, 2, 3, 4].map(driver);
  for (const record of records) {
    store.append(record);
    await store.flush();
  }
  store.compact([driver(5)]);
  await store.flush();
  store.append(driver(6));
  await store.close();
  const next = await FileJobStore.open(folder, (error) => assert.fail(error));
  assert.deepEqual(await next.load(), [driver(5), driver(6)]);
  await next.close();
});
