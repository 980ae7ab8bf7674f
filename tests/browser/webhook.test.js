// A webhook lands on an open board: the endpoint is made in the page, the delivery signed as Standard Webhooks says.
import assert from "node:assert/strict";
import { createHmac, randomUUID } from "node:crypto";
import { request } from "node:https";
import test, { after } from "node:test";
import { Appliance } from "./support/appliance.js";
import { Board } from "./support/board.js";
import { Reader, launch } from "./support/people.js";
import { until } from "./support/until.js";

const browser = await launch({ after });

/** Sends a body over a connection that trusts the appliance's own authority alone. */
function deliver(url, authority, body, headers) {
  return new Promise((resolve, reject) => {
    const sent = request(url, { method: "POST", ca: authority, headers: { "content-type": "application/json", ...headers } }, (answer) => {
      let text = "";
      answer.setEncoding("utf8").on("data", (part) => (text += part)).on("end", () => resolve({ status: answer.statusCode, body: text && JSON.parse(text) }));
    });
    sent.on("error", reject).end(body);
  });
}

/** The headers of Standard Webhooks 1.0.0. */
function signed(secret, body, id = `msg_${randomUUID()}`) {
  const timestamp = String(Math.floor(Date.now() / 1000));
  const key = Buffer.from(secret.replace(/^whsec_/, ""), "base64");
  const mac = createHmac("sha256", key).update(`${id}.${timestamp}.${body}`).digest("base64");
  return { "webhook-id": id, "webhook-timestamp": timestamp, "webhook-signature": `v1,${mac}` };
}

for (const language of ["ja", "en"]) {
  test(`a signed delivery becomes a card in front of one's eyes, once (${language})`, async (t) => {
    const appliance = await Appliance.start(t);
    const org = await appliance.organization("見本商店", "owner@example.jp");
    const reader = await Reader.open(t, browser, { language });
    await reader.signIn(await appliance.link("owner@example.jp"));
    await reader.heading("home-empty-title").waitFor();
    const board = await Board.create(reader, org, "問い合わせ", "inquiries");
    const inbox = reader.words("template-status-new");

    const settings = await reader.tab();
    await settings.goto(`${board.url}/hooks`);
    await settings.getByLabel(reader.words("hooks-name"), { exact: true }).fill("お問い合わせフォーム");
    await settings.locator('input[value="standard-webhooks"]').check();
    await settings.getByRole("button", { name: reader.words("hooks-new-submit"), exact: true }).click();
    const url = await settings.locator("#made-address").textContent();
    const secret = await settings.locator("#made-secret").textContent();
    assert.match(secret, /^whsec_/);
    assert.ok(url.startsWith(`${appliance.url}/hooks/`));
    await settings.getByRole("link", { name: reader.words("hooks-made-open"), exact: true }).click();
    await settings.getByText(reader.words("hook-deliveries-none-title"), { exact: true }).waitFor();
    assert.ok(!(await settings.content()).includes(secret), "the secret is shown once");

    const authority = await (await reader.page.request.get(`${appliance.url}/ca.crt`)).text();
    const body = JSON.stringify({ type: "form.submitted", data: { title: "見積もりのご相談", email: "a@example.jp", note: "<b>至急</b>" } });
    const headers = signed(secret, body);
    const begun = performance.now();
    const first = await deliver(url, authority, body, headers);
    assert.equal(first.status, 200);
    assert.equal(first.body.outcome, "accepted");
    await board.reads(inbox, ["見積もりのご相談"], 1000);
    assert.ok(performance.now() - begun < 1000, "the card is there within a second");

    const again = await deliver(url, authority, body, headers);
    assert.equal(again.status, 200);
    assert.equal(again.body.duplicate, true);
    assert.equal(again.body.delivery, first.body.delivery);

    const forged = await deliver(url, authority, body.replace("見積", "架空"), signed(secret, body));
    assert.equal(forged.status, 401);

    const second = await deliver(url, authority, JSON.stringify({ subject: "納期の確認" }), signed(secret, JSON.stringify({ subject: "納期の確認" })));
    assert.equal(second.body.outcome, "accepted");
    await until(async () => assert.deepEqual((await board.titles(inbox)).toSorted(), ["納期の確認", "見積もりのご相談"].toSorted()));
    await board.counts(inbox, 2);

    // The card: what was received, that the signature was checked, and the field that its key names.
    await board.openCard("見積もりのご相談");
    await board.drawer.getByText(reader.words("card-verified"), { exact: true }).waitFor();
    assert.equal(await board.drawer.getByRole("textbox", { name: reader.words("template-field-email"), exact: true }).inputValue(), "a@example.jp");
    assert.match(await board.drawer.locator("dl.kv").textContent(), /<b>至急<\/b>/);
    const [told] = await board.timeline();
    assert.equal(told, reader.words("timeline-received", { actor: "お問い合わせフォーム", to: inbox }).replace(/[\s\u3000]+/g, " "));

    // What cannot be read is kept, and said in the reader's language.
    const broken = '{"title": "x",}';
    const held = await deliver(url, authority, broken, signed(secret, broken));
    assert.deepEqual([held.status, held.body.outcome], [200, "held"]);

    // The list of deliveries, newest first: what came of each, and the payload in full. The forged one is none.
    await settings.reload();
    const outcomes = ["held", "accepted", "duplicate", "accepted"].map((outcome) => reader.words(`outcome-${outcome}`));
    assert.deepEqual(await settings.locator("tbody .mk").allTextContents(), outcomes);
    await settings.getByText(reader.words("delivery-held-malformed-json", { line: 1, column: 15 }), { exact: true }).waitFor();
    await settings.getByRole("link", { name: /#1/ }).first().waitFor();
    await settings.locator("tbody tr").last().getByRole("link").first().click();
    await settings.locator("pre.source").getByText("form.submitted").waitFor();
    assert.ok(!(await settings.content()).includes(headers["webhook-signature"].slice(3)), "signatures are masked");

    // A removed endpoint answers 410.
    await settings.goBack();
    await settings.getByText(reader.words("hook-remove"), { exact: true }).click();
    await settings.getByRole("button", { name: reader.words("hook-remove-confirm"), exact: true }).click();
    await settings.waitForURL(`${board.url}/hooks`);
    const gone = await deliver(url, authority, body, signed(secret, body));
    assert.equal(gone.status, 410);
  });
}
