//! Pages of members, settings, webhooks and operators.

use super::{
    super::{
        Chrome, Flash, Section,
        console::{
            Alert, LimitInput, MadeOrganization, MailQueue, MailRow, OneOrganization, OrganizationRow, Organizations,
            Overview, State, Tile,
        },
        form::{Choice, Input},
        hooks::{CardLink, DeliveryPage, DeliveryRow, HookList, HookPage, HookRow, MadeHook, Outcome, Raw},
        people::{
            AuditRow, InvitationRow, InviteForm, MadeToken, MemberRow, Members, Profile, ProfileName, SessionRow,
            Settings, TokenForm, TokenRow,
        },
        snapshots::{GenerationTile, OffsiteCopy, ReportRow, Snapshots, Work},
    },
    HOST, MAIL, ORG, Sample, html,
};

impl Sample {
    pub(super) fn people(&self, pages: &mut Vec<(String, String)>) {
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
        let token = |name: String, expired| TokenRow {
            id: name.len().to_string(),
            name,
            role: self.words.text("role-member"),
            by: self.say("担当A", "Person A"),
            made: self.say("11月2日", "2 Nov"),
            expires: self.say("2027年1月31日", "31 Jan 2027"),
            expired,
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
            uses: self.uses(),
            audit,
        };
        let entry =
            |who: String, what: String| AuditRow { when: self.say("11月22日 14:31", "22 Nov 14:31"), who, what };
        page(
            "settings",
            html(&settings(
                vec![
                    token(self.say("受注システムとの連携", "Order system"), false),
                    token(self.say("試験", "Trial"), true),
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

    pub(super) fn hooks(&self, pages: &mut Vec<(String, String)>) {
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

    pub(super) fn console(&self, pages: &mut Vec<(String, String)>) {
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
            id: ORG.to_owned(),
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
        page(
            "console-organization",
            html(&OneOrganization {
                chrome: self.member(Section::ConsoleOrganizations),
                org: ORG.to_owned(),
                name: self.say("見本商店", "Sample Trading"),
                uses: self.uses(),
                limits: ["cards", "mib", "members", "deliveries"]
                    .map(|name| LimitInput {
                        name,
                        label: self.words.text(&format!("quota-set-{name}")),
                        input: if name == "mib" {
                            Input::refused("20 GB", self.words.text("quota-not-a-number"))
                        } else {
                            Input::of("1000")
                        },
                    })
                    .into(),
            }),
        );
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
        self.snapshots(&mut page);
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

    fn snapshots(&self, page: &mut impl FnMut(&str, String)) {
        let snapshots = |generations, reports, work| Snapshots {
            chrome: self.member(Section::ConsoleSnapshots),
            next: self.words.fill("snapshots-next", &[("when", "11/25 12:14")]),
            work,
            said: None,
            generations,
            rehearsed: self.words.fill("snapshots-rehearsed", &[("when", "11/1 4:10"), ("took", "138 s")]),
            reports,
            folder: "/var/lib/workrun/snapshots".to_owned(),
            offsite: Some(OffsiteCopy {
                url: "s3://example-snapshots/workrun".to_owned(),
                region: "ap-northeast-1".to_owned(),
                state: State::Ok,
                versions: self.words.text("snapshots-offsite-versions-off"),
            }),
        };
        page("console-snapshots-empty", html(&snapshots(Vec::new(), Vec::new(), None)));
        let generation = |day: u32, height, written, state, pinned| GenerationTile {
            name: format!("2026-11-{day}T120003+0900"),
            day: self.say(&format!("11月{day}日"), &format!("{day} Nov")),
            pinned,
            height,
            written,
            size: "1.4 GB".to_owned(),
            taken: "12:14 · 44 s".to_owned(),
            state,
            verdict: self.words.text(match state {
                State::Ok => "snapshots-verified",
                State::Warn => "snapshots-incomplete",
                _ => "snapshots-damaged",
            }),
            away: Some(match state {
                State::Ok => (State::Ok, self.words.text("snapshots-away-there")),
                State::Warn => (State::Plain, self.words.text("snapshots-away-sending")),
                _ => (State::Bad, self.words.text("snapshots-away-failed")),
            }),
        };
        let report = ReportRow {
            at: "11/24 12:15".to_owned(),
            what: format!("{} 2026-11-24T120003+0900", self.words.text("snapshots-kind-snapshot")),
            records: "1,204,220".to_owned(),
            took: "44 s".to_owned(),
            state: State::Bad,
            verdict: self.words.text("snapshots-bad"),
            compared: self.words.with("snapshots-compared-sha256", "n", 12_u64),
            findings: vec!["chunk 7 does not authenticate: it is damaged, or cut off".to_owned()],
        };
        let work = Work { title: self.words.text("snapshots-step-writing"), left: String::new(), percent: 40 };
        page(
            "console-snapshots",
            html(&snapshots(
                vec![
                    generation(18, 34, 9, State::Ok, false),
                    generation(19, 36, 7, State::Bad, true),
                    generation(20, 40, 12, State::Warn, false),
                ],
                vec![report],
                Some(work),
            )),
        );
    }
}
