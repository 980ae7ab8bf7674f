//! Deciding and applying, on a real store: a row a rule.

use super::*;
use crate::{
    ids::{BoardId, CardId, CommentId, FieldId, LabelId, StatusId, UserId},
    people::members,
    seal::{DataKey, KeyId},
    store::{Read, Store, StoreError},
    text::{CivilDate, Comment, MailAddress, Name, TextValue},
};
use std::sync::Arc;

const NOW: Timestamp = Timestamp(1_795_316_400_000);

/// A store with one owner and one board of three columns, two fields and a label.
struct Desk {
    store: Arc<Store>,
    board: Board,
    owner: UserId,
    _folder: tempfile::TempDir,
}

fn text<T: std::str::FromStr>(text: &str) -> T
where
    T::Err: std::fmt::Debug,
{
    text.parse().expect("valid text")
}

impl Desk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let key = DataKey::fresh(KeyId([1; 16]), 1);
        let store = Store::create(&folder.path().join("org.store"), key, 1 << 20).expect("a store");
        let owner = UserId::fresh(NOW);
        let (name, mail) = (text::<Name>("見本商店"), text::<MailAddress>("owner@example.jp"));
        store.write_now(|txn| members::found(txn, NOW, &name, owner, &mail).map(|_| ())).expect("founded");
        let board = Template::Tasks.board(BoardId::fresh(NOW), "仕事", NOW, str::to_owned);
        let mut board = board;
        for (key, label) in [("email", "メール"), ("tel", "電話")] {
            board.fields.push(Field { id: FieldId::fresh(NOW), key: key.to_owned(), label: label.to_owned() });
        }
        let desk = Self { store, board: board.clone(), owner, _folder: folder };
        desk.ask(Command::CreateBoard(board)).expect("a board");
        desk
    }

    fn ask(&self, command: Command) -> Result<Outcome, WorkError> {
        let mut result = None;
        let actor = Actor::User(self.owner);
        let written = self.store.write_now(|txn| {
            // `write_now` may run once only here: nothing else is in its transaction.
            OUTCOME.with(|outcome| *outcome.borrow_mut() = Some(change(txn, actor, NOW, &command)));
            Ok(())
        });
        OUTCOME.with(|outcome| result = outcome.borrow_mut().take());
        written.expect("the store writes");
        result.expect("the command ran")
    }

    fn read<T>(&self, read: impl FnOnce(&dyn Read) -> Result<T, StoreError>) -> T {
        self.store.view(read).expect("the store reads")
    }

    fn card(&self, title: &str) -> CardId {
        let id = CardId::fresh(NOW);
        let new = NewCard { place: Place::Bottom, ..NewCard::titled(id, self.board.id, text(title)) };
        self.ask(Command::CreateCard(new)).expect("a card");
        id
    }

    fn get(&self, id: CardId) -> Card {
        self.read(|view| read::card(view, id)).expect("the card is there")
    }

    fn column(&self, at: usize) -> Vec<String> {
        let cards = self.read(|view| read::column(view, self.board.statuses[at].id, None, 1000));
        cards.into_iter().map(|card| card.title).collect()
    }

    fn tally(&self) -> Tally {
        self.read(|view| read::tally(view, self.board.id))
    }

    #[track_caller]
    fn refused(&self, command: Command, want: &str) {
        match self.ask(command) {
            Err(WorkError::Refused(refusal)) => assert_eq!(refusal.code(), want, "{refusal}"),
            other => panic!("expected {want}, got {other:?}"),
        }
    }
}

thread_local! {
    static OUTCOME: std::cell::RefCell<Option<Result<Outcome, WorkError>>> = const { std::cell::RefCell::new(None) };
}

fn title_to(card: CardId, to: &str, based_on: Option<u64>) -> Command {
    Command::SetValues { card, values: vec![NewValue::Title(text(to))], based_on, whole: false }
}

#[test]
fn numbers_count_up_and_are_never_reused() {
    let desk = Desk::new();
    let cards: Vec<CardId> = ["a", "b", "c"].map(|title| desk.card(title)).into();
    desk.ask(Command::Trash { card: cards[2] }).expect("trashed");
    let next = desk.card("d");
    assert_eq!(cards.iter().chain([&next]).map(|id| desk.get(*id).number).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert_eq!(desk.column(0), ["a", "b", "d"]);
}

#[test]
fn cards_move_between_and_within_columns() {
    let desk = Desk::new();
    let [a, b, c] = ["a", "b", "c"].map(|title| desk.card(title));
    let [todo, doing] = [0, 1].map(|at| desk.board.statuses[at].id);
    let go = |card, status, place| desk.ask(Command::MoveCard { card, status, place }).expect("moved");
    go(c, todo, Place::Top);
    assert_eq!(desk.column(0), ["c", "a", "b"]);
    go(c, todo, Place::After(a));
    assert_eq!(desk.column(0), ["a", "c", "b"]);
    go(a, doing, Place::Bottom);
    go(b, doing, Place::After(a));
    assert_eq!((desk.column(0), desk.column(1)), (vec!["c".to_owned()], vec!["a".to_owned(), "b".to_owned()]));
    // The anchor has left the column meanwhile: the move still applies, at the top.
    go(c, doing, Place::After(CardId::fresh(NOW)));
    assert_eq!(desk.column(1), ["c", "a", "b"]);
    assert_eq!((desk.tally().column(todo), desk.tally().column(doing), desk.tally().open()), (0, 3, 3));
}

#[test]
fn many_moves_into_the_same_gap_keep_the_order() {
    let desk = Desk::new();
    let [top, bottom] = ["top", "bottom"].map(|title| desk.card(title));
    let todo = desk.board.statuses[0].id;
    let walkers = ["x", "y"].map(|title| desk.card(title));
    for turn in 0..300 {
        let card = walkers[turn % 2];
        desk.ask(Command::MoveCard { card, status: todo, place: Place::After(top) }).expect("moved");
    }
    assert_eq!(desk.column(0), ["top", "y", "x", "bottom"]);
    assert!(desk.get(top).version == 1 && desk.get(bottom).version == 1, "making room is no change of a card");
}

#[test]
fn different_fields_both_stand_and_the_same_field_conflicts() {
    let desk = Desk::new();
    let card = desk.card("first");
    let field = desk.board.fields[0].id;
    let seen = desk.get(card).version;
    desk.ask(title_to(card, "theirs", Some(seen))).expect("the first of two writes");
    let value = NewValue::Field(field, Some(text::<TextValue>("a@example.jp")));
    desk.ask(Command::SetValues { card, values: vec![value], based_on: Some(seen), whole: false })
        .expect("another field stands");
    match desk.ask(title_to(card, "mine", Some(seen))) {
        Err(WorkError::Refused(Refusal::Conflict { field: FieldRef::Title, theirs, .. })) => {
            assert_eq!(theirs, "theirs");
        }
        other => panic!("{other:?}"),
    }
    desk.ask(title_to(card, "theirs", Some(seen))).expect("the same value is no conflict");
    desk.ask(title_to(card, "mine", Some(desk.get(card).version))).expect("keep mine");
    let card = desk.get(card);
    assert_eq!((card.title.as_str(), card.value(field)), ("mine", "a@example.jp"));
    let stale = Command::SetValues { card: card.id, values: vec![], based_on: Some(seen), whole: true };
    desk.refused(stale, "stale");
}

#[test]
fn labels_and_assignees_merge_as_sets() {
    let desk = Desk::new();
    let (card, label) = (desk.card("a"), desk.board.labels[0].id);
    for _ in 0..2 {
        desk.ask(Command::Label { card, label, on: true }).expect("labelled");
        desk.ask(Command::Assign { card, user: desk.owner, on: true }).expect("assigned");
    }
    let now = desk.get(card);
    assert_eq!((now.labels.as_slice(), now.assignees.as_slice(), now.version), (&[label][..], &[desk.owner][..], 3));
    desk.refused(Command::Label { card, label: LabelId::fresh(NOW), on: true }, "not-found");
    desk.refused(Command::Assign { card, user: UserId::fresh(NOW), on: true }, "not-found");
}

#[test]
fn what_is_in_the_trash_is_restored_before_it_is_changed() {
    let desk = Desk::new();
    let card = desk.card("a");
    desk.ask(Command::Trash { card }).expect("trashed");
    let comment = |card| Command::Comment { card, id: CommentId::fresh(NOW), text: text::<Comment>("later") };
    desk.refused(title_to(card, "b", None), "trashed");
    desk.refused(comment(card), "trashed");
    desk.refused(Command::MoveCard { card, status: desk.board.statuses[1].id, place: Place::Top }, "trashed");
    assert_eq!((desk.column(0).len(), desk.tally().trashed), (0, 1));
    desk.ask(Command::Restore { card }).expect("restored");
    desk.ask(Command::Archive { card }).expect("archived");
    desk.ask(comment(card)).expect("an archived card can be commented");
    assert!(matches!(desk.get(card).state, CardState::Archived { .. }), "a comment does not unarchive");
    assert_eq!((desk.tally().archived, desk.tally().trashed, desk.tally().open()), (1, 0, 0));
}

#[test]
fn a_restored_card_finds_a_column_even_if_its_own_is_gone() {
    let desk = Desk::new();
    let card = desk.card("a");
    let doing = desk.board.statuses[1].id;
    desk.ask(Command::MoveCard { card, status: doing, place: Place::Top }).expect("moved");
    desk.refused(Command::RemoveStatus { board: desk.board.id, id: doing }, "status-in-use");
    desk.ask(Command::Archive { card }).expect("archived");
    desk.ask(Command::RemoveStatus { board: desk.board.id, id: doing }).expect("an empty column goes");
    desk.ask(Command::Restore { card }).expect("restored");
    assert_eq!(desk.column(0), ["a"]);
    desk.refused(Command::MoveCard { card, status: doing, place: Place::Top }, "status-gone");
}

#[test]
fn boards_keep_their_rules() {
    let desk = Desk::new();
    let board = desk.board.id;
    fn name(name: &str) -> Name {
        text(name)
    }
    let status =
        |label: &str| Command::AddStatus { board, id: StatusId::fresh(NOW), name: name(label), kind: StatusKind::Todo };
    desk.refused(status(&desk.board.statuses[0].name), "taken");
    for at in desk.board.statuses.len()..crate::limits::STATUSES_MAX {
        desk.ask(status(&format!("s{at}"))).expect("room for a status");
    }
    desk.refused(status("one too many"), "limit");
    let field = Command::AddField { board, id: FieldId::fresh(NOW), key: text("email"), label: name("x") };
    desk.refused(field, "taken");
    desk.refused(Command::AddLabel { board, id: LabelId::fresh(NOW), name: name("x"), hue: 7 }, "unknown-value");
    desk.refused(Command::RenameBoard { board: BoardId::fresh(NOW), name: name("x") }, "not-found");
    let mut twice = Template::Empty.board(BoardId::fresh(NOW), "x", NOW, str::to_owned);
    for _ in 0..2 {
        twice.fields.push(Field { id: FieldId::fresh(NOW), key: "k".to_owned(), label: "k".to_owned() });
    }
    desk.refused(Command::CreateBoard(twice), "taken");
    let first = desk.board.statuses[0].id;
    let last = desk.board.statuses[3].id;
    desk.ask(Command::MoveStatus { board, id: last, after: None }).expect("moved to the left");
    let now = desk.read(|view| read::board(view, board)).expect("the board");
    assert_eq!((now.leftmost().id, now.statuses[1].id), (last, first));
}

#[test]
fn the_timeline_tells_from_what_to_what_and_its_chain_verifies() {
    let desk = Desk::new();
    let card = desk.card("first");
    desk.ask(title_to(card, "second", None)).expect("changed");
    let due = CivilDate::parse("2026-11-24").expect("a date");
    let values = vec![NewValue::Due(Some(due)), NewValue::Body(Some(text::<Comment>("長い説明")))];
    desk.ask(Command::SetValues { card, values, based_on: None, whole: false }).expect("changed");
    let entries = desk.read(|view| read::timeline(view, card, 0, 100));
    let told: Vec<String> = entries
        .iter()
        .map(|entry| match &entry.event {
            Event::CardCreated { title, .. } => format!("created {title}"),
            Event::CardChanged { change: Change::Title { from, to }, .. } => format!("{from} -> {to}"),
            Event::CardChanged { change: Change::Due { to, .. }, .. } => format!("due {}", to.expect("a date")),
            Event::CardChanged { change: Change::Body { .. }, .. } => "body".to_owned(),
            other => format!("{other:?}"),
        })
        .collect();
    assert_eq!(told, ["created first", "first -> second", "due 2026-11-24", "body"]);
    let body = desk.get(card).body.expect("a body");
    assert_eq!(desk.read(|view| read::text(view, body)), "長い説明");
    let report = desk.read(crate::store::history::verify);
    assert_eq!((report.redacted, report.checked), (0, desk.read(crate::store::history::head)));
}

#[test]
fn what_is_erased_is_gone_from_the_history_too() {
    let desk = Desk::new();
    let (card, other) = (desk.card("secret"), desk.card("other"));
    desk.ask(Command::Comment { card, id: CommentId::fresh(NOW), text: text::<Comment>("secret") }).expect("commented");
    desk.refused(Command::Erase { card }, "not-found");
    desk.ask(Command::Trash { card }).expect("trashed");
    let old = |at: Timestamp| desk.read(|view| read::trashed_before(view, at, 10)).len();
    assert_eq!((old(NOW), old(NOW.plus(IN_TRASH))), (0, 1));
    desk.ask(Command::Erase { card }).expect("erased");
    assert!(desk.read(|view| read::card(view, card)).is_none());
    assert!(desk.read(|view| read::timeline(view, card, 0, 100)).is_empty());
    let report = desk.read(crate::store::history::verify);
    assert_eq!((report.redacted, report.checked), (3, desk.read(crate::store::history::head)));
    assert_eq!((desk.tally().trashed, desk.get(other).number), (0, 2));
    assert_eq!(desk.get(desk.card("next")).number, 3, "a number is never given twice");
}

#[test]
fn news_is_what_others_did_since_one_looked() {
    let desk = Desk::new();
    let reader = UserId::fresh(NOW);
    let card = desk.card("a");
    let unread = |user| {
        let now = desk.get(card);
        desk.read(|view| read::unread(view, user, 0, &now))
    };
    assert!(unread(reader) && !unread(desk.owner), "news to others, not to its maker");
    let head = desk.read(crate::store::history::head);
    desk.store.write_now(|txn| read::mark_seen(txn, reader, card, head)).expect("noted");
    assert!(!unread(reader));
    desk.ask(Command::Comment { card, id: CommentId::fresh(NOW), text: text::<Comment>("news") }).expect("commented");
    assert!(unread(reader));
    assert!(
        !desk.read(|view| read::unread(view, reader, head + 1, &desk.get(card))),
        "what was before one joined is no news"
    );
}
