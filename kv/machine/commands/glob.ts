// Patterns of KEYS, SCAN … MATCH and PSUBSCRIBE: * ? [abc] [^a-z] and \ before a character to be taken as it is.
// One star is gone back to at most, the last one, so that a match costs no more than pattern times text.

/** Whether the whole of `text` matches. */
export function globMatches(pattern: string, text: string): boolean {
  let at = 0;
  let place = 0;
  let starAt = -1;
  let starPlace = 0;
  while (place < text.length) {
    if (pattern[at] === '*') {
      starAt = at;
      starPlace = place;
      at += 1;
      continue;
    }
    const next = at < pattern.length ? stepOver(pattern, at, text.charCodeAt(place)) : -1;
    if (next !== -1) {
      at = next;
      place += 1;
      continue;
    }
    if (starAt === -1) return false;
    starPlace += 1;
    place = starPlace;
    at = starAt + 1;
  }
  while (pattern[at] === '*') at += 1;
  return at >= pattern.length;
}

/** What every match starts with. */
export function globPrefix(pattern: string): string {
  const special = pattern.search(/[*?[\\]/);
  return special === -1 ? pattern : pattern.slice(0, special);
}

/** Where the pattern goes on after one character that matches at `at`; -1 when `code` does not. */
function stepOver(pattern: string, at: number, code: number): number {
  const head = pattern[at];
  if (head === '?') return at + 1;
  if (head === '[') return stepOverClass(pattern, at, code);
  const literal = head === '\\' && at + 1 < pattern.length ? at + 1 : at;
  return pattern.charCodeAt(literal) === code ? literal + 1 : -1;
}

function stepOverClass(pattern: string, start: number, code: number): number {
  let at = start + 1;
  const excluded = pattern[at] === '^';
  if (excluded) at += 1;
  let found = false;
  while (at < pattern.length && pattern[at] !== ']') {
    if (pattern[at] === '\\' && at + 1 < pattern.length) {
      at += 1;
      if (pattern.charCodeAt(at) === code) found = true;
      at += 1;
    } else if (pattern[at + 1] === '-' && at + 2 < pattern.length) {
      const low = pattern.charCodeAt(at);
      const high = pattern.charCodeAt(at + 2);
      if (code >= Math.min(low, high) && code <= Math.max(low, high)) found = true;
      at += 3;
    } else {
      if (pattern.charCodeAt(at) === code) found = true;
      at += 1;
    }
  }
  return found === excluded ? -1 : Math.min(at + 1, pattern.length);
}
