// The page under a path of a reverse proxy, and behind one that drops WebSocket upgrades.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { command, eventually, exampleInstructions, keep, launch, open, part, seeFrames, taskState } from "../support/browser.mjs";
import { startProxy } from "../support/proxy.mjs";
import { startStudio } from "../support/studio.mjs";

let studio, browser;
before(async () => {
  studio = await startStudio();
  browser = await launch();
}, { timeout: 180_000 });
after(async () => {
  await browser?.close();
  await studio?.stop();
});

test("under a path: files, sockets, worker and scorer", { timeout: 240_000 }, async () => {
  const proxy = await startProxy(studio.url, { prefix: "/studio" });
  try {
    const page = await open(browser, proxy.url);
    await seeFrames(page);
    await eventually(
      "the compute worker", () => part(page, "compute-device").getAttribute("data-state"), (s) => s === "ready", 150_000);
    await command(page, (await exampleInstructions(page))[0]);
    await eventually("the robot works", () => taskState(page), (s) => ["running", "succeeded"].includes(s), 60_000);
    await eventually(
      "the worker has the tokenizer", () => part(page, "trace-decode").getAttribute("data-equal"), (v) => v === "true", 60_000);
    await eventually("the scorer is found", () => part(page, "scorer").getAttribute("data-state"), (s) => s !== null, 30_000);
    assert.deepEqual(proxy.missed, []);
    assert.deepEqual(page.problems, []);
    await page.close();
  } finally {
    await proxy.close();
  }
});

test("a longer path leads to the root, with and without a proxy", { timeout: 120_000 }, async () => {
  const proxy = await startProxy(studio.url, { prefix: "/studio" });
  try {
    for (const root of [`${studio.url}/`, proxy.url]) {
      const page = await open(browser, `${root}robots/sim?robot=sim#command`);
      await seeFrames(page);
      assert.equal(page.url(), `${root}?robot=sim#command`);
      assert.deepEqual(page.problems, []);
      await page.close();
    }
    assert.deepEqual(proxy.missed, []);
  } finally {
    await proxy.close();
  }
});

test("a proxy that drops the upgrade is named, with its configuration", { timeout: 120_000 }, async () => {
  const proxy = await startProxy(studio.url, { dropsUpgrade: true });
  try {
    const page = await open(browser, proxy.url);
    const said = await eventually(
      "the page says what may be wrong", () => part(page, "task-status").innerText(), (text) => text.includes("WebSocket"), 30_000);
    for (const word of ["proxy", "Upgrade", "Connection", "HTTP/1.1"]) assert.ok(said.includes(word), said);
    await keep(page, "26-no-upgrade");
    await page.close();
  } finally {
    await proxy.close();
  }
});

test("a studio that is down is not blamed on a proxy", { timeout: 120_000 }, async () => {
  const away = await startStudio();
  const page = await open(browser, away.url);
  await seeFrames(page);
  await away.stop();
  await eventually("five attempts", () => part(page, "connection").innerText(), (text) => /attempt [5-9]/.test(text), 60_000);
  assert.doesNotMatch(await part(page, "task-status").innerText(), /proxy/);
  await page.close();
});
