// Where the benches find what is not compiled with them: the checkout, its launcher, the native build.
// It looks upward for package.json, so that it works from the sources and from dist/.

import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The directory of package.json, whichever directory this file was compiled to. */
export const ROOT: string = findRoot(dirname(fileURLToPath(import.meta.url)));
export const LAUNCHER: string = join(ROOT, 'bin/reactor-net.js');
const NATIVE_BUILD: string = join(ROOT, 'build-bench');
export const NATIVE_SOURCES: string = join(ROOT, 'bench/native');
export const TLV_LOAD: string = join(NATIVE_BUILD, 'tlv-load');
export const EPOLL_ECHO: string = join(NATIVE_BUILD, 'epoll-echo');
export const FILE_SERVER: string = join(NATIVE_BUILD, 'file-server');
export const UDP_ECHO: string = join(NATIVE_BUILD, 'udp-echo');
export const WRK_REPORT: string = join(ROOT, 'bench/wrk-report.lua');

/** The compiled file of a peer, `bench/peers/<name>.ts`. */
export function peer(name: string): string {
  return fileURLToPath(new URL(`./peers/${name}.js`, import.meta.url));
}

function findRoot(directory: string): string {
  if (existsSync(join(directory, 'package.json'))) return directory;
  const parent = dirname(directory);
  if (parent === directory) throw new Error('reactor-net: bench/ is not inside a checkout');
  return findRoot(parent);
}
