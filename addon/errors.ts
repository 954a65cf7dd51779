// Every error the addon layer reports, as one class and one closed list of codes.
// The C++ code instantiates this very class (native.ts hands it over), so `instanceof` holds for native failures.
// Callers switch on `code`; a failed system call carries `errno` and `syscall` as well.

export type AddonErrorCode =
  | 'ADDON_SYSTEM_CALL_FAILED' // the system refused: see errno and syscall
  | 'ADDON_INVALID_ARGUMENT' // the caller passed something that can never be right
  | 'ADDON_CLOSED' // it was closed, or this thread is ending and takes no new handles
  | 'ADDON_UNSUPPORTED' // this runtime cannot do it
  | 'ADDON_MISSING'; // the native addon is not built, or cannot be loaded

export interface AddonErrorOptions extends ErrorOptions {
  /** The system's error number, positive, as in `os.constants.errno`. */
  readonly errno?: number;
  /** The call that failed, `bind` for instance. */
  readonly syscall?: string;
}

export class AddonError extends Error {
  readonly code: AddonErrorCode;
  readonly errno: number | undefined;
  readonly syscall: string | undefined;

  constructor(code: AddonErrorCode, message: string, options?: AddonErrorOptions) {
    super(message, options);
    this.name = 'AddonError';
    this.code = code;
    this.errno = options?.errno;
    this.syscall = options?.syscall;
  }
}
