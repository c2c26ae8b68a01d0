// The operator of a robot must be able to stop it. A page that hangs or has failed is not an operator, even if its socket is open.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { command, eventually, keep, launch, open, part, seeFrames } from "../support/browser.mjs";
import { INSTRUCTION, startRobot } from "../support/robot.mjs";
import { startStudio } from "../support/studio.mjs";
import { intercept } from "../support/intercept.mjs";

const pause = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

let browser;
/** The robot's browser, so that a page that hangs does not slow the robot. */
let elsewhere;
before(async () => {
  [browser, elsewhere] = [await launch(), await launch()];
});
after(async () => {
  await browser?.close();
  await elsewhere?.close();
});

/** A page that has instructed a robot that is not simulated, and the robot. */
async function driving(t) {
  const studio = await startStudio("--no-sim");
  const robot = await startRobot(elsewhere, studio.url);
  t.after(async () => {
    await robot.close();
    await studio.stop();
  });
  const page = await open(browser, studio.url);
  await seeFrames(page);
  await command(page, INSTRUCTION);
  await eventually("chunks come", () => robot.chunks(), (chunks) => chunks.length > 3, 60_000);
  // Longer than a viewer may be silent: its echoes keep it present.
  await pause(4_000);
  assert.ok(Math.min(...await robot.chunks()) < 1_000, "a page that works keeps its robot driven");
  return { studio, robot, page };
}

/** Value of a metric of the studio. */
async function metric(studio, name) {
  const text = await (await fetch(`${studio.url}/metrics`)).text();
  return Number(text.match(new RegExp(`^policy_studio_${name} (\\S+)$`, "m"))?.[1]);
}

test("a page that hangs: the robot gets no chunk after 2.5 s", { timeout: 240_000 }, async (t) => {
  const { robot, page } = await driving(t);
  const hungFrom = performance.now();
  const hung = page.evaluate(() => {
    const from = performance.now();
    for (;;) if (performance.now() - from > 5_000) return;
  });
  // Handlers are attached now, so that an early rejection is not unhandled.
  const ended = hung.then(() => performance.now(), () => performance.now());
  await pause(4_500);
  const lastBefore = Math.min(...await robot.chunks());
  const drivenFor = performance.now() - hungFrom - lastBefore;
  assert.ok(drivenFor < 2_500, `chunks went on for ${Math.round(drivenFor)} ms`);
  assert.ok(await ended - hungFrom > 4_500, "it hung all the time");
  // When the page responds again it says what happened, and nothing moves until there is a new instruction.
  await eventually("the page says why", () => part(page, "notices").innerText(), (text) => /is gone, so the robot holds/.test(text), 10_000);
  await keep(page, "27-was-hung");
  await pause(1_000);
  assert.ok(Math.min(...await robot.chunks()) > 2_000, "it moves again by itself");
  await command(page, INSTRUCTION);
  await eventually("and then it moves", async () => Math.min(...await robot.chunks()), (last) => last < 500, 30_000);
  await page.close();
});

test("a page whose program has failed closes its connection at once and says so", { timeout: 240_000 }, async (t) => {
  const { studio, robot, page } = await driving(t);
  assert.equal(await metric(studio, "viewers"), 1);
  const failedAt = performance.now();
  await page.evaluate(() => {
    // A module whose one function is `unreachable`: how every panic of a program without unwinding ends.
    const bytes = Uint8Array.of(
      0, 97, 115, 109, 1, 0, 0, 0, 1, 4, 1, 96, 0, 0, 3, 2, 1, 0, 7, 5, 1, 1, 102, 0, 0, 10, 5, 1, 3, 0, 0, 11);
    setTimeout(new WebAssembly.Instance(new WebAssembly.Module(bytes)).exports.f);
  });
  const notice = part(page, "page-stopped");
  await notice.waitFor({ timeout: 5_000 });
  await eventually("the studio has no viewer", () => metric(studio, "viewers"), (count) => count === 0, 1_500);
  await pause(500);
  const last = Math.min(...await robot.chunks());
  const drivenFor = performance.now() - failedAt - last;
  assert.ok(drivenFor < 1_500, `chunks went on for ${Math.round(drivenFor)} ms`);
  assert.match(await notice.innerText(), /can no longer stop a robot/);
  assert.equal(await notice.getAttribute("role"), "alert");
  await keep(page, "28-page-stopped");
  // Longer than the pauses between attempts: it does not reconnect.
  await pause(4_000);
  assert.equal(await metric(studio, "viewers"), 0);
  await notice.getByRole("link", { name: "Reload the page" }).click();
  await seeFrames(page);
  assert.equal(await notice.count(), 0);
  await page.close();
});

test("a release is refused when stop was pressed again since, and the page says so", { timeout: 120_000 }, async (t) => {
  const studio = await startStudio("--no-sim");
  const robot = await startRobot(elsewhere, studio.url);
  const own = await launch();
  t.after(async () => {
    await own.close();
    await robot.close();
    await studio.stop();
  });
  const link = await intercept(own);
  const one = await open(own, studio.url);
  const two = await open(browser, studio.url);
  for (const page of [one, two]) await seeFrames(page);
  await one.keyboard.press("Escape");
  for (const page of [one, two]) await part(page, "release-button").waitFor();
  // The studio's message about the second press does not reach the first page before its release is clicked.
  const status = 0x36;
  link.change = (frame) => (frame[3] === status ? undefined : frame);
  await two.keyboard.press("Escape");
  await eventually("the second press is in the studio", () => part(two, "task-status").innerText(), (text) => !/has not answered/.test(text), 5_000);
  await pause(500);
  await part(one, "release-button").click();
  await eventually("the page says it", () => part(one, "notices").innerText(), (text) => /stopped again since/.test(text), 5_000);
  await keep(one, "29-stopped-again");
  assert.ok(await part(two, "release-button").isVisible(), "the second stop holds");
  // A page that knows of the second stop may lift it.
  await part(two, "release-button").click();
  await part(two, "release-button").waitFor({ state: "hidden" });
  await two.close();
});
