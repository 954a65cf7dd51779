// The registry's pages for people, as HTML text. web.ts serves them. Pure; everything that came from outside is escaped.

import { addressOf } from './record.js';
import type { ListedInstance, ServiceList, ServiceSummary, StoreFigures } from './store.js';

/** Rows of one page; /api has all of them. */
const ROWS_MAX = 1000;
const SECOND_MS = 1000;

const STYLE = `
:root { color-scheme: light dark; font: 15px/1.5 system-ui, sans-serif }
body { max-width: 72rem; margin: 2rem auto; padding: 0 1rem }
table { border-collapse: collapse; width: 100% }
th, td { text-align: left; padding: .3rem .8rem .3rem 0; border-bottom: 1px solid #8884; vertical-align: top }
td.n, th.n { text-align: right }
.note { border-left: 4px solid #d80; padding-left: .8rem }
.dim { opacity: .6 }`;

export interface PageFacts {
  readonly figures: StoreFigures;
  /** Of the wall clock, for ages. */
  readonly nowMs: number;
}

export function indexPage(services: readonly ServiceSummary[], { figures }: PageFacts): string {
  const rows = services
    .slice(0, ROWS_MAX)
    .map(
      ({ name, instances, held }) =>
        `<tr><td><a href="/services/${escapeHtml(encodeURIComponent(name))}">${escapeHtml(name)}</a></td>` +
        `<td class="n">${instances}</td><td class="n">${held === 0 ? '' : held}</td></tr>`,
    );
  const table =
    rows.length === 0
      ? '<p class="dim">No service is registered.</p>'
      : `<table><thead><tr><th>Service</th><th class="n">Instances</th><th class="n">Held</th></tr></thead><tbody>${rows.join('\n')}</tbody></table>`;
  return page('Registry', `${summary(figures)}${table}${cut(services.length)}`);
}

export function servicePage(name: string, { instances }: ServiceList, { figures, nowMs }: PageFacts): string {
  const rows = instances.slice(0, ROWS_MAX).map((instance) => row(instance, nowMs));
  const table =
    rows.length === 0
      ? '<p class="dim">It has no instance.</p>'
      : '<table><thead><tr><th>Address</th><th class="n">Weight</th><th>Version</th><th>Group</th><th>Tags</th>' +
        `<th>Resources</th><th class="n">Heartbeat</th></tr></thead><tbody>${rows.join('\n')}</tbody></table>`;
  const back = '<p><a href="/">All services</a></p>';
  return page(name, `${summary(figures)}${back}${table}${cut(instances.length)}`);
}

function row(instance: ListedInstance, nowMs: number): string {
  const { weight, version, group, tags, resources, lastHeartbeatMs, isHeld, id } = instance;
  const ageSeconds = Math.max(0, Math.round((nowMs - lastHeartbeatMs) / SECOND_MS));
  const age = `${ageSeconds} s ago${isHeld ? ', held' : ''}`;
  const texts = [version, group, entries(tags), entries(resources)].map(
    (text) => `<td>${escapeHtml(text)}</td>`,
  );
  return (
    `<tr title="${escapeHtml(id)}"><td>${escapeHtml(addressOf(instance))}</td><td class="n">${weight}</td>` +
    `${texts.join('')}<td class="n">${age}</td></tr>`
  );
}

function summary(figures: StoreFigures): string {
  const { services, instances, leases, watchers, revision, held, settlingMs } = figures;
  const notes = [
    held === 0
      ? ''
      : `<p class="note">${held} instances are held: too many fell silent at once to believe it. They stay listed ` +
        'until they come back, their machines refuse their ports, or somebody confirms.</p>',
    settlingMs === 0
      ? ''
      : `<p class="note">The registry started a moment ago: whoever is missing may still come, for ${Math.ceil(settlingMs / SECOND_MS)} s.</p>`,
  ];
  return (
    `<p>${services} services, ${instances} instances, ${leases} leases, ${watchers} watches, revision ${revision}</p>` +
    notes.join('')
  );
}

function cut(count: number): string {
  return count <= ROWS_MAX
    ? ''
    : `<p class="dim">${ROWS_MAX} of ${count}; <a href="/api/services">all as JSON</a></p>`;
}

function entries(values: Readonly<Record<string, string | number>>): string {
  return Object.entries(values)
    .map(([key, value]) => `${key}=${value}`)
    .join(', ');
}

function page(title: string, body: string): string {
  const name = escapeHtml(title);
  return (
    `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>${name}</title>` +
    '<meta name="viewport" content="width=device-width"><meta http-equiv="refresh" content="5">' +
    `<style>${STYLE}</style></head><body><h1>${name}</h1>${body}</body></html>\n`
  );
}

const ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

export function escapeHtml(text: string): string {
  return text.replaceAll(/[&<>"']/g, (character) => ENTITIES[character]!);
}
