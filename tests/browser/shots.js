// Pictures of the running product for the README and the guide: `npm run shots` writes docs/images/*.png.
// They show the sample organization of `workrun serve --demo`.
import { spawn, execFile } from "node:child_process";
import { once } from "node:events";
import { mkdir, stat } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { BINARY } from "./support/appliance.js";
import { atEnd } from "./support/ending.js";
import { Reader, launch } from "./support/people.js";

const run = promisify(execFile);
const FOLDER = fileURLToPath(new URL("../../docs/images/", import.meta.url));
/** Pictures stand in a repository, and in pages that people load: so many bytes each, at most. */
const LARGEST = 250_000;

const endings = [];
const scope = { after: (ending) => endings.push(ending) };

/** Starts a sample and returns its owner's link and a way to run commands on it. */
async function sample(locale) {
  const process_ = spawn(BINARY, ["serve", "--demo", "--listen", "127.0.0.1:0", "--tls", "internal"], {
    env: { PATH: process.env.PATH, HOME: tmpdir(), LANG: locale, WORKRUN_TIME_ZONE: "Asia/Tokyo" },
    stdio: ["ignore", "pipe", "ignore"],
  });
  atEnd(scope, async () => {
    const ended = once(process_, "exit");
    process_.kill("SIGINT");
    await ended;
  });
  const lines = createInterface({ input: process_.stdout });
  let link;
  for await (const line of lines) {
    link = line.match(/https:\S+\/sign-in\/link\S+/)?.[0];
    if (link) break;
  }
  const data = path.join(tmpdir(), `workrun-demo-${process_.pid}`, "data");
  const command = async (...args) => JSON.parse((await run(BINARY, [...args, "--json", "--data-dir", data])).stdout);
  return { link, command };
}

async function shoot(page, name) {
  await page.evaluate(() => document.fonts.ready);
  const file = path.join(FOLDER, `${name}.png`);
  await page.mouse.move(0, 0);
  await page.screenshot({ path: file, animations: "disabled", caret: "hide" });
  const { size } = await stat(file);
  if (size > LARGEST) throw new Error(`${name}.png has ${size} bytes; ${LARGEST} are allowed`);
  console.log(`${name}.png  ${Math.round(size / 1024)} KB`);
}

const WORK = {
  ja: {
    body: "10月分の請求書が、**見積書の合計より3,300円多い**とのご指摘です。\n\n- 送料が2回計上されている可能性\n- 見積書の有効期限は10月末まで",
    fields: ["見本物産", "", "keiri@example.jp", ""],
    comment: "送料の二重計上でした。訂正した請求書を本日中にお送りします。",
  },
  en: {
    body: "The invoice for October is **33 dollars above the quote**.\n\n- Shipping may have been counted twice\n- The quote was valid until the end of October",
    fields: ["Sample Goods", "", "accounts@example.com", ""],
    comment: "Shipping was counted twice. The corrected invoice goes out today.",
  },
};

/** Opens a card and works on it, so that the picture shows what a card looks like after a day. */
async function worked(reader, link) {
  const { page, words: word } = reader;
  const { body, fields, comment } = WORK[reader.language];
  await link.click();
  const drawer = page.locator("#drawer[data-card]");
  await drawer.getByText(word("card-write-body"), { exact: true }).click();
  await drawer.locator("#in-body").fill(body);
  await drawer.locator("#in-body").press("Control+Enter");
  await drawer.locator(".sect > .prose").waitFor();
  const labels = ["company", "name", "email", "tel"].map((key) => word(`template-field-${key}`));
  for (const [at, text] of fields.entries()) {
    if (!text) continue;
    const field = drawer.getByRole("textbox", { name: labels[at], exact: true });
    await field.fill(text);
    await field.press("Enter");
    await drawer.locator(".tl").getByText(text).waitFor();
  }
  await drawer.locator("#in-comment").fill(comment);
  await drawer.locator(".reply button").click();
  await drawer.locator(".tl .prose").getByText(comment).waitFor();
  await page.evaluate(() => document.activeElement.blur());
}

async function pictures(browser, language, locale) {
  const { link, command } = await sample(locale);
  const reader = await Reader.open(scope, browser, { language });
  const { page } = reader;
  const { url } = await command("status");
  await reader.signIn(new URL(new URL(link).pathname + new URL(link).search, url).href);
  await page.locator(".board-tiles a").first().click();
  await page.locator("#board [data-card]").first().waitFor();
  const board = page.url();
  await shoot(page, `board-${language}`);
  await worked(reader, page.locator("#board [data-card]:has(.m-talk):has(.avs) .card-a").first());
  await shoot(page, `card-${language}`);
  if (language !== "ja") return;

  await reader.open(`${board}/list`);
  await shoot(page, "list-ja");
  const phone = await Reader.open(scope, browser, { language, width: 390 });
  await phone.context.addCookies(await reader.context.cookies());
  await phone.open(board);
  await phone.page.locator("#board [data-card]").first().waitFor();
  await shoot(phone.page, "board-ja-390");

  const operator = await Reader.open(scope, browser, { language });
  await operator.signIn((await command("sign-in-link", "op@example.jp", "--operator")).url);
  await operator.page.waitForURL("**/console");
  await shoot(operator.page, "console-ja");
}

await mkdir(FOLDER, { recursive: true });
try {
  const browser = await launch(scope);
  await pictures(browser, "ja", "ja_JP.UTF-8");
  await pictures(browser, "en", "en_US.UTF-8");
} finally {
  for (const ending of endings) await ending();
}
