// The Range header of a request for a file (RFC 9110 14). Pure.
// file-answer.ts asks; one range is answered, several at a time are answered with the whole file, as is what makes no
// sense: both are allowed, and no client may rely on anything else.

/** What a Range header asks of a representation. */
export type RangeChoice =
  | { readonly kind: 'whole' } // no range, or one that is to be ignored
  | { readonly kind: 'part'; readonly start: number; readonly end: number } // [start, end), at least one byte
  | { readonly kind: 'unsatisfiable' }; // a range that has no byte of it

const WHOLE: RangeChoice = { kind: 'whole' };
const UNSATISFIABLE: RangeChoice = { kind: 'unsatisfiable' };
/** One range of bytes: `first-`, `first-last` or `-suffixBytes`. */
const ONE_RANGE = /^bytes=[ \t]*(?:(\d+)-(\d*)|-(\d+))[ \t]*$/i;

export function chooseRange(header: string | undefined, sizeBytes: number): RangeChoice {
  const match = header === undefined ? null : ONE_RANGE.exec(header);
  if (match === null) return WHOLE;
  const [, first, last, suffix] = match;
  if (first === undefined) {
    const bytes = Math.min(Number(suffix), sizeBytes);
    return bytes === 0 ? UNSATISFIABLE : { kind: 'part', start: sizeBytes - bytes, end: sizeBytes };
  }
  const start = Number(first); // a number too long for a double is Infinity: behind every end
  const lastByte = last === '' ? Infinity : Number(last);
  if (lastByte < start) return WHOLE;
  if (start >= sizeBytes) return UNSATISFIABLE;
  return { kind: 'part', start, end: Math.min(lastByte + 1, sizeBytes) };
}
