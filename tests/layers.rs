//! The walls between the rooms, read off the source: who may name whom, who may know a library, how long a file may be,
//! and that the documents list what there is.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// The rooms, from the ground up, and the rooms that each may name. A room may be named only by rooms further down the
/// list, but for the pairs that [`BACK`] explains.
const ROOMS: &[(&str, &[&str])] = &[
    ("limits", &[]),
    ("clock", &[]),
    ("ids", &["clock"]),
    ("text", &["ids", "limits"]),
    ("seal", &["clock", "ids"]),
    ("store", &["clock", "ids", "limits", "seal", "text"]),
    ("config", &["text"]),
    ("logging", &["clock", "config"]),
    ("systemd", &["config"]),
    ("people", &["clock", "ids", "limits", "mail", "store", "text"]),
    ("work", &["clock", "ids", "limits", "people", "store", "text"]),
    ("hooks", &["clock", "ids", "limits", "people", "store", "text", "work"]),
    ("mail", &["clock", "config", "ids", "limits", "people", "store", "text", "web"]),
    ("trail", &["clock", "ids", "seal", "store"]),
    ("backup", &["clock", "config", "hooks", "ids", "mail", "people", "seal", "store", "work"]),
    ("tls", &["clock"]),
    (
        "web",
        &[
            "backup", "clock", "config", "hooks", "ids", "limits", "mail", "people", "store", "text", "tls", "trail",
            "work",
        ],
    ),
    ("control", &[]),
    ("cli", &["clock", "config", "control", "logging", "seal"]),
];

/// What puts the parts together, and so may name every room.
const ASSEMBLY: [&str; 3] = ["appliance", "lib", "main"];

/// Pairs in which a room names one that stands after it, and the only names that it may take from there.
const BACK: &[(&str, &str, &[&str], &str)] = &[
    (
        "people",
        "mail",
        &["self", "MailKind"],
        "an invitation and its mail are one transaction: the outbox is a table of the same store",
    ),
    ("mail", "web", &["words"], "mail and pages speak from the same locale files"),
];

/// Libraries that one room knows so that no other has to: how their paths begin, and under which folders or files.
const LIBRARIES: &[(&[&str], &[&str])] = &[
    (&["redb"], &["src/store/"]),
    (&["chacha20", "age", "hkdf"], &["src/seal/"]),
    (&["ring::aead"], &["src/seal/"]),
    (&["poem", "poem_openapi"], &["src/web/", "src/tls/", "src/appliance.rs", "src/appliance/"]),
    (&["askama", "rust_embed", "fluent_bundle"], &["src/web/"]),
    (&["rcgen", "rustls_acme", "x509_parser"], &["src/tls/"]),
    // The certificate of an S3 server is checked as those of clients of ours are.
    (&["tokio_rustls"], &["src/tls/", "src/backup/offsite/http.rs"]),
    (&["object_store", "hyper", "hyper_util", "md5"], &["src/backup/offsite/"]),
    (&["clap"], &["src/cli/"]),
    (&["ammonia", "pulldown_cmark"], &["src/text/"]),
    // lettre's parser of addresses is the one by which mail will be sent, so it is also the one that accepts them.
    (&["lettre"], &["src/mail/", "src/config/", "src/text/mail_address.rs"]),
];

/// What no room that decides may name: they are told the time, and own no socket, file or process.
const NOT_FOR_DOMAIN: [&str; 10] = [
    "poem",
    "redb",
    "SystemTime",
    "Instant",
    "std::fs",
    "std::net",
    "std::process",
    "tokio::fs",
    "tokio::net",
    "tokio::time",
];
const DOMAIN: [&str; 4] = ["src/work/", "src/people/", "src/hooks/", "src/text/"];

const LINES_MAX: usize = 600;
/// Files that may be longer, and why.
const LONG_FILES: &[(&str, &str)] =
    &[("src/web/view/rooms_preview.rs", "sample data for every page around the boards, one page after another")];

/// Where a panic may stand outside tests, and why it cannot be met.
const PANICS: &[(&str, &str)] = &[
    ("src/ids.rs", "without the operating system's randomness nothing here is safe to do"),
    ("src/seal/aead.rs", "lengths that the types fix"),
    ("src/seal/keys.rs", "lengths that the types fix"),
    ("src/seal/stream.rs", "lengths that the types fix"),
    ("src/seal/keyring_content.rs", "encoding into memory"),
    ("src/seal/keyring_file.rs", "the file's size is limited before"),
    ("src/seal/recovery.rs", "encrypting into memory"),
    ("src/store/backend/disk.rs", "an offset inside a buffer"),
    ("src/work/board.rs", "a board is made with a status and keeps its last one"),
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &str) -> String {
    fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// All Rust files below a folder, by their path from the repository's root.
fn rust_files(folder: &Path, found: &mut BTreeMap<String, String>) {
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            rust_files(&path, found);
        } else if path.extension().is_some_and(|ext| ext == "rs") {
            let text = fs::read_to_string(&path).expect("a readable file");
            let name = path.strip_prefix(root()).expect("below the root").to_string_lossy().into_owned();
            found.insert(name, text);
        }
    }
}

/// The source as the walls see it: files of the product by path, without comments, without tests.
fn product() -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    rust_files(&root().join("src"), &mut all);
    let (mut bare, mut tests) = (BTreeMap::new(), BTreeSet::new());
    for (path, text) in &all {
        let code = without_comments(text);
        tests.extend(test_files(path, &code));
        bare.insert(path.clone(), without_tests(&code));
    }
    for test in &tests {
        assert!(
            bare.keys().any(|path| path.starts_with(test.trim_end_matches(".rs"))),
            "{test} is declared for tests and was not found"
        );
    }
    bare.retain(|path, _| {
        !tests.iter().any(|test| path == test || path.starts_with(&format!("{}/", test.trim_end_matches(".rs"))))
    });
    assert!(bare.len() > 60, "the source was found: {} files", bare.len());
    bare
}

/// Rust without its comments; what stands in quotes is kept, and so is the number of lines.
fn without_comments(text: &str) -> String {
    let mut code = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        let taken = if rest.starts_with("//") {
            let end = rest.find('\n').unwrap_or(rest.len());
            rest = &rest[end..];
            continue;
        } else if rest.starts_with("/*") {
            let (mut depth, mut end) = (0_usize, 0);
            while end < rest.len() {
                if rest[end..].starts_with("/*") {
                    (depth, end) = (depth + 1, end + 2);
                } else if rest[end..].starts_with("*/") {
                    (depth, end) = (depth - 1, end + 2);
                    if depth == 0 {
                        break;
                    }
                } else {
                    end += rest[end..].chars().next().map_or(1, char::len_utf8);
                }
            }
            code.extend(rest[..end].chars().filter(|c| *c == '\n'));
            rest = &rest[end..];
            continue;
        } else if let Some(raw) = raw_text(rest) {
            raw
        } else if first == '"' {
            plain_text(rest)
        } else if let Some(letter) = letter(rest) {
            letter
        } else {
            // A whole word at once, so that the r of `for "…"` begins no raw text.
            rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len()).max(first.len_utf8())
        };
        code.push_str(&rest[..taken]);
        rest = &rest[taken..];
    }
    code
}

/// The length of `r"…"`, `r#"…"#`, `br"…"` at the front.
fn raw_text(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    let body = after[hashes..].strip_prefix('"')?;
    let close = format!("\"{}", "#".repeat(hashes));
    let end = body.find(&close).map_or(body.len(), |at| at + close.len());
    Some(rest.len() - body.len() + end)
}

/// The length of `"…"` at the front.
fn plain_text(rest: &str) -> usize {
    let mut escaped = true;
    for (at, c) in rest.char_indices() {
        match c {
            '"' if !escaped => return at + 1,
            '\\' if !escaped => escaped = true,
            _ => escaped = false,
        }
    }
    rest.len()
}

/// The length of `'x'` or `'\…'` at the front; `None` for a lifetime.
fn letter(rest: &str) -> Option<usize> {
    let body = rest.strip_prefix('\'')?;
    if body.starts_with('\\') {
        return Some(1 + 2 + body[2..].find('\'')? + 1);
    }
    let first = body.chars().next()?.len_utf8();
    body[first..].starts_with('\'').then_some(1 + first + 1)
}

/// Files that are declared for tests only, by `#[cfg(test)] mod name;`, with or without a path of their own.
fn test_files(path: &str, code: &str) -> Vec<String> {
    let folder = Path::new(path).parent().expect("a folder");
    let stem = Path::new(path).file_stem().expect("a name").to_string_lossy().into_owned();
    let children = if stem == "mod" || stem == "lib" || stem == "main" { folder.to_owned() } else { folder.join(stem) };
    let mut found = Vec::new();
    for after in code.split("#[cfg(test)]").skip(1) {
        let mut after = after.trim_start();
        let mut named = None;
        if let Some(attribute) = after.strip_prefix("#[path = \"") {
            let (file, rest) = attribute.split_once("\"]").expect("a path's end");
            (named, after) = (Some(folder.join(file)), rest.trim_start());
        }
        let after = after.trim_start_matches("pub(crate) ").trim_start_matches("pub ");
        let Some(module) = after.strip_prefix("mod ") else { continue };
        let name = module.split(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default();
        if module[name.len()..].trim_start().starts_with(';') {
            let file = named.unwrap_or_else(|| children.join(format!("{name}.rs")));
            found.push(file.to_string_lossy().into_owned());
        }
    }
    found
}

/// The code without what is declared for tests only at the file's top level: modules, functions, imports.
fn without_tests(code: &str) -> String {
    let mut kept = String::with_capacity(code.len());
    let mut rest = code;
    while let Some(at) = rest.find("\n#[cfg(test)]\n") {
        kept.push_str(&rest[..=at]);
        let item = &rest[at + 1..];
        let block = item.find("\n}").map_or(item.len(), |end| end + 2);
        let end = match item.find(";\n") {
            Some(end) if !item[..end].contains("{\n") => end + 1,
            _ => block,
        };
        rest = &item[end..];
    }
    kept + rest
}

/// Whether `code` names `path` as a path's beginning: `redb::…`, `use redb;`, but not `my_redb::` nor `x.redb`.
fn names(code: &str, path: &str) -> bool {
    code.match_indices(path).any(|(at, _)| {
        let before = code[..at].chars().next_back();
        let after = &code[at + path.len()..];
        let begins = before.is_none_or(|c| !(c.is_alphanumeric() || c == '_' || c == '.' || c == ':' || c == '"'));
        let used = code[..at].ends_with("use ") && after.starts_with([';', ' ']);
        let type_name =
            path.starts_with(char::is_uppercase) && !after.starts_with(|c: char| c.is_alphanumeric() || c == '_');
        (begins && (after.starts_with("::") || used))
            || (type_name && !before.is_some_and(|c| c.is_alphanumeric() || c == '_'))
    })
}

/// What follows each `crate::` in the code, as far as the second name: `store::Txn`, `limits`.
fn crate_paths(code: &str) -> BTreeSet<(String, String)> {
    let mut found = BTreeSet::new();
    for (at, word) in code.match_indices("crate::") {
        if !code[..at].ends_with(|c: char| c.is_alphanumeric() || c == '_') {
            heads(&code[at + word.len()..], &mut |head, rest| {
                let mut seconds = Vec::new();
                if let Some(rest) = rest.strip_prefix("::") {
                    heads(rest, &mut |second, _| seconds.push(second.to_owned()));
                }
                if seconds.is_empty() {
                    seconds.push(String::new());
                }
                found.extend(seconds.into_iter().map(|second| (head.to_owned(), second)));
            });
        }
    }
    found
}

/// The names at the front of a path or of a `{…}` group of paths, each with what follows it.
fn heads<'c>(rest: &'c str, visit: &mut dyn FnMut(&'c str, &'c str)) {
    let one = |text: &'c str, visit: &mut dyn FnMut(&'c str, &'c str)| {
        let text = text.trim_start();
        let end = text.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(text.len());
        if end > 0 {
            visit(&text[..end], &text[end..]);
        }
    };
    let Some(group) = rest.trim_start().strip_prefix('{') else { return one(rest, visit) };
    let (mut depth, mut start) = (0_usize, 0);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => return one(&group[start..at], visit),
            '}' => depth -= 1,
            ',' if depth == 0 => {
                one(&group[start..at], visit);
                start = at + 1;
            }
            _ => {}
        }
    }
}

/// What stands in backquotes at the front of the rows of every table that begins with `head`.
fn first_column(document: &str, head: &str) -> BTreeSet<String> {
    let mut within = false;
    let mut found = BTreeSet::new();
    for line in document.lines() {
        within = line.starts_with('|') && (within || line.starts_with(head));
        if within && let Some((name, _)) = line.strip_prefix("| `").and_then(|rest| rest.split_once('`')) {
            found.insert(name.to_owned());
        }
    }
    found
}

fn room_of(path: &str) -> String {
    let inside = path.strip_prefix("src/").expect("a source file");
    inside.split('/').next().unwrap_or_default().trim_end_matches(".rs").to_owned()
}

#[test]
fn rooms_name_only_the_rooms_below_them() {
    let place = |room: &str| ROOMS.iter().position(|(known, _)| *known == room);
    for (index, (room, named)) in ROOMS.iter().enumerate() {
        for other in *named {
            let below = place(other).unwrap_or_else(|| panic!("{room} may name {other}, which is no room")) < index;
            let explained = BACK.iter().any(|(from, to, _, _)| (from, to) == (room, other));
            assert!(below || explained, "{room} names {other}, which stands after it: say why in BACK");
        }
    }
    let mut complaints = Vec::new();
    let mut seen = BTreeSet::new();
    for (path, code) in product() {
        let room = room_of(&path);
        if ASSEMBLY.contains(&room.as_str()) {
            continue;
        }
        let Some(at) = place(&room) else {
            complaints.push(format!("{path}: the room `{room}` is not in this test's list"));
            continue;
        };
        for (other, item) in crate_paths(&code) {
            if other == room || place(&other).is_none() && !ASSEMBLY.contains(&other.as_str()) {
                continue;
            }
            seen.insert((room.clone(), other.clone()));
            if !ROOMS[at].1.contains(&other.as_str()) {
                complaints.push(format!("{path}: `{room}` names `{other}`"));
            }
            for (from, to, items, why) in BACK {
                if (*from, *to) == (room.as_str(), other.as_str()) && !items.contains(&item.as_str()) {
                    complaints
                        .push(format!("{path}: `{room}` may take only {items:?} from `{other}`, not `{item}` ({why})"));
                }
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(seen.contains(&("work".into(), "store".into())) && seen.len() > 30, "the names were found: {seen:?}");
}

#[test]
fn each_library_is_known_to_its_room_alone() {
    let product = product();
    let mut complaints = Vec::new();
    for (libraries, rooms) in LIBRARIES {
        for library in *libraries {
            let users: Vec<&String> =
                product.iter().filter(|(_, code)| names(code, library)).map(|(path, _)| path).collect();
            assert!(!users.is_empty(), "nobody uses {library}: take it out of this test");
            complaints.extend(
                users
                    .into_iter()
                    .filter(|path| !rooms.iter().any(|room| path.starts_with(room)))
                    .map(|path| format!("{path} names {library}, which only {rooms:?} may know")),
            );
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn rooms_that_decide_know_neither_time_nor_disk_nor_network() {
    let mut complaints = Vec::new();
    for (path, code) in product().iter().filter(|(path, _)| DOMAIN.iter().any(|room| path.starts_with(room))) {
        complaints.extend(
            NOT_FOR_DOMAIN.into_iter().filter(|name| names(code, name)).map(|name| format!("{path} names {name}")),
        );
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn files_stay_short() {
    let mut all = BTreeMap::new();
    rust_files(&root().join("src"), &mut all);
    for (path, text) in &all {
        let lines = text.lines().count();
        let excused = LONG_FILES.iter().any(|(known, _)| known == path);
        assert!(lines <= LINES_MAX || excused, "{path} has {lines} lines: make two of it, or give the reason here");
        assert!(lines > LINES_MAX || !excused, "{path} is short enough by now: take it off the list");
    }
}

#[test]
fn nothing_panics_on_what_it_is_given() {
    let product = product();
    let mut panicking = BTreeSet::new();
    for (path, code) in &product {
        for (number, line) in code.lines().enumerate() {
            assert!(
                ![".unwrap()", "todo!(", "unimplemented!(", "dbg!("].iter().any(|word| line.contains(word)),
                "{path}:{}: {}",
                number + 1,
                line.trim()
            );
            if [".expect(", "panic!(", "unreachable!("].iter().any(|word| line.contains(word)) {
                assert!(
                    PANICS.iter().any(|(known, _)| known == path),
                    "{path}:{}: what if it is met? {}",
                    number + 1,
                    line.trim()
                );
                panicking.insert(path.as_str());
            }
        }
    }
    for (known, _) in PANICS {
        assert!(panicking.contains(known), "{known} cannot panic any more: take it off the list");
    }
}

#[test]
fn every_table_is_in_the_document() {
    let document = read("docs/data.md");
    let (mut names, mut complaints) = (BTreeSet::new(), Vec::new());
    for (path, code) in product() {
        let made = ["Table::new(\"", "Table::counter(\""].into_iter().flat_map(|made| code.split(made).skip(1));
        for rest in made {
            let name = rest.split('"').next().unwrap_or_default();
            if !document.contains(&format!("`{name}`")) {
                complaints.push(format!("the table `{name}` of {path} is not in docs/data.md"));
            }
            // What an older schema kept under the same name is read by a migration.
            let older = path.ends_with("/v1.rs");
            assert!(names.insert(name.to_owned()) || older, "{path}: the name `{name}` is given to two tables");
        }
    }
    // What was taken out of the code goes out of the document too.
    for listed in first_column(&document, "| table |") {
        if !names.contains(&listed) {
            complaints.push(format!("docs/data.md lists `{listed}`, and there is no such table"));
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(names.len() > 20, "the tables were found: {names:?}");
}

#[test]
fn every_dependency_has_its_reason() {
    let (manifest, product) = (read("Cargo.toml"), product());
    let listed = first_column(&read("docs/dependencies.md"), "| crate |");
    let (mut section, mut named, mut complaints) = (String::new(), BTreeSet::new(), Vec::new());
    for line in manifest.lines() {
        if let Some(header) = line.strip_prefix('[') {
            section = header.trim_end_matches(']').to_owned();
        } else if section.ends_with("dependencies")
            && let Some((name, _)) = line.split_once('=')
        {
            let name = name.trim();
            if !listed.contains(name) {
                complaints.push(format!("`{name}` of [{section}] is not in docs/dependencies.md"));
            }
            let path = name.replace('-', "_");
            if section == "dependencies"
                && !product.values().any(|code| names(code, &path) || code.contains(&format!("{path}::")))
            {
                complaints.push(format!("nobody uses `{name}`: take it out of Cargo.toml"));
            }
            named.insert(name.to_owned());
        }
    }
    for gone in listed.difference(&named) {
        complaints.push(format!("docs/dependencies.md lists `{gone}`, which is not in Cargo.toml"));
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
    assert!(named.len() > 40, "the dependencies were found: {named:?}");
}

/// Every document of the repository.
fn documents(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        if path.is_dir() && !name.starts_with('.') && !["target", "node_modules"].contains(&name.as_str()) {
            found.extend(documents(&path));
        } else if name.ends_with(".md") {
            found.push(path);
        }
    }
    found
}

#[test]
fn every_document_that_is_pointed_at_exists() {
    let mut texts = BTreeMap::new();
    rust_files(&root().join("src"), &mut texts);
    for path in ["README.md", "README.ja.md", "CHANGELOG.md"] {
        texts.insert(path.to_owned(), read(path));
    }
    let mut complaints = Vec::new();
    for (path, text) in &texts {
        for (at, _) in text.match_indices("docs/") {
            if text[..at].ends_with(|c: char| c.is_alphanumeric() || "/._-".contains(c)) {
                continue;
            }
            let end = text[at..].find(|c: char| !(c.is_ascii_alphanumeric() || "/._-".contains(c)));
            let target = text[at..end.map_or(text.len(), |end| at + end)].trim_end_matches(['.', '/']);
            if !root().join(target).exists() {
                complaints.push(format!("{path} points at {target}, which does not exist"));
            }
        }
    }
    for path in documents(&root()) {
        let folder = path.parent().expect("a folder");
        for link in fs::read_to_string(&path).expect("a document").split("](").skip(1) {
            let target = link.split([')', '#', ' ']).next().unwrap_or_default();
            let outside = target.is_empty() || target.contains("://") || target.starts_with("mailto:");
            if !outside && !folder.join(target).exists() {
                complaints.push(format!("{} links to {target}, which does not exist", path.display()));
            }
        }
    }
    assert!(complaints.is_empty(), "{}", complaints.join("\n"));
}

#[test]
fn the_scanner_sees_code_and_only_code() {
    let text = "let a = \"// no comment redb::x\"; // redb::Comment\n/* redb::Block /* nested */ */ let b = '\"'; redb::Code;\nlet c = r#\"a \" // b\"#; let d: &'static str = \"\\\" // e\"; for x in y {}";
    let code = without_comments(text);
    assert!(
        code.contains("// no comment")
            && code.contains("redb::Code")
            && code.contains("// b\"#")
            && code.contains("// e")
    );
    assert!(!code.contains("Comment") && !code.contains("Block") && code.contains("for x in y {}"));
    assert!(names("use redb::Table;", "redb") && names("(redb::Error)", "redb") && names("use redb;", "redb"));
    assert!(!names("message::age", "age") && !names("my_age::x", "age") && !names("self.age::<u8>()", "age"));
    assert!(names("let x: SystemTime = y;", "SystemTime") && !names("MySystemTime", "SystemTime"));
    let paths =
        crate_paths("use crate::{clock::Timestamp, store::{Txn, history::{self, Actor}}, limits}; crate::ids::fresh()");
    let expected = [("clock", "Timestamp"), ("ids", "fresh"), ("limits", ""), ("store", "Txn"), ("store", "history")];
    assert_eq!(paths, expected.map(|(room, item)| (room.to_owned(), item.to_owned())).into());
    assert_eq!(test_files("src/a/b.rs", "#[cfg(test)]\n#[path = \"b_tests.rs\"]\nmod tests;"), ["src/a/b_tests.rs"]);
    let text = "a\n#[cfg(test)]\nmod tests;\nb\n\n#[cfg(test)]\nmod more {\n    c;\n}\nd";
    assert_eq!(without_tests(text).split_whitespace().collect::<String>(), "abd");
    assert_eq!(test_files("src/a/mod.rs", "#[cfg(test)]\nmod tests;"), ["src/a/tests.rs"]);
}
