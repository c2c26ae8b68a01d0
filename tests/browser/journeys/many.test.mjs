// Two robots and three browsers at once. Killing a robot or a browser does not affect the others.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { command, eventually, keep, launch, open, part, seeFrames, frames } from "../support/browser.mjs";
import { startSim, startStudio } from "../support/studio.mjs";

let studio, browsers, pages, sims;

before(async () => {
  studio = await startStudio("--no-sim");
  sims = [await startSim(studio.url, "--seed", "1", "--name", "left"), await startSim(studio.url, "--seed", "2", "--name", "right")];
  browsers = [];
  pages = [];
  for (let i = 0; i < 3; i++) {
    const browser = await launch();
    browsers.push(browser);
    pages.push(await open(browser, studio.url));
  }
}, { timeout: 240_000 });

after(async () => {
  for (const browser of browsers ?? []) await browser.close().catch(() => {});
  for (const sim of sims ?? []) await sim.stop();
  await studio?.stop();
});

async function choose(page, name) {
  await eventually("robot in the list", () => part(page, "robot-select").innerText(), (t) => t.includes(name), 60_000);
  const value = await part(page, "robot-select").locator("option", { hasText: name }).first().getAttribute("value");
  await part(page, "robot-select").selectOption(value);
}

/** The first example instruction of this robot that contains the verb. */
const offered = (page, verb) => page.locator('[data-testid^="example-"]', { hasText: verb }).first().innerText();

const status = (page) => part(page, "task-status").innerText();

test("each robot follows its own instruction while three browsers watch", { timeout: 240_000 }, async () => {
  await choose(pages[0], "left");
  await choose(pages[1], "right");
  await choose(pages[2], "left");
  for (const page of pages) await seeFrames(page, 3, 120_000);
  const [reach, push] = [await offered(pages[0], "reach"), await offered(pages[1], "push")];
  await command(pages[0], reach);
  await command(pages[1], push);
  await eventually("left's instruction in the third browser", () => status(pages[2]), (t) => t.includes(reach), 60_000);
  await eventually("right's instruction in the second", () => status(pages[1]), (t) => t.includes(push), 60_000);
  assert.ok(!(await status(pages[0])).includes(push));
  await keep(pages[2], "05-three-browsers");
});

test("killing a browser does not affect the robots and the other browsers", { timeout: 120_000 }, async () => {
  await browsers[2].close();
  const before = await frames(pages[0], "view-overview");
  await eventually("frames continue", () => frames(pages[0], "view-overview"), (n) => n > before + 5, 60_000);
});

test("a killed robot is shown as disconnected while the other continues", { timeout: 120_000 }, async () => {
  await sims[0].kill();
  await eventually(
    "status of the killed robot", () => part(pages[0], "task-status").getAttribute("data-state"),
    (s) => s === "disconnected", 60_000);
  await keep(pages[0], "06-robot-gone");
  const before = await frames(pages[1], "view-overview");
  await eventually("the other's frames continue", () => frames(pages[1], "view-overview"), (n) => n > before + 5, 60_000);
});
