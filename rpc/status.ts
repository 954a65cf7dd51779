// The 17 status codes with which a call ends, as gRPC numbers and names them, and the design notes' codes as aliases.
// errors.ts gives each a code of ours; the STATUS frame and the gRPC adapter carry the number.

export const STATUS = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

export type StatusName = keyof typeof STATUS;
export type StatusNumber = (typeof STATUS)[StatusName];

const NAMES = Object.keys(STATUS) as StatusName[];

/** The name of a status number; numbers that no version knows are UNKNOWN, as in gRPC. */
export function statusName(status: number): StatusName {
  return NAMES[status] ?? 'UNKNOWN';
}
