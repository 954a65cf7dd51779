// Runs a compiled fixture as a process of its own to its end: for what must not happen to the test runner.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';

export interface ScriptOutcome {
  readonly stdout: string;
  readonly stderr: string;
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

/** What is still running after `timeoutMs` is ended by SIGTERM. */
export async function runScript(
  script: URL,
  args: readonly string[],
  timeoutMs: number,
  environment: NodeJS.ProcessEnv = {},
): Promise<ScriptOutcome> {
  const child = spawn(process.execPath, [fileURLToPath(script), ...args], {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: timeoutMs,
    env: { ...process.env, ...environment },
  });
  const [stdout, stderr, [code, signal]] = await Promise.all([
    text(child.stdout),
    text(child.stderr),
    once(child, 'exit') as Promise<[number | null, NodeJS.Signals | null]>, // as child_process documents it
  ]);
  return { stdout, stderr, code, signal };
}
