//! Sample pages: `cargo test --lib web::view -- --ignored preview` writes every page of the boards, in both languages, to
//! `$CARGO_TARGET_DIR/preview`, to be looked at with any server of files. The other tests here read the same pages.

use std::{fs, path::PathBuf};

use askama::Template;

use super::{
    BoardNav, Chrome, Flash, Me, OrgNav, Section,
    board::{BoardPage, Column, More, Tile},
    board_settings::{BoardSettingsPage, FieldLine, FormProblem, LabelLine, StatusLine},
    card::{Card, CardPage, Clash, Entry, Field, Place, Problem, Received, sentence},
    list::{ListPage, Row, Sort},
    parts::{BoardHead, Due, DueState, Label, Moment, Person, Shape, Status},
    shelf::{Kept, Shelf, ShelfPage},
};
use crate::web::{
    assets,
    words::{Language, Words},
};

const STATUSES: [(&str, &str, Shape); 5] = [
    ("s1", "未対応", Shape::Todo),
    ("s2", "対応中", Shape::Doing),
    ("s3", "上長確認", Shape::Review),
    ("s4", "返信待ち", Shape::Waiting),
    ("s5", "完了", Shape::Done),
];

const LABELS: [&str; 6] = ["請求", "見積", "資料請求", "配送", "不具合", "契約"];

fn status(at: usize) -> Status {
    let (id, name, shape) = STATUSES[at];
    Status { id: id.into(), name: name.into(), shape }
}

fn label(at: usize) -> Label {
    let hue = u8::try_from(at + 1).expect("six labels");
    Label { id: format!("l{hue}"), name: LABELS[at].into(), hue }
}

fn person(at: usize) -> Person {
    let initial = ["A", "B", "C", "D"][at];
    Person {
        id: format!("u{at}"),
        name: format!("担当{initial}"),
        initial: initial.into(),
        hue: u8::try_from(at + 1).expect("four people"),
    }
}

fn moment(text: &str) -> Moment {
    Moment { text: text.into(), iso: "2026-11-24T14:32:00+09:00".into() }
}

fn due(state: DueState, text: &str) -> Due {
    let note = if state == DueState::Overdue { "1日超過" } else { "" };
    Due { state, text: text.into(), note: note.into() }
}

fn head() -> BoardHead {
    BoardHead {
        org: "org".into(), id: "board".into(), name: "問い合わせ対応".into(), may_edit: true, may_manage: true
    }
}

fn chrome(language: Language, theme: &'static str) -> Chrome {
    let boards = [("問い合わせ対応", 29), ("受注・発送", 23), ("採用", 5), ("経費申請", 9)];
    let nav = |(at, (name, cards)): (usize, (&str, u64))| BoardNav {
        id: at.to_string(),
        name: name.into(),
        cards,
        current: at == 0,
    };
    Chrome {
        words: language.words(),
        theme,
        me: Some(Me { name: "担当A".into(), initial: "A".into(), hue: 1, role: "管理者".into(), operator: true }),
        org: Some(OrgNav {
            id: "org".into(),
            name: "見本商店".into(),
            mark: "見".into(),
            others: vec![("o2".into(), "見本工業".into())],
            boards: boards.into_iter().enumerate().map(nav).collect(),
            admin: true,
            may_create_boards: true,
        }),
        section: Section::Board,
        request_id: "01JD3K8Q".into(),
        flash: Some(Flash { text: "#1286 を「完了」へ移しました。".into(), undo: Some("/undo".into()) }),
    }
}

fn tile(words: &'static Words, number: u64, title: &str) -> Tile {
    let at = usize::try_from(number).expect("small");
    Tile {
        words,
        org: "org".into(),
        id: format!("c{number}"),
        number,
        title: title.into(),
        version: 3,
        unread: false,
        labels: vec![label(at % 6)],
        due: Some(due(DueState::Later, "11月26日")),
        comments: number % 4,
        assignees: vec![person(at % 4)],
        may_edit: true,
    }
}

fn columns(words: &'static Words) -> Vec<Column> {
    let titles: [&[(u64, &str)]; 5] = [
        &[
            (1292, "見積書の有効期限を延ばしてほしい"),
            (1291, "ログインのメールが届かない"),
            (1290, "領収書の宛名を「上様」から社名に変更したい"),
            (1288, "展示会でご案内した新商品の資料請求"),
        ],
        &[
            (1287, "請求書の金額がご注文時の見積と異なる"),
            (1276, "英語版カタログの在庫を知りたい"),
            (1285, "配送先の変更（3件まとめて）"),
            (1281, "API連携の見積もり依頼"),
        ],
        &[],
        &[
            (1284, "返品の手続きと送料の負担について"),
            (1279, "保守契約の更新と支払方法の変更"),
            (1270, "来店時の駐車場の利用について"),
        ],
        &[
            (1286, "商品の色違いの取り寄せ"),
            (1283, "請求書の郵送先を本社に変更"),
            (1282, "納期の短縮はできますか"),
            (1278, "会員登録の確認メールの再送"),
        ],
    ];
    let mut columns: Vec<Column> = titles
        .iter()
        .enumerate()
        .map(|(at, titles)| Column {
            status: status(at),
            count: titles.len() as u64,
            cards: titles.iter().map(|(number, title)| tile(words, *number, title)).collect(),
            more: None,
        })
        .collect();
    for tile in columns[0].cards.iter_mut().take(2) {
        tile.unread = true;
        tile.due = None;
        tile.assignees.clear();
    }
    columns[1].cards[0].due = Some(due(DueState::Overdue, "11月23日"));
    columns[1].cards[0].labels.push(label(1));
    columns[1].cards[0].assignees.push(person(1));
    columns[1].cards[2].due = Some(due(DueState::Today, "今日"));
    columns[4].count = 18;
    columns[4].more = Some(More { count: 14, href: "/o/org/boards/board/columns/s5?after=c1278".into() });
    columns
}

fn board(chrome: &Chrome) -> BoardPage<'_> {
    BoardPage { chrome, board: head(), columns: columns(chrome.words), total: 29, seq: 7, epoch: "1".into() }
}

fn card(words: &Words) -> Card {
    let change = |icon, key, values: &[(&str, &str)], at| Entry::Change {
        icon,
        system: icon == "hook",
        html: sentence(words, key, values),
        at: moment(at),
    };
    let comment = |id: &str, by, html: &str, at| Entry::Comment {
        id: id.into(),
        by: person(by),
        html: html.into(),
        at: moment(at),
    };
    Card {
        board: head(),
        id: "c1287".into(),
        number: 1287,
        version: 12,
        title: "請求書の金額がご注文時の見積と異なる".into(),
        body: "10月分の請求書に、見積書にない送料 1,650円 が含まれています。".into(),
        body_html: "<p>10月分の請求書に、見積書にない送料 1,650円 が含まれています。内訳を確認のうえ、訂正版を送ってください。今月中に支払処理をしたいため、お早めにお願いします。</p>".into(),
        status: status(1),
        statuses: (0..5).map(status).collect(),
        due: Some(due(DueState::Overdue, "11月23日（月）")),
        due_value: "2026-11-23".into(),
        labels: (0..6).map(|at| (label(at), at < 2)).collect(),
        members: (0..4).map(|at| (person(at), at == 0)).collect(),
        fields: [("f1", "会社名", "見本工業（取引先）"), ("f2", "メール", "keiri@example.jp"), ("f3", "電話", ""), ("f4", "注文番号", "SO-20261014-031")]
            .map(|(id, label, value)| Field { id: id.into(), label: label.into(), value: value.into() })
            .into(),
        received: Some(Received {
            hook: "お問い合わせフォーム".into(),
            href: Some("/o/org/boards/board/hooks".into()),
            verified: true,
            at: moment("11月20日 16:42"),
            rows: [("お名前", "ご担当者（見本）"), ("ご用件", "請求・お支払い"), ("注文番号", "SO-20261014-031"), ("ご連絡の方法", "メール")]
                .map(|(name, value)| (name.into(), value.into()))
                .into(),
        }),
        timeline: vec![
            change("hook", "timeline-received", &[("actor", "お問い合わせフォーム"), ("to", "未対応")], "11月20日 16:42"),
            change("me", "timeline-assigned-self", &[("actor", "担当A")], "11月20日 17:05"),
            change("move", "timeline-moved", &[("actor", "担当A"), ("from", "未対応"), ("to", "対応中")], "11月20日 17:05"),
            comment("m1", 0, "<p>経理に内訳を確認しています。送料は「3万円以上で無料」の条件から漏れていたようです。訂正版の発行をお願いできますか。</p>", "11月20日 17:21"),
            change("cal", "timeline-due-changed", &[("actor", "担当A"), ("from", "11月30日"), ("to", "11月23日")], "11月20日 17:24"),
            comment("m2", 1, "<p>承知しました。訂正版を今日中に発行します。</p>", "たった今"),
        ],
        created: moment("11月20日 16:42"),
        updated: moment("たった今"),
        updated_by: "担当B".into(),
        place: Place::Board,
        may_comment: true,
        problem: None,
        draft: String::new(),
    }
}

fn clashing(words: &Words) -> Card {
    let clash = Clash {
        field: "field:f1".into(),
        mine: "見本工業 本社".into(),
        theirs: "見本工業（取引先）".into(),
        by: "担当B".into(),
    };
    Card { problem: Some(Problem::Clash(clash)), ..card(words) }
}

fn refused(words: &Words) -> Card {
    let problem = Problem::Invalid {
        field: "due".into(),
        typed: "2026-02-30".into(),
        message: "2026年2月30日は暦にありません。".into(),
    };
    Card { problem: Some(problem), ..card(words) }
}

fn list(chrome: &Chrome) -> ListPage<'_> {
    let row = |tile: Tile, at: usize| Row {
        id: tile.id,
        number: tile.number,
        title: tile.title,
        unread: tile.unread,
        status: status(at),
        labels: tile.labels,
        due: tile.due,
        assignees: tile.assignees,
        updated: moment("14:32"),
    };
    let columns = columns(chrome.words).into_iter().enumerate();
    let rows = columns.flat_map(|(at, column)| column.cards.into_iter().map(move |tile| row(tile, at))).collect();
    ListPage {
        chrome,
        board: head(),
        query: String::new(),
        sort: Sort::Due,
        descending: false,
        rows,
        total: 29,
        page: 1,
        first: 1,
        has_next: true,
    }
}

fn shelf(chrome: &Chrome, kind: Shelf) -> ShelfPage<'_> {
    let left = if kind == Shelf::Trash { "あと29日" } else { "" };
    let kept = |tile: Tile| Kept {
        id: tile.id,
        number: tile.number,
        title: tile.title,
        status: status(4),
        at: moment("昨日"),
        by: "担当B".into(),
        left: left.into(),
    };
    let rows = columns(chrome.words).swap_remove(4).cards.into_iter().map(kept).collect();
    ShelfPage { chrome, board: head(), kind, rows, next: None }
}

fn settings(chrome: &Chrome) -> BoardSettingsPage<'_> {
    BoardSettingsPage {
        chrome,
        board: head(),
        statuses: StatusLine::list((0..5).map(|at| (status(at), if at == 2 { 0 } else { 4 })).collect()),
        labels: (0..6).map(|at| LabelLine { label: label(at), cards: 3 }).collect(),
        guests: Vec::new(),
        fields: card(chrome.words)
            .fields
            .into_iter()
            .map(|field| FieldLine { key: format!("key_{}", field.id), id: field.id, label: field.label })
            .collect(),
        problem: Some(FormProblem {
            form: "field".into(),
            typed: "注文番号".into(),
            message: "キー「order_no」は、ほかの項目が使っています。入力した内容は残っています。".into(),
        }),
    }
}

fn empty(chrome: &Chrome) -> BoardPage<'_> {
    let columns = (0..3).map(|at| Column { status: status(at), count: 0, cards: Vec::new(), more: None }).collect();
    BoardPage { chrome, board: head(), columns, total: 0, seq: 0, epoch: "1".into() }
}

/// Every page with its file name.
fn pages(language: Language, theme: &'static str) -> Vec<(&'static str, String)> {
    let chrome = chrome(language, theme);
    let page = |page: &dyn askama::DynTemplate| page.dyn_render().expect("a page renders");
    let card_page = |card: &Card| page(&CardPage { chrome: &chrome, card });
    vec![
        ("board", page(&board(&chrome))),
        ("empty", page(&empty(&chrome))),
        ("card", card_page(&card(chrome.words))),
        ("clash", card_page(&clashing(chrome.words))),
        ("refused", card_page(&refused(chrome.words))),
        ("trashed", card_page(&Card { place: Place::Trash("12月24日".into()), ..card(chrome.words) })),
        ("list", page(&list(&chrome))),
        ("nothing", page(&ListPage { rows: Vec::new(), query: "請求 & <b>".into(), ..list(&chrome) })),
        ("archive", page(&shelf(&chrome, Shelf::Archive))),
        ("trash", page(&shelf(&chrome, Shelf::Trash))),
        ("settings", page(&settings(&chrome))),
    ]
}

#[test]
#[ignore = "writes files to be looked at"]
fn preview() {
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| PathBuf::from("target"), PathBuf::from);
    let folder = target.join("preview");
    let write = |path: &str, bytes: &[u8]| {
        let path = folder.join(path);
        fs::create_dir_all(path.parent().expect("a file in a folder")).expect("a folder");
        fs::write(path, bytes).expect("a file");
    };
    for (address, asset) in assets::all() {
        write(address.trim_start_matches('/'), asset.raw());
    }
    for language in Language::ALL {
        for theme in ["light", "dark"] {
            for (name, html) in pages(language, theme) {
                write(&format!("{name}-{}-{theme}.html", language.tag()), html.as_bytes());
            }
        }
    }
}

#[test]
fn pages_need_nothing_that_the_content_policy_forbids() {
    for (name, html) in pages(Language::Japanese, "auto") {
        for forbidden in
            [" style=", "<style", " onclick=", " onchange=", " onsubmit=", "javascript:", "http://", "https://"]
        {
            assert!(!html.contains(forbidden), "{name} has {forbidden}");
        }
        let scripts = html.matches("<script").count();
        assert_eq!(
            scripts,
            html.matches("<script src=").count() + html.matches("<script type=\"module\" src=").count(),
            "{name} has an inline script"
        );
    }
}

#[test]
fn ids_and_labels_hold_together() {
    for (name, html) in pages(Language::English, "auto") {
        let attribute = |key: &str| -> Vec<String> {
            html.split(&format!(" {key}=\""))
                .skip(1)
                .filter_map(|rest| Some(rest.split_once('"')?.0.to_owned()))
                .collect()
        };
        let ids = attribute("id");
        let mut unique = ids.clone();
        unique.sort_unstable();
        unique.dedup();
        assert_eq!(unique.len(), ids.len(), "{name} repeats an id");
        for key in ["aria-labelledby", "aria-describedby", "for"] {
            for id in attribute(key) {
                assert!(ids.contains(&id), "{name}: {key}={id} leads nowhere");
            }
        }
        assert_eq!(html.matches("<h1").count(), 1, "{name} has one first heading");
    }
}

#[test]
fn what_people_typed_is_escaped() {
    let chrome = chrome(Language::Japanese, "auto");
    let evil = "\"><script>alert(1)</script>&'";
    let mut page = board(&chrome);
    page.board.name = evil.into();
    page.columns[0].status.name = evil.into();
    page.columns[0].cards[0].title = evil.into();
    page.columns[0].cards[0].labels[0].name = evil.into();
    let mut card = card(chrome.words);
    card.title = evil.into();
    card.fields[0].value = evil.into();
    card.received.as_mut().expect("received").rows[0] = (evil.into(), evil.into());
    card.timeline.push(Entry::Change {
        icon: "move",
        system: false,
        html: sentence(chrome.words, "timeline-moved", &[("actor", evil), ("from", evil), ("to", evil)]),
        at: moment(""),
    });
    for html in [page.render().expect("board"), CardPage { chrome: &chrome, card: &card }.render().expect("card")] {
        assert!(!html.contains("<script>alert"), "unescaped");
        assert!(html.contains("alert(1)"), "shown");
    }
}

#[test]
fn a_thousand_cards_stay_small() {
    let chrome = chrome(Language::Japanese, "auto");
    let mut page = board(&chrome);
    for column in &mut page.columns {
        column.cards =
            (0..200).map(|number| tile(chrome.words, 1000 + number, "請求書の金額がご注文時の見積と異なる")).collect();
    }
    let html = page.render().expect("board");
    let bytes = zstd::encode_all(html.as_bytes(), 3).expect("zstd").len();
    assert!(html.len() < 900 * 1024, "{} bytes", html.len());
    assert!(bytes < 64 * 1024, "{bytes} bytes packed");
}

#[test]
fn a_refused_value_keeps_what_was_typed() {
    let chrome = chrome(Language::English, "auto");
    let html = CardPage { chrome: &chrome, card: &refused(chrome.words) }.render().expect("card");
    assert!(html.contains(r#"value="2026-02-30""#), "typed text");
    assert!(html.contains("aria-invalid"), "marked");
    let html = CardPage { chrome: &chrome, card: &clashing(chrome.words) }.render().expect("card");
    assert!(html.contains(r#"<input type="hidden" name="value" value="見本工業 本社">"#), "keep mine sends mine");
    assert!(html.contains(r#"name="version" value="12""#), "with the new version");
}

#[test]
fn lists_turn_round_and_keep_the_search() {
    let chrome = chrome(Language::English, "auto");
    let list = ListPage { query: "a b".into(), ..list(&chrome) };
    assert_eq!(list.sorted(Sort::Due), "/o/org/boards/board/list?sort=due&dir=desc&q=a%20b");
    assert_eq!(list.sorted(Sort::Title), "/o/org/boards/board/list?sort=title&dir=asc&q=a%20b");
    assert_eq!(list.paged(2), "/o/org/boards/board/list?sort=due&dir=asc&page=2&q=a%20b");
    assert_eq!((list.order(Sort::Due), list.order(Sort::Title)), ("ascending", "none"));
    assert_eq!(list.last(), 15);
}
