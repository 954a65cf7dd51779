import assert from 'node:assert/strict';
import { test } from 'node:test';
import { DATAGRAM_ADDRESS_WORDS, loadAddon } from '../../addon/index.js';
import { EpollPeer, EpollPeers } from '../../reactor/epoll-peers.js';
import { SeededRandom } from '../support/seeded-random.js';

const sent: EpollPeer[] = [];
const OWNER = {
  sendTo(peer: EpollPeer): 'sent' {
    sent.push(peer);
    return 'sent';
  },
};

/** Words of 127.x.x.x with a port, as the kernel has them on this machine. */
function words(host: number, port: number): Int32Array {
  const bytes = new Uint8Array(DATAGRAM_ADDRESS_WORDS * 4);
  new Uint16Array(bytes.buffer)[0] = 2; // AF_INET
  bytes.set([port >> 8, port & 0xff, 127, (host >> 16) & 0xff, (host >> 8) & 0xff, host & 0xff], 2);
  return new Int32Array(bytes.buffer);
}

function wordsOf(peer: EpollPeer): Int32Array {
  const target = new Int32Array(DATAGRAM_ADDRESS_WORDS);
  peer.writeTo(target, 0);
  return target;
}

test('whoever sent before is found with the very address, however many others sent in between', () => {
  const seed = Math.floor(Math.random() * 2 ** 32);
  const random = new SeededRandom(seed);
  const peers = new EpollPeers(OWNER);
  for (let step = 0; step < 50_000; step += 1) {
    // Often one of a few, at times a stranger.
    const isStranger = random.fraction() < 0.2;
    const from = words(
      random.integer(0, isStranger ? 0xff_ffff : 3),
      random.integer(1, isStranger ? 65_535 : 4),
    );
    assert.deepEqual(wordsOf(peers.find(from, 0)), from, `seed ${seed}, step ${step}`);
  }
});

test('one who sends twice in a row is one peer, and so are two who take turns', () => {
  const peers = new EpollPeers(OWNER);
  const [ann, bob] = [words(1, 1000), words(2, 2000)];
  const annPeer = peers.find(ann, 0);
  const bobPeer = peers.find(bob, 0);
  for (let turn = 0; turn < 10; turn += 1) {
    assert.equal(peers.find(ann, 0), annPeer);
    assert.equal(peers.find(bob, 0), bobPeer);
  }
});

test('addresses that differ in one bit of any word are different peers', () => {
  const peers = new EpollPeers(OWNER);
  const base = words(1, 1000);
  const known = peers.find(base, 0);
  for (let word = 0; word < DATAGRAM_ADDRESS_WORDS; word += 1) {
    const other = base.slice();
    other[word]! ^= 1 << 20;
    assert.notEqual(peers.find(other, 0), known);
    assert.equal(known.isAt(other, 0), false);
  }
});

test('the text of an address is that of its words', {
  skip: loadAddon() === null && 'the addon is not built',
}, () => {
  const peer = new EpollPeer(OWNER, words(0x01_02_03, 4321), 0);
  assert.deepEqual([peer.address, peer.port], ['127.1.2.3', 4321]);
  assert.equal(peer.send('hello'), 'sent');
  assert.equal(sent.at(-1), peer);
});
