//! Every word has both languages, and every word that a page, a message or a script asks for exists.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use workrun::web::words::Language;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// All files below `folder` whose names end in `.{extension}`.
fn files(folder: &Path, extension: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("a readable folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            found.extend(files(&path, extension));
        } else if path.extension().is_some_and(|ext| ext == extension) {
            found.push(path);
        }
    }
    found
}

/// The message keys of a language, with the file that has each, and the arguments that its text names.
fn messages(language: Language) -> BTreeMap<String, (String, BTreeSet<String>)> {
    let mut keys: BTreeMap<String, (String, BTreeSet<String>)> = BTreeMap::new();
    for path in files(&root().join("assets/locales").join(language.tag()), "ftl") {
        let name = path.file_name().expect("a name").to_string_lossy().into_owned();
        let mut last = String::new();
        for line in fs::read_to_string(&path).expect("a readable file").lines() {
            if let Some((key, _)) = line.split_once(" =").filter(|(key, _)| is_key(key)) {
                last = key.to_owned();
                let twice = keys.insert(last.clone(), (name.clone(), BTreeSet::new()));
                assert!(twice.is_none(), "{key} stands twice in {}", language.tag());
            }
            if let Some((_, arguments)) = keys.get_mut(&last).filter(|_| !line.starts_with('#')) {
                let named = line
                    .split('$')
                    .skip(1)
                    .map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric()).next().unwrap_or(""));
                arguments.extend(named.map(str::to_owned));
            }
        }
    }
    keys
}

/// Lower-case words joined by hyphens, at least two.
fn is_key(text: &str) -> bool {
    text.contains('-')
        && text.starts_with(|c: char| c.is_ascii_lowercase())
        && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// What stands in quotes right after each `opening`.
fn quoted_after<'t>(text: &'t str, opening: &'t str) -> impl Iterator<Item = &'t str> {
    text.split(opening).skip(1).filter_map(|rest| Some(rest.trim_start().strip_prefix('"')?.split_once('"')?.0))
}

/// The keys that templates, Rust and scripts ask for, with who asks.
fn asked() -> BTreeMap<String, String> {
    let mut asked = BTreeMap::new();
    let mut note = |path: &Path, key: &str| {
        if is_key(key) {
            asked.insert(key.to_owned(), path.strip_prefix(root()).unwrap_or(path).display().to_string());
        }
    };
    for path in files(&root().join("assets/templates"), "html") {
        let text = fs::read_to_string(&path).expect("a template");
        for call in [".t(", ".n(", ".with(", ".text(", ".fill("] {
            quoted_after(&text, call).for_each(|key| note(&path, key));
        }
    }
    for path in files(&root().join("src"), "rs") {
        let text = fs::read_to_string(&path).expect("a source file");
        for call in [
            "chrome.t(",
            "chrome.n(",
            "chrome.with(",
            "words.text(",
            "words.with(",
            "words.fill(",
            "words().text(",
            "sentence(words,",
            "=> \"shape-",
        ] {
            let prefix = if call.starts_with("=>") { "shape-" } else { "" };
            for key in if prefix.is_empty() {
                quoted_after(&text, call).collect::<Vec<_>>()
            } else {
                text.split(call).skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)).collect()
            } {
                note(&path, &format!("{prefix}{key}"));
            }
        }
    }
    for path in files(&root().join("assets/js"), "js") {
        let text = fs::read_to_string(&path).expect("a script");
        text.split('"').skip(1).step_by(2).filter(|quoted| quoted.starts_with("js-")).for_each(|key| note(&path, key));
    }
    asked
}

#[test]
fn both_languages_have_the_same_words() {
    let [japanese, english] = Language::ALL.map(messages);
    for (key, (file, arguments)) in &japanese {
        let (other_file, other_arguments) =
            english.get(key).unwrap_or_else(|| panic!("{key} of ja/{file} is not in en"));
        assert_eq!(file, other_file, "{key} stands in different files");
        assert_eq!(arguments, other_arguments, "{key} names different arguments");
    }
    for (key, (file, _)) in &english {
        assert!(japanese.contains_key(key), "{key} of en/{file} is not in ja");
    }
    assert!(japanese.len() > 100, "the files were found");
}

#[test]
fn what_is_asked_for_exists() {
    let asked = asked();
    assert!(asked.len() > 100, "the askers were found: {}", asked.len());
    for language in Language::ALL {
        for (key, who) in &asked {
            assert!(language.words().has(key), "{who} asks for {key}, which {} has not", language.tag());
        }
    }
}

#[test]
fn scripts_are_given_what_they_say() {
    let given = fs::read_to_string(root().join("src/web/view/mod.rs")).expect("the list of script words");
    for (key, who) in asked().iter().filter(|(_, who)| who.ends_with(".js")) {
        assert!(given.contains(&format!("\"{key}\"")), "{who} says {key}, which SCRIPT_WORDS leaves out");
    }
}
