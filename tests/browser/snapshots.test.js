// An operator takes a snapshot by hand, sees it read back, pins it, verifies it and rehearses a restore.
import assert from "node:assert/strict";
import test, { after } from "node:test";
import { Appliance } from "./support/appliance.js";
import { Reader, launch } from "./support/people.js";

const browser = await launch({ after });

for (const language of ["ja", "en"]) {
  test(`snapshots by hand (${language})`, async (t) => {
    const appliance = await Appliance.start(t);
    await appliance.organization(language === "ja" ? "見本商店" : "Sample Trading", "owner@example.jp");
    const reader = await Reader.open(t, browser, { language });
    await reader.signIn(await appliance.link("owner@example.jp", "--operator"));
    const { page, words: word } = reader;
    await reader.open("/console");
    await page.getByRole("link", { name: word("shell-console-snapshots") }).first().click();
    await page.getByText(word("snapshots-none-title")).waitFor();

    await page.getByRole("button", { name: word("snapshots-take") }).click();
    const generation = page.locator(".gens > li");
    // It is taken behind the answer; the page says when it is there.
    await assert.doesNotReject(async () => {
      for (let tries = 0; (await generation.count()) === 0 && tries < 200; tries += 1) await page.reload();
      await generation.getByText(word("snapshots-verified"), { exact: true }).waitFor();
    });
    await generation.getByRole("button", { name: word("snapshots-pin") }).click();
    await generation.getByRole("button", { name: word("snapshots-unpin") }).waitFor();
    await page.getByRole("button", { name: word("snapshots-rehearse") }).click();
    const row = page.locator("tbody tr").filter({ hasText: word("snapshots-kind-rehearsal") });
    for (let tries = 0; (await row.count()) === 0 && tries < 200; tries += 1) await page.reload();
    await row.getByText(word("snapshots-good"), { exact: true }).waitFor();
    if (process.env.WORKRUN_TEST_SHOTS) {
      for (const [name, width] of [["wide", 1440], ["narrow", 390]]) {
        await page.setViewportSize({ width, height: 900 });
        await page.screenshot({ path: `${process.env.WORKRUN_TEST_SHOTS}/snapshots-${language}-${name}.png`, fullPage: true });
      }
    }
  });
}
