// From the path of a request to names below the root. Pure: no file is looked at.
// static-files.ts opens what comes out, and makes sure that no link led it elsewhere.

/** Where a request points: names from the root down; `isDirectory` when the path ends with a slash. */
export interface StaticTarget {
  readonly names: readonly string[];
  readonly isDirectory: boolean;
}

/** 'malformed': no path of ours can look like this (400). 'hidden': answered as if it did not exist (404). */
export type StaticPath = StaticTarget | 'malformed' | 'hidden';

const VISIBLE_ASCII = /^[\x21-\x7e]*$/;
/** What a decoded name must not have: it would be another name, or several, to the system. */
const NOT_IN_NAME = /[/\\\0]/;

/**
 * `path` is percent-encoded and begins with a slash. Names that begin with a dot are hidden unless `dotFiles`;
 * `.` and `..` are hidden always, encoded or not.
 */
export function parseStaticPath(path: string, dotFiles: boolean): StaticPath {
  if (!path.startsWith('/') || !VISIBLE_ASCII.test(path)) return 'malformed';
  const names: string[] = [];
  const parts = path.slice(1).split('/');
  const last = parts.pop()!; // split gives one at least
  if (last !== '') parts.push(last);
  for (const part of parts) {
    const name = decode(part);
    if (name === null || NOT_IN_NAME.test(name)) return 'malformed';
    if (name === '' || name === '.' || name === '..') return 'hidden';
    if (name.startsWith('.') && !dotFiles) return 'hidden';
    names.push(name);
  }
  return { names, isDirectory: last === '' };
}

/** null for an escape that is no UTF-8. */
function decode(part: string): string | null {
  try {
    return decodeURIComponent(part);
  } catch {
    return null; // URIError is all it throws
  }
}
