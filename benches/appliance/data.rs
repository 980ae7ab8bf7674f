//! Data folders that no appliance serves: filled by the real commands, and counted after a kill.

use std::{
    collections::{BTreeSet, HashMap},
    error::Error,
    fs,
    io::{self, BufRead as _, BufReader, BufWriter, Write as _},
    path::Path,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

use serde_json::json;
use workrun::{
    clock::Clock,
    hooks::{delivery, endpoint},
    ids::{CardId, CommentId, OrgId},
    seal::{Keyring, RootKey},
    store::{
        Layout, Shelf, Store,
        dump::{DumpError, Frame, Unpacked},
        history::Actor,
    },
    text::{Comment, Title},
    work::{self, Command, NewCard, Place, WorkError},
};

use crate::{Options, Outcome};

/// Cards that one transaction makes.
const GROUP: u64 = 4_000;
/// The redb cache while filling; an appliance has its own setting.
const CACHE_BYTES: usize = 256 << 20;
/// How cards lie in the columns from the left, in percent.
const COLUMNS: [u64; 5] = [30, 15, 10, 5, 40];

const TITLES: [&str; 8] = [
    "見積もりのご依頼：社内勉強会の会場について",
    "Disk usage above 85 % on the backup server",
    "請求書の宛名を変更してほしい",
    "The export misses cards without a due date",
    "採用ページからの応募（エンジニア、東京）",
    "Rotate the certificate before it expires",
    "納品日の変更をお願いできますか",
    "Customer asks for an invoice in English",
];
const COMMENT: &str = "先方に確認しました。**金曜日まで**にお返事をいただけるとのことです。";

struct Opened {
    shelf: Shelf,
    store: Arc<Store>,
}

fn open(options: &Options) -> Result<Opened, Box<dyn Error>> {
    let shelf = open_shelf(options)?;
    let store = shelf.organization(options.parsed::<OrgId>("org")?)?;
    Ok(Opened { shelf, store })
}

fn open_shelf(options: &Options) -> Result<Shelf, Box<dyn Error>> {
    let layout = Layout::new(Path::new(options.text("data-dir")?));
    let root = RootKey::from_file(Path::new(options.text("root-key")?))?;
    let keyring = Arc::new(Keyring::open(&layout.keyring(), root)?);
    Ok(Shelf::new(layout, keyring, CACHE_BYTES, 1))
}

/// Makes cards until the organization, or each that stands in the file `--orgs`, has `--cards`, over all its boards in turn;
/// the first 1,000 on the first board.
pub fn fill(options: &Options) -> Outcome {
    let wanted: u64 = options.parsed("cards")?;
    let shelf = open_shelf(options)?;
    let orgs = match options.optional("orgs") {
        Some(file) => fs::read_to_string(file)?.lines().map(str::parse).collect::<Result<Vec<OrgId>, _>>()?,
        None => vec![options.parsed("org")?],
    };
    let began = Instant::now();
    let (mut made, mut bytes) = (0, 0);
    for org in orgs {
        made += fill_one(&shelf.organization(org)?, wanted)?;
        bytes += fs::metadata(shelf.layout().organization_store(org))?.len();
    }
    shelf.close();
    let seconds = began.elapsed().as_secs_f64();
    Ok(json!({ "cards": wanted, "made": made, "seconds": seconds, "bytes": bytes }))
}

fn fill_one(store: &Arc<Store>, wanted: u64) -> Result<u64, Box<dyn Error>> {
    let boards = Arc::new(store.view(|view| work::read::boards(view))?);
    if boards.is_empty() {
        return Err("the organization has no board".into());
    }
    let mut present = 0;
    for board in boards.iter() {
        present += store.view(|view| work::read::tally(view, board.id))?.open();
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let mut at = present;
    while at < wanted {
        let (from, to, boards) = (at, (at + GROUP).min(wanted), Arc::clone(&boards));
        let now = Clock::System.now();
        let group: Result<(), WorkError> = runtime.block_on(store.submit(1, move |txn| {
            for number in from..to {
                let board = &boards[if number < 1000 { 0 } else { (number % boards.len() as u64) as usize }];
                let mut share = number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 32;
                share %= COLUMNS.iter().sum::<u64>();
                let mut column = 0;
                for (index, width) in COLUMNS.iter().enumerate() {
                    column = index;
                    if share < *width {
                        break;
                    }
                    share -= width;
                }
                let status = &board.statuses[column.min(board.statuses.len() - 1)];
                let Ok(title) = Title::parse(&format!("{} {number}", TITLES[(number % 8) as usize])) else { continue };
                let card = CardId::fresh(now);
                let new = NewCard {
                    status: Some(status.id),
                    place: Place::Bottom,
                    labels: board.labels.iter().take((number % 3) as usize).map(|label| label.id).collect(),
                    body: if number % 4 == 0 { COMMENT.parse().ok() } else { None },
                    ..NewCard::titled(card, board.id, title)
                };
                work::change(txn, Actor::System, now, &Command::CreateCard(new))?;
                if number % 5 == 0
                    && let Ok(text) = COMMENT.parse::<Comment>()
                {
                    let comment = Command::Comment { card, id: CommentId::fresh(now), text };
                    work::change(txn, Actor::System, now, &comment)?;
                }
            }
            Ok(())
        }));
        group?;
        at = to;
    }
    Ok(at - present)
}

/// Makes cards of JSON Lines (`{"t":"card","id","title","body",…}`, `{"t":"comment","card","body",…}`, other lines are
/// passed over) on the organization's boards in turn: for measuring on text that somebody else made.
pub fn import(options: &Options) -> Outcome {
    let Opened { shelf, store } = open(options)?;
    let boards = Arc::new(store.view(|view| work::read::boards(view))?);
    if boards.is_empty() {
        return Err("the organization has no board".into());
    }
    let began = Instant::now();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).build()?;
    let mut lines = BufReader::new(fs::File::open(options.text("from")?)?).lines();
    let mut cards: HashMap<u64, CardId> = HashMap::new();
    let (mut made, mut text_bytes) = (0_u64, 0_usize);
    loop {
        let now = Clock::System.now();
        let mut commands = Vec::new();
        for line in lines.by_ref().take(GROUP as usize) {
            let line: serde_json::Value = serde_json::from_str(&line?)?;
            let text = |name: &str| line[name].as_str().unwrap_or_default().to_owned();
            match line["t"].as_str() {
                Some("card") => {
                    let (number, board) =
                        (line["id"].as_u64().unwrap_or_default(), &boards[made as usize % boards.len()]);
                    let Ok(title) = Title::parse(&text("title")) else { continue };
                    let id = CardId::fresh(now);
                    cards.insert(number, id);
                    made += 1;
                    text_bytes += text("title").len() + text("body").len();
                    let body = text("body").parse().ok();
                    commands.push(Command::CreateCard(NewCard {
                        place: Place::Bottom,
                        status: Some(board.statuses[made as usize % board.statuses.len()].id),
                        body,
                        ..NewCard::titled(id, board.id, title)
                    }));
                }
                Some("comment") => {
                    let card = line["card"].as_u64().and_then(|number| cards.get(&number));
                    let (Some(card), Ok(body)) = (card, text("body").parse::<Comment>()) else { continue };
                    text_bytes += text("body").len();
                    commands.push(Command::Comment { card: *card, id: CommentId::fresh(now), text: body });
                }
                _ => {}
            }
        }
        if commands.is_empty() {
            break;
        }
        let group: Result<(), WorkError> = runtime.block_on(store.submit(1, move |txn| {
            for command in &commands {
                work::change(txn, Actor::System, now, command)?;
            }
            Ok(())
        }));
        group?;
    }
    let seconds = began.elapsed().as_secs_f64();
    let records = store.view(|view| workrun::store::bytes_held(view))?;
    shelf.close();
    Ok(json!({ "cards": made, "text_bytes": text_bytes, "record_bytes": records, "seconds": seconds }))
}

/// Writes an organization's records into a plain file: what other programs are given to back up.
pub fn dump(options: &Options) -> Outcome {
    let Opened { shelf, store } = open(options)?;
    let out = Mutex::new(BufWriter::new(fs::File::create(options.text("to")?)?));
    let dumped = store.dump(&BTreeSet::new(), 1, &Unpacked::default, &|frame, _| {
        let frame = Frame::parse(frame.to_vec()).map_err(io::Error::other)?;
        let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
        let mut write = |key: &[u8], value: &[u8]| {
            for column in [key, value] {
                out.write_all(&(column.len() as u32).to_le_bytes())?;
                out.write_all(column)?;
            }
            Ok(())
        };
        let written: Result<(), DumpError> = frame.parts().try_for_each(|part| part.each(&mut write));
        written.map_err(io::Error::other)
    })?;
    out.into_inner().unwrap_or_else(PoisonError::into_inner).flush()?;
    shelf.close();
    Ok(json!({ "record_bytes": dumped.bytes, "records": dumped.records() }))
}

/// Compares a journal of acknowledged deliveries with what the organization has.
pub fn check(options: &Options) -> Outcome {
    let journal = fs::read_to_string(options.text("ack")?)?;
    let acknowledged: Vec<&str> = journal.lines().filter(|line| !line.is_empty()).collect();
    let Opened { shelf, store } = open(options)?;
    let mut present: HashMap<String, u64> = HashMap::new();
    let (mut cards, mut without_card) = (0_u64, 0_u64);
    store.view(|view| {
        for board in work::read::boards(view)? {
            cards += work::read::tally(view, board.id)?.open();
            for hook in endpoint::of_board(view, board.id)? {
                for delivery in delivery::of_hook(view, hook.id, None, usize::MAX)? {
                    let delivery::Outcome::Accepted { card, .. } = delivery.outcome else { continue };
                    if work::read::card(view, card)?.is_none() {
                        without_card += 1;
                    }
                    *present.entry(delivery.sender_id.unwrap_or_default()).or_default() += 1;
                }
            }
        }
        Ok::<_, workrun::store::StoreError>(())
    })?;
    shelf.close();
    let lost = acknowledged.iter().filter(|id| !present.contains_key(**id)).count();
    let doubled = present.values().filter(|count| **count > 1).count();
    let known: std::collections::HashSet<&str> = acknowledged.iter().copied().collect();
    Ok(json!({
        "acknowledged": acknowledged.len(),
        "present": present.values().sum::<u64>(),
        "lost": lost,
        "doubled": doubled,
        "without_card": without_card,
        "present_unacknowledged": present.keys().filter(|id| !known.contains(id.as_str())).count(),
        "cards": cards,
    }))
}
