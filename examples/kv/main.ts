// A shop with three crates of apples and five clerks who sell them, on a key-value cluster.
//   node bin/reactor-net.js kv local --nodes 3          # in another terminal
//   node dist/examples/kv/main.js 127.0.0.1:7501 127.0.0.1:7502 127.0.0.1:7503
// Kill any member while it runs: nothing is sold twice, and nobody notices.

import { Clerk, Lock } from 'reactor-net/kv';

const clerk = new Clerk({ endpoints: process.argv.slice(2) });
await clerk.deleteRange({ prefix: 'shop/' });
await clerk.put('shop/apples', '3');

/** Takes one apple, unless somebody else was faster: then it looks again. */
async function sell(to: string): Promise<boolean> {
  for (;;) {
    const stock = (await clerk.get('shop/apples'))!;
    const left = Number(stock.text) - 1;
    if (left < 0) return false;
    const { succeeded } = await clerk.compareAndSet(
      'shop/apples',
      { modRevision: stock.modRevision },
      String(left),
    );
    if (succeeded) return (await clerk.putSequential('shop/sold/', to)).number > 0;
  }
}

const watch = await clerk.watch({ prefix: 'shop/sold/' }).ready();
const sales = await Promise.all(['Ann', 'Bob', 'Carl', 'Dora', 'Emil'].map(sell));
const sold = sales.filter(Boolean).length;

let seen = 0;
for await (const { pair } of watch) {
  console.log(`sale ${pair.keyText.slice(-1)}: an apple for ${pair.text}`);
  if ((seen += 1) === sold) break;
}

// One of many such programs counts the money; the token tells a safe which of them came last.
await new Lock(clerk, 'shop/till').with(async ({ token, signal }) => {
  if (!signal.aborted) console.log(`${sold} sold, counted by the holder of token ${token}`);
});
await clerk.close();
