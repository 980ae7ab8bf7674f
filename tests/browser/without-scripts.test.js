// Everything that must work works without JavaScript: plain links and forms.
import assert from "node:assert/strict";
import test, { after } from "node:test";
import { Appliance } from "./support/appliance.js";
import { Board } from "./support/board.js";
import { Reader, launch } from "./support/people.js";

const browser = await launch({ after });

for (const [language, width] of [["ja", 1440], ["en", 390]]) {
  test(`a board, a card, a comment and a move without scripts (${language}, ${width} px)`, async (t) => {
    const appliance = await Appliance.start(t);
    const org = await appliance.organization("見本商店", "owner@example.jp");
    const reader = await Reader.open(t, browser, { language, width, scripts: false });
    const { page, words: word } = reader;
    await reader.signIn(await appliance.link("owner@example.jp"));
    await reader.heading("home-empty-title").waitFor();
    const board = await Board.create(reader, org, "作業", "tasks");
    const [todo, doing] = [word("template-status-todo"), word("template-status-doing")];

    await board.column(todo).getByText(word("board-add-card"), { exact: true }).click();
    await board.column(todo).getByRole("textbox").fill("机を運ぶ");
    await board.column(todo).getByRole("button", { name: word("board-add"), exact: true }).click();
    await board.reads(todo, ["机を運ぶ"]);

    await board.card("机を運ぶ").click();
    await page.getByRole("textbox", { name: word("card-comment"), exact: true }).fill("二人で **運びます**");
    await reader.press("card-send");
    await page.locator(".tl .prose strong").getByText("運びます").waitFor();
    await page.getByRole("textbox", { name: word("card-title"), exact: true }).fill("机と椅子を運ぶ");
    await page.locator("form.inplace").filter({ has: page.locator("#in-title") }).getByRole("button", { name: word("card-save"), exact: true }).click();
    await page.getByRole("heading", { level: 1, name: "机と椅子を運ぶ" }).waitFor({ state: "attached" });
    await page.locator("#in-status").selectOption({ label: doing });
    await reader.press("card-move");
    await page.waitForLoadState();
    assert.equal((await board.timeline()).at(-1), word("timeline-moved", { actor: "owner", from: todo, to: doing }).replace(/[\s\u3000]+/g, " "));
    await reader.open(board.url);
    await board.reads(doing, ["机と椅子を運ぶ"]);

    // Put away and taken back.
    await board.card("机と椅子を運ぶ").click();
    await page.getByLabel(word("card-actions"), { exact: true }).click();
    await reader.press("card-archive");
    await page.waitForURL(board.url);
    await board.reads(doing, []);
    await reader.open(`${board.url}/archive`);
    await reader.press("card-restore-number", { n: 1 });
    await reader.open(board.url);
    await board.reads(doing, ["机と椅子を運ぶ"]);

    // A refusal keeps what was typed.
    await board.card("机と椅子を運ぶ").click();
    await page.getByRole("textbox", { name: word("card-comment"), exact: true }).evaluate((input) => input.removeAttribute("required"));
    reader.expects(/422/);
    await page.getByRole("textbox", { name: word("card-comment"), exact: true }).fill("　");
    await reader.press("card-send");
    await page.locator("#in-comment-error").waitFor();
    assert.equal(await page.locator("#in-comment").inputValue(), "　");
  });
}
