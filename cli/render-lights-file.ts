// The file of `render submit --lights`: a list of light sets, one for each image, in YAML or JSON (which is YAML, too).
// A set is a list of lights; a light is { intensity, r, g, b }, { intensity, color: '#rrggbb' }, or the packed word.
// What is wrong is told with its place. Pure.

import { isAlias, isMap, isScalar, isSeq, LineCounter, type Node, parseDocument } from 'yaml';
import { type Light, type LightSet, packLight, RenderError } from '../render/index.js';
import { UsageError } from './flags.js';

const COLOR = /^#[0-9a-f]{6}$/i;
const PARTS = ['intensity', 'r', 'g', 'b'] as const;

/** @throws UsageError `FILE:LINE:COLUMN: what is wrong` */
export function readLightSets(text: string, file: string): readonly LightSet[] {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, logLevel: 'error', prettyErrors: false });
  const [syntax] = document.errors;
  if (syntax !== undefined) throw wrong(placeAt(syntax.pos[0]), oneLine(syntax.message));

  function placeAt(offset: number): string {
    const { line, col } = lines.linePos(offset);
    return `${file}:${line}:${col}`;
  }
  function placeOf(node: unknown): string {
    return placeAt((node as Node | null)?.range?.[0] ?? 0);
  }
  /** The node itself, where an alias stands for it. */
  function resolved(node: unknown): unknown {
    return isAlias(node) ? node.resolve(document) : node;
  }
  function items(given: unknown, what: string): readonly unknown[] {
    const node = resolved(given);
    if (isSeq(node)) return node.items;
    throw wrong(placeOf(given), `${what} should be a list`);
  }
  function light(given: unknown, what: string): number {
    const node = resolved(given);
    const value: unknown = isScalar(node) || isMap(node) ? node.toJS(document) : undefined;
    try {
      return wordOf(value);
    } catch (error) {
      if (!(error instanceof RenderError)) throw error;
      throw wrong(placeOf(given), `${what}: ${error.message}`);
    }
  }

  const sets = items(document.contents, 'the file');
  if (sets.length === 0)
    throw wrong(placeOf(document.contents), 'the file should have at least one light set');
  return sets.map((set, setIndex) => {
    const name = `set ${setIndex + 1}`;
    return items(set, name).map((each, index) => light(each, `${name}, light ${index + 1}`));
  });
}

/** @throws RenderError RENDER_LIGHTS_MALFORMED saying what would be right */
function wordOf(value: unknown): number {
  if (typeof value === 'number') {
    if (value >>> 0 === value) return value;
    throw malformed(`${value} should be a whole number from 0 to ${2 ** 32 - 1}`);
  }
  if (typeof value !== 'object' || value === null)
    throw malformed('should be { intensity, r, g, b }, { intensity, color } or a number');
  const fields = value as Record<string, unknown>;
  const { color, ...others } = fields;
  if (color === undefined) return packLight(lightOf(fields));
  if (typeof color !== 'string' || !COLOR.test(color)) throw malformed("color should be such as '#ff8000'");
  const [r, g, b] = [1, 3, 5].map((at) => Number.parseInt(color.slice(at, at + 2), 16));
  for (const name of ['r', 'g', 'b']) {
    if (name in others) throw malformed(`${name} should be left out beside color`);
  }
  return packLight(lightOf({ ...others, r, g, b }));
}

function lightOf(fields: Readonly<Record<string, unknown>>): Light {
  const unknown = Object.keys(fields).find((name) => !PARTS.some((part) => part === name));
  if (unknown !== undefined) throw malformed(`"${unknown}" is none of intensity, r, g, b and color`);
  const [intensity, r, g, b] = PARTS.map((name) => {
    const value = fields[name];
    if (value === undefined) throw malformed(`${name} is missing`);
    if (typeof value !== 'number' || !Number.isInteger(value) || value < 0 || value > 255)
      throw malformed(`${name} is ${JSON.stringify(value)}, and should be a whole number from 0 to 255`);
    return value;
  });
  return { intensity: intensity!, r: r!, g: g!, b: b! }; // four parts give four numbers
}

function wrong(place: string, message: string): UsageError {
  return new UsageError(`--lights: ${place}: ${message}`);
}

function malformed(message: string): RenderError {
  return new RenderError('RENDER_LIGHTS_MALFORMED', message);
}

function oneLine(text: string): string {
  return text.split('\n', 1)[0] ?? '';
}
