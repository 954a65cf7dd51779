// Blender without a farm: the scene that both render, and one `blender -a` run over its frames, as a user would start it.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';

/** Of the images: one takes a thread about a second. */
export const BLENDER_IMAGE = { width: 240, height: 180, samples: 24 } as const;

const TIMEOUT_MS = 300_000;
/** A cube on a floor under a light, and a camera that comes nearer from frame to frame. */
const SCENE = `
import bpy
bpy.ops.mesh.primitive_plane_add(size=20)
bpy.context.object.name = 'Object'
scene = bpy.context.scene
camera = scene.camera
camera.keyframe_insert('location', frame=1)
camera.location *= 0.6
camera.keyframe_insert('location', frame=100)
scene.render.engine = 'CYCLES'
scene.cycles.device = 'CPU'
scene.cycles.samples = SAMPLES
scene.cycles.use_denoising = False
scene.cycles.use_adaptive_sampling = False
scene.render.use_persistent_data = True
scene.render.resolution_x, scene.render.resolution_y, scene.render.resolution_percentage = WIDTH, HEIGHT, 100
scene.frame_start, scene.frame_end = 1, FRAMES
bpy.ops.wm.save_as_mainfile(filepath='FILE')
`;

/** Null: it is there; else why it cannot be used. */
export async function blenderProblem(): Promise<string | null> {
  try {
    await blender(['--version']);
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** A .blend file whose animation has so many frames. */
export async function writeScene(folder: string, frames: number): Promise<string> {
  const file = path.join(folder, 'scene.blend');
  const { width, height, samples } = BLENDER_IMAGE;
  const script = SCENE.replace('SAMPLES', String(samples))
    .replace('WIDTH', String(width))
    .replace('HEIGHT', String(height))
    .replace('FRAMES', String(frames))
    .replace('FILE', file);
  await blender(['-b', '--factory-startup', '--python-exit-code', '1', '--python-expr', script]);
  return file;
}

/** Milliseconds of a whole run over all frames. `threads`: 0 for as many as Blender takes by itself. */
export async function renderAnimation(scene: string, folder: string, threads: number): Promise<number> {
  const beganMs = performance.now();
  await blender([
    '-b',
    scene,
    '-t',
    String(threads),
    '-o',
    path.join(folder, 'frame-####'),
    '-F',
    'PNG',
    '-a',
  ]);
  return performance.now() - beganMs;
}

/** @throws Error with the end of what it printed */
async function blender(args: readonly string[]): Promise<void> {
  const child = spawn('blender', ['-noaudio', ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: TIMEOUT_MS,
    killSignal: 'SIGKILL',
  });
  let lastWords = '';
  for (const output of [child.stdout, child.stderr])
    output.setEncoding('utf8').on('data', (text: string) => {
      lastWords = (lastWords + text).slice(-1000);
    });
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (code !== 0)
    throw new Error(`blender ${args[0] ?? ''} ended with ${signal ?? code}: ${lastWords.trim()}`);
}
