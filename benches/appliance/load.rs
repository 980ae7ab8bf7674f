//! A load generator: HTTP/1.1 keep-alive connections on one thread, each sending its next request when the last one was
//! answered.

use std::{
    collections::BTreeMap,
    fmt::Write as _,
    fs,
    io::{self, ErrorKind},
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    task::LocalSet,
    time::timeout,
};

use crate::{Options, Outcome};

/// Stands for the request's own name in a request's text.
const ID: &str = "{id}";
/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(30);

/// Requests as `benches/run` writes them: texts of whole HTTP requests, sent in turn.
struct Plan {
    address: SocketAddr,
    requests: Vec<String>,
    count: u64,
    run: String,
    next: AtomicU64,
}

/// What one connection saw.
#[derive(Default)]
struct Seen {
    times: Vec<Duration>,
    statuses: BTreeMap<u16, u64>,
    errors: BTreeMap<String, u64>,
    bytes: u64,
    acknowledged: Vec<String>,
    unacknowledged: Vec<String>,
}

/// Sends the requests and says how they were answered.
pub fn run(options: &Options) -> Outcome {
    let requests: Vec<String> = serde_json::from_slice(&fs::read(options.text("requests")?)?)?;
    let plan = Arc::new(Plan {
        address: options.parsed("address")?,
        requests,
        count: options.parsed("count")?,
        run: options.optional("run").unwrap_or("run").to_owned(),
        next: AtomicU64::new(0),
    });
    if !plan.address.ip().is_loopback() || plan.requests.is_empty() {
        return Err("a loopback address and at least one request are needed".into());
    }
    let connections: usize = options.parsed("connections")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let began = Instant::now();
    let seen = runtime.block_on(LocalSet::new().run_until(async {
        let workers: Vec<_> =
            (0..connections).map(|_| tokio::task::spawn_local(connection(Arc::clone(&plan)))).collect();
        let mut all = Seen::default();
        for worker in workers {
            all.add(worker.await?);
        }
        Ok::<_, tokio::task::JoinError>(all)
    }))?;
    let seconds = began.elapsed().as_secs_f64();
    seen.write_journals(options)?;
    Ok(seen.report(seconds))
}

impl Seen {
    fn add(&mut self, other: Self) {
        self.times.extend(other.times);
        self.bytes += other.bytes;
        self.acknowledged.extend(other.acknowledged);
        self.unacknowledged.extend(other.unacknowledged);
        for (status, count) in other.statuses {
            *self.statuses.entry(status).or_default() += count;
        }
        for (error, count) in other.errors {
            *self.errors.entry(error).or_default() += count;
        }
    }

    fn write_journals(&self, options: &Options) -> io::Result<()> {
        for (option, ids) in [("ack", &self.acknowledged), ("unacked", &self.unacknowledged)] {
            if let Some(path) = options.optional(option) {
                fs::write(path, ids.join("\n"))?;
            }
        }
        Ok(())
    }

    fn report(mut self, seconds: f64) -> Value {
        let answered = self.times.len();
        let mut report = spread(&mut self.times);
        report["answered"] = answered.into();
        report["acknowledged"] = self.acknowledged.len().into();
        report["seconds"] = seconds.into();
        report["per_second"] = (self.acknowledged.len() as f64 / seconds).into();
        report["body_bytes"] = (self.bytes as f64 / answered.max(1) as f64).into();
        report["statuses"] = json!(self.statuses.iter().map(|(k, v)| (k.to_string(), v)).collect::<BTreeMap<_, _>>());
        report["errors"] = json!(self.errors);
        report
    }
}

/// Median and tails of some durations, in milliseconds.
pub fn spread(times: &mut [Duration]) -> Value {
    times.sort_unstable();
    let at = |share: f64| {
        let index = ((times.len() as f64 * share).ceil() as usize).clamp(1, times.len().max(1)) - 1;
        times.get(index).map_or(0.0, |time| time.as_secs_f64() * 1000.0)
    };
    json!({ "p50_ms": at(0.5), "p90_ms": at(0.9), "p99_ms": at(0.99), "p999_ms": at(0.999), "max_ms": at(1.0) })
}

async fn connection(plan: Arc<Plan>) -> Seen {
    let mut seen = Seen::default();
    let mut buffer = Vec::with_capacity(64 << 10);
    let mut text = String::new();
    let Ok(mut stream) = open(&plan).await else {
        *seen.errors.entry("no connection".to_owned()).or_default() += 1;
        return seen;
    };
    loop {
        let number = plan.next.fetch_add(1, Ordering::Relaxed);
        if number >= plan.count {
            return seen;
        }
        // As long in every request, so that a request's Content-Length holds for all of them.
        let id = format!("{}-{number:010}", plan.run);
        text.clear();
        fill_in(&plan.requests[(number % plan.requests.len() as u64) as usize], &id, &mut text);
        let began = Instant::now();
        let answered = timeout(PATIENCE, async {
            stream.write_all(text.as_bytes()).await?;
            answer(&mut stream, &mut buffer).await
        });
        match answered.await.unwrap_or_else(|_| Err(ErrorKind::TimedOut.into())) {
            Ok(answer) => {
                seen.times.push(began.elapsed());
                seen.bytes += answer.body as u64;
                *seen.statuses.entry(answer.status).or_default() += 1;
                let journal =
                    if (200..400).contains(&answer.status) { &mut seen.acknowledged } else { &mut seen.unacknowledged };
                journal.push(id);
                if answer.closes {
                    match open(&plan).await {
                        Ok(opened) => stream = opened,
                        Err(_) => return seen,
                    }
                }
            }
            Err(error) => {
                *seen.errors.entry(error.kind().to_string()).or_default() += 1;
                seen.unacknowledged.push(id);
                return seen;
            }
        }
    }
}

async fn open(plan: &Plan) -> io::Result<TcpStream> {
    let stream = TcpStream::connect(plan.address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn fill_in(request: &str, id: &str, out: &mut String) {
    let mut rest = request;
    while let Some((before, after)) = rest.split_once(ID) {
        let _ = write!(out, "{before}{id}");
        rest = after;
    }
    out.push_str(rest);
}

struct Answer {
    status: u16,
    body: usize,
    closes: bool,
}

/// Reads one answer whose length its head says.
async fn answer(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<Answer> {
    buffer.clear();
    let head = loop {
        if let Some(end) = find(buffer, b"\r\n\r\n") {
            break end + 4;
        }
        more(stream, buffer).await?;
    };
    let odd = |what: &str| io::Error::new(ErrorKind::InvalidData, what.to_owned());
    let text = std::str::from_utf8(&buffer[..head]).map_err(|_| odd("a head that is no text"))?;
    let status: u16 =
        text.get(9..12).and_then(|code| code.parse().ok()).ok_or_else(|| odd("an answer without a status"))?;
    let header = |name: &str| {
        text.lines().skip(1).filter_map(|line| line.split_once(':')).find(|(key, _)| key.eq_ignore_ascii_case(name))
    };
    let closes = header("connection").is_some_and(|(_, value)| value.trim().eq_ignore_ascii_case("close"));
    let chunked = header("transfer-encoding").is_some();
    let length = header("content-length").and_then(|(_, value)| value.trim().parse::<usize>().ok());
    let body = match (status, length) {
        (204 | 304, _) => 0,
        (_, Some(length)) => {
            while buffer.len() < head + length {
                more(stream, buffer).await?;
            }
            length
        }
        (_, None) if chunked => chunks(stream, buffer, head).await?,
        (_, None) => return Err(odd("an answer without a length")),
    };
    Ok(Answer { status, body, closes })
}

/// Reads a chunked body to its end; its length.
async fn chunks(stream: &mut TcpStream, buffer: &mut Vec<u8>, mut at: usize) -> io::Result<usize> {
    let mut body = 0;
    loop {
        let line = loop {
            if let Some(end) = find(&buffer[at..], b"\r\n") {
                break end;
            }
            more(stream, buffer).await?;
        };
        let size = std::str::from_utf8(&buffer[at..at + line]).ok();
        let size = size.and_then(|size| usize::from_str_radix(size.trim(), 16).ok());
        let size = size.ok_or_else(|| io::Error::new(ErrorKind::InvalidData, "a chunk without a size"))?;
        at += line + 2 + size + 2;
        while buffer.len() < at {
            more(stream, buffer).await?;
        }
        body += size;
        if size == 0 {
            return Ok(body);
        }
    }
}

async fn more(stream: &mut TcpStream, buffer: &mut Vec<u8>) -> io::Result<()> {
    if stream.read_buf(buffer).await? == 0 { Err(ErrorKind::UnexpectedEof.into()) } else { Ok(()) }
}

fn find(bytes: &[u8], what: &[u8]) -> Option<usize> {
    bytes.windows(what.len()).position(|window| window == what)
}
