import assert from 'node:assert/strict';
import path from 'node:path';
import { test, type TestContext } from 'node:test';
import { tlvCodec } from '../../reactor/codecs/tlv-codec.js';
import { Command } from '../support/command.js';
import { codeBlocksOf, compileProject, fileNameOf, lineCount, setPort } from '../support/document-code.js';
import { connectTo, stopQuietly } from '../support/example.js';
import { encode } from '../support/frame-wire.js';

test('the embed example of the README has at most 15 lines, compiles strictly, echoes and stops', async (t) => {
  const blocks = await codeBlocksOf('README.md');
  const first = blocks.findIndex((block) => block.includes('new TcpServer'));
  const [server, handlers] = blocks.slice(first, first + 2);
  assert(server !== undefined && handlers !== undefined);
  assert(lineCount(server) + lineCount(handlers) <= 15);

  const folder = await compileProject(t, [server, handlers]);
  const { command, port } = await startServer(t, folder, 'server.js');
  const peer = await connectTo(t, port);
  const wire = encode(tlvCodec(), [
    { msgId: 1, body: 'hello' },
    { msgId: 1, body: 'x'.repeat(100_000) },
  ]);
  peer.end(wire);
  const chunks: Buffer[] = [];
  for await (const chunk of peer) chunks.push(chunk as Buffer);
  assert(Buffer.concat(chunks).equals(wire));

  await stopQuietly(command, 'SIGTERM');
});

test('the programs of docs/getting-started.md compile strictly and do what it says', async (t) => {
  const blocks = await codeBlocksOf('docs/getting-started.md');
  const folder = await compileProject(
    t,
    blocks.filter((block) => fileNameOf(block) !== undefined),
  );

  const server = await startServer(t, folder, 'server.js');
  await setPort(folder, 'client.js', server.port);
  const client = new Command(t, [], {}, path.join(folder, 'client.js'));
  assert.equal(await client.exitCode, 0, client.stderr);
  const [echoed, counted, ...more] = client.lines;
  assert.deepEqual([echoed, more], ['1 hello', []]);
  assert.match(counted!, /^2 messages on each thread: 1( 0)*$/);
  await stopQuietly(server.command, 'SIGINT');

  const web = await startServer(t, folder, 'web.js');
  const response = await fetch(`http://127.0.0.1:${web.port}/page`, { headers: { connection: 'close' } });
  assert.match(await response.text(), /^thread (0|main) saw \/page\n$/);
  await stopQuietly(web.command, 'SIGINT');
});

/** Starts a program that says where it listens, on a free port. */
async function startServer(
  t: TestContext,
  folder: string,
  program: string,
): Promise<{ command: Command; port: number }> {
  await setPort(folder, program, 0);
  const command = new Command(t, [], {}, path.join(folder, program));
  const line = await command.line((text) => text.includes('listening on'));
  return { command, port: Number(/port: (\d+)/.exec(line)?.[1]) };
}
