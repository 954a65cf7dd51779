// A real Chromium: Debian's, driven by playwright-core. Pictures of what it shows are kept as artefacts of the test run.

import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import { type Browser, type BrowserContextOptions, chromium, type Locator, type Page } from 'playwright-core';

const PLACES = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome'];
const FOLDER = new URL('../../../../../artifacts/web/', import.meta.url);
/** Everything takes longer on a machine that is busy. */
const PATIENCE_MS = 60_000;

const AXE = readFileSync(createRequire(import.meta.url).resolve('axe-core/axe.min.js'), 'utf8');

export const CHROMIUM: string | undefined = PLACES.find((place) => existsSync(place));

/** For `skip`: why there is nothing to test with; in CI there has to be. */
export function skipWithoutChromium(): string | false {
  if (CHROMIUM !== undefined || process.env['CI'] === 'true') return false;
  return 'no chromium: apt-get install --no-install-recommends chromium';
}

export class TestBrowser {
  readonly #browser: Browser;
  /** What pages complained of: errors of scripts, and what the policy of the page forbids. */
  readonly complaints: string[] = [];

  private constructor(browser: Browser) {
    this.#browser = browser;
  }

  static async open(): Promise<TestBrowser> {
    // Its sandbox cannot be had by root, as which CI runs; the pages are our own.
    return new TestBrowser(
      await chromium.launch({
        ...(CHROMIUM === undefined ? {} : { executablePath: CHROMIUM }),
        args: ['--no-sandbox', '--disable-dev-shm-usage'],
        timeout: PATIENCE_MS,
      }),
    );
  }

  async page(url: string, options: BrowserContextOptions = {}): Promise<Page> {
    const page = await this.#browser.newPage({ viewport: { width: 1280, height: 900 }, ...options });
    page.setDefaultTimeout(PATIENCE_MS);
    page.on('pageerror', (error) => this.complaints.push(error.message));
    page.on('console', (message) => {
      // A main node that is away, and tokens that are wrong, are for the page to tell.
      if (message.type() === 'error' && !/ERR_|status of (?:401|404|503)/.test(message.text()))
        this.complaints.push(message.text());
    });
    await page.goto(url);
    return page;
  }

  async close(): Promise<void> {
    await this.#browser.close();
  }
}

/** Keeps a picture of the whole page. */
export async function keepPicture(page: Page, name: string): Promise<void> {
  mkdirSync(FOLDER, { recursive: true });
  await page.screenshot({ path: fileURLToPath(new URL(`${name}.png`, FOLDER)), fullPage: true });
}

/** What we use of an HTMLImageElement: there are no types of a browser here. */
export interface Picture {
  readonly naturalWidth: number;
  readonly naturalHeight: number;
}

/** Waits for an image whose pixels are there; one that was refused for a moment asks again. */
export async function painted(image: Locator): Promise<void> {
  await image.scrollIntoViewIfNeeded();
  const isPainted = (node: unknown): boolean => (node as Picture).naturalWidth > 0; // the locator is of an img
  await image.page().waitForFunction(isPainted, await image.elementHandle());
}

/** What axe finds wrong for people who do not see, see little, or use a keyboard: rule, and where. */
export async function barriers(page: Page): Promise<readonly string[]> {
  // Run by the debugger: the policy of the page allows no script of others.
  await page.evaluate(AXE);
  const { violations, passes } = await page.evaluate<AxeResults>('axe.run()');
  assert(passes.length > 10, 'axe has looked at the page');
  return violations.map(
    ({ id, nodes }) => `${id}: ${nodes.map(({ html }) => html.slice(0, 120)).join(' | ')}`,
  );
}

/** What we use of axe's answer. */
interface AxeResults {
  readonly passes: readonly object[];
  readonly violations: readonly {
    readonly id: string;
    readonly nodes: readonly { readonly html: string }[];
  }[];
}
