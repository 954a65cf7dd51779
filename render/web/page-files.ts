// The files of the web page, read once: they are few and small. They are served as they lie in the package, without a build.

import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import type { Answer } from './answer.js';

export interface PageFile {
  readonly bytes: Uint8Array;
  readonly type: string;
  readonly etag: string;
}

/** From dist/render/web to the folder in the sources, which the package has too. */
const FOLDER = new URL('../../../render/web/page/', import.meta.url);
const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
};
const VENDOR: readonly (readonly [url: string, file: string])[] = [
  ['/vendor/uplot.js', 'uplot/dist/uPlot.esm.js'],
  ['/vendor/uplot.css', 'uplot/dist/uPlot.min.css'],
];

/** By the path of their URL. */
export function readPageFiles(): ReadonlyMap<string, PageFile> {
  const files = new Map<string, PageFile>();
  for (const name of readdirSync(FOLDER)) {
    const type = TYPES[path.extname(name)];
    if (type === undefined) continue;
    files.set(name === 'index.html' ? '/' : `/${name}`, fileOf(type, readFileSync(new URL(name, FOLDER))));
  }
  const { resolve } = createRequire(import.meta.url);
  for (const [url, file] of VENDOR)
    files.set(url, fileOf(TYPES[path.extname(file)]!, readFileSync(resolve(file)))); // all of them have a type
  return files;
}

export function pageAnswer({ bytes, type, etag }: PageFile, ifNoneMatch: string | undefined): Answer {
  const headers = { 'content-type': type, etag, 'cache-control': 'no-cache' };
  return ifNoneMatch === etag ? { status: 304, headers, body: '' } : { status: 200, headers, body: bytes };
}

function fileOf(type: string, bytes: Uint8Array): PageFile {
  const digest = createHash('sha256').update(bytes).digest('base64url').slice(0, 22);
  return { bytes, type, etag: `"${digest}"` };
}
