//! What `benches/run store` measures the sealed store with: one workload a call, on the sealed backend or on redb's own
//! file, through the same code above it, with the same durability. Each call prints one JSON document.

use std::{
    collections::HashMap,
    error::Error,
    fs::{self, OpenOptions},
    path::{Path, PathBuf},
    process::ExitCode,
    sync::Arc,
    time::{Duration, Instant},
};

use redb::{Builder, Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};
use serde_json::{Value, json};
use workrun::{
    seal::{DataKey, KeyId},
    store::{
        Store, Table,
        backend::{FileDisk, SealedBackend},
    },
};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome = Result<Value, Box<dyn Error>>;

const RECORD: usize = 600;
const TABLE: TableDefinition<'_, u64, &[u8]> = TableDefinition::new("records");
/// Records that a file for reading holds.
const READ_RECORDS: u64 = 100_000;

const USAGE: &str = "store groups --dir D --kind sealed|plain --size N --commits N
store reads  --dir D --kind sealed|plain
store opens  --dir D --mib N --records N
store idle   --dir D --stores N";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let command = words.next().unwrap_or_default();
    let mut options = HashMap::new();
    while let (Some(name), Some(value)) = (words.next(), words.next()) {
        options.insert(name, value);
    }
    let outcome = match command.as_str() {
        "groups" => groups(&options),
        "reads" => reads(&options),
        "opens" => opens(&options),
        "idle" => idle(&options),
        // `cargo bench` runs every target without a command; the measuring itself is `benches/run`.
        "" => Ok(json!({ "usage": USAGE.lines().collect::<Vec<_>>() })),
        other => Err(format!("no command `{other}`\n{USAGE}").into()),
    };
    match outcome {
        Ok(answer) => {
            println!("{answer}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

fn text<'o>(options: &'o HashMap<String, String>, name: &str) -> Result<&'o str, Box<dyn Error>> {
    options.get(name).map(String::as_str).ok_or_else(|| format!("{name} is needed\n{USAGE}").into())
}

fn key() -> DataKey {
    DataKey::from_bytes(KeyId([1; 16]), 1, [2; 32])
}

/// Opens or makes a file of either kind; above it everything is the same.
fn database(path: &Path, sealed: bool, cache_bytes: usize) -> Result<Database, Box<dyn Error>> {
    let mut builder = Builder::new();
    builder.set_cache_size(cache_bytes);
    if !sealed {
        return Ok(builder.create(path)?);
    }
    let there = path.exists();
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path)?;
    let disk = FileDisk::new(file);
    let backend = if there { SealedBackend::open(disk, &key())? } else { SealedBackend::create(disk, &key())? };
    Ok(builder.create_with_backend(backend)?)
}

fn record(number: u64, out: &mut [u8; RECORD]) {
    // Text that no two records share: neither layer compresses, so its content matters to neither.
    for (at, byte) in out.iter_mut().enumerate() {
        *byte = (number.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> (at % 56)) as u8;
    }
}

/// Commits of `--size` records each, durable in two phases.
fn groups(options: &HashMap<String, String>) -> Outcome {
    let path = PathBuf::from(text(options, "--dir")?).join("groups.redb");
    let (size, commits): (u64, u64) = (text(options, "--size")?.parse()?, text(options, "--commits")?.parse()?);
    let database = database(&path, text(options, "--kind")? == "sealed", 8 << 20)?;
    let (mut number, mut bytes, mut began) = (0, [0; RECORD], Instant::now());
    // The first tenth warms up.
    for commit in 0..commits + commits / 10 {
        if commit == commits / 10 {
            began = Instant::now();
        }
        let mut txn = database.begin_write()?;
        txn.set_two_phase_commit(true);
        {
            let mut table = txn.open_table(TABLE)?;
            for _ in 0..size {
                record(number, &mut bytes);
                table.insert(number, bytes.as_slice())?;
                number += 1;
            }
        }
        txn.commit()?;
    }
    let seconds = began.elapsed().as_secs_f64();
    drop(database);
    fs::remove_file(&path)?;
    Ok(
        json!({ "commits_per_second": commits as f64 / seconds, "records_per_second": (commits * size) as f64 / seconds }),
    )
}

/// Gets in no order, from redb's cache and from the system's; and one pass over all records.
fn reads(options: &HashMap<String, String>) -> Outcome {
    let path = PathBuf::from(text(options, "--dir")?).join("reads.redb");
    let sealed = text(options, "--kind")? == "sealed";
    {
        let database = database(&path, sealed, 64 << 20)?;
        let mut txn = database.begin_write()?;
        txn.set_two_phase_commit(true);
        {
            let (mut table, mut bytes) = (txn.open_table(TABLE)?, [0; RECORD]);
            for number in 0..READ_RECORDS {
                record(number, &mut bytes);
                table.insert(number, bytes.as_slice())?;
            }
        }
        txn.commit()?;
    }
    let gets = |database: &Database, count: u64| -> Result<f64, Box<dyn Error>> {
        let txn = database.begin_read()?;
        let table = txn.open_table(TABLE)?;
        let (mut sum, began) = (0_u64, Instant::now());
        for n in 0..count {
            let number = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) % READ_RECORDS;
            sum += u64::from(table.get(number)?.ok_or("a record is missing")?.value()[7]);
        }
        let seconds = began.elapsed().as_secs_f64();
        std::hint::black_box(sum);
        Ok(count as f64 / seconds)
    };
    let scan = |database: &Database| -> Result<f64, Box<dyn Error>> {
        let txn = database.begin_read()?;
        let (mut count, began) = (0_u64, Instant::now());
        for row in txn.open_table(TABLE)?.iter()? {
            count += u64::from(row?.1.value()[3] != 1);
        }
        std::hint::black_box(count);
        Ok(READ_RECORDS as f64 * RECORD as f64 / began.elapsed().as_secs_f64() / 1e6)
    };
    let large = database(&path, sealed, 512 << 20)?;
    gets(&large, 2 * READ_RECORDS)?;
    let cached = gets(&large, 500_000)?;
    drop(large);
    // Branches fit into it, leaves do not.
    let small = database(&path, sealed, 1 << 20)?;
    gets(&small, 60_000)?;
    let leaves = gets(&small, 60_000)?;
    drop(small);
    let none = database(&path, sealed, 0)?;
    scan(&none)?;
    let paged = gets(&none, 60_000)?;
    let scanned = scan(&none)?;
    drop(none);
    fs::remove_file(&path)?;
    Ok(json!({ "gets_cached": cached, "gets_1_mib": leaves, "gets_paged": paged, "scan_mb_per_second": scanned }))
}

const NOTES: Table<u64, String> = Table::new("notes");

/// Opening a store of `--mib` as the appliance does: after a clean close, and after the process died; the last commits were
/// of `--records` each, far from each other.
fn opens(options: &HashMap<String, String>) -> Outcome {
    let path = PathBuf::from(text(options, "--dir")?).join("opens.store");
    let wanted: u64 = text(options, "--mib")?.parse::<u64>()? << 20;
    let records: u64 = text(options, "--records")?.parse()?;
    let store = Store::create(&path, key(), 8 << 20)?;
    let (mut number, text) = (0, "字".repeat(RECORD / 3));
    while fs::metadata(&path)?.len() < wanted {
        store.write_now(|txn| (number..number + 2_000).try_for_each(|n| txn.put(&NOTES, &n, &text)))?;
        number += 2_000;
    }
    // Commits like those of a day's work, the last thing before the process dies.
    let mut small = Vec::new();
    for n in 0..50 {
        let began = Instant::now();
        store.write_now(|txn| {
            (0..records).try_for_each(|m| txn.put(&NOTES, &((n * 7919 + m * 104_729) % number), &text))
        })?;
        small.push(began.elapsed());
    }
    let bytes = fs::metadata(&path)?.len();
    #[expect(clippy::mem_forget, reason = "a process that dies runs no destructors")]
    std::mem::forget(store);
    let opened = |what: &str| -> Result<(Duration, Arc<Store>), Box<dyn Error>> {
        let began = Instant::now();
        let store = Store::open(&path, key(), 8 << 20)?;
        let took = began.elapsed();
        store.view(|view| view.get(&NOTES, &1))?.ok_or_else(|| format!("nothing is there {what}"))?;
        Ok((took, store))
    };
    let (after_crash, store) = opened("after a crash")?;
    store.close();
    let (clean, store) = opened("after a clean close")?;
    store.close();
    fs::remove_file(&path)?;
    small.sort_unstable();
    Ok(json!({
        "bytes": bytes,
        "crash_ms": after_crash.as_secs_f64() * 1e3,
        "clean_ms": clean.as_secs_f64() * 1e3,
        "commit_ms": small[small.len() / 2].as_secs_f64() * 1e3,
    }))
}

fn resident() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).ok_or("no figure")?.parse::<u64>()? * 1024)
}

/// Memory of stores that are open and idle.
fn idle(options: &HashMap<String, String>) -> Outcome {
    let folder = PathBuf::from(text(options, "--dir")?);
    let count: u64 = text(options, "--stores")?.parse()?;
    let place = |n: u64| folder.join(format!("{n}.store"));
    for n in 0..count {
        let store = Store::create(&place(n), key(), 8 << 20)?;
        store.write_now(|txn| (0..40).try_for_each(|m| txn.put(&NOTES, &m, &"覚え書き".repeat(20))))?;
        store.close();
    }
    let before = resident()?;
    let began = Instant::now();
    let mut open = Vec::new();
    for n in 0..count {
        let store = Store::open(&place(n), key(), 8 << 20)?;
        store.view(|view| view.get(&NOTES, &7))?.ok_or("a record is missing")?;
        open.push(store);
    }
    let (seconds, grown) = (began.elapsed().as_secs_f64(), resident()?.saturating_sub(before));
    for (n, store) in open.into_iter().enumerate() {
        store.close();
        fs::remove_file(place(n as u64))?;
    }
    Ok(json!({ "kb_each": grown as f64 / count as f64 / 1e3, "open_ms_each": seconds * 1e3 / count as f64 }))
}
