// Frames recorded by every version of the wire are read by this one, and written the same again.

import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import test from 'node:test';
import { fileURLToPath } from 'node:url';

import { FRAME } from '../../../rpc/wire/frame-types.js';
import { frameName, framesOf, reencoded, tlv } from '../support/wire-frames.js';
import { CONVERSATIONS } from './conversations.js';
import { play, type Recording } from './record.js';

const FOLDER = fileURLToPath(new URL('../../../../test/rpc/recorded/', import.meta.url));
const VERSIONS = readdirSync(FOLDER).filter((name) => /^v\d+$/.test(name));
const CURRENT = 'v1';

function recordings(version: string): { readonly name: string; readonly recording: Recording }[] {
  const folder = path.join(FOLDER, version);
  return readdirSync(folder).map((file) => ({
    name: file.replace('.json', ''),
    recording: JSON.parse(readFileSync(path.join(folder, file), 'utf8')) as Recording, // as record.ts wrote it
  }));
}

for (const version of VERSIONS) {
  test(`every recorded frame of ${version} is decoded, and encoded to the same bytes again`, () => {
    for (const { name, recording } of recordings(version)) {
      for (const { from, type, hex } of recording.frames) {
        const [frame, ...more] = framesOf(Buffer.from(hex, 'hex'));
        assert(frame !== undefined && more.length === 0, `${name}: one frame each`);
        assert.equal(frameName(frame.msgId), type);
        if (name === 'version' && type === 'HELLO') {
          assert.throws(() => reencoded(frame, from), { code: 'RPC_VERSION_MISMATCH' });
          continue;
        }
        assert.equal(tlv(reencoded(frame, from)).toString('hex'), hex, `${version}/${name} ${from} ${type}`);
      }
    }
  });
}

test('a frame of every type is recorded', () => {
  const types = new Set(
    recordings(CURRENT).flatMap(({ recording }) => recording.frames.map(({ type }) => type)),
  );
  assert.deepEqual([...types].toSorted(), Object.keys(FRAME).toSorted());
});

for (const conversation of CONVERSATIONS) {
  test(`a client of the recorded version is still answered the same: ${conversation.title}`, async () => {
    const found = recordings(CURRENT).find(({ name }) => name === conversation.name);
    assert(found !== undefined, `${conversation.name} is recorded`);
    assert.deepEqual(await play(conversation), found.recording.frames);
  });
}
