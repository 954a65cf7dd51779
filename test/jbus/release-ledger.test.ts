import assert from 'node:assert/strict';
import test from 'node:test';

import * as fc from 'fast-check';

import { type LentBytes, ReleaseLedger } from '../../addon/jbus/release-ledger.js';

test('what is not lent can go back at once', () => {
  const ledger = new ReleaseLedger();
  ledger.pass(40);
  ledger.pass(32);
  assert.equal(ledger.takeReady(), 72);
  assert.equal(ledger.takeReady(), 0);
});

test('bytes behind a lease wait for it, those before it do not', () => {
  const ledger = new ReleaseLedger();
  ledger.pass(8);
  const lease = ledger.lend(40);
  ledger.pass(16);
  assert.equal(ledger.takeReady(), 8);
  ledger.settle(lease);
  assert.equal(ledger.takeReady(), 56);
});

test('leases that end in any order give back exactly the prefix that nobody holds', () => {
  const step = fc.record({
    kind: fc.constantFrom('pass', 'lend', 'settle'),
    bytes: fc.nat(100),
    pick: fc.nat(),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const ledger = new ReleaseLedger();
      /** Every record in order of the ring, with whether it is held. */
      const model: { bytes: number; isHeld: boolean }[] = [];
      const out: { lent: LentBytes; record: { bytes: number; isHeld: boolean } }[] = [];
      let givenBack = 0;
      for (const { kind, bytes, pick } of steps) {
        if (kind === 'pass') {
          ledger.pass(bytes);
          model.push({ bytes, isHeld: false });
        } else if (kind === 'lend') {
          const record = { bytes, isHeld: true };
          model.push(record);
          out.push({ lent: ledger.lend(bytes), record });
        } else if (out.length > 0) {
          const [ended] = out.splice(pick % out.length, 1);
          ended!.record.isHeld = false;
          ledger.settle(ended!.lent);
        }
        givenBack += ledger.takeReady();
        const firstHeld = model.findIndex(({ isHeld }) => isHeld);
        const prefix = firstHeld < 0 ? model : model.slice(0, firstHeld);
        const expected = prefix.reduce((sum, record) => sum + record.bytes, 0);
        assert.equal(givenBack, expected);
      }
    }),
  );
});

test('a ledger whose leases always overlap does not grow', () => {
  const ledger = new ReleaseLedger();
  let older = ledger.lend(8);
  for (let i = 0; i < 5000; i += 1) {
    const newer = ledger.lend(8);
    ledger.settle(older);
    older = newer;
  }
  assert.equal(ledger.waiting, 1);
  assert.equal(ledger.takeReady(), 8 * 5000);
});
