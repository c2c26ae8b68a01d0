// Questions about the scene. The checkpoint was built by hand and marks the same places in every image, as its answer
// states. These tests therefore cover the path from a question to marks on its image, not the model's vision. The slow
// checkpoint repeats layers that add nothing, so it gives the same answer slowly.
import assert from "node:assert/strict";
import { rm } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { eventually, keep, launch, open, part, seeFrames } from "../support/browser.mjs";
import { deeper } from "../support/deeper.mjs";
import { startStudio } from "../support/studio.mjs";

const GOLDENS = path.resolve(import.meta.dirname, "../../goldens/molmo2");
const ANSWER = "This model was built by hand for tests: whatever it is shown, it marks the same two places and the very same "
  + "part of the picture.";

let browser;

before(async () => {
  browser = await launch();
});

after(async () => {
  await browser?.close();
});

const state = (page) => part(page, "ask-answer").getAttribute("data-state");

async function ask(page, question) {
  await part(page, "ask-input").fill(question);
  await part(page, "ask-input").press("Enter");
}

/** Centers of the marks of a view, as fractions of the image. */
const centres = (page, view) =>
  part(page, `ask-view-${view}`).evaluate((figure) => {
    const frame = figure.querySelector("canvas").getBoundingClientRect();
    const shapes = figure.querySelectorAll("[data-testid=ask-mark] > .rim");
    return [...shapes].map((shape) => {
      const box = shape.getBoundingClientRect();
      return [(box.x + box.width / 2 - frame.x) / frame.width, (box.y + box.height / 2 - frame.y) / frame.height];
    });
  });

test("a question is answered with marks on the image that it is about", { timeout: 180_000 }, async () => {
  const studio = await startStudio("--ask", path.join(GOLDENS, "pointing/checkpoint"));
  const page = await open(browser, studio.url);
  try {
    await seeFrames(page);
    await ask(page, "Point to every cube.");
    await eventually("the answer", () => state(page), (s) => s === "done", 60_000);
    assert.equal(await part(page, "ask-text").innerText(), ANSWER);
    assert.match(await part(page, "ask-note").innerText(), /^36 tokens: the first after .*, then .* each$/);
    assert.match(await part(page, "ask-written").textContent(), /<points coords="1 1 500 500 2 250 700">two places/);

    // The coordinates in the model's output match the marks on the screen.
    const want = [[0.5, 0.5], [0.25, 0.7], [0.725, 0.4]];
    const found = await centres(page, "overview");
    assert.equal(found.length, want.length);
    found.forEach((centre, index) => centre.forEach((value, axis) =>
      assert.ok(Math.abs(value - want[index][axis]) < 0.01, `mark ${index}: ${centre}, expected ${want[index]}`)));

    // As a list, for the keyboard and for screen readers.
    const items = part(page, "ask-mark-item");
    assert.deepEqual((await items.allInnerTexts()).map((text) => text.replace(/\s+/g, " ")), [
      "two places 1 point at 160, 120 px",
      "two places 2 point at 80, 168 px",
      "part box from 176, 48 to 288, 144 px",
    ]);
    await items.nth(1).focus();
    assert.deepEqual(await part(page, "ask-mark").evaluateAll((all) => all.map((mark) => mark.classList.contains("seen"))),
      [false, true, false]);
    await page.keyboard.press("Tab");
    assert.equal(await part(page, "ask-mark").nth(2).evaluate((mark) => mark.classList.contains("seen")), true);
    await items.nth(2).blur();

    // The image stays while the cameras continue.
    const still = part(page, "ask-view-overview");
    const pixels = () => still.locator("canvas").evaluate((canvas) => canvas.toDataURL());
    const [taken, before] = [Number(await still.getAttribute("data-captured-secs")), await pixels()];
    await new Promise((resolve) => setTimeout(resolve, 1000));
    assert.equal(await pixels(), before);

    // Two cameras at once; the marks of the first image stay on the first.
    await part(page, "ask-camera-wrist").click();
    await ask(page, "What do the two cameras show?");
    await eventually("both images", () => part(page, "ask-view-wrist").count(), (n) => n === 1);
    await eventually("the answer", () => state(page), (s) => s === "done", 60_000);
    assert.equal((await centres(page, "overview")).length, 3);
    assert.equal((await centres(page, "wrist")).length, 0);
    assert.ok(Number(await part(page, "ask-view-overview").getAttribute("data-captured-secs")) > taken);
    assert.deepEqual(page.problems, []);
    await part(page, "ask-camera-wrist").click();
    await ask(page, "Point to every cube.");
    await eventually("the answer", () => state(page), (s) => s === "done", 60_000);
    await pictures(page, "ask");
  } finally {
    await page.close();
    await studio.stop();
  }
});

/** Brings the panel into view. */
const show = (page) => page.evaluate(() => document.getElementById("ask").scrollIntoView({ block: "start" }));

/** Screenshots of the panel in light and dark, on a wide screen and on a phone. */
async function pictures(page, name) {
  for (const scheme of ["light", "dark"]) {
    for (const [size, width, height] of [["wide", 1440, 900], ["phone", 390, 844]]) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize({ width, height });
      await show(page);
      await keep(page, `20-${name}-${size}-${scheme}`);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(overflow <= 0, `${size}: the page is ${overflow} px wider than the screen`);
    }
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize({ width: 1440, height: 900 });
}

test("a long answer streams and can be stopped while another question waits", { timeout: 240_000 }, async () => {
  const slow = await deeper(path.join(GOLDENS, "pointing/checkpoint"), 3000);
  const studio = await startStudio("--ask", slow);
  const [first, second] = [await open(browser, studio.url), await open(browser, studio.url)];
  try {
    assert.equal(await part(first, "ask-model").innerText(), "deep-3000");
    for (const page of [second, first]) await seeFrames(page);
    await ask(first, "What is on the table?");
    await eventually("the first words", () => state(first), (s) => s === "writing", 60_000);
    await ask(second, "And what is beside it?");
    await eventually("its place in the queue", () => part(second, "ask-note").innerText(), (t) => t.includes("answered first"), 60_000);
    assert.equal(await state(second), "waiting");
    const lengths = new Set();
    await eventually("the answer grows", async () => {
      lengths.add((await part(first, "ask-text").innerText()).length);
      return lengths.size;
    }, (n) => n >= 4, 60_000);
    assert.equal(await state(first), "writing");
    await show(first);
    await keep(first, "21-ask-writing");

    await show(second);
    await keep(second, "22-ask-waiting");

    await part(first, "ask-stop").click();
    await eventually("the end", () => state(first), (s) => s === "stopped", 60_000);
    const written = await part(first, "ask-text").innerText();
    assert.ok(written.length > 0 && written.length < ANSWER.length && ANSWER.startsWith(written), written);
    assert.equal(await part(first, "ask-stop").count(), 0);
    await eventually("the other's turn", () => state(second), (s) => s === "writing", 60_000);
    await part(second, "ask-stop").click();
    await eventually("the end", () => state(second), (s) => s === "stopped", 60_000);
    assert.deepEqual([...first.problems, ...second.problems], []);
  } finally {
    await first.close();
    await second.close();
    await studio.stop();
    await rm(path.dirname(slow), { recursive: true });
  }
});

test("without a model the panel says how to start one", { timeout: 120_000 }, async () => {
  const studio = await startStudio();
  const page = await open(browser, studio.url);
  try {
    await eventually("the reason", () => part(page, "ask-unavailable").count(), (n) => n === 1);
    assert.match(await part(page, "ask-unavailable").innerText(), /--ask DIR/);
    assert.equal(await part(page, "ask-input").count(), 0);
    await show(page);
    await keep(page, "23-ask-nobody");
  } finally {
    await page.close();
    await studio.stop();
  }
});
