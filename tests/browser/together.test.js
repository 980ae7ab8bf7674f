// Two people on one board: each sees the other's change at once, across dropped lines and killed servers.
import assert from "node:assert/strict";
import test, { after } from "node:test";
import { Appliance } from "./support/appliance.js";
import { Board } from "./support/board.js";
import { PostOffice, address, code } from "./support/mail.js";
import { Reader, launch } from "./support/people.js";
import { until } from "./support/until.js";

const browser = await launch({ after });

/** What one does is to be seen by the other within this many milliseconds. */
const AT_ONCE = 1000;
/** What the console says of a line that is cut, and of answers that tell of a conflict. */
const CUT = /ERR_INTERNET_DISCONNECTED|ERR_CONNECTION_REFUSED|ERR_CONNECTION_RESET|ERR_CONNECTION_CLOSED|ERR_EMPTY_RESPONSE|ERR_INCOMPLETE_CHUNKED_ENCODING|ERR_NETWORK_CHANGED|ERR_HTTP2/;
const CONFLICT = /409/;

/** Two members, the second invited by the first, both before the same board. */
async function pair(t, language) {
  const office = await PostOffice.open(t);
  const appliance = await Appliance.start(t, office.settings);
  const org = await appliance.organization(language === "ja" ? "見本商店" : "Sample Trading", "taro@example.jp");
  const taro = await Reader.open(t, browser, { language });
  await taro.signIn(await appliance.link("taro@example.jp"));
  await taro.heading("home-empty-title").waitFor();
  const his = await Board.create(taro, org, language === "ja" ? "作業" : "Work", "inquiries");

  const tab = await taro.tab();
  await tab.goto(`${appliance.url}/o/${org}/members`);
  await tab.getByLabel(taro.words("members-invite-mail"), { exact: true }).fill("hanako@example.jp");
  await tab.getByLabel(taro.words("members-invite-role"), { exact: true }).selectOption("member");
  await tab.getByRole("button", { name: taro.words("members-invite-submit"), exact: true }).click();
  await tab.getByRole("cell", { name: "hanako@example.jp", exact: true }).waitFor();
  await tab.close();

  const hanako = await Reader.open(t, browser, { language });
  await hanako.open(address(await office.letter("hanako@example.jp")));
  await hanako.link("invitation-sign-in").click();
  await hanako.press("gate-send-code");
  await hanako.fill("gate-code", code(await office.letter("hanako@example.jp", 2)));
  await hanako.press("gate-code-submit");
  await hanako.fill("invitation-name", "Hanako");
  await hanako.press("invitation-join");
  await hanako.page.waitForURL(`**/o/${org}`);
  const hers = await Board.open(hanako, his.url);
  const word = taro.words;
  const names = { new: word("template-status-new"), answering: word("template-status-answering"), waiting: word("template-status-waiting"), done: word("template-status-done") };
  return { appliance, office, taro, hanako, his, hers, names, word };
}

/** Waits for `seen`, and fails if that took longer than at once. */
async function atOnce(what, seen) {
  const begun = performance.now();
  await seen();
  const took = performance.now() - begun;
  assert.ok(took <= AT_ONCE, `${what} was seen after ${Math.round(took)} ms`);
}

const title = (board, word) => board.drawer.getByRole("textbox", { name: word("card-title"), exact: true });

for (const language of ["ja", "en"]) {
  test(`each sees the other's change within a second (${language})`, async (t) => {
    const { his, hers, names, word } = await pair(t, language);

    await his.add(names.new, "一");
    await atOnce("a new card", () => hers.reads(names.new, ["一"]));
    await hers.counts(names.new, 1);
    await hers.page.getByText(word("js-created", { actor: "taro" }), { exact: true }).waitFor();
    await hers.add(names.new, "二");
    await atOnce("her new card", () => his.reads(names.new, ["一", "二"]));
    await Promise.all([his, hers].map((board) => board.page.keyboard.press("Escape")));

    await his.card("一").focus();
    await his.page.keyboard.press("m");
    await his.page.locator("#card-menu").waitFor();
    await his.page.keyboard.press("2");
    await atOnce("a move", () => hers.reads(names.answering, ["一"]));
    await hers.reads(names.new, ["二"]);
    await hers.counts(names.new, 1);
    await hers.counts(names.answering, 1);

    // Hanako has the card open: what Taro changes of it appears there.
    await hers.openCard("一");
    await his.openCard("一");
    await title(his, word).fill("一の改め");
    await title(his, word).press("Enter");
    await atOnce("a new title", () => until(async () => assert.equal(await title(hers, word).inputValue(), "一の改め")));
    const reply = his.drawer.getByRole("textbox", { name: word("card-comment"), exact: true });
    await reply.fill("見ました");
    await his.drawer.getByRole("button", { name: word("card-send"), exact: true }).click();
    await atOnce("a comment", () => hers.drawer.locator(".tl .prose").getByText("見ました").waitFor());
    await hers.page.keyboard.press("Escape");
    await hers.drawer.waitFor({ state: "hidden" });
    assert.match(await hers.tile("一の改め").textContent(), /1/, "the tile counts the comment");

    await his.page.keyboard.press("Escape");
    await his.drawer.waitFor({ state: "hidden" });
    await his.card("一の改め").focus();
    await his.page.keyboard.press("e");
    await atOnce("archiving", () => hers.reads(names.answering, []));
    assert.deepEqual(await hers.everything(), await his.everything());
  });

  test(`one field, two values: both are shown, and either can be kept (${language})`, async (t) => {
    const { taro, hanako, his, hers, names, word } = await pair(t, language);
    hanako.expects(CONFLICT);
    taro.expects(CONFLICT);
    await his.add(names.new, "原題");
    await hers.reads(names.new, ["原題"]);
    await his.page.keyboard.press("Escape");
    await Promise.all([his.openCard("原題"), hers.openCard("原題")]);

    // Hanako is typing when Taro saves: a bar says so, and nothing that she typed is lost.
    await title(hers, word).fill("花子の題");
    await title(his, word).fill("太郎の題");
    await title(his, word).press("Enter");
    await hers.drawer.getByText(word("js-drawer-changed", { actor: "taro" }), { exact: true }).waitFor();
    assert.equal(await title(hers, word).inputValue(), "花子の題");
    await title(hers, word).press("Enter");
    const clash = hers.drawer.getByRole("alert").filter({ hasText: word("card-clash", { actor: "taro" }) });
    await clash.waitFor();
    assert.match(await clash.textContent(), /花子の題/);
    assert.match(await clash.textContent(), /太郎の題/);
    await his.card("太郎の題").waitFor({ state: "attached" });
    await clash.getByText(word("card-keep-mine"), { exact: true }).click();
    await clash.waitFor({ state: "hidden" });
    await until(async () => assert.equal(await title(his, word).inputValue(), "花子の題"));

    // The other way: Taro takes hers.
    await title(his, word).fill("太郎の第二案");
    await title(hers, word).fill("花子の第二案");
    await title(hers, word).press("Enter");
    await his.drawer.getByText(word("js-drawer-changed", { actor: "Hanako" }), { exact: true }).waitFor();
    await title(his, word).press("Enter");
    const other = his.drawer.getByRole("alert").filter({ hasText: word("card-clash", { actor: "Hanako" }) });
    await other.getByText(word("card-take-theirs"), { exact: true }).click();
    await other.waitFor({ state: "hidden" });
    assert.equal(await title(his, word).inputValue(), "花子の第二案");

    // Different fields both stand, though neither saw the other's.
    const field = (board, key) => board.drawer.getByRole("textbox", { name: word(key), exact: true });
    await field(his, "template-field-company").fill("山田商店");
    await field(hers, "template-field-tel").fill("03-0000-0000");
    await field(his, "template-field-company").press("Enter");
    await field(hers, "template-field-tel").press("Enter");
    for (const board of [his, hers]) {
      await board.page.keyboard.press("Escape");
      await board.drawer.waitFor({ state: "hidden" });
      await board.reload();
      await board.openCard("花子の第二案");
      await until(async () => {
        assert.equal(await field(board, "template-field-company").inputValue(), "山田商店");
        assert.equal(await field(board, "template-field-tel").inputValue(), "03-0000-0000");
      });
    }
  });
}

test("a line that was cut brings nothing twice and loses nothing; edits wait politely", async (t) => {
  const { hanako, his, hers, names, word } = await pair(t, "ja");
  hanako.expects(CUT);
  await his.add(names.new, "前");
  await hers.reads(names.new, ["前"]);

  await hanako.context.setOffline(true);
  await hers.page.getByText(word("shell-offline"), { exact: true }).first().waitFor();
  for (const name of ["一", "二", "三"]) await his.add(names.new, name);
  await his.page.keyboard.press("Escape");
  await his.card("前").focus();
  await his.page.keyboard.press("m");
  await his.page.keyboard.press("2");
  await his.reads(names.answering, ["前"]);

  // What she types meanwhile is refused, and kept.
  await hers.column(names.new).getByText(word("board-add-card"), { exact: true }).click();
  const text = hers.column(names.new).getByRole("textbox");
  await text.fill("途中");
  await text.press("Enter");
  await hers.toast(word("js-offline")).waitFor();
  assert.equal(await text.inputValue(), "途中");

  await hanako.context.setOffline(false);
  await hers.reads(names.new, ["一", "二", "三"]);
  await hers.reads(names.answering, ["前"]);
  await hers.counts(names.new, 3);
  assert.equal(await text.inputValue(), "途中");
  await text.press("Enter");
  await his.reads(names.new, ["一", "二", "三", "途中"]);
  await hers.reads(names.new, ["一", "二", "三", "途中"]);
  await hers.reload();
  assert.deepEqual(await hers.everything(), await his.everything());
});

test("a server that was killed comes back with everything, and both boards go on by themselves", async (t) => {
  const { appliance, taro, hanako, his, hers, names } = await pair(t, "ja");
  taro.expects(CUT);
  hanako.expects(CUT);
  for (const name of ["一", "二"]) await his.add(names.new, name);
  await hers.reads(names.new, ["一", "二"]);

  await appliance.kill();
  await Promise.all([his, hers].map((board) => board.page.getByText(taro.words("shell-offline"), { exact: true }).first().waitFor()));
  await appliance.revive();
  await Promise.all([his, hers].map((board) => board.page.getByText(taro.words("shell-offline"), { exact: true }).first().waitFor({ state: "hidden", timeout: 40_000 })));
  assert.equal((await appliance.command("status")).recovered, true, "the next start says that it recovered");

  await his.add(names.new, "三");
  await hers.reads(names.new, ["一", "二", "三"]);
  await hers.add(names.done, "四");
  await his.reads(names.done, ["四"]);
  await his.reload();
  await his.reads(names.new, ["一", "二", "三"]);
  assert.deepEqual(await hers.everything(), await his.everything());
});
