// A route of the HTTP side: its place, what it does, and how the OpenAPI document describes it, in one value, so that none
// of the three can be there without the others. Pure.

import type { IncomingMessage, ServerResponse } from 'node:http';
import { RenderError } from '../errors.js';
import type { Answer } from './answer.js';
import type { Schema } from './schemas.js';

export type Method = 'GET' | 'POST' | 'DELETE';

/** One request on its way through a route. */
export interface Exchange {
  /** What stands in the path for the names in braces, decoded. */
  readonly params: Readonly<Record<string, string>>;
  readonly query: URLSearchParams;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** The body as JSON. @throws RenderError RENDER_REQUEST_INVALID, RENDER_REQUEST_TOO_LARGE */
  json(): Promise<unknown>;
}

export interface ParameterDoc {
  readonly name: string;
  readonly summary: string;
  readonly schema: Schema;
}

export interface ResponseDoc {
  readonly summary: string;
  /** Null: no body. */
  readonly type: string | null;
  readonly schema?: Schema;
}

export interface Route {
  readonly method: Method;
  /** `{name}` stands for one part of a path. */
  readonly path: string;
  readonly id: string;
  readonly summary: string;
  /** Asks for no token. */
  readonly isOpen?: boolean;
  readonly parameters?: readonly ParameterDoc[];
  readonly query?: readonly ParameterDoc[];
  readonly body?: Schema;
  readonly answers: Readonly<Record<number, ResponseDoc>>;
  /** 'taken': it answers by itself, for as long as it likes. */
  handle(exchange: Exchange): Answer | 'taken' | Promise<Answer | 'taken'>;
}

export interface Match {
  readonly route: Route;
  readonly params: Readonly<Record<string, string>>;
}

export class RouteTable {
  readonly #routes: readonly { readonly route: Route; readonly pattern: RegExp }[];

  constructor(routes: readonly Route[]) {
    this.#routes = routes.map((route) => ({ route, pattern: patternOf(route.path) }));
  }

  /** The route for it; or the methods that this path has, none when there is no such path. */
  find(method: string, path: string): Match | readonly Method[] {
    const methods: Method[] = [];
    // A path that is written out goes before one with braces that would fit too, as OpenAPI has it.
    const literal = this.#routes.filter(({ route }) => route.path === path);
    for (const { route, pattern } of literal.length > 0 ? literal : this.#routes) {
      const found = pattern.exec(path);
      if (found === null) continue;
      if (route.method === method) return { route, params: decoded(found.groups ?? {}) };
      methods.push(route.method);
    }
    return methods;
  }
}

/** A whole number from outside. @throws RenderError RENDER_REQUEST_INVALID */
export function countOf(
  name: string,
  text: string | null | undefined,
  { min = 0, max, fallback }: { min?: number; max: number; fallback?: number },
): number {
  if ((text === null || text === undefined || text === '') && fallback !== undefined) return fallback;
  const value = /^\d{1,15}$/.test(text ?? '') ? Number(text) : Number.NaN;
  if (value >= min && value <= max) return value;
  throw new RenderError(
    'RENDER_REQUEST_INVALID',
    `${name} should be a whole number from ${min} to ${max}, not "${(text ?? '').slice(0, 40)}"`,
  );
}

function patternOf(path: string): RegExp {
  const literal = path.replaceAll('.', String.raw`\.`);
  return new RegExp(`^${literal.replaceAll(/\{(\w+)\}/g, '(?<$1>[^/]+?)')}$`);
}

/** @throws RenderError RENDER_REQUEST_INVALID: a percent sign that encodes nothing */
function decoded(groups: Readonly<Record<string, string>>): Record<string, string> {
  try {
    return Object.fromEntries(
      Object.entries(groups).map(([name, value]) => [name, decodeURIComponent(value)]),
    );
  } catch (cause) {
    throw new RenderError('RENDER_REQUEST_INVALID', 'the path is not well encoded', { cause });
  }
}
