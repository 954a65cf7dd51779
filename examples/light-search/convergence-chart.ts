// How the searches went, as an SVG: best and mean score of each generation.

import type { Generation } from './run-search.js';

const SIZE = { width: 900, height: 500 };

export async function convergenceChart(
  runs: ReadonlyMap<string, readonly Generation[]>,
  title: string,
): Promise<string> {
  const echarts = await import('echarts');
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, ...SIZE });
  const series = Array.from(runs, ([name, generations]) => [
    line(`${name}: best`, generations, ({ best }) => best, 'solid'),
    line(`${name}: mean`, generations, ({ mean }) => mean, 'dashed'),
  ]).flat();
  chart.setOption({
    animation: false,
    title: { text: title },
    legend: { top: 30 },
    grid: { left: 70, right: 30, top: 70, bottom: 50 },
    xAxis: { type: 'value', name: 'generation', nameLocation: 'middle', nameGap: 26, min: 1, minInterval: 1 },
    yAxis: { type: 'value', name: 'score', scale: true },
    series,
  });
  const svg = chart.renderToSVGString();
  chart.dispose();
  return svg;
}

function line(
  name: string,
  generations: readonly Generation[],
  pick: (generation: Generation) => number,
  type: 'solid' | 'dashed',
): object {
  const points = generations.map((generation) => [generation.number, pick(generation)]);
  const data = points.filter(([, score]) => Number.isFinite(score));
  return { name, type: 'line', showSymbol: false, lineStyle: { type }, data };
}
