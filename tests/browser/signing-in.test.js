// Signing in without passwords: by code, by link in the same browser, and never in another; invitations and joining.
import assert from "node:assert/strict";
import test, { after } from "node:test";
import { Appliance } from "./support/appliance.js";
import { PostOffice, address, code } from "./support/mail.js";
import { Reader, launch } from "./support/people.js";
import { until } from "./support/until.js";

const browser = await launch({ after });

const OWNER = "owner@example.jp";

async function scene(t, name) {
  const office = await PostOffice.open(t);
  const appliance = await Appliance.start(t, office.settings);
  const org = await appliance.organization(name, OWNER);
  return { office, appliance, org };
}

/** Asks for a code; the page then waits for it. */
async function ask(reader, appliance, mail, at = "/sign-in") {
  await reader.open(at, appliance.url);
  await reader.fill("gate-mail", mail);
  await reader.press("gate-send-code");
  await reader.heading("gate-code-title").waitFor();
}

const session = async (reader) => (await reader.context.cookies()).find((cookie) => cookie.name === "__Host-workrun");

for (const language of ["ja", "en"]) {
  const org = language === "ja" ? "見本商店" : "Sample Trading";

  test(`a code from the mail signs in; wrong ones say how many tries are left (${language})`, async (t) => {
    const { office, appliance } = await scene(t, org);
    const owner = await Reader.open(t, browser, { language });
    await ask(owner, appliance, OWNER);
    const letter = await office.codeLetter(OWNER);
    const right = code(letter);
    assert.ok(letter.subject.includes(right), "the code stands in the subject");
    assert.match(letter.body, language === "ja" ? /サインインのコードです/ : /sign-in code/i);

    const wrong = right === "000000" ? "000001" : "000000";
    owner.expects(/422/);
    for (const left of [4, 3]) {
      await owner.fill("gate-code", wrong);
      await owner.press("gate-code-submit");
      await owner.page.getByText(owner.words("gate-code-wrong", { left }), { exact: true }).waitFor();
    }
    // As people paste it and as an input method types it.
    const full = [...right].map((digit) => String.fromCodePoint(digit.codePointAt(0) + 0xfee0)).join("");
    await owner.fill("gate-code", language === "ja" ? full : `${right.slice(0, 3)} ${right.slice(3)}`);
    await owner.press("gate-code-submit");
    await owner.heading("home-empty-title").waitFor();

    const cookie = await session(owner);
    assert.ok(cookie.secure && cookie.httpOnly && cookie.sameSite === "Lax", "the session's cookie is kept from scripts and strangers");

    // A code is used once.
    await owner.page.getByRole("complementary").getByRole("button", { name: owner.words("shell-sign-out"), exact: true }).click();
    await owner.heading("gate-sign-in-title").waitFor();
    assert.equal(await session(owner), undefined);
  });

  test(`the mail's link signs in where the code was asked for, and nowhere else (${language})`, async (t) => {
    const { office, appliance } = await scene(t, org);
    const owner = await Reader.open(t, browser, { language });
    const scanner = await Reader.open(t, browser, { language });
    await ask(owner, appliance, OWNER);
    const link = address(await office.codeLetter(OWNER));

    await scanner.open(link);
    await scanner.heading("gate-link-elsewhere-title").waitFor();
    assert.equal(await session(scanner), undefined, "another browser gets no session");
    assert.equal(await scanner.button("gate-link-submit").count(), 0, "nor a button that makes one");

    const tab = await owner.tab();
    await tab.goto(link);
    await tab.getByRole("button", { name: owner.words("gate-link-submit"), exact: true }).click();
    await tab.getByRole("heading", { name: owner.words("home-empty-title") }).waitFor();
    assert.ok(await session(owner));
  });

  test(`an invitation brings in a second person; it can be sent again and revoked (${language})`, async (t) => {
    const { office, appliance, org: id } = await scene(t, org);
    const owner = await Reader.open(t, browser, { language });
    await owner.signIn(await appliance.link(OWNER));
    const members = `/o/${id}/members`;

    const invite = async (mail) => {
      await owner.open(members, appliance.url);
      await owner.fill("members-invite-mail", mail);
      await owner.field("members-invite-role").selectOption("member");
      await owner.press("members-invite-submit");
      await owner.page.getByRole("cell", { name: mail, exact: true }).waitFor();
    };

    await invite("hanako@example.jp");
    const letter = await office.letter("hanako@example.jp");
    assert.ok(letter.subject.includes(org), "the mail names the organization");
    assert.ok(letter.body.includes("owner"), "and who invites");
    const first = address(letter);

    // Sent again: the new link is the one that counts.
    await owner.press("members-resend-of", { mail: "hanako@example.jp" });
    const second = address(await office.letter("hanako@example.jp", 2));
    assert.notEqual(first, second);

    const hanako = await Reader.open(t, browser, { language });
    await hanako.open(second);
    await hanako.heading("invitation-title").waitFor();
    await hanako.link("invitation-sign-in").click();
    assert.equal(await hanako.field("gate-mail").inputValue(), "hanako@example.jp", "the address is filled in");
    await hanako.press("gate-send-code");
    await hanako.fill("gate-code", code(await office.letter("hanako@example.jp", 3)));
    await hanako.press("gate-code-submit");
    await hanako.fill("invitation-name", language === "ja" ? "佐藤 花子" : "Hanako Sato");
    await hanako.press("invitation-join");
    await hanako.page.waitForURL(`**/o/${id}`);
    await hanako.page.getByRole("link", { name: org }).first().waitFor();

    // Both links are now spent.
    hanako.expects(/40\d|410/);
    await hanako.open(second);
    await hanako.heading("invitation-accepted-title").waitFor();

    await invite("jiro@example.jp");
    const jiros = address(await office.letter("jiro@example.jp"));
    await owner.press("members-revoke-of", { mail: "jiro@example.jp" });
    await until(async () => assert.equal(await owner.page.getByRole("cell", { name: "jiro@example.jp", exact: true }).count(), 0));
    const jiro = await Reader.open(t, browser, { language });
    jiro.expects(/40\d|410/);
    await jiro.open(jiros);
    await jiro.heading("invitation-revoked-title").waitFor();
  });
}
