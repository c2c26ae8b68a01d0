// A policy that reasons about depth: the tab draws its depth map cell by cell, and every cell shows why it was generated.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { command, eventually, keep, launch, open, part, seeFrames } from "../support/browser.mjs";
import { pack, unpack } from "../support/messagepack.mjs";
import { startStudio } from "../support/studio.mjs";
import { drawNatively, makeThink } from "../support/think.mjs";

let think, studio, browser, page;

before(async () => {
  think = await makeThink();
  studio = await startStudio("--policy", think.folder);
  browser = await launch();
  page = await open(browser, studio.url);
  await page.setViewportSize({ width: 1440, height: 1200 });
}, { timeout: 180_000 });

after(async () => {
  await browser?.close();
  await studio?.stop();
  await think?.remove();
});

/** Every cell, read from the page. */
const cells = () => part(page, "depth-cells").locator("[data-cell]").evaluateAll((all) => all.map((cell) => ({
  code: Number(cell.dataset.code),
  regenerated: cell.dataset.regenerated === "true",
  cosine: cell.dataset.cosine === undefined ? null : Number(cell.dataset.cosine),
  words: cell.getAttribute("aria-label"),
})));

const look = (name) => part(page, "depth").evaluate((block) => {
  const top = block.getBoundingClientRect().top;
  window.scrollBy(0, top - 160);
}).then(() => keep(page, name));

test("the page says how the policy reasons about depth", { timeout: 90_000 }, async () => {
  await seeFrames(page);
  assert.equal(await part(page, "policy-depth").getAttribute("data-mode"), "adaptive");
  assert.equal(await part(page, "depth").count(), 0, "there is no decision yet");
});

test("a decision shows its depth map beside the image, and which cells were regenerated", { timeout: 120_000 }, async () => {
  await command(page, "pick up the red cube");
  await eventually("the decoder's image", () => part(page, "depth").getAttribute("data-source").catch(() => null),
    (source) => source === "decoder", 60_000);
  // Another scene on the same table: some cells change.
  await part(page, "reset-button").click();
  await command(page, "pick up the green cube");
  await eventually("a partly replayed map", () => part(page, "depth").getAttribute("data-regenerated"),
    (n) => Number(n) > 0 && Number(n) < 100, 60_000);
  // Focusing a cell keeps the decision in view.
  await part(page, "depth-cells").locator('[data-cell="0"]').focus();
  const all = await cells();
  assert.equal(all.length, 100);
  const written = all.filter((cell) => cell.regenerated).length;
  assert.equal(await part(page, "depth-counts").innerText(),
    `${written} of 100 cells regenerated, ${100 - written} replayed`);
  for (const cell of all) {
    if (cell.cosine === null) continue;
    assert.equal(cell.regenerated, cell.cosine < 0.996, `${cell.words}`);
    assert.match(cell.words, cell.regenerated ? /regenerated: cosine .*below 0\.996/ : /replayed: cosine /);
  }
});

test("a cell is reachable by keyboard and pointer and shows its cosine and its fate", { timeout: 60_000 }, async () => {
  // The decision in view may be the first, which has no comparison; go to one that has.
  await eventually("a decision that compared", async () => {
    const all = await cells();
    const mixed = all.some((c) => c.regenerated) && all.some((c) => !c.regenerated);
    if (!mixed) {
      await part(page, "timeline").focus();
      await page.keyboard.press("ArrowLeft");
    }
    return mixed;
  }, Boolean, 20_000);
  const all = await cells();
  await part(page, "depth-cells").locator('[data-cell="0"]').focus();
  await page.keyboard.press("ArrowDown");
  await page.keyboard.press("ArrowRight");
  assert.equal(await part(page, "depth-about").innerText(), all[11].words);
  assert.match(all[11].words, /^Row 2, column 2: code \d+/);
  const changed = all.findIndex((cell) => cell.regenerated);
  await part(page, "depth-cells").locator(`[data-cell="${changed}"]`).hover();
  assert.equal(await part(page, "depth-about").innerText(), all[changed].words);
  assert.equal(await part(page, "depth-about").getAttribute("data-fate"), "regenerated");
  for (const theme of ["light", "dark"]) {
    await page.evaluate((theme) => { document.documentElement.dataset.theme = theme; }, theme);
    await look(`20-depth-${theme}`);
  }
  await part(page, "depth-table-button").click();
  assert.equal(await part(page, "depth-table").locator("tbody tr").count(), 10);
  assert.equal(await part(page, "depth-table").locator("td.regenerated").count(), all.filter((c) => c.regenerated).length);
  await look("21-depth-table");
  await part(page, "depth-table-button").click();
});

test("the worker draws what the studio's own decoder draws", { timeout: 180_000 }, async () => {
  const codes = (await cells()).map((cell) => cell.code);
  const native = await drawNatively(think.folder, codes);
  for (const kind of ["cpu", "webgpu"]) {
    const drawn = await inWorker(kind, codes);
    if (drawn.skipped) {
      console.log(`${kind}: ${drawn.skipped}`);
      assert.equal(kind, "webgpu", drawn.skipped);
      continue;
    }
    assert.equal(drawn.computed_on, kind);
    const values = new Float32Array(drawn.values.slice().buffer);
    assert.deepEqual([drawn.width, drawn.height, values.length], [320, 320, native.length]);
    const worst = values.reduce((most, value, i) => Math.max(most, Math.abs(value - native[i])), 0);
    console.log(`${kind}: largest difference ${worst.toExponential(1)}, ${(drawn.micros / 1e3).toFixed(1)} ms`);
    assert.ok(worst < 1e-4, `${kind}: ${worst}`);
  }
});

test("without a decoder the codes are shown, with a note", { timeout: 120_000 }, async () => {
  const { rm } = await import("node:fs/promises");
  await rm(`${think.folder}/depth_decoder.safetensors`);
  const plain = await startStudio("--policy", think.folder, "--depth", "full");
  try {
    const page = await open(browser, plain.url);
    await seeFrames(page);
    assert.equal(await part(page, "policy-depth").getAttribute("data-mode"), "full");
    await command(page, "pick up the red cube");
    await eventually("the codes", () => part(page, "depth").getAttribute("data-source").catch(() => null),
      (source) => source === "codes", 60_000);
    assert.match(await part(page, "depth-who").innerText(), /codes themselves.*no depth decoder/);
    assert.equal(await part(page, "depth-counts").innerText(), "100 of 100 cells regenerated, 0 replayed");
    await part(page, "depth-cells").locator('[data-cell="5"]').focus();
    await part(page, "depth").evaluate((block) => window.scrollBy(0, block.getBoundingClientRect().top - 160));
    await keep(page, "22-depth-codes");
    assert.deepEqual(page.problems, []);
    await page.close();
  } finally {
    await plain.stop();
  }
});

test("the page reports no error", () => {
  assert.deepEqual(page.problems, []);
});

/** A drawing of a worker of its own on one device, or why that device may not compute. */
async function inWorker(kind, codes) {
  const say = (message) => [...pack(message)];
  const messages = [
    { Choose: kind },
    { LoadDepthDecoder: { url: `${studio.url}/api/policy/depth_decoder.safetensors` } },
  ].map(say);
  await page.evaluate(async (messages) => {
    globalThis.drawing?.worker.terminate();
    const worker = new Worker("worker.js", { type: "module" });
    globalThis.drawing = { worker, heard: [] };
    worker.onmessage = ({ data }) => {
      if (data instanceof Uint8Array) globalThis.drawing.heard.push([...data]);
    };
    await new Promise((resolve) => setTimeout(resolve, 0));
    // The worker accepts messages once its module runs, which its first message reports.
    while (globalThis.drawing.heard.length === 0) await new Promise((resolve) => setTimeout(resolve, 50));
    for (const message of messages) worker.postMessage(Uint8Array.from(message));
  }, messages);
  const heard = async () => (await page.evaluate(() => globalThis.drawing.heard.splice(0)))
    .map((bytes) => unpack(Uint8Array.from(bytes)));
  let report, decoder, drawn, asked = false;
  return eventually(`a drawing on ${kind}`, async () => {
    for (const message of await heard()) {
      report = message.Devices ?? report;
      decoder = message.DepthDecoder ?? decoder;
      drawn = message.Drawn?.outcome ?? drawn;
    }
    if (drawn?.Failed) throw new Error(drawn.Failed.reason);
    if (drawn) return drawn.Drawn;
    const device = report?.devices.find((device) => device.kind === kind);
    const verdict = typeof device?.verdict === "string" ? device.verdict : Object.keys(device?.verdict ?? {})[0];
    if (["Refused", "Unavailable"].includes(verdict)) return { skipped: JSON.stringify(device.verdict) };
    if (report?.chosen === kind && decoder?.Ready && !asked) {
      asked = true;
      const request = { Draw: { request_id: 1, codes, rows: 10, columns: 10 } };
      await page.evaluate((bytes) => globalThis.drawing.worker.postMessage(Uint8Array.from(bytes)), say(request));
    }
    return null;
  }, Boolean, 150_000);
}
