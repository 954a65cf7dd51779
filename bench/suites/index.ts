// Every suite, in the order `npm run bench` runs them.

import type { Suite } from '../suite.js';
import { HTTP } from './http.js';
import { JBUS } from './jbus.js';
import { KV } from './kv.js';
import { RENDER } from './render.js';
import { RPC } from './rpc.js';
import { TCP } from './tcp.js';
import { UDP } from './udp.js';

export const SUITES: readonly Suite[] = [TCP, HTTP, UDP, JBUS, RPC, KV, RENDER];
