// Loads the native addon, once per thread, and is the only file that does.
// The binary is build/Release/reactor_net.node of this package, or the file named by REACTOR_NET_ADDON.
// Without it the package still works on one thread: loadAddon() answers null, and the main thread says once,
// in one line on standard error, what is missing.
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { isMainThread } from 'node:worker_threads';

import type { Addon } from './api.js';
import { AddonError } from './errors.js';

interface Binding extends Addon {
  useErrorClass(errorClass: typeof AddonError): void;
}

type Outcome = { readonly addon: Addon } | { readonly missing: string };

let outcome: Outcome | undefined;

/** The addon, or null when there is none; the answer does not change while the thread lives. */
export function loadAddon(): Addon | null {
  const settled = settle();
  return 'addon' in settled ? settled.addon : null;
}

/** Why there is no addon, in one line; null when there is one. */
export function addonMissingReason(): string | null {
  const settled = settle();
  return 'missing' in settled ? settled.missing : null;
}

/**
 * The addon, for callers that cannot do without.
 * @throws AddonError ADDON_MISSING with the reason.
 */
export function requireAddon(): Addon {
  const settled = settle();
  if ('addon' in settled) return settled.addon;
  throw new AddonError('ADDON_MISSING', settled.missing);
}

function settle(): Outcome {
  if (outcome === undefined) {
    outcome = load();
    if ('missing' in outcome && isMainThread) process.stderr.write(`${outcome.missing}\n`);
  }
  return outcome;
}

function load(): Outcome {
  const path =
    process.env['REACTOR_NET_ADDON'] ??
    fileURLToPath(new URL('../../build/Release/reactor_net.node', import.meta.url));
  try {
    // The shape is ours: the binary is built from addon/src of this very package.
    const binding = createRequire(import.meta.url)(path) as Binding;
    binding.useErrorClass(AddonError);
    return { addon: binding };
  } catch (error) {
    return { missing: explain(path, error) };
  }
}

/** One line: what the install script recorded when it could not build, else why the file does not load. */
function explain(path: string, error: unknown): string {
  if ((error as NodeJS.ErrnoException).code === 'MODULE_NOT_FOUND') {
    const recorded = recordedReason();
    if (recorded !== undefined && process.env['REACTOR_NET_ADDON'] === undefined) return recorded;
    return `reactor-net: the native addon is missing: ${path} does not exist (npm rebuild reactor-net builds it)`;
  }
  // require() throws Errors; dlopen puts the cause on the first line.
  const [line] = (error as Error).message.split('\n');
  return `reactor-net: the native addon does not load: ${line}`;
}

function recordedReason(): string | undefined {
  try {
    return readFileSync(new URL('../../build/addon-missing.txt', import.meta.url), 'utf8').trim();
  } catch {
    return undefined; // not recorded: the install script did not run
  }
}
