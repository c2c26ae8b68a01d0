// Progress curves in the tab, of a live robot and of videos dropped on the page.
import assert from "node:assert/strict";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { command, eventually, exampleInstructions, keep, launch, open, part, seeFrames, taskState } from "../support/browser.mjs";
import { startStudio } from "../support/studio.mjs";
import { dataSet, drop, film, greyOf, greys, longest, recordRobot } from "../support/video.mjs";

let studio, browser, recorded;

before(async () => {
  studio = await startStudio();
  recorded = await recordRobot(studio.url);
  browser = await launch();
}, { timeout: 300_000 });

after(async () => {
  await browser?.close();
  await studio?.stop();
});

const state = (page) => part(page, "score-result").getAttribute("data-state");
const scorer = (page) => part(page, "scorer").getAttribute("data-state");
const points = async (page) => Number(await part(page, "score-curve").getAttribute("data-points"));
const show = (page, id = "score") => page.evaluate((id) => document.getElementById(id).scrollIntoView({ block: "start" }), id);

/** The page with its scoring panel ready. */
async function panel() {
  const page = await open(browser, studio.url);
  await seeFrames(page);
  await eventually("the scorer's description", () => part(page, "scorer-name").count(), (n) => n === 1);
  return page;
}

/** Drops a video on the page and waits until it is open. */
async function give(page, name, bytes, type) {
  await drop(page, "main", name, bytes, type);
  const at = await eventually(
    "the video is open", () => part(page, "score-file-state").getAttribute("data-state"),
    (s) => s === "open" || s === "failed");
  assert.equal(at, "open", await part(page, "score-file-state").innerText());
}

/** Records every number of points that the curve has from now on. */
const notePoints = (page) => page.evaluate(() => {
  globalThis.pointsSeen = new Set();
  const look = () => {
    const curve = document.querySelector("[data-testid=score-curve]");
    if (curve) globalThis.pointsSeen.add(Number(curve.dataset.points));
  };
  new MutationObserver(look).observe(document.body, { subtree: true, childList: true, attributeFilter: ["data-points"] });
});
const pointsSeen = (page) => page.evaluate(() => [...globalThis.pointsSeen]);

/** Number of repetitions of the recorded video that fill this duration. */
const times = (seconds) => Math.ceil((seconds * recorded.fps) / recorded.pictures.length);

async function choosePrefixes(page, word) {
  await page.locator(".settings > summary").click();
  await part(page, "score-prefixes").selectOption(word);
}

/** The curves' numbers by kind. */
const findings = (page) => part(page, "score-finding").evaluateAll((rows) => Object.fromEntries(
  rows.map((row) => [row.dataset.kind, { voc: row.dataset.voc, success: row.dataset.success }])));

/** Screenshots of the panel in light and dark, on a wide screen and on a phone. */
async function pictures(page, name) {
  for (const scheme of ["light", "dark"]) {
    for (const [size, width, height] of [["wide", 1440, 1400], ["phone", 390, 1700]]) {
      await page.emulateMedia({ colorScheme: scheme });
      await page.setViewportSize({ width, height });
      await show(page);
      await keep(page, `${name}-${size}-${scheme}`);
      const overflow = await page.evaluate(() => document.documentElement.scrollWidth - window.innerWidth);
      assert.ok(overflow <= 0, `${size}: the page is ${overflow} px wider than the screen`);
    }
  }
  await page.emulateMedia({ colorScheme: null });
  await page.setViewportSize({ width: 1440, height: 900 });
}

test("a followed robot gets a curve while it works, and the controls afterwards", { timeout: 300_000 }, async () => {
  const page = await panel();
  try {
    assert.match(await part(page, "scorer-about").innerText(), /built-in robot/);
    assert.match(await part(page, "scorer-where").innerText(), /nothing is uploaded/);
    await show(page);
    await keep(page, "40-score-before");
    // The small scorer loads automatically.
    await part(page, "score-begin").click();
    await eventually("the scorer is in the tab", () => scorer(page), (s) => s === "ready" || s === "failed", 120_000);
    assert.equal(await scorer(page), "ready", await part(page, "scorer-state").innerText());
    await eventually("it waits", () => part(page, "score-hint").innerText(), (t) => t.includes("next instruction"));

    await notePoints(page);
    // The recorded instruction is already done in this scene; a new scene is not.
    await part(page, "reset-button").click();
    await new Promise((resolve) => setTimeout(resolve, 1000));
    const instruction = longest(await exampleInstructions(page));
    await command(page, instruction);
    await eventually("points come while the robot works", () => pointsSeen(page), (seen) => seen.length >= 3, 60_000);
    assert.equal(await part(page, "score-asked").innerText(), `\u201c${instruction}\u201d`);
    await show(page);
    await keep(page, "41-score-live");
    try {
      await eventually("the task succeeds", () => taskState(page), (s) => s === "succeeded", 25_000);
    } catch {
      // The nano policy does not solve every scene; the recording is then ended by hand.
      await part(page, "score-finish").click();
    }
    await eventually("the controls", () => state(page), (s) => s === "done" || s === "failed", 120_000);
    assert.equal(await state(page), "done", await part(page, "score-words").innerText());
    const found = await findings(page);
    assert.deepEqual(Object.keys(found), ["instruction", "negation", "shuffled_words", "frozen"]);
    for (const [kind, { success }] of Object.entries(found)) assert.ok(Number(success) < 0, `${kind}: ${success}`);
    assert.ok((await part(page, "score-remark").count()) >= 1);
    await part(page, "score-begin").click();
    assert.equal(await part(page, "score-begin").innerText(), "Score live");
    await pictures(page, "42-score-live-done");
    assert.deepEqual(page.problems, []);
  } finally {
    await page.close();
  }
});

test("a video dropped on the page is scored in the tab", { timeout: 300_000 }, async () => {
  const page = await panel();
  const sent = [];
  page.on("request", (request) => sent.push(`${request.method()} ${request.url()}`));
  try {
    await give(page, "reach.webm", await film(recorded), "video/webm");
    assert.equal(Number(await part(page, "score-fps").inputValue()), recorded.fps, "the measured rate");
    assert.match(await part(page, "score-file-frames").innerText(), new RegExp(`^${recorded.pictures.length} frames, \\d+ of them read$`));
    await part(page, "score-sentence").fill(recorded.instruction);
    await page.locator(".settings > summary").click();
    await part(page, "score-other").fill("push the green cube away");
    await notePoints(page);
    await part(page, "score-sentence").press("Enter");
    await eventually("the curve", () => state(page), (s) => s === "done" || s === "failed", 180_000);
    assert.equal(await state(page), "done", await part(page, "score-words").innerText());
    const grown = await pointsSeen(page);
    assert.ok(grown.length >= 3, `the curve was seen with ${grown} points`);
    assert.match(await part(page, "score-words").innerText(), /profile “aligned”/);
    const found = await findings(page);
    assert.deepEqual(Object.keys(found), ["instruction", "negation", "other_task", "frozen"]);

    // The same numbers as a file.
    const [download] = await Promise.all([page.waitForEvent("download"), part(page, "score-download").click()]);
    const report = JSON.parse(await readFile(await download.path(), "utf8"));
    assert.equal(report.frames, recorded.pictures.length);
    assert.equal(report.curves[0].log_probs.length, report.prefix_lengths.length);
    assert.equal(Number(found.instruction.success), report.curves[0].success_score);
    const last = report.curves[0].log_probs.slice(-3);
    assert.ok(Math.abs(last.reduce((a, b) => a + b) / last.length - report.curves[0].success_score) < 1e-9);

    // By keyboard: every point, its frame and its values.
    const curve = part(page, "score-curve").first();
    await curve.focus();
    await page.keyboard.press("Home");
    assert.equal(await part(page, "score-moment").getAttribute("data-length"), String(report.prefix_lengths[0]));
    assert.equal(await part(page, "score-frame").getAttribute("data-index"), "0");
    await page.keyboard.press("ArrowRight");
    assert.equal(await part(page, "score-moment").getAttribute("data-length"), String(report.prefix_lengths[1]));
    assert.match(await curve.getAttribute("aria-valuetext"), /^after .* s: video .*; negated .*; other task .*; frozen /);
    await page.keyboard.press("End");
    assert.equal(await part(page, "score-frame").getAttribute("data-index"), String(report.frames - 1));

    await part(page, "score-table-button").click();
    assert.equal(await part(page, "score-table").locator("tbody tr").count(), report.prefix_lengths.length);
    await part(page, "score-table-button").click();

    await pictures(page, "43-score-video");
    await part(page, "score-subtract").check();
    assert.deepEqual(Object.keys(await findings(page)), ["instruction", "negation", "other_task"]);
    await show(page);
    await keep(page, "44-score-subtracted");
    // Nothing but the weights crossed the network.
    assert.deepEqual(sent.filter((line) => !line.startsWith("GET ")), []);
    assert.deepEqual(page.problems, []);
  } finally {
    await page.close();
  }
});

test("the frames that are read have the requested indices", { timeout: 240_000 }, async () => {
  const page = await panel();
  try {
    const [count, fps] = [50, 10];
    await give(page, "greys.webm", await greys(count, fps), "video/webm");
    assert.equal(await part(page, "score-fps").inputValue(), String(fps));
    await part(page, "score-sentence").fill("become white");
    await choosePrefixes(page, "blocks");
    await part(page, "score-begin").click();
    await eventually("the curve", () => state(page), (s) => s === "done" || s === "failed", 180_000);
    assert.equal(await state(page), "done", await part(page, "score-words").innerText());
    await part(page, "score-curve").focus();
    await page.keyboard.press("Home");
    const seen = [];
    for (;;) {
      const [index, grey] = await part(page, "score-frame").evaluate(async (image) => {
        await image.decode();
        const canvas = document.createElement("canvas");
        [canvas.width, canvas.height] = [1, 1];
        const context = canvas.getContext("2d");
        context.drawImage(image, 0, 0, 1, 1);
        return [Number(image.dataset.index), context.getImageData(0, 0, 1, 1).data[1]];
      });
      assert.ok(Math.abs(grey - greyOf(index)) <= 2, `frame ${index} is as bright as ${grey}, not ${greyOf(index)}`);
      if (seen.at(-1) === index) break;
      seen.push(index);
      await page.keyboard.press("ArrowRight");
    }
    // Two per second: blocks end at 6, 16, 26 … frames, and the whole video.
    assert.deepEqual(seen, [5, 15, 25, 35, 45, 49]);
    assert.deepEqual(page.problems, []);
  } finally {
    await page.close();
  }
});

test("cancelling stops at once, and a second load uses the cached files", { timeout: 300_000 }, async () => {
  const page = await panel();
  try {
    await give(page, "long.mp4", await film(recorded, { type: "mp4", times: times(90) }), "video/mp4");
    await part(page, "score-sentence").fill(recorded.instruction);
    await choosePrefixes(page, "all");
    await part(page, "score-begin").click();
    await eventually("points", async () => (await part(page, "score-curve").count()) && points(page), (n) => n >= 2, 180_000);
    await show(page);
    await keep(page, "45-score-computing");
    const pressed = Date.now();
    await part(page, "score-cancel").click();
    await eventually("the end", () => state(page), (s) => s === "stopped", 10_000);
    assert.ok(Date.now() - pressed < 4000, `it took ${Date.now() - pressed} ms`);
    assert.ok(await points(page) >= 2, "the points so far stay");

    await page.reload();
    await seeFrames(page);
    await part(page, "scorer-load").click();
    await eventually("the scorer is in the tab", () => scorer(page), (s) => s === "ready" || s === "failed", 120_000);
    const fetched = Number(await part(page, "scorer").getAttribute("data-fetched-bytes"));
    assert.ok(fetched < 100_000, `${fetched} bytes were fetched again`);
    await show(page);
    await keep(page, "46-score-kept");

    // After a deletion the files are downloaded again.
    await part(page, "scorer-forget").click();
    await eventually("they are deleted", () => part(page, "scorer").getAttribute("data-is-forgotten"), (s) => s === "true", 10_000);
    assert.equal(await part(page, "scorer-forget").count(), 0, "there is nothing more to delete");
    await page.reload();
    await seeFrames(page);
    await part(page, "scorer-load").click();
    await eventually("the scorer is in the tab", () => scorer(page), (s) => s === "ready" || s === "failed", 120_000);
    assert.ok(Number(await part(page, "scorer").getAttribute("data-fetched-bytes")) > 100_000);
    assert.deepEqual(page.problems, []);
  } finally {
    await page.close();
  }
});

test("the studio scores the same frames with the same result", { timeout: 300_000 }, async () => {
  const here = await startStudio("--no-sim");
  const page = await open(browser, here.url);
  const posted = [];
  page.on("request", (request) => request.method() === "POST" && posted.push(new URL(request.url()).pathname));
  try {
    await eventually("the scorer's description", () => part(page, "scorer-name").count(), (n) => n === 1);
    await part(page, "score-on-studio").click();
    assert.match(await part(page, "scorer-where").innerText(), /sent to the studio/);
    await give(page, "reach.webm", await film(recorded), "video/webm");
    await part(page, "score-sentence").fill(recorded.instruction);
    const outcome = async () => {
      await part(page, "score-begin").click();
      await eventually("it begins", () => state(page), (s) => s !== "done");
      await eventually("the curve", () => state(page), (s) => s === "done" || s === "failed", 180_000);
      assert.equal(await state(page), "done", await part(page, "score-words").innerText());
      return findings(page);
    };
    const onStudio = await outcome();
    assert.deepEqual(posted, ["/api/scorer/score"]);
    assert.equal(await scorer(page), "absent", "nothing was loaded into the tab");
    await show(page);
    await keep(page, "48-score-on-studio");
    await part(page, "score-in-tab").click();
    const inTab = await outcome();
    assert.equal(posted.length, 1, "in the tab nothing is sent");
    assert.deepEqual(Object.keys(inTab), Object.keys(onStudio));
    for (const [kind, { success }] of Object.entries(inTab)) {
      const difference = Math.abs(success - onStudio[kind].success);
      assert.ok(difference < 1e-3, `${kind}: ${difference} between tab and studio`);
    }
    assert.deepEqual(page.problems, []);
  } finally {
    await page.close();
    await here.stop();
  }
});

test("a worker that ignores a cancellation is restarted and reloads its scorer", { timeout: 300_000 }, async () => {
  const page = await browser.newPage();
  try {
    // The worker never receives the cancellation, like one that computes without a pause.
    await page.addInitScript(() => {
      const post = Worker.prototype.postMessage;
      Worker.prototype.postMessage = function (message, ...rest) {
        if (!new TextDecoder().decode(message).includes("ScoreCancel")) post.call(this, message, ...rest);
      };
    });
    await page.goto(studio.url);
    await seeFrames(page);
    await give(page, "long.webm", await film(recorded, { times: times(90) }), "video/webm");
    await part(page, "score-sentence").fill(recorded.instruction);
    await choosePrefixes(page, "all");
    await part(page, "score-begin").click();
    await eventually("points", async () => (await part(page, "score-curve").count()) && points(page), (n) => n >= 2, 180_000);
    await part(page, "score-cancel").click();
    await eventually("the end", () => state(page), (s) => s === "stopped", 10_000);
    assert.match(await part(page, "score-words").innerText(), /restarted/);
    await eventually("the scorer is there again", () => scorer(page), (s) => s === "ready", 120_000);
    assert.ok(Number(await part(page, "scorer").getAttribute("data-fetched-bytes")) < 100_000);
  } finally {
    await page.close();
  }
});

test("a recorded episode is chosen from the studio's data set and scored", { timeout: 300_000 }, async () => {
  const folder = await mkdtemp(path.join(tmpdir(), "studio-episodes-"));
  const start = { ...recorded, pictures: recorded.pictures.slice(0, 12) };
  await dataSet(folder, recorded.fps, [
    { task: "hold still", frames: start.pictures.length, bytes: await film(start, { type: "mp4" }) },
    { task: recorded.instruction, frames: recorded.pictures.length, bytes: await film(recorded, { type: "mp4" }) },
  ]);
  const here = await startStudio("--no-sim", "--dataset", folder);
  const page = await open(browser, here.url);
  try {
    await part(page, "score-source-episode").click();
    const listed = part(page, "score-episode").locator("option");
    await eventually("both episodes", () => listed.count(), (n) => n === 2);
    assert.equal(await part(page, "score-sentence").inputValue(), "hold still", "the data set's own instruction");
    // By keyboard, as with any select.
    await part(page, "score-episode").focus();
    await page.keyboard.press("ArrowDown");
    await eventually("its own instruction", () => part(page, "score-sentence").inputValue(), (s) => s === recorded.instruction);
    await part(page, "score-begin").click();
    await eventually("the curve", () => state(page), (s) => s === "done" || s === "failed", 180_000);
    assert.equal(await state(page), "done", await part(page, "score-words").innerText());
    const [download] = await Promise.all([page.waitForEvent("download"), part(page, "score-download").click()]);
    const report = JSON.parse(await readFile(await download.path(), "utf8"));
    assert.equal(report.frames, recorded.pictures.length, "the whole episode");
    assert.equal(report.fps, recorded.fps);
    await show(page);
    await keep(page, "49-score-recorded");
    assert.deepEqual(page.problems, []);
  } finally {
    await page.close();
    await here.stop();
    await rm(folder, { recursive: true, force: true });
  }
});

test("a file that is not a video is refused with the reason", { timeout: 120_000 }, async () => {
  const page = await panel();
  try {
    await drop(page, "main", "notes.mp4", Buffer.from("not a video at all"), "video/mp4");
    await eventually("the reason", () => part(page, "score-file-state").getAttribute("data-state"), (s) => s === "failed");
    assert.match(await part(page, "score-file-state").innerText(), /notes\.mp4: This browser cannot read that video/);
    assert.equal(await part(page, "score-begin").isDisabled(), true);
    await show(page);
    await keep(page, "47-score-no-video");
    await give(page, "reach.mp4", await film(recorded, { type: "mp4" }), "video/mp4");
    assert.equal(await part(page, "score-begin").isDisabled(), false);
    // There is no score without an instruction.
    await part(page, "score-begin").click();
    await eventually("the reason", () => state(page), (s) => s === "failed");
    assert.match(await part(page, "score-words").innerText(), /should complete/);
  } finally {
    await page.close();
  }
});
