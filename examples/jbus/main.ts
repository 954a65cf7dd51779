// Passes words to a Python process through shared memory and prints what comes back, with the time each round took.
//   node dist/examples/jbus/main.js hello world
// Node makes the rings, starts Python on them, and gives the rings' names away once Python has joined.

import { fileURLToPath } from 'node:url';

import { PeerProcess, PYTHON_PEER, Requester } from 'reactor-net/jbus';

const echo = await PeerProcess.start({ command: 'python3', args: [fileURLToPath(PYTHON_PEER), 'echo'] });
const requester = new Requester(echo.channel);

for (const word of process.argv.slice(2)) {
  const started = performance.now();
  const answer = await requester.request(Buffer.from(word));
  const micros = Math.round((performance.now() - started) * 1000);
  console.log(`python says ${answer.data.toString()} (${micros} µs)`);
}

await echo.close();
