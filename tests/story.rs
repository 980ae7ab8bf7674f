//! The story of the appliance from its first start to a killed process, told by the binary itself.

mod harness;

use std::{fs, os::unix::fs::PermissionsExt as _};

use harness::{Appliance, Browser, Setup, Terminal, browser_at_link, ids_after, text_between, until};
use serde_json::json;

/// The first six digits of a letter: the code.
fn code_of(letter: &serde_json::Value) -> String {
    let body = letter["body"].as_str().expect("a text");
    let word = body.split_whitespace().find(|word| word.len() == 6 && word.bytes().all(|b| b.is_ascii_digit()));
    word.unwrap_or_else(|| panic!("no code in {body}")).to_owned()
}

#[test]
fn the_first_start_makes_what_it_needs_and_shows_no_key_to_a_log() {
    let mut appliance = Appliance::with(Setup { tls: Some("internal"), ..Setup::default() });
    for path in ["keyring", "live/system.store", "lock", "control.sock"] {
        assert!(appliance.data().join(path).exists(), "{path} is there");
    }
    let mode = |path: std::path::PathBuf| fs::metadata(path).expect("it is there").permissions().mode() & 0o777;
    let key = appliance.data().with_file_name("root.key");
    assert_eq!(mode(key.clone()), 0o600);
    assert_eq!(mode(appliance.data().join("control.sock")), 0o600);
    assert_eq!(mode(appliance.data()) & 0o077, 0, "nobody else looks into the data folder");

    // Nothing of a key where the output is a log, at this start and the next.
    let secret = fs::read_to_string(&key).expect("the root key");
    appliance.restart();
    for said in [appliance.log(), appliance.said()] {
        assert!(!said.contains("AGE-SECRET-KEY") && !said.contains(secret.trim()), "{said}");
        assert!(!said.contains("/sign-in/link?t="), "a link signs in: {said}");
    }
    assert!(appliance.status()["alerts"].to_string().contains("recovery"), "{}", appliance.status());

    // The root that the sign-in page offers is the one under which it serves.
    let mut browser = appliance.browser();
    assert!(browser.page("/sign-in").contains("/ca.crt"));
    assert_eq!(Some(browser.page("/ca.crt")), appliance.endpoint().root);
    assert_eq!(browser.page("/healthz"), "ok\n");
    assert_eq!(browser.get("/").expect(303).location(), "/sign-in");

    // The session cookie goes nowhere but here, and no script reads it.
    let mut operator = appliance.operator("op@example.test");
    let out = operator.post("/sign-out", &[]).expect(303);
    let cookie = out.header("set-cookie").expect("a cookie");
    for part in ["__Host-workrun=", "Path=/", "Secure", "HttpOnly", "SameSite=Lax"] {
        assert!(cookie.contains(part), "{cookie}");
    }
    assert_eq!(operator.get("/console").expect(303).location(), "/sign-in?next=/console");
}

#[test]
fn on_a_terminal_keys_are_shown_once_and_ctrl_c_stops() {
    let folder = tempfile::tempdir().expect("a folder");
    let serve = "serve --listen 127.0.0.1:0 --tls off --data-dir data";
    let terminal = Terminal::start(folder.path(), serve);
    let screen = terminal.until("Ctrl-C");
    assert!(screen.contains("AGE-SECRET-KEY-1"), "the recovery key is shown: {screen}");
    let (mut operator, secret) = browser_at_link(&screen);
    operator.get(&format!("/sign-in/link?t={secret}")).expect(200);
    operator.post("/sign-in/link", &[("t", &secret), ("name", ""), ("mail", "")]).expect(422);
    let entered = operator.post("/sign-in/link", &[("t", &secret), ("name", "運用 太郎"), ("mail", "op@example.test")]);
    assert_eq!(entered.expect(303).location(), "/console");
    assert!(operator.page("/console").contains("運用 太郎"));
    operator.clone().post("/sign-in/link", &[("t", &secret), ("name", "二人目"), ("mail", "")]).expect(403);
    terminal.interrupt();

    // The second start has nothing to show but where it is.
    let terminal = Terminal::start(folder.path(), serve);
    let screen = terminal.until("Ctrl-C");
    assert!(!screen.contains("AGE-SECRET-KEY") && !screen.contains("/sign-in/link"), "{screen}");
    terminal.interrupt();
}

#[test]
fn a_sample_is_served_from_a_folder_that_goes_away() {
    let folder = tempfile::tempdir().expect("a folder");
    let terminal = Terminal::start(folder.path(), "--demo --listen 127.0.0.1:0 --tls off");
    let screen = terminal.until("/sign-in/link?t=");
    assert!(!screen.contains("AGE-SECRET-KEY"), "{screen}");
    let (mut owner, secret) = browser_at_link(&screen);
    let home = owner.post("/sign-in/link", &[("t", &secret)]).expect(303).location().to_owned();
    let org = owner.get(&home).expect(303).location().to_owned();
    let home = owner.page(&org);
    let boards = ids_after(&home, "/boards/");
    assert_eq!(boards.len(), 3, "{home}");
    let board = owner.page(&format!("{org}/boards/{}", boards[0]));
    assert!(ids_after(&board, "/cards/").len() > 3, "{board}");
    terminal.interrupt();
    let left: Vec<_> = fs::read_dir(folder.path())
        .expect("the folder, which is also that for temporary files")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.starts_with("workrun-demo-"))
        .collect();
    assert!(left.is_empty(), "{left:?}");
}

/// The recovery key is typed back: what was copied wrongly is noticed while the right one still stands on the screen.
#[test]
fn a_recovery_key_is_typed_back_right_away_or_later() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut terminal = Terminal::start(folder.path(), "init --data-dir data");
    let screen = terminal.until("AGE-SECRET-KEY-1");
    let key = screen.split_whitespace().find(|word| word.starts_with("AGE-SECRET-KEY-1")).expect("a key").to_owned();
    terminal.type_line(&key[..key.len() - 1]);
    terminal.until("No: it is no recovery key");
    terminal.type_line(&key.to_lowercase());
    terminal.until("your copy is right");

    let mut terminal = Terminal::start(folder.path(), "keys recovery --test --data-dir data");
    terminal.type_line(&key);
    let screen = terminal.until("It is the recovery key of this appliance");
    assert!(screen.contains("Recovery key (AGE-SECRET-KEY-1…)"), "{screen}");
    let mut terminal = Terminal::start(folder.path(), "keys recovery --test --data-dir data");
    terminal.type_line("AGE-SECRET-KEY-1NOTHING");
    terminal.until("is not right");
}

#[test]
fn init_makes_keys_once_and_never_over_others() {
    let mut appliance = Appliance::start();
    appliance.stop();
    let refused = appliance.output(&["init", "--recovery-key-out", "again.txt", "--json"]);
    assert!(!refused.status.success(), "a keyring is never replaced");
    assert!(!appliance.data().with_file_name("again.txt").exists(), "and no key is left behind");

    let folder = tempfile::tempdir().expect("a folder");
    let at = |name: &str| folder.path().join(name);
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_workrun"));
    command.env_clear().env("HOME", folder.path()).env("WORKRUN_ROOT_KEY_FILE", at("root.key"));
    command.env("WORKRUN_CONFIG", at("config.toml")).current_dir(folder.path());
    fs::write(at("config.toml"), "").expect("an empty configuration");
    let output = command.args(["init", "--json", "--data-dir", "data", "--recovery-key-out", "recovery.txt"]).output();
    let output = output.expect("the binary runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let said: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one document");
    let recovery = fs::read_to_string(at("recovery.txt")).expect("the recovery key");
    assert!(recovery.contains("AGE-SECRET-KEY-1"));
    assert!(!said.to_string().contains("AGE-SECRET-KEY"), "{said}");
    assert!(at("data/keyring").exists() && at("root.key").exists());
}

#[test]
fn an_operator_makes_an_organization_and_sees_no_content() {
    let appliance = Appliance::with_mail();
    let mut operator = appliance.operator("op@example.test");
    let console = operator.page("/console");
    assert!(console.contains(env!("CARGO_PKG_VERSION")), "{console}");
    let made =
        operator.post("/console/organizations", &[("name", "青空商会"), ("owner", "owner@example.test")]).expect(200);
    assert!(made.text().contains("青空商会"));
    let letter = appliance.mailbox().newest("owner@example.test", "/sign-in?mail=");
    assert!(letter["subject"].as_str().is_some_and(|subject| subject.contains("青空商会")), "{letter}");
    let by_command = appliance.found("緑工業", "chief@example.test");
    let list = operator.page("/console/organizations");
    assert!(list.contains("青空商会") && list.contains("緑工業"));
    assert_eq!(appliance.status()["organizations"], 2);

    // What was typed stays when a form is refused, and nothing is made.
    let refused =
        operator.post("/console/organizations", &[("name", "青空商会 2"), ("owner", "no address")]).expect(422);
    assert!(refused.text().contains("青空商会 2") && refused.text().contains("no address"));
    assert_eq!(appliance.status()["organizations"], 2);

    // An operator is a stranger inside.
    operator.get(&format!("/o/{by_command}")).expect(404);
    // And sees of mail to whom and why, never what it says.
    let mut owner = appliance.browser();
    owner.post("/sign-in", &[("mail", "tempfail@example.test"), ("next", "")]).expect(303);
    let mut chief = appliance.sign_in("chief@example.test");
    chief
        .post(&format!("/o/{by_command}/invitations"), &[("mail", "tempfail@example.test"), ("role", "member")])
        .expect(303);
    let queue = until("the queue to show the mail", || {
        Some(operator.page("/console/mail"))
            .filter(|page| page.contains("tempfail@example.test") && page.contains("451"))
    });
    assert!(!queue.contains("/invitations/") && !queue.contains("緑工業」への招待"), "{queue}");
}

#[test]
fn people_sign_in_by_code_or_link_in_the_browser_that_asked() {
    let appliance = Appliance::with_mail();
    let org = appliance.found("青空商会", "owner@example.test");
    let mail = appliance.mailbox();

    // By code, with what the keyboard of an input method makes of digits.
    let mut browser = appliance.browser();
    let target = format!("/o/{org}/members");
    assert_eq!(browser.get(&target).expect(303).location(), format!("/sign-in?next={target}"));
    browser.post("/sign-in", &[("mail", "Owner@Example.test"), ("next", &target)]).expect(303);
    let letter = mail.nth_with("owner@example.test", "/sign-in/link", 0);
    let code = code_of(&letter);
    let wrong = if code == "000000" { "000001" } else { "000000" };
    let page = browser.post("/sign-in/code", &[("code", wrong)]).expect(422).text();
    assert!(page.contains('4'), "four tries are left: {page}");
    let full_width: String = code.chars().map(|c| char::from_u32(c as u32 + 0xfee0).expect("a digit")).collect();
    assert_eq!(browser.post("/sign-in/code", &[("code", &full_width)]).expect(303).location(), target);
    browser.get(&target).expect(200);
    // Once only.
    let mut again = appliance.browser();
    again.post("/sign-in", &[("mail", "owner@example.test"), ("next", "")]).expect(303);
    again.post("/sign-in/code", &[("code", &code)]).expect(422);
    assert!(!again.is_signed_in());

    // By link: only here, and not by looking at it.
    let letter = mail.nth_with("owner@example.test", "/sign-in/link", 1);
    let link = appliance.path_of(&letter, "/sign-in/link");
    let secret = link.split_once("t=").expect("a secret").1.to_owned();
    let mut scanner = appliance.browser();
    for _ in 0..3 {
        scanner.send("HEAD", &link, &[], b"").expect(200);
        scanner.get(&link).expect(200);
        scanner.post("/sign-in/link", &[("t", &secret)]).expect(403);
    }
    assert!(!scanner.is_signed_in());
    again.get(&link).expect(200);
    assert!(!again.is_signed_in(), "looking changes nothing");
    again.post("/sign-in/link", &[("t", &secret)]).expect(303);
    assert!(again.is_signed_in());
    let mut third = appliance.browser();
    third.post("/sign-in/link", &[("t", &secret)]).expect(403);

    // An unknown address takes the same path and gets nothing.
    let mut stranger = appliance.browser();
    let known = again.clone().post("/sign-out", &[]).status;
    assert_eq!(known, 303);
    let asked = stranger.post("/sign-in", &[("mail", "stranger@example.test"), ("next", "")]).expect(303);
    assert_eq!(asked.location(), "/sign-in/code");
    for _ in 0..5 {
        stranger.post("/sign-in/code", &[("code", "123456")]).expect(422);
    }
    assert!(mail.to("stranger@example.test").is_empty());

    // Five an hour.
    let mut eager = appliance.browser();
    let statuses: Vec<u16> =
        (0..6).map(|_| eager.post("/sign-in", &[("mail", "eager@example.test"), ("next", "")]).status).collect();
    assert_eq!(statuses, [303, 303, 303, 303, 303, 429]);

    // A resent code: the one before it still counts.
    let mut slow = appliance.browser();
    appliance.found("別の組織", "slow@example.test");
    slow.post("/sign-in", &[("mail", "slow@example.test"), ("next", "")]).expect(303);
    let first = code_of(&mail.nth_with("slow@example.test", "/sign-in/link", 0));
    slow.post("/sign-in/resend", &[]).expect(200);
    mail.nth_with("slow@example.test", "/sign-in/link", 1);
    slow.post("/sign-in/code", &[("code", &first)]).expect(303);
    assert!(slow.is_signed_in());
}

#[test]
fn members_are_invited_join_change_and_go() {
    let appliance = Appliance::with_mail();
    let org = appliance.found("青空商会", "owner@example.test");
    let mut owner = appliance.sign_in("owner@example.test");
    let (members, invitations) = (format!("/o/{org}/members"), format!("/o/{org}/invitations"));

    // Invited, resent (the first link ends), joined.
    owner.post(&invitations, &[("mail", "hana@example.test"), ("role", "member")]).expect(303);
    let first = appliance.path_of(&appliance.mailbox().nth("hana@example.test", 0), "/invitations/");
    let page = owner.page(&members);
    assert!(page.contains("hana@example.test"));
    let id = ids_after(&page, "/invitations/").pop().expect("an invitation");
    owner.post(&format!("{invitations}/{id}/resending"), &[]).expect(303);
    let letter = appliance.mailbox().nth("hana@example.test", 1);
    let (subject, body) = (letter["subject"].as_str().expect("a subject"), letter["body"].as_str().expect("a text"));
    assert!(subject.contains("青空商会") && body.contains("青空商会") && body.contains("owner"), "{letter}");
    let second = appliance.path_of(&letter, "/invitations/");
    let mut hana = appliance.browser();
    hana.get(&first).expect(404);
    let shown = hana.get(&second).expect(200).text();
    assert!(shown.contains("青空商会") && shown.contains("hana%40example.test"), "the address is filled in: {shown}");
    // Signing in leads back to it.
    hana.post("/sign-in", &[("mail", "hana@example.test"), ("next", &second)]).expect(303);
    let code = code_of(&appliance.mailbox().nth("hana@example.test", 2));
    assert_eq!(hana.post("/sign-in/code", &[("code", &code)]).expect(303).location(), second);
    // Somebody else's invitation is not for the owner.
    owner.post(&format!("{second}/acceptance"), &[("name", "owner")]).expect(422);
    hana.post(&format!("{second}/acceptance"), &[("name", "")]).expect(422);
    assert_eq!(
        hana.post(&format!("{second}/acceptance"), &[("name", "山田 花")]).expect(303).location(),
        format!("/o/{org}")
    );
    // Twice by the same person is once.
    hana.post(&format!("{second}/acceptance"), &[("name", "山田 花")]).expect(303);
    assert!(owner.page(&members).contains("山田 花"));

    // Revoked: the link ends.
    owner.post(&invitations, &[("mail", "taro@example.test"), ("role", "guest")]).expect(303);
    owner.post(&invitations, &[("mail", "taro@example.test"), ("role", "guest")]).expect(409);
    let link = appliance.path_of(&appliance.mailbox().newest("taro@example.test", "/invitations/"), "/invitations/");
    let page = owner.page(&members);
    let id = ids_after(&page, "/invitations/").pop().expect("an invitation");
    owner.post(&format!("{invitations}/{id}/revocation"), &[]).expect(303);
    let mut taro = appliance.sign_in("taro@example.test");
    assert!(!taro.page(&link).contains("/acceptance"));
    taro.post(&format!("{link}/acceptance"), &[("name", "太郎")]).expect(422);
    taro.get(&format!("/o/{org}")).expect(404);

    // Roles: nobody above their own, and an owner stays.
    let people = ids_after(&owner.page(&members), "/members/");
    let hana_id = people
        .iter()
        .find(|id| owner.post(&format!("/o/{org}/members/{id}/role"), &[("role", "admin")]).status == 303)
        .expect("somebody who can become admin")
        .clone();
    assert_eq!(hana.post(&invitations, &[("mail", "new@example.test"), ("role", "owner")]).status, 403);
    hana.post(&format!("/o/{org}/members/{hana_id}/role"), &[("role", "owner")]).expect(403);
    assert_eq!(owner.post(&format!("/o/{org}/departure"), &[]).status, 409, "the last owner stays");
    owner.post(&format!("/o/{org}/members/{hana_id}/role"), &[("role", "owner")]).expect(303);
    owner.post(&format!("/o/{org}/departure"), &[]).expect(303);
    owner.get(&format!("/o/{org}")).expect(404);
    assert!(hana.page(&members).contains("山田 花"));

    // Who is removed is told, and by whom.
    hana.post(&invitations, &[("mail", "jiro@example.test"), ("role", "member")]).expect(303);
    let link = appliance.path_of(&appliance.mailbox().newest("jiro@example.test", "/invitations/"), "/invitations/");
    let mut jiro = appliance.sign_in("jiro@example.test");
    jiro.post(&format!("{link}/acceptance"), &[("name", "次郎")]).expect(303);
    jiro.get(&format!("/o/{org}")).expect(200);
    let jiro_id = ids_after(&hana.page(&members), "/members/").into_iter().find(|id| *id != hana_id).expect("jiro");
    hana.post(&format!("/o/{org}/members/{jiro_id}/removal"), &[]).expect(303);
    jiro.get(&format!("/o/{org}")).expect(404);
    appliance.mailbox().newest("jiro@example.test", "山田 花さんが、あなたを");
}

#[test]
fn without_a_mail_server_mail_waits_and_links_serve() {
    let appliance = Appliance::start();
    let org = appliance.found("青空商会", "owner@example.test");
    let mut owner = appliance.sign_in("owner@example.test");
    owner.post(&format!("/o/{org}/invitations"), &[("mail", "hana@example.test"), ("role", "member")]).expect(303);
    until("the mail to be counted", || (appliance.status()["mail_waiting"].as_u64()? >= 1).then_some(()));
    // The link was made on the server, so the owners are told, and the log of the organization says so.
    assert!(owner.page(&format!("/o/{org}/settings")).contains("owner"));
}

/// What stands after a text, as long as a webhook's secret is: 26 characters of id and 26 of secret.
fn secret_after(page: &str, before: &str) -> String {
    let mut secrets =
        page.split(before).skip(1).map(|rest| rest.chars().take_while(char::is_ascii_alphanumeric).collect::<String>());
    secrets.find(|secret| secret.len() == 52).unwrap_or_else(|| panic!("no secret after {before} in {page}"))
}

/// A board, its columns' ids and a card on it, in the hands of its owner.
fn board_with_card(org: &str, owner: &mut Browser) -> (String, Vec<String>, String) {
    let board = Appliance::board(owner, org, "問い合わせ", "inquiries");
    let page = owner.page(&format!("/o/{org}/boards/{board}/settings"));
    let statuses = ids_after(&page, "/statuses/");
    assert_eq!(statuses.len(), 5, "{page}");
    let answer = owner
        .post(&format!("/o/{org}/boards/{board}/cards"), &[("title", "見積もりのご相談"), ("status", "")])
        .expect(303);
    let card = ids_after(answer.location(), "#card-").pop().expect("a card");
    (board, statuses, card)
}

#[test]
fn guests_see_the_boards_that_they_are_admitted_to() {
    let appliance = Appliance::with_mail();
    let org = appliance.found("青空商会", "owner@example.test");
    let mut owner = appliance.sign_in("owner@example.test");
    let mut guest = appliance.join(&mut owner, &org, "guest@example.test", "客人", "guest");
    let (board, _, card) = board_with_card(&org, &mut owner);
    let (board_url, card_url) = (format!("/o/{org}/boards/{board}"), format!("/o/{org}/cards/{card}"));
    guest.get(&board_url).expect(404);
    guest.get(&card_url).expect(404);
    let settings = owner.page(&format!("{board_url}/settings"));
    let member = ids_after(&settings, "name=\"member\" value=\"").remove(0);
    owner.post(&format!("{board_url}/guests"), &[("member", &member), ("on", "true")]).expect(303);
    assert!(guest.page(&format!("/o/{org}")).contains(&board));
    guest.get(&board_url).expect(200);
    guest.post(&format!("{card_url}/comments"), &[("body", "拝見しました")]).expect(303);
    guest.post(&format!("{card_url}/archive"), &[]).expect(403);
    owner.post(&format!("{board_url}/guests"), &[("member", &member), ("on", "false")]).expect(303);
    guest.get(&board_url).expect(404);
}

#[test]
fn a_board_is_worked_on() {
    let appliance = Appliance::with_mail();
    let org = appliance.found("青空商会", "owner@example.test");
    let mut owner = appliance.sign_in("owner@example.test");
    let mut hana = appliance.join(&mut owner, &org, "hana@example.test", "山田 花", "member");
    for (template, word) in [("inquiries", "問い合わせ"), ("tasks", "タスク"), ("hiring", "採用"), ("expenses", "経費")]
    {
        let board = Appliance::board(&mut owner, &org, "", template);
        assert!(owner.page(&format!("/o/{org}/boards/{board}")).contains(word), "{template}");
    }
    let empty = Appliance::board(&mut owner, &org, "白紙", "empty");
    assert!(owner.page(&format!("/o/{org}/boards/{empty}")).contains("白紙"));

    let (board, statuses, card) = board_with_card(&org, &mut owner);
    let (board_url, card_url) = (format!("/o/{org}/boards/{board}"), format!("/o/{org}/cards/{card}"));
    let version = |browser: &mut Browser| text_between(&browser.page(&card_url), "data-version=\"", "\"");
    let set = |browser: &mut Browser, field: &str, value: &str| {
        let version = version(browser);
        browser.post(&format!("{card_url}/values"), &[("field", field), ("value", value), ("version", &version)])
    };
    assert!(hana.page(&board_url).contains("見積もりのご相談"));
    set(&mut hana, "title", "お見積もりのご相談").expect(303);
    set(&mut hana, "body", "**至急** お願いします <script>alert(1)</script>").expect(303);
    set(&mut hana, "due", "2027-01-31").expect(303);
    let page = hana.page(&card_url);
    assert!(page.contains("<strong>至急</strong>") && !page.contains("<script>alert"), "{page}");
    let field = ids_after(&page, "value=\"field:").first().cloned().expect("a field");
    set(&mut hana, &format!("field:{field}"), "青空株式会社").expect(303);
    let people = ids_after(&page, "name=\"member\" value=\"");
    hana.post(&format!("{card_url}/assignees"), &[("member", &people[0]), ("on", "true")]).expect(303);
    let labels = ids_after(&page, "name=\"label\" value=\"");
    hana.post(&format!("{card_url}/labels"), &[("label", &labels[0]), ("on", "true")]).expect(303);
    owner.post(&format!("{card_url}/comments"), &[("body", "承知しました。\n\n- 単価\n- 納期")]).expect(303);
    hana.post(&format!("{card_url}/position"), &[("status", &statuses[1]), ("after", "")]).expect(303);
    let page = hana.page(&card_url);
    for said in ["お見積もりのご相談", "見積もりのご相談", "山田 花", "青空株式会社", "<li>単価</li>"]
    {
        assert!(page.contains(said), "{said} in {page}");
    }

    // Refusals keep what was typed and change nothing.
    let before = version(&mut hana);
    let long = "長".repeat(501);
    for (field, typed) in [("title", long.as_str()), ("title", " "), ("due", "2027-02-30"), ("title", "a\u{202e}b")] {
        let refused = set(&mut hana, field, typed).expect(422).text();
        assert!(refused.contains("aria-invalid=\"true\""), "{field} {typed}: {refused}");
        assert!(typed.trim().is_empty() || refused.contains(typed), "what was typed stays");
    }
    assert_eq!(version(&mut hana), before);

    // Archive, trash, restore.
    hana.post(&format!("{card_url}/archive"), &[]).expect(303);
    assert!(!hana.page(&board_url).contains(&card) && hana.page(&format!("{board_url}/archive")).contains(&card));
    owner.post(&format!("{card_url}/comments"), &[("body", "保管中でもコメントできる")]).expect(303);
    hana.post(&format!("{card_url}/restoration"), &[]).expect(303);
    hana.post(&format!("{card_url}/trash"), &[]).expect(303);
    assert!(hana.page(&format!("{board_url}/trash")).contains(&card));
    let refused = set(&mut hana, "title", "題を直す").expect(409);
    let refused = refused.text();
    assert!(refused.contains("元に戻して"), "the rule: {refused}");
    assert!(refused.contains("題を直す"), "what was typed: {refused}");
    hana.post(&format!("{card_url}/restoration"), &[]).expect(303);
    let page = hana.page(&board_url);
    assert!(page.contains(&card));

    // The list, by every column; numbers are never reused.
    let second = owner.post(&format!("{board_url}/cards"), &[("title", "あとから来た件"), ("status", "")]).expect(303);
    let second = ids_after(second.location(), "#card-").pop().expect("a card");
    for (sort, first) in
        [("number", &card), ("title", &second), ("status", &second), ("due", &card), ("updated", &card)]
    {
        let page = hana.page(&format!("{board_url}/list?sort={sort}&dir=asc"));
        assert_eq!(ids_after(&page, "/cards/").first(), Some(first), "by {sort}: {page}");
    }
    let page = hana.page(&format!("{board_url}/list?q={}", harness::percent("ミツモリ")));
    assert!(!page.contains(&second));
}

#[test]
fn two_browsers_see_each_other_and_lose_nothing() {
    let mut appliance = Appliance::with_mail();
    let org = appliance.found("青空商会", "owner@example.test");
    let mut owner = appliance.sign_in("owner@example.test");
    let mut hana = appliance.join(&mut owner, &org, "hana@example.test", "山田 花", "member");
    let (board, statuses, card) = board_with_card(&org, &mut owner);
    let (board_url, card_url) = (format!("/o/{org}/boards/{board}"), format!("/o/{org}/cards/{card}"));
    let page = hana.page(&board_url);
    let (seq, epoch) = (text_between(&page, "data-seq=\"", "\""), text_between(&page, "data-epoch=\"", "\""));
    let stream = |browser: &Browser, seq: &str, epoch: &str| {
        browser.live(&format!("{board_url}/live?after={seq}&epoch={epoch}"))
    };

    let live = stream(&hana, &seq, &epoch);
    owner.post(&format!("{card_url}/position"), &[("status", &statuses[2]), ("after", "")]).expect(303);
    let event = live.until(&card);
    assert!(event.contains(&statuses[2]) && event.contains("\"mine\":false"), "{event}");
    let seen = text_between(&event, "id: ", "\n");
    drop(live);

    // What happened while the connection was gone comes once, and what was seen does not come again.
    for title in ["一件目", "二件目", "三件目"] {
        owner.post(&format!("{board_url}/cards"), &[("title", title), ("status", "")]).expect(303);
    }
    let live = stream(&hana, &seen, &epoch);
    let mut numbers = Vec::new();
    for title in ["一件目", "二件目", "三件目"] {
        let event = live.until(title);
        numbers.push(text_between(&event, "id: ", "\n").parse::<u64>().expect("a number"));
    }
    assert!(numbers.is_sorted() && numbers[0] > seen.parse::<u64>().expect("a number"), "{numbers:?} after {seen}");

    // Different fields both stand; the same field shows the later one what stands there.
    let version = text_between(&hana.page(&card_url), "data-version=\"", "\"");
    let set = |browser: &mut Browser, field: &str, value: &str| {
        browser.post(&format!("{card_url}/values"), &[("field", field), ("value", value), ("version", &version)])
    };
    set(&mut owner, "title", "所有者の題").expect(303);
    set(&mut hana, "due", "2027-03-01").expect(303);
    let clash = set(&mut hana, "title", "花の題").expect(409).text();
    assert!(clash.contains("所有者の題") && clash.contains("花の題"), "{clash}");
    let page = hana.page(&card_url);
    assert!(page.contains("所有者の題") && page.contains("2027-03-01"));
    // Both put a label on: both are there.
    let labels = ids_after(&page, "name=\"label\" value=\"");
    owner.post(&format!("{card_url}/labels"), &[("label", &labels[0]), ("on", "true")]).expect(303);
    hana.post(&format!("{card_url}/labels"), &[("label", &labels[1]), ("on", "true")]).expect(303);
    // A status that is gone: the card stays, what is left is offered.
    owner.post(&format!("{board_url}/statuses/{}/removal", statuses[4]), &[]).expect(303);
    hana.post(&format!("{card_url}/position"), &[("status", &statuses[4]), ("after", "")]).expect(409);

    // A stream ends with the session, and with the appliance.
    let mut other = appliance.sign_in("hana@example.test");
    let page = other.page(&board_url);
    let ended = stream(&other, &text_between(&page, "data-seq=\"", "\""), &epoch);
    owner.post(&format!("{board_url}/cards"), &[("title", "最後から二番目"), ("status", "")]).expect(303);
    ended.until("最後から二番目");
    other.post("/sign-out", &[]).expect(303);
    owner.post(&format!("{board_url}/cards"), &[("title", "最後"), ("status", "")]).expect(303);
    ended.until_closed();
    // Who was away while the board itself changed is asked to load it anew.
    let returned = stream(&hana, &seen, &epoch);
    returned.until("event: reset");
    assert!(appliance.stop().success(), "{}", appliance.log());
    live.until_closed();
}

#[test]
fn a_webhook_becomes_a_card_before_their_eyes() {
    let appliance = Appliance::start();
    let org = appliance.found("青空商会", "owner@example.test");
    let mut owner = appliance.sign_in("owner@example.test");
    let board = Appliance::board(&mut owner, &org, "問い合わせ", "inquiries");
    let board_url = format!("/o/{org}/boards/{board}");
    let page = owner.page(&board_url);
    let (seq, epoch) = (text_between(&page, "data-seq=\"", "\""), text_between(&page, "data-epoch=\"", "\""));
    let live = owner.live(&format!("{board_url}/live?after={seq}&epoch={epoch}"));

    let made = owner
        .post(&format!("{board_url}/hooks"), &[("name", "ウェブフォーム"), ("scheme", "secret-url")])
        .expect(200)
        .text();
    let address = format!("/hooks/{}", secret_after(&made, "/hooks/"));
    let encoded = harness::form(&[("name", "山田商店"), ("tel", "03-0000-0000"), ("body", "至急お願いします")]);
    let headers = [("Content-Type", "application/x-www-form-urlencoded"), ("X-Delivery-Id", "first")];
    let answer = appliance.deliver(&address, &headers, encoded.as_bytes()).expect(200).json();
    assert_eq!(answer["outcome"], "accepted", "{answer}");
    let card = answer["card"].as_str().expect("a card");
    let event = live.until(card);
    assert!(event.contains("山田商店"), "{event}");
    let page = owner.page(&format!("/o/{org}/cards/{card}"));
    for value in ["山田商店", "03-0000-0000", "至急お願いします", "ウェブフォーム"] {
        assert!(page.contains(value), "{value} in {page}");
    }
    let hook =
        ids_after(&owner.page(&format!("{board_url}/hooks")), "/hooks/").into_iter().next().expect("the endpoint");
    let list = owner.page(&format!("/o/{org}/hooks/{hook}"));
    assert!(list.contains(card), "{list}");
    let delivery = ids_after(&list, "/deliveries/").pop().expect("a delivery");
    assert!(owner.page(&format!("/o/{org}/deliveries/{delivery}")).contains("至急お願いします"));
}

#[test]
fn it_stops_cleanly_and_survives_a_kill() {
    let mut appliance = Appliance::start();
    let org = appliance.found("青空商会", "owner@example.test");
    let api = appliance.api(&org, "owner");
    let board = api.board("問い合わせ", &["新着"], &[]);
    let board = board["id"].as_str().expect("an id");
    let card = api.post(&format!("boards/{board}/cards"), &json!({ "title": "一件目" })).expect(201).json();
    assert_eq!(appliance.status()["recovered"], false);
    let status = appliance.stop();
    assert!(status.success(), "{status}: {}", appliance.log());
    assert!(!appliance.data().join("control.sock").exists(), "the control socket goes with the process");
    appliance.begin();
    assert_eq!(appliance.status()["recovered"], false, "a clean stop leaves nothing to recover");

    let mut api = api;
    api.at(appliance.endpoint());
    let second = api.post(&format!("boards/{board}/cards"), &json!({ "title": "二件目" })).expect(201).json();
    appliance.kill();
    appliance.begin();
    assert_eq!(appliance.status()["recovered"], true, "{}", appliance.log());
    api.at(appliance.endpoint());
    let cards = api.all(&format!("boards/{board}/cards"), 50);
    let ids: Vec<_> = cards.iter().map(|card| &card["id"]).collect();
    assert!(ids.contains(&&card["id"]) && ids.contains(&&second["id"]) && cards.len() == 2, "{cards:?}");
    // Nobody else may use the folder meanwhile.
    let twice = appliance.output(&["serve", "--listen", "127.0.0.1:0", "--tls", "off"]);
    assert_eq!(twice.status.code(), Some(1), "{}", String::from_utf8_lossy(&twice.stderr));
}
