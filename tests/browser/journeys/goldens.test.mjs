// The networks against the reference in a real browser: the same cases and tolerances as natively (tests/parity), on
// the CPU and on WebGPU.
//
// A software adapter compiles a shader per kind and shape of operation, so on WebGPU only some cases run by default;
// POLICY_STUDIO_GOLDENS=all runs every case, a comma-separated list selects cases. Results are written to
// tests/output/goldens-*.json.
import assert from "node:assert/strict";
import { writeFile } from "node:fs/promises";
import path from "node:path";
import { after, before, test } from "node:test";
import { launch, open, OUTPUT } from "../support/browser.mjs";
import { allCases, compare, serveGoldens, summary } from "../support/goldens.mjs";

const QUICK_ON_WEBGPU = ["molmoact2/three_cameras_odd_grid", "molmoact2/think_three_cameras", "qwen3vl/tied"];
const wish = process.env.POLICY_STUDIO_GOLDENS;
const PER_CASE_MILLIS = wish ? 3_600_000 : 600_000;

let server, browser, page;

before(async () => {
  server = await serveGoldens();
  browser = await launch();
  page = await open(browser, server.url);
}, { timeout: 60_000 });

after(async () => {
  await browser?.close();
  await server?.close();
});

async function casesOn(device) {
  const all = await allCases();
  if (wish && wish !== "all") return wish.split(",");
  return device === "cpu" || wish === "all" ? all : all.filter((name) => QUICK_ON_WEBGPU.includes(name));
}

for (const device of ["cpu", "webgpu"]) {
  test(`the networks equal the reference on ${device}`, { timeout: 12 * PER_CASE_MILLIS }, async () => {
    const cases = await casesOn(device);
    assert.ok(cases.length > 0);
    const reports = [];
    for (const name of cases) {
      const report = await compare(page, name, device, PER_CASE_MILLIS);
      console.log(summary(report));
      reports.push(report);
    }
    await writeFile(path.join(OUTPUT, `goldens-${device}.json`), JSON.stringify(reports, null, 1));
    const failed = reports.flatMap((report) => report.all.filter((finding) => !finding.passed)
      .map((finding) => `${report.case}: ${JSON.stringify(finding)}`));
    assert.deepEqual(failed, []);
    assert.deepEqual(page.problems, []);
  });
}
