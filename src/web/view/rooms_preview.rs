//! Every page around the boards with sample data, in both languages: checked by tests, and written to disk to be looked
//! at (`cargo test preview -- --ignored`).

use std::collections::BTreeSet;

use askama::Template;

use super::{
    BoardNav, Chrome, Flash, Me, OrgNav, Section,
    api_docs::{ApiDocs, GROUPS},
    console::{Alert, MadeOrganization, MailQueue, MailRow, OrganizationRow, Organizations, Overview, State, Tile},
    error::ErrorPage,
    form::{Choice, Input},
    gate::{Authority, Invitation, InvitationPage, InvitationState, LinkState, SignIn, SignInCode, SignInLink},
    home::{Activity, BoardTemplate, BoardTile, ChooseOrganization, Home, NewBoard, OrganizationChoice},
    hooks::{CardLink, DeliveryPage, DeliveryRow, HookList, HookPage, HookRow, MadeHook, Outcome, Raw},
    people::{
        AuditRow, InvitationRow, InviteForm, MadeToken, MemberRow, Members, Profile, ProfileName, SessionRow, Settings,
        TokenForm, TokenRow,
    },
};
use crate::web::words::{Language, Words};

const HOST: &str = "workrun.example.jp";
const ORG: &str = "01k9x5t3c8w6m2q7r4n0b1d2e3";
const MAIL: &str = "tanto-a@example.jp";

/// The words of the sample in the reader's language.
struct Sample {
    words: &'static Words,
}

impl Sample {
    fn say(&self, japanese: &str, english: &str) -> String {
        match self.words.language() {
            Language::Japanese => japanese,
            Language::English => english,
        }
        .to_owned()
    }

    fn stranger(&self) -> Chrome {
        Chrome {
            words: self.words,
            theme: "auto",
            me: None,
            org: None,
            section: Section::None,
            request_id: "01k9x5t3c8".to_owned(),
            flash: None,
        }
    }

    fn member(&self, section: Section) -> Chrome {
        let me = Me {
            name: self.say("担当A", "Person A"),
            initial: "A".to_owned(),
            hue: 1,
            role: self.words.text("role-owner"),
            operator: true,
        };
        let board = |name: String, cards| BoardNav { id: "b1".to_owned(), name, cards, current: false };
        let org = OrgNav {
            id: ORG.to_owned(),
            name: self.say("見本商店", "Sample Trading"),
            mark: self.say("見", "S"),
            others: vec![("o2".to_owned(), self.say("見本工務店", "Sample Builders"))],
            boards: vec![
                board(self.say("問い合わせ対応", "Inquiries"), 11),
                board(self.say("受注・発送", "Orders"), 23),
            ],
            admin: true,
            may_create_boards: true,
        };
        let org = (!matches!(section, Section::Console | Section::ConsoleOrganizations | Section::ConsoleMail))
            .then_some(org);
        Chrome { me: Some(me), org, section, ..self.stranger() }
    }

    fn roles(&self) -> Vec<Choice> {
        Choice::roles(self.words, &["owner", "admin", "member", "guest"], "member")
    }

    fn gate(&self, pages: &mut Vec<(String, String)>) {
        let mut page = |name: &str, html: String| pages.push((name.to_owned(), html));
        let sign_in = |mail, mail_works, authority| SignIn {
            chrome: self.stranger(),
            mail,
            next: "/".to_owned(),
            mail_works,
            authority,
            host: HOST.to_owned(),
        };
        let fingerprint = (0..32_u8).map(|byte| format!("{:02X}", byte.wrapping_mul(37))).collect::<Vec<_>>().join(":");
        page("sign-in", html(&sign_in(Input::default(), true, Some(Authority { fingerprint }))));
        let refused = Input::refused("tanto-a", self.words.text("gate-mail-invalid"));
        page("sign-in-off", html(&sign_in(refused, false, None)));
        let code = |error, notice, may_resend, mail_works| SignInCode {
            chrome: self.stranger(),
            mail: MAIL.to_owned(),
            error,
            notice,
            may_resend,
            mail_works,
            host: HOST.to_owned(),
        };
        page("code", html(&code(Some(self.words.with("gate-code-wrong", "left", 4)), None, true, true)));
        page("code-resent", html(&code(None, Some(self.words.text("gate-resent")), false, true)));
        page("code-off", html(&code(None, None, true, false)));
        let token = "k3v9".to_owned();
        for (name, state) in [
            ("link", LinkState::Confirm { token: token.clone(), mail: Some(MAIL.to_owned()) }),
            (
                "link-first",
                LinkState::FirstOperator {
                    token: token.clone(),
                    name: Input::refused("", self.words.text("gate-first-name-missing")),
                    mail: Input::default(),
                },
            ),
            ("link-elsewhere", LinkState::OtherBrowser),
            ("link-spent", LinkState::Spent),
        ] {
            page(name, html(&SignInLink { chrome: self.stranger(), state, host: HOST.to_owned() }));
        }
        let invitation = || Invitation {
            org: self.say("見本商店", "Sample Trading"),
            inviter: self.say("担当B", "Person B"),
            role: self.words.text("role-member"),
            mail: MAIL.to_owned(),
            expires: self.say("12月1日（火） 14:31", "Tuesday, 1 December 14:31"),
        };
        for (name, state) in [
            (
                "invitation",
                InvitationState::SignedOut {
                    invitation: invitation(),
                    sign_in: "/sign-in?mail=tanto-a%40example.jp&next=%2Finvitations%2Fk3v9".to_owned(),
                },
            ),
            (
                "invitation-join",
                InvitationState::Join {
                    invitation: invitation(),
                    token,
                    name: Input::of(self.say("担当A", "Person A")),
                },
            ),
            (
                "invitation-other",
                InvitationState::OtherAccount { invitation: invitation(), current: "tanto-c@example.jp".to_owned() },
            ),
            ("invitation-expired", InvitationState::Expired { invitation: invitation() }),
            ("invitation-revoked", InvitationState::Revoked),
            ("invitation-accepted", InvitationState::Accepted),
            ("invitation-unknown", InvitationState::Unknown),
        ] {
            let here = "/invitations/k3v9".to_owned();
            page(name, html(&InvitationPage { chrome: self.stranger(), here, state, host: HOST.to_owned() }));
        }
        for status in [404, 409, 503, 507] {
            page(&format!("error-{status}"), html(&ErrorPage::of(self.stranger(), status, "/o/x")));
        }
        let base = format!("https://{HOST}/api/v1");
        page("api", html(&ApiDocs { chrome: self.stranger(), base, groups: GROUPS }));
    }

    fn home(&self, pages: &mut Vec<(String, String)>) {
        let mut page = |name: &str, html: String| pages.push((name.to_owned(), html));
        let choice = |name: String, role: &str| OrganizationChoice {
            id: "o1".to_owned(),
            mark: name.chars().take(1).collect(),
            name,
            role: self.words.text(role),
        };
        let organizations = vec![
            choice(self.say("見本商店", "Sample Trading"), "role-owner"),
            choice(self.say("見本工務店", "Sample Builders"), "role-guest"),
        ];
        let choose = |organizations| ChooseOrganization {
            chrome: Chrome { org: None, ..self.member(Section::None) },
            organizations,
            mail: MAIL.to_owned(),
            host: HOST.to_owned(),
        };
        page("choose", html(&choose(organizations)));
        page("choose-none", html(&choose(Vec::new())));
        let tile = |name: String, open, latest: Option<String>, private| BoardTile {
            id: "b1".to_owned(),
            name,
            open,
            latest,
            private,
        };
        let boards = vec![
            tile(self.say("問い合わせ対応", "Inquiries"), 11, Some(self.say("今日 14:31", "today 14:31")), false),
            tile(self.say("受注・発送", "Orders"), 23, Some(self.say("昨日", "yesterday")), false),
            tile(self.say("採用", "Hiring"), 1, Some(self.say("11月20日", "20 Nov")), true),
            tile(self.say("経費申請", "Expenses"), 0, None, false),
        ];
        let activity = vec![
            Activity {
                who: self.say("担当B", "Person B"),
                initial: "B".to_owned(),
                hue: 2,
                text: self.say("を「対応中」へ移しました", "moved to In progress"),
                card: Some((
                    self.say("#1291 請求書の再発行について", "#1291 Reissue of an invoice"),
                    "/o/x/cards/1".to_owned(),
                )),
                board: self.say("問い合わせ対応", "Inquiries"),
                when: "14:31".to_owned(),
            },
            Activity {
                who: self.say("お問い合わせフォーム", "Contact form"),
                initial: String::new(),
                hue: 1,
                text: self.say("を追加しました", "added"),
                card: Some((
                    self.say("#1293 請求書の金額が見積と異なる", "#1293 Invoice differs from quote"),
                    "/o/x/cards/2".to_owned(),
                )),
                board: self.say("問い合わせ対応", "Inquiries"),
                when: "14:30".to_owned(),
            },
        ];
        let home = |boards: Vec<BoardTile>, activity, may_create| Home {
            chrome: self.member(Section::Home),
            org: ORG.to_owned(),
            boards,
            activity,
            templates: BoardTemplate::all(self.words, "empty"),
            may_create,
        };
        page("home", html(&home(boards, activity, true)));
        page("home-empty", html(&home(Vec::new(), Vec::new(), true)));
        page("home-guest", html(&home(Vec::new(), Vec::new(), false)));
        page(
            "new-board",
            html(&NewBoard {
                chrome: self.member(Section::Home),
                org: ORG.to_owned(),
                name: Input::default(),
                templates: BoardTemplate::all(self.words, "inquiries"),
            }),
        );
    }

    fn people(&self, pages: &mut Vec<(String, String)>) {
        let mut page = |name: &str, html: String| pages.push((name.to_owned(), html));
        let member = |letter: &str, hue, role: &str, me, last_owner| MemberRow {
            id: format!("u{letter}"),
            name: format!("{}{letter}", self.say("担当", "Person ")),
            initial: letter.to_owned(),
            hue,
            mail: format!("tanto-{}@example.jp", letter.to_lowercase()),
            role: self.words.text(&format!("role-{role}")),
            joined: self.say("11月2日", "2 Nov"),
            me,
            roles: if last_owner { Vec::new() } else { Choice::roles(self.words, &["admin", "member", "guest"], role) },
            removable: !me,
            last_owner,
        };
        let invitation = |mail: &str, expired| InvitationRow {
            id: mail.replace('@', "-"),
            mail: mail.to_owned(),
            role: self.words.text("role-member"),
            sent: self.say("11月21日", "21 Nov"),
            expires: self.say("11月28日", "28 Nov"),
            expired,
        };
        page(
            "members",
            html(&Members {
                chrome: self.member(Section::Members),
                org: ORG.to_owned(),
                org_name: self.say("見本商店", "Sample Trading"),
                members: vec![
                    member("A", 1, "owner", true, true),
                    member("B", 2, "admin", false, false),
                    member("C", 3, "member", false, false),
                ],
                invitations: vec![invitation("tanto-d@example.jp", false), invitation("tanto-e@example.jp", true)],
                invite: Some(InviteForm {
                    mail: Input::refused("tanto-f", self.words.text("gate-mail-invalid")),
                    roles: self.roles(),
                }),
                mail_works: false,
                may_leave: false,
            }),
        );
        page(
            "members-guest",
            html(&Members {
                chrome: self.member(Section::Members),
                org: ORG.to_owned(),
                org_name: self.say("見本商店", "Sample Trading"),
                members: vec![MemberRow {
                    roles: Vec::new(),
                    removable: false,
                    ..member("B", 2, "guest", true, false)
                }],
                invitations: Vec::new(),
                invite: None,
                mail_works: true,
                may_leave: true,
            }),
        );
        let token = |name: String, expired, used| TokenRow {
            id: name.len().to_string(),
            name,
            role: self.words.text("role-member"),
            by: self.say("担当A", "Person A"),
            made: self.say("11月2日", "2 Nov"),
            expires: self.say("2027年1月31日", "31 Jan 2027"),
            expired,
            used,
        };
        let settings = |tokens, made, audit| Settings {
            chrome: self.member(Section::Settings),
            org: ORG.to_owned(),
            name: Input::of(self.say("見本商店", "Sample Trading")),
            tokens,
            new_token: TokenForm {
                name: Input::default(),
                roles: self.roles(),
                days: Choice::days(self.words, &[30, 90, 365], 90),
            },
            made,
            audit,
        };
        let entry = |who: String, what: String| AuditRow {
            when: self.say("11月22日 14:31", "22 Nov 14:31"),
            who,
            what,
            from: "192.0.2.14".to_owned(),
        };
        page(
            "settings",
            html(&settings(
                vec![
                    token(
                        self.say("受注システムとの連携", "Order system"),
                        false,
                        Some(self.say("今日 14:31", "today 14:31")),
                    ),
                    token(self.say("試験", "Trial"), true, None),
                ],
                Some(MadeToken {
                    name: self.say("倉庫", "Warehouse"),
                    token: format!("wr_{}", "k3v9x5t3c8w6m2q7".repeat(4)),
                }),
                vec![
                    entry(
                        self.say("担当A", "Person A"),
                        self.say("API トークン「倉庫」を作りました", "Made the API token “Warehouse”"),
                    ),
                    entry(
                        self.say("担当B", "Person B"),
                        self.say("担当Cの役割をメンバーに変えました", "Made Person C a member"),
                    ),
                ],
            )),
        );
        page("settings-empty", html(&settings(Vec::new(), None, Vec::new())));
        let choice =
            |value: &str, name: String, chosen| Choice { value: value.to_owned(), name, hint: String::new(), chosen };
        let session = |id: &str, client: &str, current| SessionRow {
            id: id.to_owned(),
            client: client.to_owned(),
            address: "192.0.2.14".to_owned(),
            began: self.say("11月2日", "2 Nov"),
            seen: self.say("たった今", "just now"),
            current,
        };
        page(
            "profile",
            html(&Profile {
                chrome: Chrome {
                    flash: Some(Flash { text: self.say("保存しました。", "Saved."), undo: None }),
                    ..self.member(Section::Profile)
                },
                mail: MAIL.to_owned(),
                languages: vec![choice("ja", "日本語".to_owned(), true), choice("en", "English".to_owned(), false)],
                themes: ["auto", "light", "dark"]
                    .map(|theme| choice(theme, self.words.text(&format!("profile-theme-{theme}")), theme == "auto"))
                    .into(),
                names: vec![
                    ProfileName {
                        org: "o1".to_owned(),
                        org_name: self.say("見本商店", "Sample Trading"),
                        name: Input::of(self.say("担当A", "Person A")),
                    },
                    ProfileName {
                        org: "o2".to_owned(),
                        org_name: self.say("見本工務店", "Sample Builders"),
                        name: Input::refused("", self.words.text("gate-first-name-missing")),
                    },
                ],
                sessions: vec![session("s1", "Firefox ・ Windows", true), session("s2", "Safari ・ iPhone", false)],
            }),
        );
    }

    fn hooks(&self, pages: &mut Vec<(String, String)>) {
        let mut page = |name: &str, html: String| pages.push((name.to_owned(), html));
        let form = || self.say("お問い合わせフォーム", "Contact form");
        let url = format!("https://{HOST}/hooks/7f3kq29xw4m2q7r4n0b1d2e3c8w6m2q7");
        let list = |hooks, made| HookList {
            chrome: self.member(Section::Board),
            org: ORG.to_owned(),
            board: "b1".to_owned(),
            board_name: self.say("問い合わせ対応", "Inquiries"),
            hooks,
            name: Input::default(),
            schemes: HookList::schemes(self.words, "standard-webhooks"),
            made,
        };
        let row = |name: String, scheme: &str, received, latest| HookRow {
            id: "h1".to_owned(),
            name,
            scheme: self.words.text(&format!("scheme-{scheme}")),
            received,
            latest,
        };
        page("hooks-empty", html(&list(Vec::new(), None)));
        page(
            "hooks",
            html(&list(
                vec![
                    row(
                        form(),
                        "standard-webhooks",
                        441,
                        Some((self.say("今日 14:31", "today 14:31"), Outcome::Accepted)),
                    ),
                    row(self.say("採用サイト", "Careers site"), "secret-url", 0, None),
                ],
                Some(MadeHook {
                    id: "h1".to_owned(),
                    name: self.say("採用サイト", "Careers site"),
                    url: url.clone(),
                    secret: Some("whsec_MmJwVnRhUGxlS2V5Rm9yRG9jcw==".to_owned()),
                }),
            )),
        );
        let delivery = |outcome, reason: String, card: Option<&str>| DeliveryRow {
            id: "d1".to_owned(),
            received: self.say("今日 14:31:07", "today 14:31:07"),
            outcome,
            reason,
            card: card.map(|number| CardLink { href: "/o/x/cards/1".to_owned(), label: number.to_owned() }),
            size: "1.2 KB".to_owned(),
        };
        let hook = |deliveries, older, url| HookPage {
            chrome: self.member(Section::Board),
            org: ORG.to_owned(),
            board: "b1".to_owned(),
            board_name: self.say("問い合わせ対応", "Inquiries"),
            id: "h1".to_owned(),
            title: form(),
            name: Input::of(form()),
            scheme: self.words.text("scheme-secret-url"),
            signed: false,
            url,
            curl: format!(
                "curl https://{HOST}/hooks/7f3kq29xw4m2q7r4n0b1d2e3c8w6m2q7 \\\n  -H 'content-type: application/json' \\\n  -d '{{\"subject\": \"test\"}}'"
            ),
            deliveries,
            older,
            newer: None,
        };
        page("hook-empty", html(&hook(Vec::new(), None, None)));
        page(
            "hook",
            html(&hook(
                vec![
                    delivery(Outcome::Accepted, self.say("カードを追加しました", "Added a card"), Some("#1292")),
                    delivery(
                        Outcome::Duplicate,
                        self.say(
                            "同じ配信 ID を受信済みのため、追加していません",
                            "This delivery ID was received before",
                        ),
                        Some("#1291"),
                    ),
                    delivery(
                        Outcome::Held,
                        self.say(
                            "category の値「other」が対応表にありません",
                            "The value “other” of category is not in the map",
                        ),
                        None,
                    ),
                    delivery(Outcome::Ignored, self.say("疎通の確認（ping）です", "A ping"), None),
                    delivery(
                        Outcome::Refused,
                        self.say("署名が一致しません（401）", "The signature does not match (401)"),
                        None,
                    ),
                ],
                Some("?before=d1".to_owned()),
                Some(url),
            )),
        );
        let pair = |(name, value): (&str, &str)| (name.to_owned(), value.to_owned());
        page(
            "delivery",
            html(&DeliveryPage {
                chrome: self.member(Section::Board),
                org: ORG.to_owned(),
                hook: "h1".to_owned(),
                hook_name: form(),
                sender_id: "msg_2nQ8x5t3c8w6m2q7r4n0c1".to_owned(),
                received: self.say("今日 14:31:07", "today 14:31:07"),
                from: "192.0.2.14".to_owned(),
                content_type: "application/json".to_owned(),
                size: "1.2 KB".to_owned(),
                outcome: Outcome::Accepted,
                reason: self.say("カードを追加しました", "Added a card"),
                card: Some(CardLink {
                    href: "/o/x/cards/1".to_owned(),
                    label: self.say("#1293 請求書の金額が見積と異なる", "#1293 Invoice differs from quote"),
                }),
                fields: vec![
                    pair(("event", "form.submitted")),
                    pair(("data.subject", "請求書の金額が見積と異なる")),
                    pair(("data.message", "10月分の請求書に、見積書にない項目があります。\nご確認をお願いします。")),
                    pair(("data.email", "keiri@example.jp")),
                ],
                raw: Raw::Text {
                    text: "{\"event\":\"form.submitted\",\"data\":{\"subject\":\"請求書の金額が見積と異なる\",\"email\":\"keiri@example.jp\"}}".to_owned(),
                    cut: Some(("64 KiB".to_owned(), "310 KiB".to_owned())),
                },
                headers: vec![
                    pair(("content-type", "application/json")),
                    pair(("webhook-id", "msg_2nQ8x5t3c8w6m2q7r4n0c1")),
                    pair(("webhook-signature", "••••")),
                ],
            }),
        );
    }

    fn console(&self, pages: &mut Vec<(String, String)>) {
        let mut page = |name: &str, html: String| pages.push((name.to_owned(), html));
        let tile = |key: &str, figure: &str, unit: &str, note: String, state| Tile {
            name: self.words.text(key),
            figure: figure.to_owned(),
            unit: if unit.is_empty() { String::new() } else { self.words.text(unit) },
            note,
            state,
            href: match key {
                "console-tile-organizations" => Some("/console/organizations"),
                "console-tile-mail" => Some("/console/mail"),
                _ => None,
            },
        };
        let overview = |alerts| Overview {
            chrome: self.member(Section::Console),
            version: "1.4.2".to_owned(),
            uptime: self.say("41日 6時間", "41 days 6 hours"),
            tiles: vec![
                tile(
                    "console-tile-organizations",
                    "12",
                    "console-tile-organizations-unit",
                    String::new(),
                    State::Plain,
                ),
                tile(
                    "console-tile-mail",
                    "2",
                    "console-tile-mail-unit",
                    self.say("最も古いもの 40秒", "oldest 40 seconds"),
                    State::Ok,
                ),
                tile(
                    "console-tile-certificate",
                    "63",
                    "",
                    self.say("1月26日まで ・ 自動更新", "until 26 Jan, renewed by itself"),
                    State::Ok,
                ),
                tile("console-tile-disk", "43 GB", "", self.say("約24日分", "about 24 days"), State::Warn),
                tile("console-tile-version", "1.4.2", "", String::new(), State::Plain),
            ],
            alerts,
        };
        let alert = |state, key: &str, command: &str, when: String| Alert {
            state,
            title: self.words.text(key),
            text: self.words.text(&format!("{key}-do")),
            command: Some(command.to_owned()),
            when,
        };
        page(
            "console",
            html(&overview(vec![
                alert(State::Bad, "alert-recovery-key", "workrun keys recovery", self.say("昨日", "yesterday")),
                alert(State::Warn, "alert-smtp", "workrun sign-in-link", "9:12".to_owned()),
            ])),
        );
        page("console-calm", html(&overview(Vec::new())));
        let row = |name: String, members: &str, cards: &str, size: &str| OrganizationRow {
            name,
            members: members.to_owned(),
            cards: cards.to_owned(),
            size: size.to_owned(),
            used: self.say("たった今", "just now"),
        };
        let organizations = |organizations, made| Organizations {
            chrome: self.member(Section::ConsoleOrganizations),
            organizations,
            name: Input::default(),
            owner: Input::default(),
            made,
        };
        page("console-organizations-empty", html(&organizations(Vec::new(), None)));
        page(
            "console-organizations",
            html(&organizations(
                vec![
                    row(self.say("見本商店", "Sample Trading"), "14", "12,840", "412 MB"),
                    row(self.say("見本工務店", "Sample Builders"), "38", "54,102", "3.9 GB"),
                ],
                Some(MadeOrganization {
                    name: self.say("見本工務店", "Sample Builders"),
                    owner: "owner@example.jp".to_owned(),
                    link: format!("https://{HOST}/invitations/k3v9x5t3c8w6m2q7r4n0b1d2e3"),
                    mailed: false,
                }),
            )),
        );
        let queue = |mails, mail_works| MailQueue { chrome: self.member(Section::ConsoleMail), mails, mail_works };
        page("console-mail-empty", html(&queue(Vec::new(), false)));
        page(
            "console-mail",
            html(&queue(
                vec![MailRow {
                    to: "tanto-d@example.jp".to_owned(),
                    kind: self.words.text("mail-kind-invitation"),
                    since: self.say("今日 14:12", "today 14:12"),
                    tries: 3,
                    next: "14:40".to_owned(),
                    error: "451 4.7.1 Greylisting in action, try again later".to_owned(),
                }],
                true,
            )),
        );
    }
}

#[track_caller]
fn html(page: &impl Template) -> String {
    page.render().expect("a page renders")
}

/// Every page, as (name, HTML).
fn pages(language: Language) -> Vec<(String, String)> {
    let sample = Sample { words: language.words() };
    let mut pages = Vec::new();
    sample.gate(&mut pages);
    sample.home(&mut pages);
    sample.people(&mut pages);
    sample.hooks(&mut pages);
    sample.console(&mut pages);
    pages
}

/// The quoted texts that follow `prefix` in `text`.
fn quoted<'t>(text: &'t str, prefix: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(prefix).skip(1).filter_map(|rest| rest.split('"').next())
}

#[test]
fn pages_keep_to_the_content_security_policy() {
    for (name, html) in Language::ALL.into_iter().flat_map(pages) {
        assert!(!html.contains(" style="), "{name}: an inline style");
        assert!(!html.contains("<style"), "{name}: an inline style sheet");
        assert!(!html.contains(" onclick=") && !html.contains(" onsubmit="), "{name}: an inline handler");
        for tag in html.split("<script").skip(1) {
            assert!(tag.split('>').next().is_some_and(|tag| tag.contains("src=")), "{name}: an inline script");
        }
    }
}

#[test]
fn pages_say_words_not_keys() {
    // A missing message reads as its key, which no sentence looks like.
    let prefixes = [
        "gate-",
        "invitation-",
        "choose-",
        "home-",
        "new-board-",
        "template-",
        "role-",
        "members-",
        "org-settings-",
        "profile-",
        "hooks-",
        "hook-",
        "scheme-",
        "outcome-",
        "delivery-",
        "console-",
        "alert-",
        "mail-kind-",
        "error-",
        "api-",
        "shell-",
    ];
    for (name, html) in Language::ALL.into_iter().flat_map(pages) {
        // Text between tags only: classes, ids and anchors may look like keys.
        for text in html.split('>').filter_map(|piece| piece.split('<').next()) {
            let text = text.trim();
            assert!(!prefixes.iter().any(|prefix| text.starts_with(prefix)), "{name} says {text:?}");
            assert!(!text.contains("{$") && !text.contains("{ $"), "{name} lacks an argument in {text:?}");
        }
        for label in quoted(&html, "aria-label=\"") {
            assert!(!prefixes.iter().any(|prefix| label.starts_with(prefix)), "{name} labels something {label:?}");
        }
    }
}

#[test]
fn ids_are_unique_and_labels_lead_somewhere() {
    for (name, html) in Language::ALL.into_iter().flat_map(pages) {
        let mut ids = BTreeSet::new();
        for id in quoted(&html, " id=\"") {
            assert!(ids.insert(id), "{name}: two elements with the id {id:?}");
        }
        for target in quoted(&html, " for=\"") {
            assert!(ids.contains(target), "{name}: a label for {target:?}, which is not there");
        }
        for target in quoted(&html, " aria-describedby=\"").flat_map(str::split_whitespace) {
            assert!(ids.contains(target), "{name}: described by {target:?}, which is not there");
        }
    }
}

#[test]
fn both_languages_have_the_same_messages() {
    let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("assets/locales");
    let keys = |language: Language, file: &std::ffi::OsStr| -> BTreeSet<String> {
        let text = std::fs::read_to_string(root.join(language.tag()).join(file)).unwrap_or_default();
        text.lines()
            .filter(|line| line.starts_with(|first: char| first.is_ascii_lowercase()))
            .filter_map(|line| Some(line.split_once('=')?.0.trim().to_owned()))
            .collect()
    };
    let mut all = BTreeSet::new();
    for entry in std::fs::read_dir(root.join("ja")).expect("the Japanese locale") {
        let file = entry.expect("a locale file").file_name();
        let (japanese, english) = (keys(Language::Japanese, &file), keys(Language::English, &file));
        assert_eq!(japanese, english, "{}", file.display());
        for key in &japanese {
            assert!(all.insert(key.clone()), "{key} stands in {} and in another file", file.display());
        }
        for (language, key) in
            Language::ALL.into_iter().flat_map(|language| japanese.iter().map(move |key| (language, key)))
        {
            assert!(language.words().has(key), "{key} of {language:?} cannot be read");
        }
    }
}

#[test]
fn mails_fill_in_all_their_arguments() {
    let filled: Vec<(&str, &str)> = [
        "code", "link", "when", "client", "address", "inviter", "org", "role", "expires", "mail", "name", "actor",
        "subject", "alert", "detail", "host", "began",
    ]
    .map(|name| (name, "x"))
    .into();
    for words in Language::ALL.map(Language::words) {
        for mail in ["code", "invitation", "token", "link", "removed", "operator", "operator-over", "test"] {
            let subject = words.fill(&format!("mail-{mail}-subject"), &filled);
            let body = words.fill(&format!("mail-{mail}-body"), &filled);
            assert!(!subject.contains('\n') && !subject.starts_with("mail-"), "{mail}: {subject:?}");
            assert!(!body.contains('{') && !body.starts_with("mail-"), "{mail}: {body:?}");
        }
        let body = words.fill("mail-code-body", &[("code", "407218")]);
        assert_eq!(body.lines().next(), Some("407218"), "the code stands alone in the first line");
    }
}

#[test]
fn what_people_typed_stays_text() {
    let sample = Sample { words: Language::Japanese.words() };
    let typed = "\"><script>alert(1)</script>";
    let page = SignIn {
        chrome: sample.stranger(),
        mail: Input::refused(typed, typed),
        next: typed.to_owned(),
        mail_works: true,
        authority: None,
        host: HOST.to_owned(),
    };
    assert!(!html(&page).contains("<script>alert"), "typed text became markup");
}

#[test]
#[ignore = "writes pages to disk, to be looked at"]
fn preview() {
    let target = std::env::var_os("CARGO_TARGET_DIR")
        .map_or_else(|| std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("target"), std::path::PathBuf::from);
    let root = target.join("preview-rooms");
    let write = |path: String, bytes: &[u8]| {
        let path = root.join(path);
        std::fs::create_dir_all(path.parent().expect("a file stands in a folder")).expect("a folder to write to");
        std::fs::write(path, bytes).expect("a page to write");
    };
    for language in Language::ALL {
        for (name, html) in pages(language) {
            write(format!("{}/{name}.html", language.tag()), html.as_bytes());
            let dark = html.replacen("<html ", "<html data-theme=\"dark\" ", 1);
            write(format!("{}/dark/{name}.html", language.tag()), dark.as_bytes());
        }
    }
    for (address, asset) in crate::web::assets::all() {
        write(address.trim_start_matches('/').to_owned(), asset.raw());
    }
}
