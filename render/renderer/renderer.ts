// What a renderer is to a worker node: a program to start, that joins a jbus channel and speaks message v1.
// blender-renderer.ts and builtin-renderer.ts make the two we have; a third needs no more than such an object.
// worker/renderer-child.ts starts it and hands it the channel, in flags behind its own arguments.

import type { SharedBacking } from '../../addon/jbus/index.js';
import { RenderError } from '../errors.js';

export interface Renderer {
  /** For people, metrics and logs. */
  readonly name: string;
  readonly command: string;
  /** The flags of the channel follow them: --send-id, --receive-id, --epoch, --doorbell-fd. */
  readonly args: readonly string[];
  /** Added to the environment of this process, from which our own variables and Python's are taken away. */
  readonly environment: Readonly<Record<string, string>>;
  /** What may carry its channel. Default 'sysv', the only one that Python joins. */
  readonly backing?: SharedBacking | 'auto';
  /** It can be given other scenes, as paths of files. Default false. */
  readonly hasScenes?: boolean;
  /** Requests after which a process is replaced, unless the worker node is told otherwise. Default 10,000. */
  readonly rendersMax?: number;
}

/** What a renderer says of itself, once, when it can render. */
export interface RendererFacts {
  readonly renderer: string;
  readonly version: string;
  readonly threads: number;
  /** Names of PixelFormat. */
  readonly formats: readonly string[];
}

const FACTS_BYTES_MAX = 16_384;

/** @throws RenderError RENDER_MESSAGE_INVALID: it is not what a renderer of message v1 says. */
export function decodeFacts(data: Uint8Array): RendererFacts {
  const facts = parsed(data);
  const { renderer, version, threads, formats, message } = facts;
  if (message !== 1)
    throw new RenderError('RENDER_MESSAGE_INVALID', `the renderer speaks message version ${String(message)}`);
  if (
    typeof renderer !== 'string' ||
    typeof version !== 'string' ||
    typeof threads !== 'number' ||
    !Array.isArray(formats) ||
    !formats.every((format): format is string => typeof format === 'string')
  ) {
    throw new RenderError(
      'RENDER_MESSAGE_INVALID',
      'the renderer did not tell renderer, version, threads, formats',
    );
  }
  return { renderer, version, threads, formats };
}

export function encodeFacts(facts: RendererFacts): Buffer {
  return Buffer.from(JSON.stringify({ ...facts, message: 1, pid: process.pid }));
}

/** The environment of a renderer: what is ours, and what would lead another Python astray, it must not see. */
export function rendererEnvironment(
  renderer: Renderer,
  scratch: string,
  inherited: NodeJS.ProcessEnv,
): Record<string, string> {
  const environment: Record<string, string> = {};
  for (const [name, value] of Object.entries(inherited)) {
    if (value === undefined || name.startsWith('REACTOR_NET_') || name.startsWith('PYTHON')) continue;
    environment[name] = value;
  }
  return { ...environment, TMPDIR: scratch, ...renderer.environment };
}

function parsed(data: Uint8Array): Record<string, unknown> {
  try {
    if (data.length > FACTS_BYTES_MAX) throw new RangeError(`${data.length} bytes`);
    const facts: unknown = JSON.parse(Buffer.from(data).toString());
    if (typeof facts === 'object' && facts !== null) return facts as Record<string, unknown>; // no more is claimed
    throw new TypeError('no object');
  } catch (error) {
    throw new RenderError('RENDER_MESSAGE_INVALID', 'what the renderer says of itself is no JSON object', {
      cause: error,
    });
  }
}
