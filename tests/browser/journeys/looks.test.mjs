// The page as a whole, wide and narrow, light and dark, by keyboard alone, and with stops that arrive or do not.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { command, eventually, exampleInstructions, keep, launch, open, part, seeFrames, taskState } from "../support/browser.mjs";
import { startLink } from "../support/proxy.mjs";
import { startStudio } from "../support/studio.mjs";
import { intercept } from "../support/intercept.mjs";
import { pack, unpack } from "../support/messagepack.mjs";

const SIZES = { wide: { width: 1440, height: 900 }, phone: { width: 390, height: 844 } };
const axe = await readFile(createRequire(import.meta.url).resolve("axe-core/axe.min.js"), "utf8");

let studio, browser;
before(async () => {
  studio = await startStudio("--sims", "2");
  browser = await launch();
}, { timeout: 180_000 });
after(async () => {
  await browser?.close();
  await studio?.stop();
});

/** Accessibility violations that axe finds. */
async function faults(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] }));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
}

/** Checks the current page in every size and color scheme. */
async function look(page, name) {
  for (const [size, viewport] of Object.entries(SIZES)) {
    await page.setViewportSize(viewport);
    for (const colorScheme of ["light", "dark"]) {
      await page.emulateMedia({ colorScheme });
      await page.waitForTimeout(300);
      await keep(page, `30-${name}-${size}-${colorScheme}`);
      assert.deepEqual(await faults(page), [], `${name}, ${size}, ${colorScheme}`);
      const isWhole = await page.evaluate(() => {
        const box = document.querySelector('[data-testid="stop-button"]').getBoundingClientRect();
        return box.right <= innerWidth && box.bottom <= innerHeight && document.documentElement.scrollWidth <= innerWidth;
      });
      assert.ok(isWhole, `${name}, ${size}: stop is cut off or the page is wider than the window`);
    }
  }
  await page.setViewportSize(SIZES.wide);
}

/** Distance of the stop button's lower right corner from that of the window. */
const corner = (page) => page.evaluate(() => {
  const box = document.querySelector('[data-testid="stop-button"]').getBoundingClientRect();
  return [Math.round(innerWidth - box.right), Math.round(innerHeight - box.bottom)];
});

test("the page is accessible in every state and the stop button keeps its place", { timeout: 300_000 }, async () => {
  const link = await startLink(studio.url);
  try {
    const page = await open(browser, link.url);
    await seeFrames(page);
    await page.setViewportSize(SIZES.phone);
    const place = { phone: await corner(page) };
    await page.setViewportSize(SIZES.wide);
    place.wide = await corner(page);
    await look(page, "ready");
    await page.keyboard.press("Shift+Escape");
    await eventually("stopped", () => taskState(page), (s) => s === "stopped", 10_000);
    await look(page, "stopped");
    await part(page, "release-button").click();
    await eventually("released", () => taskState(page), (s) => s === "idle", 10_000);
    link.die();
    await page.keyboard.press("Escape");
    await eventually("not arrived", () => taskState(page), (s) => s === "undelivered", 3_000);
    await look(page, "not-arrived");
    for (const [size, viewport] of Object.entries(SIZES)) {
      await page.setViewportSize(viewport);
      assert.deepEqual(await corner(page), place[size], `stop moved on ${size}`);
    }
    await page.close();
  } finally {
    await link.close();
  }
});

test("the keyboard reaches the refusal reason, the release and both stop buttons", { timeout: 120_000 }, async () => {
  const page = await open(browser, studio.url);
  await seeFrames(page);
  await page.keyboard.press("Escape");
  await eventually("stopped", () => taskState(page), (s) => s === "stopped", 10_000);
  const reached = new Set();
  for (let step = 0; step < 120; step++) {
    await page.keyboard.press("Tab");
    const id = await page.evaluate(() => document.activeElement?.dataset.testid ?? "");
    if (id === "command-send") {
      const about = await page.evaluate(() => document.getElementById(document.activeElement.getAttribute("aria-describedby")).innerText);
      assert.match(about, /Release it first/);
    }
    reached.add(id);
    if (id === "stop-button") break;
  }
  for (const id of ["command-input", "command-send", "release-button", "stop-all-button", "stop-button"]) {
    assert.ok(reached.has(id), `${id} is not reached`);
  }
  await part(page, "release-button").focus();
  await page.keyboard.press("Enter");
  await eventually("released", () => taskState(page), (s) => s === "idle", 10_000);
  await page.close();
});

test("contradictory robot descriptions are shown as warnings above the instruction", { timeout: 120_000 }, async (t) => {
  const own = await launch();
  t.after(() => own.close());
  const link = await intercept(own);
  const warning = "Joint shoulder_pan is announced within ±1.9, the policy was trained on −95 to 93: radians under statistics in degrees?";
  link.change = (frame) => (frame[3] === 0x3c ? warned(frame, warning) : frame);
  const page = await open(own, studio.url);
  const box = part(page, "robot-warnings");
  await box.waitFor();
  assert.match(await box.innerText(), /^Warning/);
  assert.ok((await box.innerText()).includes(warning));
  const above = await page.evaluate(() => {
    const [warnings, input] = ["robot-warnings", "command-input"].map((id) => document.querySelector(`[data-testid="${id}"]`));
    return Boolean(warnings.compareDocumentPosition(input) & Node.DOCUMENT_POSITION_FOLLOWING);
  });
  assert.ok(above, "the warnings are not above the input");
  await seeFrames(page);
  await look(page, "warned");
  await page.close();
});

/** The details of a robot with a warning. */
function warned(frame, warning) {
  const details = unpack(new Uint8Array(frame.subarray(4)));
  details.warnings = [warning];
  return Buffer.concat([frame.subarray(0, 4), pack(details)]);
}
