// The first minutes: keys on the terminal, the first operator, the first organization.
import assert from "node:assert/strict";
import { readdir, readFile } from "node:fs/promises";
import path from "node:path";
import test, { after } from "node:test";
import { Appliance, scratch } from "./support/appliance.js";
import { Reader, launch } from "./support/people.js";
import { Terminal } from "./support/terminal.js";

const browser = await launch({ after });

const RECOVERY_KEY = /AGE-SECRET-KEY-1[0-9A-Z]+/;
const LINK = /https:\/\/\S+\/sign-in\/link\?t=\S+/;

test("a first start on a terminal shows the recovery key and a way in; a second shows no key", async (t) => {
  const folder = await scratch(t);
  const data = path.join(folder, "data");
  const serve = ["serve", "--listen", "127.0.0.1:0", "--tls", "internal", "--data-dir", data];

  const first = Terminal.open(t, folder, serve);
  const [key] = await first.shows(RECOVERY_KEY);
  const [link] = await first.shows(LINK);

  for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
    if (!entry.isFile()) continue;
    const content = await readFile(path.join(entry.parentPath ?? entry.path, entry.name), "latin1");
    assert.ok(!content.includes(key), `the recovery key is not kept in ${entry.name}`);
  }

  const reader = await Reader.open(t, browser);
  await reader.open(link);
  await reader.heading("gate-first-title").waitFor();
  reader.expects(/422/);
  await reader.page.locator("#name").fill("　");
  await reader.press("gate-first-submit");
  await reader.page.locator("#name[aria-invalid=true]").waitFor();
  await reader.page.locator("#name").fill("運用 花子");
  await reader.page.locator("#mail").fill("op@example.jp");
  await reader.press("gate-first-submit");
  await reader.page.waitForURL("**/console");
  await reader.heading("console-title").waitFor();

  const again = await Reader.open(t, browser, { language: "en" });
  await again.open(link);
  await again.page.getByText("This link cannot be used").or(again.heading("gate-link-elsewhere-title")).first().waitFor();

  assert.equal(await first.interrupt(), 0);
  const second = Terminal.open(t, folder, serve);
  await second.shows(/Workrun is at https:/);
  await second.shows(/Ctrl-C/);
  assert.doesNotMatch(second.screen, RECOVERY_KEY);
  assert.doesNotMatch(second.screen, LINK);
  assert.equal(await second.interrupt(), 0);
});

test("without a terminal no key is ever written", async (t) => {
  const appliance = await Appliance.start(t);
  assert.doesNotMatch(appliance.log, RECOVERY_KEY);
  assert.doesNotMatch(appliance.log, /sign-in\/link/);
});

for (const [language, name] of [["ja", "見本商店"], ["en", "Sample Trading"]]) {
  test(`the operator's link leads to the console, where an organization is made (${language})`, async (t) => {
    const appliance = await Appliance.start(t);
    const operator = await Reader.open(t, browser, { language });
    await operator.signIn(await appliance.link("op@example.jp", "--operator"));
    await operator.heading("console-title").waitFor();
    await operator.page.getByText(operator.words("console-strip"), { exact: true }).waitFor();
    await operator.page.getByText(operator.words("alert-recovery-key"), { exact: true }).waitFor();

    await operator.page.getByRole("complementary").getByRole("link", { name: operator.words("shell-console-organizations"), exact: true }).click();
    await operator.page.getByText(operator.words("console-organizations-none-title"), { exact: true }).waitFor();
    await operator.fill("console-organization-name", name);
    await operator.fill("console-organization-owner", "owner@example.jp");
    await operator.press("console-organization-submit");
    await operator.heading("console-made-title", { name }).waitFor();
    const link = await operator.page.locator("#made-link").textContent();

    const { items } = await appliance.command("org", "list");
    assert.deepEqual(items.map((item) => item.name), [name]);

    // No mail can be sent here: the page names the command that makes a link, and that link lets the owner in.
    await operator.page.getByText(`workrun sign-in-link owner@example.jp`, { exact: true }).waitFor();
    const owner = await Reader.open(t, browser, { language });
    await owner.open(link);
    assert.equal(await owner.field("gate-mail").inputValue(), "owner@example.jp");
    await owner.signIn(await appliance.link("owner@example.jp"));
    await owner.heading("home-empty-title").waitFor();
    await owner.page.getByRole("link", { name }).first().waitFor();
  });
}
