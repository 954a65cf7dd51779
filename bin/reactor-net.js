#!/usr/bin/env node
// Starts the compiled command line; `npm ci` or `npm run build` made dist/.
import { runCommandLine } from '../dist/cli/main.js';

process.exitCode = await runCommandLine(process.argv.slice(2));
