// Without the addon what needs shared memory says why, and what does not need it works.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { text } from 'node:stream/consumers';
import test from 'node:test';

const DOOR = new URL('../../addon/jbus/index.js', import.meta.url).href;
const SCRIPT = `
  const jbus = await import('${DOOR}');
  const said = [];
  const refused = async (call) => {
    try { await call(); said.push('no error'); } catch ({ code, message }) { said.push(code + ': ' + message); }
  };
  await refused(() => jbus.ShmSegment.create(0, 4096));
  await refused(() => jbus.ShmRing.create(0));
  await refused(() => jbus.createChannel({ backing: 'sysv' }));
  await refused(() => jbus.createChannel({ backing: 'memfd' }));
  await refused(() => jbus.listSegments());
  const key = jbus.pairKey(1, 2, process.pid % 8_000_000);
  const { channel, address } = await jbus.createChannel({ key });
  const peer = await jbus.attachChannel(address);
  const [near, far] = jbus.memoryChannels();
  await peer.writeAsync(Buffer.from(address.backing));
  await near.writeAsync(Buffer.from(near.backing));
  const works = [await channel.readAsync(), await far.readAsync()].map(({ data }) => data.toString());
  for (const open of [peer, channel, near, far]) open.close();
  console.log(JSON.stringify({ said, works }));
`;

test('without the addon shared memory is refused with the reason, and sockets and threads carry channels', async () => {
  const child = spawn(process.execPath, ['--input-type=module', '-e', SCRIPT], {
    stdio: ['ignore', 'pipe', 'inherit'],
    env: { ...process.env, REACTOR_NET_ADDON: '/nonexistent/reactor_net.node' },
  });
  const { said, works } = JSON.parse(await text(child.stdout)) as { said: string[]; works: string[] };
  assert.equal(said.length, 5);
  for (const line of said) assert.match(line, /^JBUS_UNSUPPORTED: .*addon is missing.*npm rebuild/);
  assert.deepEqual(works, ['socket', 'memory']);
});
