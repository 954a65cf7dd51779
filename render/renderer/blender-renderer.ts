// Blender as a renderer: `blender -b` with our resident script, which is Python and lies in the sources.
// Everything that makes two runs differ is switched off on the command line here or in the script.

import { availableParallelism } from 'node:os';
import path from 'node:path';
import { fileURLToPath } from 'node:url';

import { PYTHON_PEER } from '../../addon/jbus/index.js';
import { RenderError } from '../errors.js';
import type { Renderer } from './renderer.js';

export interface BlenderRendererOptions {
  /** Default 'blender', found in PATH. */
  blender?: string;
  /** A .blend file with a camera, the object to move and lights 'Led.000', …; default: a scene built by the script. */
  scene?: string;
  /** Name of the object that is moved. Default 'Object'. */
  object?: string;
  /** Threads of one process, 1 to 1024. Default: all there are; with several processes give each its share. */
  threads?: number;
  /** Default 'CPU'. */
  device?: 'CPU' | 'GPU';
}

/** The Python of the renderers, in the sources: nothing compiles it. */
export const PYTHON_RENDERERS: URL = new URL('../../../render/renderer/python/', import.meta.url);

const THREADS_MAX = 1024;
/** Of Blender itself: an exception that the script does not catch is this exit code. */
const PYTHON_EXIT_CODE = 3;

/** @throws RenderError RENDER_OPTION_INVALID */
export function blenderRenderer(options: BlenderRendererOptions = {}): Renderer {
  const { blender = 'blender', scene, object = 'Object', device = 'CPU' } = options;
  const { threads = Math.min(availableParallelism(), THREADS_MAX) } = options;
  if (!Number.isInteger(threads) || threads < 1 || threads > THREADS_MAX) {
    throw new RenderError(
      'RENDER_OPTION_INVALID',
      `threads must be from 1 to ${THREADS_MAX}, not ${threads}`,
    );
  }
  const jbus = path.dirname(fileURLToPath(PYTHON_PEER));
  return {
    name: 'blender',
    command: blender,
    // Blender reads them from left to right: the file comes before the script, the script's own after `--`.
    // -Y: no scripts that a .blend file brings along.
    args: [
      '-b',
      ...(scene === undefined ? [] : [path.resolve(scene)]),
      '--factory-startup',
      '-noaudio',
      '-Y',
      '-t',
      String(threads),
      '--python-exit-code',
      String(PYTHON_EXIT_CODE),
      '-P',
      fileURLToPath(new URL('render_blender.py', PYTHON_RENDERERS)),
      '--',
      `--jbus=${jbus}`,
      `--threads=${threads}`,
      `--object=${object}`,
      `--device=${device}`,
    ],
    environment: { PYTHONDONTWRITEBYTECODE: '1' },
    hasScenes: true,
  };
}
