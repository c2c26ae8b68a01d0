// The panel of action tokens: scrubbing, selecting a token, editing, and drawing while tokens arrive.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { command, eventually, keep, launch, open, part, seeFrames } from "../support/browser.mjs";
import { openCodec } from "../support/codec.mjs";
import { startStudio } from "../support/studio.mjs";
import { intercept, tokensSoFar } from "../support/intercept.mjs";

const ROWS = 16;
const DIMS = 6;
const ALL = ROWS * DIMS;

let studio, browser, page, link, codec, action;

before(async () => {
  studio = await startStudio();
  codec = await openCodec(studio.url);
  action = (await (await fetch(`${studio.url}/api/policy`)).json()).action;
  browser = await launch();
  link = await intercept(browser);
  page = await open(browser, studio.url);
  await page.setViewportSize({ width: 1280, height: 900 });
}, { timeout: 180_000 });

after(async () => {
  await browser?.close();
  await studio?.stop();
});

const panel = async (name) => part(page, "unfold").getAttribute(`data-${name}`);
const ids = async () => (await page.locator("[data-token]").allInnerTexts()).map(Number);

/** A normalized value in robot units, as in the reference. */
const inRobotUnits = (value, { low, high, normalised }) => {
  const clipped = Math.min(1, Math.max(-1, value));
  return normalised ? ((clipped + 1) * (high - low)) / 2 + low : clipped;
};

/** Compares everything that the panel shows about the first `count` tokens with an independent decode. */
async function agrees(count) {
  await eventually(`${count} tokens`, () => panel("tokens"), (n) => Number(n) === count);
  const tokens = (await ids()).slice(0, count);
  const want = codec.coefficients(tokens);
  await eventually("the coefficients", () => panel("known"), (n) => Number(n) === want.length);
  const cells = await part(page, "unfold-coefficients").locator("td").allInnerTexts();
  const shown = cells.map((text) => (text === "" ? null : Number(text.replace("\u2212", "-"))));
  assert.deepEqual(shown, [...want, ...Array(ALL - want.length).fill(null)]);
  const drawn = JSON.parse(await part(page, "unfold-course").getAttribute("data-actions"));
  const chunk = codec.chunk(want, ROWS, DIMS);
  drawn.forEach((value, index) => {
    const expected = inRobotUnits(chunk[Math.floor(index / DIMS)][index % DIMS], action[index % DIMS]);
    assert.ok(Math.abs(value - expected) < 1e-3, `value ${index}: ${value}, expected ${expected}`);
  });
  return want.length;
}

test("before the first decision the panel says what it will show", { timeout: 90_000 }, async () => {
  await seeFrames(page);
  assert.equal(await panel("source"), "none");
  assert.match(await part(page, "unfold-empty").innerText(), /low frequencies first/);
});

test("scrubbing to the middle shows the coefficients of half of the tokens", { timeout: 120_000 }, async () => {
  await part(page, "mode-discrete").click();
  const instruction = await page.locator('[data-testid^="example-"]', { hasText: "pick up" }).first().innerText();
  await command(page, instruction);
  await eventually("a motion", () => panel("known"), (known) => Number(known) === ALL, 60_000);
  // The first decision moves the robot the most. It can be kept in view once it is no longer the newest.
  await eventually("a second decision", () => part(page, "timeline").getAttribute("aria-valuemax"), (n) => Number(n) > 1, 60_000);
  await part(page, "timeline").focus();
  await page.keyboard.press("Home");
  await eventually("the first decision", () => panel("decision"), (n) => n === "1");
  const all = (await ids()).length;
  await part(page, "unfold-scrubber").focus();
  await page.keyboard.press("ArrowLeft");
  await eventually("one token less", () => panel("tokens"), (n) => Number(n) === all - 1);
  await page.keyboard.press("Home");
  await agrees(0);
  const half = Math.ceil(all / 2);
  for (let i = 0; i < half; i++) await page.keyboard.press("ArrowRight");
  const known = await agrees(half);
  const words = `${half} of ${all} tokens, ${known} of ${ALL} coefficients`;
  assert.equal(await part(page, "unfold-words").innerText(), words);
  assert.equal(await part(page, "unfold-scrubber").getAttribute("aria-valuetext"), words);
  for (const theme of ["light", "dark"]) {
    await page.evaluate((theme) => {
      document.documentElement.dataset.theme = theme;
      const top = document.querySelector('[data-testid="unfold"]').getBoundingClientRect().top;
      window.scrollBy(0, top - 76);
    }, theme);
    await keep(page, `07-tokens-${theme}`);
  }
  await page.keyboard.press("End");
  await agrees(all);
});

test("a token chosen by keyboard shows its coefficients", { timeout: 60_000 }, async () => {
  await page.locator('[data-token="0"]').focus();
  await page.keyboard.press("ArrowRight");
  assert.match(await part(page, "token-about").innerText(), /^Token 2 of \d+, id \d+/);
  const first = codec.coefficients((await ids()).slice(0, 1)).length;
  const both = codec.coefficients((await ids()).slice(0, 2)).length;
  const marked = await page.locator("td.marked").evaluateAll((cells) => cells.map((c) => Number(c.dataset.coefficient)));
  assert.deepEqual(marked, Array.from({ length: both - first }, (_, i) => first + i));
});

test("an edit is encoded as tokens in the tab and sent nowhere", { timeout: 60_000 }, async () => {
  const before = link.sent;
  await part(page, "unfold-try").click();
  const joint = page.locator('[data-course="3"]');
  await joint.focus();
  await page.keyboard.press("End");
  for (let i = 0; i < 4; i++) await page.keyboard.press("PageUp");
  const cost = await eventually("the change", () => part(page, "unfold-trial").innerText(), (text) => /changed/.test(text));
  assert.match(cost, /Only in this tab[\s\S]* coefficients and [1-9]\d* tokens changed/);
  await eventually("the trial", () => panel("source"), (source) => source === "trial");
  await keep(page, "09-trial");
  await agrees((await ids()).length);
  await part(page, "unfold-try").click();
  await eventually("the decision", () => panel("source"), (source) => source === "decision");
  assert.equal(link.sent, before);
});

test("tokens are drawn while they arrive", { timeout: 60_000 }, async () => {
  const tokens = await ids();
  const robot = await part(page, "robot-select").inputValue();
  const sequence = 1_000_000_000;
  const say = (count, more = {}) => link.say(tokensSoFar({
    robot_id: robot, observation_sequence: sequence, tokens: tokens.slice(0, count), rows: ROWS, dims: DIMS, ...more,
  }));
  await part(page, "unfold-live").click();
  for (let count = 1; count < tokens.length; count += 2) {
    say(count);
    await eventually("the stream", () => panel("source"), (source) => source === "stream", 5_000);
    assert.ok((await agrees(count)) <= ALL);
  }
  assert.match(await part(page, "unfold-words").innerText(), /^\d+ tokens so far, \d+ of 96 coefficients$/);

  // An invalid token is named, and the decode before it stays.
  say(0, { tokens: [...tokens.slice(0, 3), 60_000, ...tokens.slice(4)] });
  await part(page, "unfold-fault").waitFor({ timeout: 5_000 });
  assert.equal(await part(page, "unfold-fault").getAttribute("data-position"), "3");
  assert.match(await part(page, "unfold-fault").innerText(), /beyond token 4[\s\S]*60000/);
  assert.equal(Number(await panel("known")), codec.coefficients(tokens.slice(0, 3)).length);
  assert.match(await page.locator('[data-token="3"]').getAttribute("class"), /fault/);
  await keep(page, "08-unreadable");

  // The stream stops growing, so the page returns to the decision.
  await eventually("the decision", () => panel("source"), (source) => source === "decision", 10_000);
});

test("the page reports no error", () => {
  assert.deepEqual(page.problems, []);
});
