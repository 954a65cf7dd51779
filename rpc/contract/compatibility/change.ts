// One difference between two versions of a .proto that somebody might suffer from.
// compare.ts finds them, the command prints them.

export type ChangeKind =
  | 'package-renamed'
  | 'message-removed'
  | 'field-removed' // and its number not reserved
  | 'field-name-free' // removed, number reserved, name not
  | 'field-renamed'
  | 'field-type-changed'
  | 'field-type-widened' // the same on the wire, but not in code
  | 'field-shape-changed' // singular, list, map
  | 'field-presence-changed'
  | 'field-required-changed'
  | 'field-oneof-changed'
  | 'json-name-changed'
  | 'reserved-number-used'
  | 'reserved-name-used'
  | 'enum-removed'
  | 'enum-value-removed'
  | 'enum-value-renamed'
  | 'enum-value-renumbered'
  | 'enum-closed-changed'
  | 'service-removed'
  | 'method-removed'
  | 'method-type-changed'
  | 'method-streaming-changed'
  | 'method-idempotency-lost';

/** `demo/echo.proto:12` */
export interface Place {
  readonly file: string;
  /** From 1. */
  readonly line: number;
}

export interface Change {
  readonly kind: ChangeKind;
  /** Incompatible: peers of the two versions misread or refuse each other's messages or calls. */
  readonly severity: 'incompatible' | 'warning';
  /** The full name, as the old version has it. */
  readonly name: string;
  readonly message: string;
  readonly oldPlace: Place;
  /** Where it is now, or would be. */
  readonly newPlace: Place;
}

const WARNINGS: ReadonlySet<ChangeKind> = new Set<ChangeKind>([
  'field-name-free',
  'field-renamed',
  'field-type-widened',
  'field-presence-changed',
  'json-name-changed',
  'reserved-name-used',
  'enum-value-renamed',
  'enum-closed-changed',
  'method-idempotency-lost',
]);

export function severityOf(kind: ChangeKind): Change['severity'] {
  return WARNINGS.has(kind) ? 'warning' : 'incompatible';
}
