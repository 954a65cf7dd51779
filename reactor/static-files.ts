// Serves the files below one folder over HTTP: a handler of the small HTTP API (http1/handlers.ts), on both transports.
// static/ decides what a path means and how a request is answered; bodies leave by the connection's sendFile.

import { closeSync } from 'node:fs';

import { ReactorError } from './errors.js';
import type { Http1RequestHandler, Http1Respond } from './http1/handlers.js';
import type { Http1Request } from './http1/request.js';
import { checkOptionTypes } from './option-types.js';
import { SendableFile } from './sendable-file.js';
import { answerFile } from './static/file-answer.js';
import { mediaTypeOf } from './static/media-type.js';
import { parseStaticPath } from './static/request-path.js';
import { type FoundFile, StaticFolder } from './static/static-folder.js';

export interface StaticFilesOptions {
  /** What paths begin with that is no part of a file's name; begins and ends with a slash. Default '/'. */
  prefix?: string;
  /** The file that stands for its folder; '' for none. Default 'index.html'. */
  index?: string;
  /** Whether names that begin with a dot are served. Default false. */
  dotFiles?: boolean;
  /** The Cache-Control header. Default 'no-cache': kept by clients, which ask before each use. */
  cacheControl?: string;
}

const DEFAULTS: Required<StaticFilesOptions> = {
  prefix: '/',
  index: 'index.html',
  dotFiles: false,
  cacheControl: 'no-cache',
};

const TEXT = { 'content-type': 'text/plain; charset=utf-8' };

/**
 * A handler that answers GET and HEAD with the files below `root`.
 * @throws ReactorError REACTOR_OPTION_INVALID when `root` is no folder, or an option is impossible
 */
export function staticFiles(root: string | URL, options: StaticFilesOptions = {}): Http1RequestHandler {
  const folder = new StaticFolder(root);
  const complete = resolveOptions(options);
  return (request, respond) => answer(folder, complete, request, respond);
}

/** @throws ReactorError REACTOR_FILE_UNAVAILABLE when the system cannot open any file now. */
function answer(
  folder: StaticFolder,
  { prefix, index, dotFiles, cacheControl }: Required<StaticFilesOptions>,
  request: Http1Request,
  respond: Http1Respond,
): unknown {
  const { method, path } = request;
  if (method !== 'GET' && method !== 'HEAD') {
    return respond(405, { ...TEXT, allow: 'GET, HEAD' }, 'only GET and HEAD are answered here\n');
  }
  const target = path.startsWith(prefix)
    ? parseStaticPath(path.slice(prefix.length - 1), dotFiles)
    : 'hidden';
  if (target === 'malformed') return respond(400, TEXT, 'this is no path of a file\n');
  if (target === 'hidden' || (target.isDirectory && index === '')) return notFound(respond);
  const found = folder.open(target.isDirectory ? [...target.names, index] : target.names);
  if (found === 'folder' && !target.isDirectory && index !== '') {
    return respond(301, { ...TEXT, location: slashAdded(target.names, request.query) }, 'this is a folder\n');
  }
  if (found === null || found === 'folder') return notFound(respond);
  return send(method, request, respond, found, cacheControl);
}

/** Takes over the file's descriptor. */
async function send(
  method: 'GET' | 'HEAD',
  request: Http1Request,
  respond: Http1Respond,
  found: FoundFile,
  cacheControl: string,
): Promise<void> {
  const { fd, name } = found;
  try {
    const presentation = { contentType: mediaTypeOf(name), cacheControl };
    const header = (wanted: string): string | undefined => request.headers.get(wanted);
    const { status, headers, start, end } = answerFile(method, header, found, presentation, Date.now());
    const bytes = end - start;
    if (bytes === 0 || method === 'HEAD') {
      respond(status, status === 304 ? headers : { ...headers, 'content-length': bytes });
      return;
    }
    const writer = respond.stream(status, { ...headers, 'content-length': bytes });
    await writer.sendBody(bytes, (connection) =>
      connection.sendOpenFile(new SendableFile(fd, start, bytes, false)),
    );
    writer.end();
  } finally {
    closeSync(fd);
  }
}

function notFound(respond: Http1Respond): unknown {
  return respond(404, TEXT, 'not found\n');
}

/** Relative, so that neither a prefix nor a proxy matters; `./`, lest a colon in the name be taken for a scheme's. */
function slashAdded(names: readonly string[], query: string): string {
  const slashed = `./${encodeURIComponent(names.at(-1) ?? '')}/`;
  return query === '' ? slashed : `${slashed}?${query}`;
}

function resolveOptions(options: StaticFilesOptions): Required<StaticFilesOptions> {
  checkOptionTypes(options, {
    prefix: 'string',
    index: 'string',
    dotFiles: 'boolean',
    cacheControl: 'string',
  });
  const given = Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined));
  const complete: Required<StaticFilesOptions> = { ...DEFAULTS, ...given };
  const { prefix, index, cacheControl } = complete;
  if (!prefix.startsWith('/') || !prefix.endsWith('/')) {
    throw invalid(`prefix must begin and end with a slash, not ${prefix}`);
  }
  if (index === '.' || index === '..' || /[/\\\0]/.test(index)) {
    throw invalid(`index must be the name of a file, not ${index}`);
  }
  if (!/^[\x20-\x7e]+$/.test(cacheControl)) throw invalid('cacheControl must be the text of a header');
  return complete;
}

function invalid(message: string): ReactorError {
  return new ReactorError('REACTOR_OPTION_INVALID', message);
}
