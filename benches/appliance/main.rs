//! What `benches/run` measures with: a load generator, a filler, the disk's floor, and the count after a kill.
//!
//! Each command prints one JSON document. `load` shares nothing with the product but its HTTP port; `fill` and `check`
//! open a data folder that no appliance serves, and fill it by the very commands that pages and API use.

use std::{
    collections::HashMap,
    error::Error,
    fs::{self, OpenOptions},
    os::unix::fs::FileExt,
    path::PathBuf,
    process::ExitCode,
    str::FromStr,
    time::Instant,
};

use serde_json::{Value, json};

mod data;
mod load;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

type Outcome = Result<Value, Box<dyn Error>>;

const USAGE: &str = "appliance load  --address HOST:PORT --requests FILE --count N --connections C [--run NAME] [--ack FILE] [--unacked FILE]
appliance fill  --data-dir DIR --root-key FILE --org ID --cards N
appliance check --data-dir DIR --root-key FILE --org ID --ack FILE
appliance floor --dir DIR --count N";

fn main() -> ExitCode {
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let command = words.next().unwrap_or_default();
    let outcome = Options::of(words).and_then(|options| match command.as_str() {
        "load" => load::run(&options),
        "fill" => data::fill(&options),
        "import" => data::import(&options),
        "dump" => data::dump(&options),
        "check" => data::check(&options),
        "floor" => floor(&options),
        // `cargo bench` runs every target without a command; the measuring itself is `benches/run`.
        "" => Ok(json!({ "usage": USAGE.lines().collect::<Vec<_>>() })),
        other => Err(format!("no command `{other}`\n{USAGE}").into()),
    });
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

/// `--name value` pairs.
struct Options(HashMap<String, String>);

impl Options {
    fn of(mut words: impl Iterator<Item = String>) -> Result<Self, Box<dyn Error>> {
        let mut values = HashMap::new();
        while let Some(word) = words.next() {
            let name = word.strip_prefix("--").ok_or_else(|| format!("`{word}` is no option\n{USAGE}"))?;
            let value = words.next().ok_or_else(|| format!("--{name} needs a value"))?;
            values.insert(name.to_owned(), value);
        }
        Ok(Self(values))
    }

    fn text(&self, name: &str) -> Result<&str, Box<dyn Error>> {
        self.optional(name).ok_or_else(|| format!("--{name} is needed\n{USAGE}").into())
    }

    fn optional(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    fn parsed<T: FromStr>(&self, name: &str) -> Result<T, Box<dyn Error>> {
        let text = self.text(name)?;
        text.parse().map_err(|_| format!("--{name} cannot be `{text}`").into())
    }
}

/// How fast this disk makes 4 KiB durable: writes in place of a preallocated file, each followed by `fdatasync`.
fn floor(options: &Options) -> Outcome {
    let path = PathBuf::from(options.text("dir")?).join("floor.tmp");
    let count: usize = options.parsed("count")?;
    let file = OpenOptions::new().read(true).write(true).create_new(true).open(&path)?;
    let (block, blocks) = ([0x5a; 4096], 256);
    for index in 0..blocks {
        file.write_all_at(&block, index * 4096)?;
    }
    file.sync_all()?;
    let mut micros = Vec::with_capacity(count);
    for index in 0..count as u64 {
        let began = Instant::now();
        file.write_all_at(&block, index * 97 % blocks * 4096)?;
        file.sync_data()?;
        micros.push(began.elapsed());
    }
    fs::remove_file(&path)?;
    Ok(load::spread(&mut micros))
}
