// What a client may call itself: printable and in one piece, because CLIENT LIST shows it in a line.

export function isClientName(name: string): boolean {
  return /^[\x21-\x7e]*$/.test(name);
}
