//! Restoring: asking first, and the recovery key from a file, the environment or the keyboard.

use std::{env, fs, path::Path};

use serde_json::Value;
use zeroize::Zeroizing;

use super::{
    Bar, Engine, Output, RestoreWish,
    args::Restore,
    ask, from_here,
    keyboard::{ask_for_line, ask_for_secret, somebody},
    output::human,
};
use crate::{
    config::Config,
    control::{self, Failure, Request, SecretText},
};

/// The variable that may hold the recovery key.
const VARIABLE: &str = "WORKRUN_RECOVERY_KEY";

/// The recovery key of a file, where one is named: the line of it that is a key, as `age` reads it.
pub(super) fn recovery_key(file: Option<&Path>) -> Result<Option<SecretText>, Failure> {
    let Some(path) = file else {
        let given = env::var(VARIABLE).ok().filter(|text| !text.trim().is_empty());
        return Ok(given.map(|text| SecretText(text.trim().to_owned())));
    };
    let text = fs::read_to_string(path).map(Zeroizing::new).map_err(|error| {
        Failure::new(format!("the recovery key's file {}: {error}", path.display())).kept("nothing was changed")
    })?;
    let key = text.lines().map(str::trim).find(|line| !line.is_empty() && !line.starts_with('#'));
    let key = key.ok_or_else(|| Failure::new(format!("there is no key in {}", path.display())))?;
    Ok(Some(SecretText(key.to_owned())))
}

/// The recovery key as it is typed, or pasted with the comment that stands above it in its file.
fn typed_key() -> Option<SecretText> {
    let mut question = "The root key is not there. Recovery key (AGE-SECRET-KEY-1…): ";
    loop {
        let typed = ask_for_secret(question)?;
        match typed.trim() {
            "" => return None,
            comment if comment.starts_with('#') => question = "",
            key => return Some(SecretText(key.to_owned())),
        }
    }
}

fn confirmed(what: &str) -> Result<(), Failure> {
    if !somebody() {
        return Err(Failure::new("a restore replaces what is there, and there is nobody to ask")
            .kept("nothing was changed")
            .hint("look at it with --dry-run, then add --yes"));
    }
    let line = ask_for_line(&format!("{what}\nType yes to go on: "));
    if line.is_some_and(|line| line.trim().eq_ignore_ascii_case("yes")) {
        return Ok(());
    }
    Err(Failure::new("it was not confirmed").kept("nothing was changed"))
}

/// Restores everything.
pub(super) async fn everything(
    config: Config,
    restore: &Restore,
    output: Output,
    engine: &impl Engine,
) -> Result<(), Failure> {
    let mut bar = Bar::default();
    let running =
        control::ask(&config.data_dir, &Request::Status, |_| {}).await.map_err(|error| Failure::from(&error))?;
    if running.is_some() {
        return Err(Failure::new(format!("an appliance is running on {}", config.data_dir.display()))
            .kept("nothing was changed")
            .hint("stop it first; one organization is restored into a running one with --org"));
    }
    let mut recovery_key = recovery_key(restore.recovery_key_file.as_deref())?;
    if recovery_key.is_none() && somebody() && !restore.yes && config.root_key.is_missing() {
        recovery_key = typed_key();
    }
    let wish = RestoreWish {
        from: from_here(&restore.from),
        offsite: restore.offsite,
        recovery_key,
        dry_run: true,
        keep_tokens: restore.keep_tokens,
    };
    let plan = engine.restore(config.clone(), wish.clone(), &mut |progress| bar.show(progress)).await?;
    if restore.dry_run {
        output.print(|| plan_text(&plan), &plan);
        return Ok(());
    }
    let replaces =
        plan["organizations"].as_array().is_some_and(|rows| rows.iter().any(|row| row["becomes"] != "restored"));
    if replaces && !restore.yes {
        confirmed(&plan_text(&plan))?;
    }
    let wish = RestoreWish { dry_run: false, ..wish };
    let done = engine.restore(config, wish, &mut |progress| bar.show(progress)).await?;
    drop(bar);
    output.print(|| done_text(&done), &done);
    Ok(())
}

/// Shows what a restore of one organization would change, and asks.
pub(super) async fn confirm_organization(
    config: &Config,
    restore: &Restore,
    request: &Request,
    engine: &impl Engine,
) -> Result<(), Failure> {
    let Request::RestoreOrganization { dry_run: false, .. } = request else { return Ok(()) };
    if restore.yes {
        return Ok(());
    }
    let mut look = request.clone();
    if let Request::RestoreOrganization { dry_run, .. } = &mut look {
        *dry_run = true;
    }
    let mut plan = ask(config.clone(), &look, engine).await?;
    // What is asked about is the real thing.
    if let Some(plan) = plan.as_object_mut() {
        plan.remove("dry_run");
    }
    confirmed(&human(&look, &plan))
}

fn plan_text(plan: &Value) -> String {
    let generation = plan["generation"].as_str().unwrap_or_default();
    let table = human(&Request::Snapshots { offsite: false }, &serde_json::json!({ "items": plan["organizations"] }));
    format!("Generation {generation} would make it so:\n{table}")
}

fn done_text(done: &Value) -> String {
    let text = |name: &str| done[name].as_str().unwrap_or_default().to_owned();
    let mut said = format!(
        "Restored {}: {} of {} records, in {:.1} s.\n",
        text("generation"),
        done["records_restored"],
        done["records_expected"],
        done["seconds"].as_f64().unwrap_or_default()
    );
    if let Some(previous) = done["previous"].as_str() {
        said.push_str(&format!("The data before it is kept in {previous}; delete it when all is well.\n"));
    }
    for note in done["notes"].as_array().into_iter().flatten().filter_map(Value::as_str) {
        said.push_str(&format!("Note: {note}.\n"));
    }
    said.push_str(&format!("Start the appliance, then sign in once, within 24 hours, by\n  {}\n", text("url")));
    said
}
