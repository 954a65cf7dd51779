import assert from 'node:assert/strict';
import path from 'node:path';
import { test } from 'node:test';
import { tlvCodec } from '../../reactor/codecs/tlv-codec.js';
import { Command } from '../support/command.js';
import { codeBlocksOf, compileProject, lineCount } from '../support/document-code.js';
import { connectTo } from '../support/example.js';
import { encode } from '../support/frame-wire.js';

test('the embed example of the README has at most 15 lines, compiles strictly, echoes and stops', async (t) => {
  const blocks = await codeBlocksOf('README.md');
  const first = blocks.findIndex((block) => block.includes('new TcpServer'));
  const [server, handlers] = blocks.slice(first, first + 2);
  assert(server !== undefined && handlers !== undefined);
  assert(lineCount(server) + lineCount(handlers) <= 15);
  assert.match(server, /port: 9000/);

  const folder = await compileProject(t, [server.replace('port: 9000', 'port: 0'), handlers]);
  const command = new Command(t, [], {}, path.join(folder, 'server.js'));
  const line = await command.line((text) => text.includes('listening on'));
  const peer = await connectTo(t, Number(/port: (\d+)/.exec(line)?.[1]));
  const wire = encode(tlvCodec(), [
    { msgId: 1, body: 'hello' },
    { msgId: 1, body: 'x'.repeat(100_000) },
  ]);
  peer.end(wire);
  const chunks: Buffer[] = [];
  for await (const chunk of peer) chunks.push(chunk as Buffer);
  assert(Buffer.concat(chunks).equals(wire));

  assert.equal(await command.stop('SIGTERM'), 0);
  assert.equal(command.stderr, '');
});
