// A suite's report as text: aligned tables for people at a terminal.
// main.ts prints it after each suite. Pure.

import { formatTable } from '../cli/text-table.js';
import type { BenchResult, Check, SuiteReport } from './report.js';

export function formatReport(report: SuiteReport): string {
  const { host } = report;
  const blocks = [
    `${report.suite} (${report.effort})  ${host.cpus} CPUs, ${host.cpu_model}, Linux ${host.kernel}, Node ${host.node}`,
  ];
  if (report.results.length > 0)
    blocks.push(formatTable([RESULT_HEADER, ...report.results.map(resultRow)], 3));
  if (report.checks.length > 0) blocks.push(formatTable([CHECK_HEADER, ...report.checks.map(checkRow)], 2));
  blocks.push(...report.notes);
  for (const { subject, reason, checks } of report.missing) {
    blocks.push(
      `missing: ${subject}: ${reason}${checks.length > 0 ? ` (no value for ${checks.join(', ')})` : ''}`,
    );
  }
  return `${blocks.join('\n\n')}\n`;
}

const RESULT_HEADER =
  'bench|parameters|subject|ops/s|published|CPU µs/op|q1-q3|user|sys|load CPU|p50 µs|p99 µs|p99.9 µs|MB/s|MB/CPU s|RSS MB|lost|rounds'.split(
    '|',
  );

function resultRow(result: BenchResult): string[] {
  const params = Object.entries(result.params).map(([name, value]) => `${name} ${value}`);
  return [
    result.name,
    params.join(', '),
    result.subject,
    count(result.ops_per_s),
    result.published_ops_per_s === undefined ? '' : count(result.published_ops_per_s),
    result.cpu_us_per_op.toFixed(2),
    `${result.cpu_us_per_op_q1.toFixed(2)}-${result.cpu_us_per_op_q3.toFixed(2)}`,
    result.user_us_per_op.toFixed(2),
    result.sys_us_per_op.toFixed(2),
    result.load_cpu_us_per_op.toFixed(2),
    count(result.p50_us),
    count(result.p99_us),
    count(result.p999_us),
    (result.bytes_per_s / 1e6).toFixed(1),
    result.bytes_per_cpu_s === undefined ? '' : (result.bytes_per_cpu_s / 1e6).toFixed(0),
    (result.rss_bytes / 1e6).toFixed(0),
    result.lost === undefined ? '' : count(result.lost),
    String(result.rounds),
  ];
}

const CHECK_HEADER = ['check', 'what', 'value', 'q1', 'q3', 'bar', 'unit', 'pairs', ''];

function checkRow(check: Check): string[] {
  return [
    check.id,
    check.title,
    figure(check.value),
    figure(check.q1),
    figure(check.q3),
    `${check.better === 'lower' ? '<=' : '>='} ${figure(check.bar)}`,
    check.unit,
    String(check.pairs),
    check.ok ? 'ok' : 'NOT OK',
  ];
}

function count(value: number): string {
  return Math.round(value).toLocaleString('en-US');
}

// Ratios need their decimals, byte counts do not.
function figure(value: number): string {
  return Number.isInteger(value) || Math.abs(value) >= 100 ? count(value) : value.toFixed(3);
}
