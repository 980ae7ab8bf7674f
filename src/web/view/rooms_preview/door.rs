//! Pages in front of the door and right behind it.

use super::{
    super::{
        Chrome, Section,
        api_docs::{ApiDocs, GROUPS},
        error::ErrorPage,
        form::Input,
        gate::{Authority, Invitation, InvitationPage, InvitationState, LinkState, SignIn, SignInCode, SignInLink},
        home::{Activity, BoardTemplate, BoardTile, ChooseOrganization, Home, NewBoard, OrganizationChoice},
    },
    HOST, MAIL, ORG, Sample, html,
};

impl Sample {
    pub(super) fn gate(&self, pages: &mut Vec<(String, String)>) {
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

    pub(super) fn home(&self, pages: &mut Vec<(String, String)>) {
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
                initial: "B".to_owned(),
                hue: 2,
                html: self.say(
                    "<b>担当B</b>が<a href=\"/o/x/cards/1\">請求書の再発行について</a>を「対応中」へ移しました",
                    "<b>Person B</b> moved <a href=\"/o/x/cards/1\">Reissue of an invoice</a> to “In progress”",
                ),
                board: self.say("問い合わせ対応", "Inquiries"),
                when: "14:31".to_owned(),
            },
            Activity {
                initial: String::new(),
                hue: 1,
                html: self.say(
                    "<b>お問い合わせフォーム</b>で<a href=\"/o/x/cards/2\">請求書の金額が見積と異なる</a>を受け取りました",
                    "<b>Contact form</b> received <a href=\"/o/x/cards/2\">Invoice differs from quote</a>",
                ),
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
}
