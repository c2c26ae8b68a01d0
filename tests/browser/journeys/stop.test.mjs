// A stop pressed in any state of the connection reaches the studio, or the page says within a second that it has not.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { rm } from "node:fs/promises";
import { command, eventually, exampleInstructions, keep, launch, open, part, seeFrames, taskState } from "../support/browser.mjs";
import { startLink } from "../support/proxy.mjs";
import { newDataFolder, startSim, startStudio, startStudioIn } from "../support/studio.mjs";
import { errorMessage, heartbeat, intercept, otherVersion } from "../support/intercept.mjs";

const pause = (millis) => new Promise((resolve) => setTimeout(resolve, millis));

/** A page on this URL whose robot works on an instruction. */
async function working(url) {
  const page = await open(browser, url);
  await seeFrames(page);
  await command(page, (await exampleInstructions(page))[0]);
  await eventually("the robot works", () => taskState(page), (s) => ["running", "succeeded"].includes(s), 60_000);
  return page;
}

/**
 * Presses stop and returns what the page shows, that the studio holds the stop or that it has not arrived, and the time
 * from the press to that text in milliseconds, measured in the page.
 */
async function press(page, how = () => page.keyboard.press("Escape")) {
  await page.evaluate(() => {
    const status = document.querySelector('[data-testid="task-status"]');
    const heard = { pressedAt: null, said: [] };
    window.heard = heard;
    const note = () => heard.said.push({ at: performance.now(), state: status.dataset.state, text: status.innerText });
    new MutationObserver(note).observe(status, { subtree: true, childList: true, characterData: true, attributes: true });
    const pressed = () => (heard.pressedAt ??= performance.now());
    for (const kind of ["keydown", "click"]) addEventListener(kind, pressed, { capture: true, once: true });
  });
  await how();
  const verdict = () => page.evaluate(() => {
    const { pressedAt, said } = window.heard;
    const found = said.find(({ at, state, text }) =>
      at >= pressedAt && (state === "stopped" || /NOT arrived|The studio holds the stop|stop is latched/.test(text)));
    return found && { ...found, after: found.at - pressedAt };
  });
  const said = await eventually("the page shows the outcome of the stop", verdict, Boolean, 5_000);
  assert.ok(said.after < 1_000, `said only after ${said.after} ms: ${said.text}`);
  return said;
}

const isHeld = ({ text, state }) => state === "stopped" || /holds the stop|latched/.test(text);
const says = (page, words) => eventually(
  `the dock says ${words}`, () => part(page, "task-status").innerText(), (text) => words.test(text), 30_000);
const isStopped = (page) => eventually("the robot confirms", () => taskState(page), (s) => s === "stopped", 30_000);
const joints = async (page) => JSON.parse(await part(page, "joint-state").getAttribute("data-state"));

/** The largest movement of a joint over a while, in robot units. */
async function movement(page, millis = 1_200) {
  const before = await joints(page);
  await pause(millis);
  const now = await joints(page);
  return Math.max(...now.map((value, index) => Math.abs(value - before[index])));
}

let browser;
before(async () => {
  browser = await launch();
});
after(async () => {
  await browser?.close();
});

test("live: the stop takes effect, instructions are refused with the reason, and a release moves nothing", { timeout: 240_000 }, async (t) => {
  const studio = await startStudio();
  t.after(() => studio.stop());
  const page = await working(studio.url);
  assert.ok(isHeld(await press(page)));
  await isStopped(page);
  await pause(400);
  assert.ok((await movement(page)) < 0.3, "it moves after the stop");
  await keep(page, "20-stopped");

  const [instruction] = await exampleInstructions(page);
  await command(page, instruction);
  assert.match(await part(page, "command-reason").innerText(), /Release it first/);
  assert.equal(await part(page, "command-send").getAttribute("aria-disabled"), "true");
  assert.ok((await movement(page)) < 0.3, "a command moves a stopped robot");

  await part(page, "release-button").click();
  await eventually("released", () => taskState(page), (s) => s === "idle", 10_000);
  assert.ok((await movement(page, 2_000)) < 0.3, "the release moves the robot");
  await part(page, "command-reason").waitFor({ state: "hidden" });
  await command(page, instruction);
  await eventually("a new instruction works", () => taskState(page), (s) => s === "running", 20_000);
  await eventually("it moves", () => movement(page, 400), (most) => most > 0.5, 20_000);
  assert.deepEqual(page.problems, []);
  await page.close();
});

test("pressing the space bar repeatedly does not release the stop", { timeout: 120_000 }, async (t) => {
  const studio = await startStudio();
  t.after(() => studio.stop());
  const page = await working(studio.url);
  await page.evaluate(() => document.activeElement?.blur());
  for (let press = 0; press < 8; press++) {
    await page.keyboard.press("Space");
    await pause(120);
  }
  await isStopped(page);
  await page.close();
});

test("dead link, not yet noticed: the page says so within a second, and the stop arrives once the link is back", { timeout: 240_000 }, async (t) => {
  const studio = await startStudio();
  const link = await startLink(studio.url);
  t.after(async () => {
    await link.close();
    await studio.stop();
  });
  const page = await working(link.url);
  assert.equal(await part(page, "connection").getAttribute("data-state"), "live");
  link.die();
  const said = await press(page, () => part(page, "stop-button").click());
  assert.match(said.text, /NOT arrived/);
  assert.match(said.text, /emergency stop/);
  assert.equal(said.state, "undelivered");
  await keep(page, "21-not-arrived");
  await eventually(
    "the page sees that the link is dead", () => part(page, "connection").getAttribute("data-state"),
    (state) => state !== "live", 3_000);
  await eventually("the image's age is shown", () => page.locator(".camera .age").first().innerText(), (t) => / s old$/.test(t));
  await pause(4_000);
  assert.match(await part(page, "task-status").innerText(), /NOT arrived/, "the page still says so");
  link.revive();
  await isStopped(page);
  await page.close();
});

test("a dead link is shown within two seconds, and an instruction is not kept for later", { timeout: 240_000 }, async (t) => {
  const studio = await startStudio();
  const link = await startLink(studio.url);
  t.after(async () => {
    await link.close();
    await studio.stop();
  });
  const page = await working(link.url);
  link.die();
  const from = Date.now();
  await eventually(
    "the dock says it", () => taskState(page), (state) => state === "disconnected", 3_000);
  assert.ok(Date.now() - from < 2_000, `after ${Date.now() - from} ms`);
  const said = await part(page, "task-status").innerText();
  assert.match(said, /may still be moving/);
  assert.doesNotMatch(said, /holds its position/);
  await keep(page, "22-link-dead");
  await command(page, "something else");
  assert.match(await part(page, "command-reason").innerText(), /no connection/);
  link.revive();
  await eventually("live again", () => part(page, "connection").getAttribute("data-state"), (s) => s === "live", 20_000);
  await pause(1_000);
  assert.ok(!(await part(page, "task-status").innerText()).includes("something else"));
  await page.close();
});

test("an instruction that arrives late moves nothing, and the page says so", { timeout: 240_000 }, async (t) => {
  const studio = await startStudio();
  const link = await startLink(studio.url);
  t.after(async () => {
    await link.close();
    await studio.stop();
  });
  const page = await open(browser, link.url);
  await seeFrames(page);
  const [instruction] = await exampleInstructions(page);
  link.die();
  // For the page it was sent: the studio responded a moment ago.
  await command(page, instruction);
  assert.equal(await part(page, "connection").getAttribute("data-state"), "live");
  await pause(4_000);
  link.revive();
  await eventually("live again", () => part(page, "connection").getAttribute("data-state"), (s) => s === "live", 20_000);
  await eventually(
    "the page shows the outcome", () => part(page, "command-error").innerText(),
    (text) => /again if it is still (wanted|needed)/.test(text), 10_000);
  await keep(page, "26-too-late");
  assert.equal(await part(page, "command-input").inputValue(), instruction);
  assert.equal(await taskState(page), "idle");
  assert.ok((await movement(page)) < 0.3, "it moves on an instruction that is seconds old");
  await part(page, "command-send").click();
  await eventually("it works after sending again", () => taskState(page), (s) => ["running", "succeeded"].includes(s), 60_000);
  assert.equal(await part(page, "command-error").innerText(), "");
  await page.close();
});

test("reconnecting: the stop is sent first", { timeout: 240_000 }, async (t) => {
  const studio = await startStudio();
  const link = await startLink(studio.url);
  t.after(async () => {
    await link.close();
    await studio.stop();
  });
  const page = await working(link.url);
  link.target = "http://127.0.0.1:9";
  link.cut();
  await eventually("lost", () => part(page, "connection").getAttribute("data-state"), (s) => s === "waiting", 5_000);
  await pause(2_500);
  const said = await press(page);
  assert.match(said.text, /NOT arrived: the studio cannot be reached/);
  link.target = studio.url;
  await isStopped(page);
  await page.close();
});

test("a fatal error ends the connection but not the page", { timeout: 240_000 }, async (t) => {
  const studio = await startStudio();
  const own = await launch();
  t.after(async () => {
    await own.close();
    await studio.stop();
  });
  const link = await intercept(own);
  const page = await open(own, studio.url);
  await seeFrames(page);
  for (const code of ["silent", "full", "hello_timeout"]) {
    link.say(errorMessage({ code, message: `for a test: ${code}`, fatal: true }));
    link.hangUp();
    const said = await press(page);
    assert.ok(isHeld(said) || /NOT arrived/.test(said.text));
    await isStopped(page);
    assert.equal(await part(page, "connection").getAttribute("data-state"), "live");
    await part(page, "release-button").click();
    await eventually("released", () => taskState(page), (s) => s === "idle", 10_000);
  }
  await page.close();
});

test("another protocol version: the page says that a stop cannot be sent", { timeout: 120_000 }, async (t) => {
  const studio = await startStudio();
  const own = await launch();
  t.after(async () => {
    await own.close();
    await studio.stop();
  });
  const link = await intercept(own);
  link.change = () => otherVersion();
  const page = await open(own, studio.url);
  await eventually("refused", () => part(page, "connection").getAttribute("data-state"), (s) => s === "refused", 30_000);
  const said = await press(page);
  assert.match(said.text, /NOT arrived and cannot be sent/);
  assert.match(said.text, /reload the page/);
  await page.close();
});

test("a tab that was frozen until the studio gave up stops the robot when it resumes", { timeout: 240_000 }, async (t) => {
  const studio = await startStudio();
  t.after(() => studio.stop());
  const page = await working(studio.url);
  const session = await browser.newCDPSession(page);
  await session.send("Page.setWebLifecycleState", { state: "frozen" });
  await pause(20_000);
  await session.send("Page.setWebLifecycleState", { state: "active" });
  const said = await press(page);
  assert.ok(isHeld(said) || /NOT arrived/.test(said.text));
  await isStopped(page);
  await page.close();
});

test("kill -9: a stop pressed while the studio is down latches when it is back, before the robot moves", { timeout: 300_000 }, async (t) => {
  const data = await newDataFolder();
  let studio = await startStudioIn(data, "--no-sim");
  const links = [await startLink(studio.url), await startLink(studio.url)];
  const [toPage, toRobot] = links;
  const sim = await startSim(toRobot.url, "--name", "arm");
  t.after(async () => {
    await sim.stop();
    for (const link of links) await link.close();
    await studio.stop();
    await rm(data, { recursive: true, force: true });
  });
  const page = await working(toPage.url);
  await studio.kill();
  const said = await press(page);
  assert.match(said.text, /NOT arrived/);
  // The robot is away longer than the studio. The studio does not know it until it connects.
  toRobot.target = "http://127.0.0.1:9";
  studio = await startStudioIn(data, "--no-sim");
  toPage.target = studio.url;
  await says(page, /NOT arrived: the studio does not know the robot/);
  await keep(page, "23-unknown-robot");
  toRobot.target = studio.url;
  await isStopped(page);
  assert.ok((await movement(page)) < 0.3);

  // A stop that the studio confirmed survives the next kill.
  await studio.kill();
  studio = await startStudioIn(data, "--no-sim");
  for (const link of links) link.target = studio.url;
  await isStopped(page);
  await page.close();
});

test("Shift+Escape and the button stop all robots", { timeout: 240_000 }, async (t) => {
  const studio = await startStudio("--sims", "2");
  t.after(() => studio.stop());
  const page = await working(studio.url);
  const all = part(page, "stop-all-button");
  await all.waitFor();
  const [first, second] = await part(page, "robot-select").locator("option").evaluateAll((all) => all.map((o) => o.value));
  await part(page, "robot-select").selectOption(second);
  await command(page, (await exampleInstructions(page))[0]);
  await eventually("the second robot works too", () => taskState(page), (s) => ["running", "succeeded"].includes(s), 60_000);
  const said = await press(page, () => page.keyboard.press("Shift+Escape"));
  assert.ok(isHeld(said), said.text);
  await isStopped(page);
  await says(page, /The studio holds the stop of \S+ and \S+\./);
  await keep(page, "24-all-stopped");
  await part(page, "robot-select").selectOption(first);
  await isStopped(page);
  await part(page, "release-button").click();
  await eventually("released", () => taskState(page), (s) => s === "idle", 10_000);
  await all.click();
  await isStopped(page);
  await page.close();
});

test("problems of the studio are shown once, while they last", { timeout: 120_000 }, async (t) => {
  const studio = await startStudio();
  const own = await launch();
  t.after(async () => {
    await own.close();
    await studio.stop();
  });
  const link = await intercept(own);
  const page = await open(own, studio.url);
  await seeFrames(page);
  const problems = ["The policy's thread has not answered for 2 s."];
  link.change = (frame) => (frame[3] === 0x3b ? heartbeat({ beat: 1, problems }) : frame);
  const banner = part(page, "problems");
  await eventually("the banner", () => banner.innerText(), (text) => text.includes(problems[0]), 5_000);
  assert.equal(await banner.getAttribute("role"), "alert");
  await banner.evaluate((element) => {
    window.changes = 0;
    new MutationObserver((all) => (window.changes += all.length)).observe(element, { subtree: true, childList: true, characterData: true });
  });
  await keep(page, "25-problems");
  await pause(2_000);
  assert.equal(await page.evaluate(() => window.changes), 0, "announced again with every heartbeat");
  link.change = (frame) => frame;
  await eventually("its end", () => banner.innerText(), (text) => text === "", 5_000);
  await page.close();
});
