// `npm run bench` and `reactor-net bench`: runs suites one after the other, prints their tables, writes
// JSON and charts, and exits with 1 when a full run missed a bar.

import { spawnSync } from 'node:child_process';
import { mkdirSync, readdirSync, realpathSync, statSync, writeFileSync } from 'node:fs';
import { cpus, release } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { renderChart } from './chart.js';
import { type BenchOptions, parseOptions, USAGE } from './options.js';
import { EPOLL_ECHO, NATIVE_SOURCES, ROOT, TLV_LOAD } from './paths.js';
import { type Host, passed, type SuiteReport } from './report.js';
import { stopEverything } from './subject.js';
import { noteUnmeasured, type Suite } from './suite.js';
import { SUITES } from './suites/index.js';
import { formatReport } from './table.js';

export interface BenchIo {
  stdout: (text: string) => unknown;
  stderr: (text: string) => unknown;
}

const PROCESS_IO: BenchIo = {
  stdout: (text) => process.stdout.write(text),
  stderr: (text) => process.stderr.write(text),
};

/** Exit codes: 0 done, 1 a bar was missed or a suite failed, 2 wrong usage. */
export async function main(argv: readonly string[], io: BenchIo = PROCESS_IO): Promise<number> {
  let options: BenchOptions | 'help';
  try {
    options = parseOptions(
      argv,
      SUITES.map((suite) => suite.name),
    );
  } catch (error) {
    io.stderr(`bench: ${(error as Error).message}\n`);
    return 2;
  }
  if (options === 'help') {
    io.stdout(USAGE);
    return 0;
  }
  buildNative(io);
  const reports: SuiteReport[] = [];
  let failed = false;
  for (const suite of SUITES) {
    if (!options.suites.includes(suite.name)) continue;
    const report = emptyReport(suite.name, options);
    reports.push(report);
    failed = !(await runSuite(suite, report, options, io)) || failed;
    io.stdout(`${formatReport(report)}\n`);
    await keepResults(report, options, io);
  }
  if (options.jsonFile !== null) {
    const [only] = reports;
    writeFile(options.jsonFile, formatJson(reports.length === 1 && only !== undefined ? only : reports));
  }
  const bad = options.effort.judged && !reports.every(passed);
  return failed || bad ? 1 : 0;
}

async function runSuite(
  suite: Suite,
  report: SuiteReport,
  options: BenchOptions,
  io: BenchIo,
): Promise<boolean> {
  const { name } = options.effort;
  let whyUnmeasured = name === 'full' ? 'a subject to compare is missing' : `not a point of --${name}`;
  try {
    await suite.run({
      effort: options.effort,
      serverCpu: options.pin ? 0 : null,
      loadCpu: options.pin ? cpus().length - 1 : null,
      report,
      progress: (text) => io.stderr(`${suite.name}: ${text}\n`),
    });
    return true;
  } catch (error) {
    whyUnmeasured = `the suite broke off: ${(error as Error).message}`;
    io.stderr(`bench ${suite.name}: ${whyUnmeasured}\n`);
    return false;
  } finally {
    noteUnmeasured(report, suite.rules, whyUnmeasured);
    await stopEverything();
  }
}

function emptyReport(suite: string, options: BenchOptions): SuiteReport {
  return {
    suite,
    host: hostFacts(),
    started: new Date().toISOString(),
    effort: options.effort.name,
    results: [],
    checks: [],
    missing: [],
    notes: [],
  };
}

function hostFacts(): Host {
  const list = cpus();
  return {
    cpus: list.length,
    node: process.version,
    kernel: release(),
    cpu_model: list[0]?.model.trim() ?? 'unknown',
  };
}

/** Builds the native part when it is absent or older than its sources; what fails is named by the suites. */
function buildNative(io: BenchIo): void {
  if (isNativeUpToDate()) return;
  io.stderr('bench: building the load generator\n');
  spawnSync(process.execPath, [join(ROOT, 'bench/setup.js'), '--native-only'], {
    stdio: ['ignore', 'ignore', 'inherit'],
  });
}

function isNativeUpToDate(): boolean {
  const sources = readdirSync(NATIVE_SOURCES).map((file) => statSync(join(NATIVE_SOURCES, file)).mtimeMs);
  const programs = [TLV_LOAD, EPOLL_ECHO].map(
    (file) => statSync(file, { throwIfNoEntry: false })?.mtimeMs ?? 0,
  );
  return Math.max(...sources) <= Math.min(...programs);
}

/** A full run leaves its report and its chart in bench/results/, wherever else they go. */
async function keepResults(report: SuiteReport, options: BenchOptions, io: BenchIo): Promise<void> {
  const standard = options.effort.judged ? join(ROOT, `bench/results/${report.suite}`) : null;
  if (report.results.length === 0) return;
  if (standard !== null) writeFile(`${standard}.json`, formatJson(report));
  const chart = options.svgFile ?? (standard === null ? null : `${standard}.svg`);
  if (chart === null) return;
  writeFile(chart, await renderChart(report));
  io.stderr(`bench ${report.suite}: chart in ${chart}\n`);
}

function formatJson(reports: SuiteReport | SuiteReport[]): string {
  return `${JSON.stringify(reports, null, 2)}\n`;
}

function writeFile(file: string, text: string): void {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(file, text);
}

async function runFromCommandLine(): Promise<void> {
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(130));
  process.exitCode = await main(process.argv.slice(2));
}

// `reactor-net bench` imports this file and calls main itself.
const entry = process.argv[1];
if (entry !== undefined && realpathSync(entry) === fileURLToPath(import.meta.url)) await runFromCommandLine();
