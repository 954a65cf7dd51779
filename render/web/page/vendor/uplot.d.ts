// The types of what is served as /vendor/uplot.js: uPlot's module as it lies in its package.
export { default } from 'uplot';
