// A suite's results as an SVG chart: CPU per operation and throughput of every subject at every point.
// The chart library is loaded only when a chart is asked for.

import type { BenchResult, SuiteReport } from './report.js';

const WIDTH = 1200;
const POINT_HEIGHT = 24;
const MARGIN_HEIGHT = 130;

export async function renderChart(report: SuiteReport): Promise<string> {
  const echarts = await import('echarts');
  const points = unique(report.results.map(pointLabel));
  const subjects = unique(report.results.map((result) => result.subject));
  const height = MARGIN_HEIGHT + points.length * subjects.length * POINT_HEIGHT;
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  const yAxis = { type: 'category' as const, inverse: true, data: points };
  const bars = (panelIndex: number, pick: (result: BenchResult) => number): object[] =>
    subjects.map((subject) => ({
      name: subject,
      type: 'bar',
      xAxisIndex: panelIndex,
      yAxisIndex: panelIndex,
      label: { show: true, position: 'right', fontSize: 10 },
      data: points.map((point) => valueAt(report.results, point, subject, pick)),
    }));
  chart.setOption({
    animation: false,
    title: {
      text: `${report.suite}: server CPU per operation, and throughput`,
      subtext: `${report.host.cpus} CPUs, Linux ${report.host.kernel}, Node ${report.host.node}, ${report.started}`,
    },
    legend: { top: 50, data: subjects },
    grid: [panel('1%', '42%'), panel('60%', '6%')],
    xAxis: [
      { type: 'value', gridIndex: 0, name: 'µs per operation', nameLocation: 'middle', nameGap: 26 },
      {
        type: 'value',
        gridIndex: 1,
        name: 'thousand operations per second',
        nameLocation: 'middle',
        nameGap: 26,
      },
    ],
    yAxis: [
      { ...yAxis, gridIndex: 0 },
      { ...yAxis, gridIndex: 1, axisLabel: { show: false } },
    ],
    series: [
      ...bars(0, (result) => Number(result.cpu_us_per_op.toFixed(2))),
      ...bars(1, (result) => Number((result.ops_per_s / 1000).toFixed(1))),
    ],
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

function panel(left: string, right: string): object {
  return { left, right, top: 80, bottom: 50, containLabel: true };
}

function pointLabel(result: BenchResult): string {
  const params = Object.entries(result.params).map(([name, value]) => `${name} ${value}`);
  return `${result.name} ${params.join(', ')}`;
}

// Null leaves the bar out: not every subject runs at every point.
function valueAt(
  results: readonly BenchResult[],
  point: string,
  subject: string,
  pick: (result: BenchResult) => number,
): number | null {
  const found = results.find((result) => pointLabel(result) === point && result.subject === subject);
  return found === undefined ? null : pick(found);
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)];
}
