// The system's Chromium with WebGPU on its software adapter, and helpers for the page.
import { chromium } from "playwright-core";
import { mkdir, mkdtemp } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";

export const OUTPUT = path.resolve(import.meta.dirname, "../../output");

const FLAGS = [
  "--headless=new",
  "--no-sandbox",
  "--enable-unsafe-webgpu",
  "--disable-quic",
  "--no-first-run",
  "--disable-background-networking",
  "--disable-component-update",
  "--disable-sync",
];

/** A browser of its own, with an empty profile. */
export async function launch() {
  await mkdir(OUTPUT, { recursive: true });
  const profile = await mkdtemp(path.join(tmpdir(), "studio-profile-"));
  return chromium.launchPersistentContext(profile, {
    executablePath: process.env.CHROMIUM ?? "/usr/bin/chromium",
    headless: true,
    args: FLAGS,
    viewport: { width: 1440, height: 900 },
  });
}

/** The page at `url`, with its console errors collected in `page.problems`. */
export async function open(context, url) {
  const page = await context.newPage();
  page.problems = [];
  page.on("pageerror", (error) => page.problems.push(`page error: ${error.message}`));
  page.on("console", (message) => {
    if (message.type() === "error") page.problems.push(`console: ${message.text()}`);
  });
  await page.goto(url);
  return page;
}

export const part = (page, id) => page.locator(`[data-testid="${id}"]`);

/** Saves a screenshot for people to look at. */
export async function keep(page, name) {
  await page.screenshot({ path: path.join(OUTPUT, `${name}.png`) });
}

/** Waits until `read()` satisfies `enough`; the error names the last value. */
export async function eventually(what, read, enough, timeoutMillis = 30_000) {
  const deadline = Date.now() + timeoutMillis;
  let last;
  while (Date.now() < deadline) {
    last = await read();
    if (enough(last)) return last;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error(`${what}: still ${JSON.stringify(last)} after ${timeoutMillis} ms`);
}

export const frames = async (page, view) => Number(await part(page, view).getAttribute("data-frames"));

/** Waits until both cameras have delivered more than `count` frames. */
export async function seeFrames(page, count = 3, timeoutMillis = 60_000) {
  for (const view of ["view-overview", "view-wrist"]) {
    await eventually(`${view} frames`, () => frames(page, view), (n) => n > count, timeoutMillis);
  }
}

export async function command(page, text) {
  await part(page, "command-input").fill(text);
  await part(page, "command-input").press("Enter");
}

export const taskState = (page) => part(page, "task-status").getAttribute("data-state");

/**
 * Gives the instruction in new scenes until the robot's success test passes.
 * The nano policy does not solve every scene; its rate is what `policy-studio eval` reports.
 */
export async function succeedWithin(page, text, attempts, timeoutMillis = 25_000) {
  for (let attempt = 1; attempt <= attempts; attempt++) {
    await command(page, text);
    await eventually("the robot works on it", () => taskState(page), (s) => s === "running" || s === "succeeded");
    try {
      await eventually("the task succeeds", () => taskState(page), (s) => s === "succeeded", timeoutMillis);
      return attempt;
    } catch {
      await part(page, "reset-button").click();
      await new Promise((resolve) => setTimeout(resolve, 1000));
    }
  }
  throw new Error(`"${text}" did not succeed in ${attempts} scenes`);
}

export async function exampleInstructions(page) {
  // They come with the details of the robot, which the studio sends to whoever watches it.
  const examples = page.locator('[data-testid^="example-"]');
  await examples.first().waitFor({ timeout: 10_000 });
  return examples.allInnerTexts();
}
