// A suite's results as an SVG chart: CPU per operation and throughput of every subject at every point.
// The chart library is loaded only when a chart is asked for.

import type { BenchResult, SuiteReport } from './report.js';

const WIDTH = 1200;
const POINT_HEIGHT = 24;
const MARGIN_HEIGHT = 150;
const LABEL_WIDTH = 360;
/** The series of figures that others published for the same points. */
const PUBLISHED = 'published (design notes)';

export async function renderChart(report: SuiteReport): Promise<string> {
  const echarts = await import('echarts');
  const points = unique(report.results.map(pointLabel));
  const subjects = unique(report.results.map((result) => result.subject));
  const height = MARGIN_HEIGHT + points.length * subjects.length * POINT_HEIGHT;
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width: WIDTH, height });
  const yAxis = { type: 'category' as const, inverse: true, data: points };
  const ofEach = (panelIndex: number, pick: (result: BenchResult) => number): object[] =>
    subjects.map((subject) => {
      const own = report.results.filter((result) => result.subject === subject);
      return barSeries(panelIndex, subject, valuesAt(points, own, pick));
    });
  const published = report.results.filter((result) => result.published_ops_per_s !== undefined);
  const others =
    published.length === 0
      ? []
      : [
          barSeries(
            1,
            PUBLISHED,
            valuesAt(points, published, (result) => thousands(result.published_ops_per_s ?? 0)),
          ),
        ];
  chart.setOption({
    animation: false,
    title: {
      text: `${report.suite}: server CPU per operation, and throughput`,
      subtext: `${report.host.cpus} CPUs, Linux ${report.host.kernel}, Node ${report.host.node}, ${report.started}`,
    },
    legend: { top: 66, itemGap: 30, data: published.length === 0 ? subjects : [...subjects, PUBLISHED] },
    grid: [panel(LABEL_WIDTH, 480), panel(760, 60)],
    xAxis: [
      valueAxis(0, 'µs per operation', report.results.map(cpuMicros)),
      valueAxis(1, 'thousand operations per second', report.results.map(thousandsPerSecond)),
    ],
    yAxis: [
      { ...yAxis, gridIndex: 0 },
      { ...yAxis, gridIndex: 1, axisLabel: { show: false } },
    ],
    series: [...ofEach(0, cpuMicros), ...ofEach(1, thousandsPerSecond), ...others],
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

// Without a screen the library can only guess how wide the labels are, so they get a fixed margin.
function panel(left: number, right: number): object {
  return { left, right, top: 100, bottom: 50 };
}

// Points differ by a factor of a thousand, so the axis is logarithmic and starts at a power of ten.
function valueAxis(gridIndex: number, name: string, values: readonly number[]): object {
  const smallest = Math.min(...values.filter((value) => value > 0));
  const min = 10 ** Math.floor(Math.log10(smallest));
  return { type: 'log', gridIndex, name, min, startValue: min, nameLocation: 'middle', nameGap: 26 };
}

function barSeries(panelIndex: number, name: string, data: (number | null)[]): object {
  const label = { show: true, position: 'right', fontSize: 10 };
  return { name, type: 'bar', xAxisIndex: panelIndex, yAxisIndex: panelIndex, label, data };
}

function pointLabel(result: BenchResult): string {
  const params = Object.entries(result.params).map(([name, value]) => `${name} ${value}`);
  return `${result.name} ${params.join(', ')}`;
}

// Null leaves the bar out: not every subject runs at every point.
function valuesAt(
  points: readonly string[],
  results: readonly BenchResult[],
  pick: (result: BenchResult) => number,
): (number | null)[] {
  return points.map((point) => {
    const found = results.find((result) => pointLabel(result) === point);
    return found === undefined ? null : pick(found);
  });
}

function cpuMicros(result: BenchResult): number {
  return Number(result.cpu_us_per_op.toFixed(2));
}

function thousandsPerSecond(result: BenchResult): number {
  return thousands(result.ops_per_s);
}

function thousands(value: number): number {
  return Number((value / 1000).toFixed(1));
}

function unique(names: readonly string[]): string[] {
  return [...new Set(names)];
}
