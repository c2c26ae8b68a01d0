// The frame of the page as people meet it: wide and phone, light and dark, with the keyboard alone, while stops arrive and not.
import assert from "node:assert/strict";
import { readFile } from "node:fs/promises";
import { createRequire } from "node:module";
import { after, before, test } from "node:test";
import { command, eventually, exampleSentences, keep, launch, open, part, seeFrames, taskState } from "../support/browser.mjs";
import { startWire } from "../support/proxy.mjs";
import { startStudio } from "../support/studio.mjs";
import { listenIn } from "../support/wire.mjs";
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

/** What is wrong for people who hear, magnify or type, in the words of axe. */
async function faults(page) {
  await page.evaluate(axe);
  const { violations } = await page.evaluate(() => window.axe.run(document, { runOnly: ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "best-practice"] }));
  return violations.map(({ id, nodes }) => `${id}: ${nodes.map((node) => node.html.slice(0, 160)).join(" | ")}`);
}

/** Looks at the page as it is now in every size and colour. */
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

/** Where the stop button's right lower corner is, from that of the window. */
const corner = (page) => page.evaluate(() => {
  const box = document.querySelector('[data-testid="stop-button"]').getBoundingClientRect();
  return [Math.round(innerWidth - box.right), Math.round(innerHeight - box.bottom)];
});

test("ready, stopped, not arrived: readable, and stop stays where it is", { timeout: 300_000 }, async () => {
  const wire = await startWire(studio.url);
  try {
    const page = await open(browser, wire.url);
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
    wire.die();
    await page.keyboard.press("Escape");
    await eventually("not arrived", () => taskState(page), (s) => s === "undelivered", 3_000);
    await look(page, "not-arrived");
    for (const [size, viewport] of Object.entries(SIZES)) {
      await page.setViewportSize(viewport);
      assert.deepEqual(await corner(page), place[size], `stop moved on ${size}`);
    }
    await page.close();
  } finally {
    await wire.close();
  }
});

test("the keyboard alone reaches the reason, the release and both stops", { timeout: 120_000 }, async () => {
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

test("a robot's contradictions are named as warnings before any command", { timeout: 120_000 }, async (t) => {
  const own = await launch();
  t.after(() => own.close());
  const wire = await listenIn(own);
  const warning = "Joint shoulder_pan is announced within ±1.9, the policy was trained on −95 to 93: radians under statistics in degrees?";
  wire.change = (frame) => (frame[3] === 0x3c ? warned(frame, warning) : frame);
  const page = await open(own, studio.url);
  const box = part(page, "robot-warnings");
  await box.waitFor();
  assert.match(await box.innerText(), /^Warning/);
  assert.ok((await box.innerText()).includes(warning));
  const above = await page.evaluate(() => {
    const [warnings, input] = ["robot-warnings", "command-input"].map((id) => document.querySelector(`[data-testid="${id}"]`));
    return Boolean(warnings.compareDocumentPosition(input) & Node.DOCUMENT_POSITION_FOLLOWING);
  });
  assert.ok(above, "they stand before the command");
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
