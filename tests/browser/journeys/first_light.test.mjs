// An instruction typed in the browser moves the robot, the page explains why, and a stop halts it.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { command, eventually, exampleInstructions, keep, launch, open, part, seeFrames, succeedWithin } from "../support/browser.mjs";
import { startStudio } from "../support/studio.mjs";

let studio, browser, page;

before(async () => {
  studio = await startStudio();
  browser = await launch();
  page = await open(browser, studio.url);
}, { timeout: 180_000 });

after(async () => {
  await browser?.close();
  await studio?.stop();
});

test("both cameras move live before the compute worker is ready", { timeout: 90_000 }, async () => {
  await seeFrames(page);
  await keep(page, "01-frames");
});

test("the tab chooses where it computes after a self-test and says so", { timeout: 180_000 }, async () => {
  const state = await eventually(
    "compute device", () => part(page, "compute-device").getAttribute("data-state"), (s) => s === "ready", 150_000);
  assert.equal(state, "ready");
});

test("an instruction typed in the page is carried out and its success is shown", { timeout: 180_000 }, async () => {
  const red = await part(page, "command-input").getAttribute("placeholder");
  assert.ok(red, "the command box says what can be typed");
  await succeedWithin(page, (await exampleInstructions(page))[0], 5);
  await keep(page, "02-succeeded");
});

test("the discrete mode sends the policy's own tokens and the browser decodes exactly what was sent", { timeout: 180_000 }, async () => {
  await part(page, "mode-discrete").click();
  await command(page, (await exampleInstructions(page))[1]);
  await eventually(
    "the policy's own tokens",
    () => part(page, "trace-tokens").getAttribute("data-origin"),
    (origin) => origin === "generated", 60_000);
  await eventually("a decode", () => part(page, "trace-decode").getAttribute("data-equal"), (v) => v === "true", 60_000);
  const difference = Number(await part(page, "trace-decode").getAttribute("data-max-difference"));
  assert.ok(difference <= 1e-4, `normalised difference ${difference}`);
  assert.ok((await part(page, "trace-prompt").innerText()).length > 40);
  await keep(page, "03-trace");
});

test("stop halts the robot at once and lasts until it is released", { timeout: 120_000 }, async () => {
  await part(page, "mode-continuous").click();
  await part(page, "reset-button").click();
  await command(page, (await exampleInstructions(page))[0]);
  await eventually("moving", () => jointText(page).then(() => positions(page, 400)), ([a, b]) => distance(a, b) > 0.5, 30_000);
  await part(page, "stop-button").click();
  await part(page, "stopped-banner").waitFor({ state: "visible", timeout: 5_000 });
  await new Promise((resolve) => setTimeout(resolve, 700));
  const [a, b] = await positions(page, 1500);
  assert.ok(distance(a, b) < 0.3, `joints moved by ${distance(a, b)} after the stop`);
  await keep(page, "04-stopped");

  await command(page, (await exampleInstructions(page))[0]);
  const [c, d] = await positions(page, 1500);
  assert.ok(distance(c, d) < 0.3, "a command does not lift the stop");
  await part(page, "release-button").click();
  await part(page, "stopped-banner").waitFor({ state: "hidden", timeout: 5_000 });
});

test("the page reports no error", () => {
  assert.deepEqual(page.problems, []);
});

const jointText = (page) => part(page, "joint-state").getAttribute("data-state");

/** The measured joints now and a while later. */
async function positions(page, pauseMillis) {
  const read = async () => JSON.parse(await jointText(page));
  const first = await read();
  await new Promise((resolve) => setTimeout(resolve, pauseMillis));
  return [first, await read()];
}

const distance = (a, b) => Math.max(...a.map((v, i) => Math.abs(v - b[i])));
