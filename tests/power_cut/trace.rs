//! What a process did to its files, read from the log of `strace -f -y -xx`: every call that changes files or names, with
//! its bytes, in order.

use std::{collections::HashMap, fs, os::unix::ffi::OsStringExt as _, path::PathBuf, sync::Arc};

/// The calls that are recorded.
pub const CALLS: &str = "openat,close,pwrite64,write,writev,ftruncate,fallocate,fsync,fdatasync,rename,renameat,renameat2,\
                         link,linkat,unlink,unlinkat,mkdir,mkdirat";

/// A file while it is open, whatever its name: counted from the first one that is opened.
pub type Handle = usize;

#[derive(Clone, Debug)]
pub enum Op {
    /// A file is opened, and made or emptied if it says so.
    Open {
        handle: Handle,
        path: PathBuf,
        create: bool,
        truncate: bool,
    },
    Write {
        handle: Handle,
        /// `None` for the place where the last such write ended.
        offset: Option<u64>,
        bytes: Arc<[u8]>,
    },
    SetLen {
        handle: Handle,
        len: u64,
        /// Growth only: a shorter length changes nothing.
        grow: bool,
    },
    /// What was written before is on the disk; for a folder, what was named in it.
    Sync {
        handle: Handle,
    },
    Rename {
        from: PathBuf,
        to: PathBuf,
    },
    Link {
        from: PathBuf,
        to: PathBuf,
    },
    Unlink(PathBuf),
    MakeFolder(PathBuf),
}

/// A call as it is written down: its name, its arguments, and what it returned.
struct Call<'l> {
    name: &'l str,
    arguments: &'l str,
    result: &'l str,
}

/// Reads a log; `bounds` are lengths of the log in bytes. Returns the operations, and how many of them each bound holds.
///
/// A call that another thread's call interrupts counts from where it ended if it is a sync, and from where it began if it
/// is anything else: a write may be on the disk before it returns, a sync promises nothing before.
pub fn read(log: &[u8], bounds: &[usize]) -> (Vec<Op>, Vec<usize>) {
    let mut reader = Reader::default();
    let (mut offset, mut reached, mut next) = (0, Vec::new(), bounds.iter().peekable());
    for line in log.split_inclusive(|byte| *byte == b'\n') {
        while next.next_if(|bound| **bound <= offset).is_some() {
            reached.push(reader.ops.len());
        }
        offset += line.len();
        reader.line(std::str::from_utf8(line).expect("a log in ASCII").trim_end());
    }
    reached.extend(next.map(|_| reader.ops.len()));
    (reader.ops, reached)
}

#[derive(Default)]
struct Reader {
    ops: Vec<Op>,
    /// Calls that were begun and not ended, by thread.
    begun: HashMap<String, String>,
    handles: HashMap<i64, Handle>,
    opened: usize,
}

impl Reader {
    fn line(&mut self, line: &str) {
        let Some((thread, rest)) = line.split_once(' ') else { return };
        let rest = rest.trim_start();
        if let Some(begun) = rest.strip_suffix("<unfinished ...>") {
            if !is_sync_or_open(begun) {
                // Its result is not known yet; a call that fails changes nothing, and none is seen to fail here.
                self.call(&format!("{begun}) = 0"));
            }
            self.begun.insert(thread.to_owned(), begun.to_owned());
        } else if let Some(ended) = rest.strip_prefix("<... ") {
            let begun = self.begun.remove(thread).unwrap_or_default();
            let Some((_, ended)) = ended.split_once(" resumed>") else { return };
            if is_sync_or_open(&begun) {
                self.call(&format!("{begun}{ended}"));
            }
        } else {
            self.call(rest);
        }
    }

    fn call(&mut self, text: &str) {
        let Some(call) = parse(text) else { return };
        if call.result.starts_with('-') {
            return;
        }
        let arguments = split(call.arguments);
        let argument = |at: usize| arguments.get(at).copied().unwrap_or_default();
        let mut paths: Vec<PathBuf> =
            arguments.iter().filter(|text| text.starts_with('"')).map(|text| path(text)).collect();
        // A name in an open folder.
        if let (Some(first), Some(folder)) = (paths.first_mut(), folder_of(argument(0)))
            && first.is_relative()
        {
            *first = folder.join(&*first);
        }
        match call.name {
            "openat" => {
                let flags = argument(2);
                let Some(descriptor) = descriptor(call.result) else { return };
                self.opened += 1;
                self.handles.insert(descriptor, self.opened);
                let (create, truncate) = (flags.contains("O_CREAT"), flags.contains("O_TRUNC"));
                self.ops.push(Op::Open { handle: self.opened, path: paths[0].clone(), create, truncate });
            }
            "close" => {
                if let Some(descriptor) = descriptor(argument(0)) {
                    self.handles.remove(&descriptor);
                }
            }
            "rename" | "renameat" | "renameat2" => {
                self.ops.push(Op::Rename { from: paths[0].clone(), to: paths[1].clone() });
            }
            "link" | "linkat" => self.ops.push(Op::Link { from: paths[0].clone(), to: paths[1].clone() }),
            "unlink" | "unlinkat" => self.ops.push(Op::Unlink(paths[0].clone())),
            "mkdir" | "mkdirat" => self.ops.push(Op::MakeFolder(paths[0].clone())),
            name => {
                // Sockets and pipes are not opened by name.
                let Some(handle) = descriptor(argument(0)).and_then(|number| self.handles.get(&number).copied()) else {
                    return;
                };
                let number = |text: &str| text.parse().expect("a number");
                self.ops.push(match name {
                    "pwrite64" => {
                        let offset = Some(number(argument(3)));
                        Op::Write { handle, offset, bytes: bytes(argument(1)).into() }
                    }
                    "write" => Op::Write { handle, offset: None, bytes: bytes(argument(1)).into() },
                    "ftruncate" => Op::SetLen { handle, len: number(argument(1)), grow: false },
                    "fallocate" => {
                        assert_eq!(argument(1), "0", "space is only allocated");
                        Op::SetLen { handle, len: number(argument(2)) + number(argument(3)), grow: true }
                    }
                    "fsync" | "fdatasync" => Op::Sync { handle },
                    other => panic!("{other} on a file is not understood"),
                });
            }
        }
    }
}

/// What a sync or an opening does is done when it ends. All else is when it begins: by the time that a `close` is seen to end, another
/// thread may have opened a file under its number.
fn is_sync_or_open(call: &str) -> bool {
    ["fsync(", "fdatasync(", "openat("].iter().any(|name| call.starts_with(name))
}

fn parse(text: &str) -> Option<Call<'_>> {
    let (name, rest) = text.split_once('(')?;
    let (arguments, result) = rest.rsplit_once(" = ")?;
    let arguments = arguments.trim_end().strip_suffix(')')?;
    name.bytes().all(|byte| byte.is_ascii_alphanumeric()).then_some(Call { name, arguments, result })
}

/// The arguments, apart. Texts are in hexadecimal, so no comma stands inside one.
fn split(arguments: &str) -> Vec<&str> {
    arguments.split(", ").map(str::trim).collect()
}

/// `3</a/path>`, or `3`.
fn descriptor(text: &str) -> Option<i64> {
    text.split('<').next()?.trim().parse().ok()
}

/// The path in `3</a/path>`, whose characters may be in hexadecimal.
fn folder_of(text: &str) -> Option<PathBuf> {
    let inner = text.split_once('<')?.1.strip_suffix('>')?;
    if inner.starts_with("\\x") { Some(path(&format!("\"{inner}\""))) } else { Some(inner.into()) }
}

/// `"\x2f\x74"`
fn bytes(text: &str) -> Vec<u8> {
    let inner = text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).expect("a text that was not cut off");
    let digits = inner.as_bytes().chunks_exact(4);
    let digit = |byte: u8| char::from(byte).to_digit(16).expect("a hexadecimal digit") as u8;
    digits.map(|quad| digit(quad[2]) << 4 | digit(quad[3])).collect()
}

fn path(text: &str) -> PathBuf {
    std::ffi::OsString::from_vec(bytes(text)).into()
}

/// The length of a log that is being written.
pub fn length(log: &std::path::Path) -> usize {
    fs::metadata(log).map_or(0, |metadata| usize::try_from(metadata.len()).expect("a log fits"))
}
