//! Object storage: a real S3 server, and a line to it that can be cut.

use std::{
    collections::BTreeMap,
    env,
    io::{BufRead as _, BufReader, Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    path::{Path, PathBuf},
    process::{Child, ChildStdin, ChildStdout, Command, Stdio},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    thread,
};

use serde_json::{Value, json};

/// The line between the appliance and the server.
#[derive(Default)]
struct Line {
    is_cut: AtomicBool,
    /// Bytes that went to the server.
    sent: AtomicU64,
    /// The line is cut after so many; 0 for never.
    cut_at: AtomicU64,
    open: Mutex<Vec<TcpStream>>,
}

impl Line {
    fn cut(&self) {
        self.is_cut.store(true, Ordering::SeqCst);
        for stream in self.open.lock().expect("the streams").drain(..) {
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn pass(self: &Arc<Self>, client: TcpStream, server: TcpStream) {
        let pair = [client.try_clone(), server.try_clone(), client.try_clone(), server.try_clone()];
        let [Ok(mut from), Ok(mut to), Ok(mut back_to), Ok(mut back_from)] = pair else { return };
        self.open.lock().expect("the streams").extend([client, server]);
        let line = Arc::clone(self);
        thread::spawn(move || {
            let mut buffer = [0; 16 * 1024];
            while let Ok(read) = from.read(&mut buffer) {
                if read == 0 || to.write_all(&buffer[..read]).is_err() {
                    break;
                }
                let sent = line.sent.fetch_add(read as u64, Ordering::SeqCst) + read as u64;
                let cut_at = line.cut_at.load(Ordering::SeqCst);
                if cut_at > 0 && sent >= cut_at {
                    line.cut();
                }
            }
            let _ = to.shutdown(Shutdown::Both);
        });
        thread::spawn(move || {
            let _ = std::io::copy(&mut back_from, &mut back_to);
            let _ = back_to.shutdown(Shutdown::Both);
        });
    }
}

/// A running `s3_server.py`, which ends with its standard input.
pub struct S3 {
    process: Child,
    orders: Mutex<(ChildStdin, BufReader<ChildStdout>)>,
    line: Arc<Line>,
    /// Where the line begins.
    at: SocketAddr,
    /// A key pair that may do everything.
    pub id: String,
    pub secret: String,
}

impl S3 {
    /// A server that checks signatures and rights.
    pub fn start() -> Self {
        Self::with(&["--auth"])
    }

    /// A server that takes any key pair.
    pub fn without_rights() -> Self {
        Self::with(&[])
    }

    fn with(arguments: &[&str]) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let python =
            env::var_os("WORKRUN_TEST_PYTHON").map_or_else(|| root.join("tests/.venv/bin/python"), PathBuf::from);
        assert!(python.exists(), "{} is not there: `tests/run` makes it", python.display());
        let mut command = Command::new(python);
        command.arg(root.join("tests/harness/s3_server.py")).args(arguments);
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("an S3 server");
        let mut said = BufReader::new(process.stdout.take().expect("its output"));
        let mut line = String::new();
        said.read_line(&mut line).expect("a line of it");
        let started: Value = serde_json::from_str(&line).expect("it says its port");
        let port = started["port"].as_u64().and_then(|port| u16::try_from(port).ok()).expect("a port");
        let text = |name: &str| started[name].as_str().expect("a text").to_owned();
        let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
        let at = listener.local_addr().expect("its address");
        let line = Arc::new(Line::default());
        let passing = Arc::clone(&line);
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { return };
                if passing.is_cut.load(Ordering::SeqCst) {
                    continue;
                }
                if let Ok(server) = TcpStream::connect(("127.0.0.1", port)) {
                    passing.pass(client, server);
                }
            }
        });
        let orders = Mutex::new((process.stdin.take().expect("its input"), said));
        Self { process, orders, line, at, id: text("id"), secret: text("secret") }
    }

    /// A new bucket of that name, in Tokyo.
    pub fn bucket(&self, name: &str) -> Bucket<'_> {
        self.order(&json!({ "do": "bucket", "bucket": name, "region": "ap-northeast-1" }));
        Bucket { server: self, name: name.to_owned() }
    }

    /// A new bucket in which nothing can be removed for a time.
    pub fn locked_bucket(&self, name: &str) -> Bucket<'_> {
        self.order(&json!({ "do": "bucket", "bucket": name, "region": "ap-northeast-1", "lock": true }));
        Bucket { server: self, name: name.to_owned() }
    }

    /// The server's address, as an appliance is to know it.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.at)
    }

    /// Bytes that were sent to the server so far.
    pub fn sent(&self) -> u64 {
        self.line.sent.load(Ordering::SeqCst)
    }

    /// Cuts the line once that many more bytes have gone to the server.
    pub fn cut_after(&self, bytes: u64) {
        self.line.cut_at.store(self.sent() + bytes, Ordering::SeqCst);
    }

    /// Whether the line is cut.
    pub fn is_cut(&self) -> bool {
        self.line.is_cut.load(Ordering::SeqCst)
    }

    /// Cuts the line: connections end, and new ones are closed at once.
    pub fn cut(&self) {
        self.line.cut();
    }

    /// Lets the line be as it was.
    pub fn mend(&self) {
        self.line.cut_at.store(0, Ordering::SeqCst);
        self.line.is_cut.store(false, Ordering::SeqCst);
    }

    #[track_caller]
    fn order(&self, order: &Value) -> Value {
        let mut channel = self.orders.lock().expect("nobody panicked over it");
        let (input, output) = &mut *channel;
        writeln!(input, "{order}").expect("it takes orders");
        let mut line = String::new();
        output.read_line(&mut line).expect("an answer");
        let answer: Value = serde_json::from_str(&line).expect("an answer");
        assert!(answer["error"].is_null(), "{order}: {answer}");
        answer["ok"].clone()
    }
}

impl Drop for S3 {
    fn drop(&mut self) {
        // Its input is behind the lock; what it holds is nowhere but in its memory.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// A bucket, looked at without the appliance.
pub struct Bucket<'s> {
    server: &'s S3,
    pub name: String,
}

impl Bucket<'_> {
    #[track_caller]
    fn order(&self, what: &str, key: &str) -> Value {
        self.server.order(&json!({ "do": what, "bucket": self.name, "key": key }))
    }

    /// Every object with its length.
    #[track_caller]
    pub fn list(&self) -> BTreeMap<String, u64> {
        serde_json::from_value(self.order("list", "")).expect("lengths by key")
    }

    /// The names of the objects that begin and end so.
    #[track_caller]
    pub fn keys(&self, beginning: &str, end: &str) -> Vec<String> {
        self.list().into_keys().filter(|key| key.starts_with(beginning) && key.ends_with(end)).collect()
    }

    /// An object's SHA-256 in hex.
    #[track_caller]
    pub fn sum(&self, key: &str) -> String {
        self.order("sum", key).as_str().expect("a sum").to_owned()
    }

    /// Flips a bit in the middle of an object.
    #[track_caller]
    pub fn damage(&self, key: &str) {
        self.order("damage", key);
    }

    #[track_caller]
    pub fn remove(&self, key: &str) {
        self.order("remove", key);
    }

    #[track_caller]
    pub fn put(&self, key: &str, text: &str) {
        self.server.order(&json!({ "do": "put", "bucket": self.name, "key": key, "text": text }));
    }

    /// Uploads by parts that were not ended, with the number of parts that are there.
    #[track_caller]
    pub fn uploads(&self) -> BTreeMap<String, u64> {
        serde_json::from_value(self.order("uploads", "")).expect("parts by key")
    }

    /// Says whether the bucket keeps what is overwritten.
    #[track_caller]
    pub fn keep_versions(&self, on: bool) {
        self.server.order(&json!({ "do": "versioning", "bucket": self.name, "on": on }));
    }
}
