// A small path tracer: a floor, a ball at a given position, point lights above them, one bounce of light between them.
// builtin/main.ts gives it requests. Pure, and deterministic to the bit on every machine: of floating point it uses only
// + - × ÷ and the square root, which IEEE 754 defines exactly, and its random numbers come from the pixel's place.

import { packLight, unpackLight } from '../../lights.js';
import { PixelFormat } from '../../proto/render.js';
import { Random } from './random.js';
import { add, cross, dot, length, minus, multiply, normalized, scaled, type Vector } from './vector.js';

export interface TracedImage {
  readonly width: number;
  readonly height: number;
  readonly samples: number;
  readonly format: PixelFormat;
  readonly position: Vector;
  /** None: the scene has a lamp of its own. */
  readonly lights: readonly number[];
  /** At frame 0 the lamps are where they are without one; with each frame they go a little further around. */
  readonly frame: number;
  readonly seed: number;
}

interface Lamp {
  readonly place: Vector;
  readonly power: Vector;
}

interface Scene {
  readonly ball: Vector;
  readonly lamps: readonly Lamp[];
}

interface Hit {
  readonly point: Vector;
  readonly normal: Vector;
  readonly albedo: Vector;
}

const BLACK: Vector = [0, 0, 0];
const EYE: Vector = [0, -8, 5];
const TARGET: Vector = [0, 0, 1];
const BALL_RADIUS = 1;
/** The ball stands on the floor when its position is the origin. */
const BALL_REST: Vector = [0, 0, BALL_RADIUS];
const BALL_ALBEDO: Vector = [0.9, 0.5, 0.3];
const FLOOR_ALBEDOS: readonly [Vector, Vector] = [
  [0.8, 0.8, 0.8],
  [0.5, 0.5, 0.5],
];
/** Half the height of the picture at distance 1 from the eye. */
const HALF_VIEW = 0.45;
const LAMP_POWER = 14;
const LAMP_HEIGHT = 5;
/** The lamp of a scene whose lights nobody set. */
const OWN_LAMP = packLight({ intensity: 255, r: 255, g: 255, b: 255 });
const LAMP_CORNERS: readonly Vector[] = [
  [4, 0, LAMP_HEIGHT],
  [0, 4, LAMP_HEIGHT],
  [-4, 0, LAMP_HEIGHT],
  [0, -4, LAMP_HEIGHT],
];
/** A whole turn of the lamps. */
const FRAMES_AROUND = 240;
const BOUNCES = 1;
/** How far a new ray begins from where it was reflected, so that it does not hit the same place. */
const CLEARANCE = 1e-6;
const LUMINANCE: Vector = [0.2126, 0.7152, 0.0722];

/** Renders the image from the top; each step gives the pixels of one row. */
export function* traceRows(image: TracedImage): Generator<Uint8Array, void, void> {
  const { width, height, samples, format } = image;
  const lights = image.lights.length === 0 ? [OWN_LAMP] : image.lights;
  const scene = { ball: add(BALL_REST, image.position), lamps: lampsOf(lights, image.frame) };
  const forward = normalized(minus(TARGET, EYE));
  const right = normalized(cross(forward, [0, 0, 1]));
  const up = cross(right, forward);
  for (let y = 0; y < height; y += 1) {
    const row: Vector[] = [];
    for (let x = 0; x < width; x += 1) {
      const random = new Random(x, y, image.seed);
      let sum = BLACK;
      for (let sample = 0; sample < samples; sample += 1) {
        const u = ((2 * (x + random.next()) - width) / height) * HALF_VIEW;
        const v = (1 - (2 * (y + random.next())) / height) * HALF_VIEW;
        const toward = normalized(add(forward, add(scaled(right, u), scaled(up, v))));
        sum = add(sum, lightAlong(scene, EYE, toward, random));
      }
      row.push(scaled(sum, 1 / samples));
    }
    yield pixelsOf(row, format);
  }
}

/** Direct light of every lamp that is not hidden where the ray ends, then the same from one bounce further on. */
function lightAlong(scene: Scene, origin: Vector, toward: Vector, random: Random): Vector {
  let sum = BLACK;
  let share: Vector = [1, 1, 1];
  let from = origin;
  let along = toward;
  for (let bounce = 0; bounce <= BOUNCES; bounce += 1) {
    const hit = nearest(scene.ball, from, along);
    if (hit === undefined) break;
    share = multiply(share, hit.albedo);
    from = add(hit.point, scaled(hit.normal, CLEARANCE));
    for (const lamp of scene.lamps) {
      const way = minus(lamp.place, from);
      const distance = length(way);
      const towardLamp = scaled(way, 1 / distance);
      const slant = dot(hit.normal, towardLamp);
      if (slant <= 0 || ballDistance(scene.ball, from, towardLamp) < distance) continue;
      sum = add(sum, scaled(multiply(share, lamp.power), slant / (distance * distance)));
    }
    along = normalized(add(hit.normal, random.direction()));
  }
  return sum;
}

function nearest(ball: Vector, from: Vector, along: Vector): Hit | undefined {
  const toBall = ballDistance(ball, from, along);
  const toFloor = along[2] < 0 ? -from[2] / along[2] : Infinity;
  const distance = Math.min(toBall, toFloor);
  if (distance === Infinity) return undefined;
  const point = add(from, scaled(along, distance));
  if (toBall <= toFloor) {
    return { point, normal: scaled(minus(point, ball), 1 / BALL_RADIUS), albedo: BALL_ALBEDO };
  }
  const isLight = (Math.floor(point[0]) + Math.floor(point[1])) % 2 === 0;
  return { point, normal: [0, 0, 1], albedo: FLOOR_ALBEDOS[isLight ? 0 : 1] };
}

/** Infinity when the ray misses it. */
function ballDistance(ball: Vector, from: Vector, along: Vector): number {
  const toBall = minus(ball, from);
  const middle = dot(toBall, along);
  const inside = middle * middle - dot(toBall, toBall) + BALL_RADIUS * BALL_RADIUS;
  if (inside < 0) return Infinity;
  const distance = middle - Math.sqrt(inside);
  return distance > CLEARANCE ? distance : Infinity;
}

/** They share the edges of a square out among them; those that are off cost nothing. */
function lampsOf(words: readonly number[], frame: number): Lamp[] {
  const turned = (((frame % FRAMES_AROUND) + FRAMES_AROUND) % FRAMES_AROUND) / FRAMES_AROUND;
  return words.flatMap((word, index) => {
    const { intensity, r, g, b } = unpackLight(word);
    if (intensity === 0) return [];
    const along = (4 * index) / words.length + 4 * turned;
    const corner = Math.floor(along);
    const begin = LAMP_CORNERS[corner % 4]!;
    const end = LAMP_CORNERS[(corner + 1) % 4]!;
    const place = add(begin, scaled(minus(end, begin), along - corner));
    return [{ place, power: scaled([r / 255, g / 255, b / 255], (LAMP_POWER * intensity) / 255) }];
  });
}

function pixelsOf(row: readonly Vector[], format: PixelFormat): Uint8Array {
  switch (format) {
    case PixelFormat.GRAY8:
      return Uint8Array.from(row, (colour) => byteOf(dot(colour, LUMINANCE)));
    case PixelFormat.RGB8:
      return Uint8Array.from(row.flatMap((colour) => colour.map(byteOf)));
    case PixelFormat.RGBA8:
      return Uint8Array.from(row.flatMap((colour) => [...colour.map(byteOf), 255]));
    case PixelFormat.RGBA32F: {
      const bytes = Buffer.allocUnsafe(16 * row.length);
      let offset = 0;
      for (const colour of row) for (const part of [...colour, 1]) offset = bytes.writeFloatLE(part, offset);
      return bytes;
    }
    default:
      throw new TypeError(`no pixels of format ${format}`);
  }
}

/** With a gamma of 2, whose root is exact. */
function byteOf(value: number): number {
  return Math.floor(Math.sqrt(Math.min(value, 1)) * 255 + 0.5);
}
