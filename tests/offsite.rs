//! The off-site copy as an administrator meets it: against a real S3 server that checks signatures, behind a line that can
//! be cut.

mod harness;

use std::{
    fs,
    os::unix::fs::PermissionsExt as _,
    process::{Command, Output},
};

use harness::{Api, Appliance, Bucket, S3, Setup, until};
use serde_json::{Value, json};

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn pair(name: &str, value: impl Into<String>) -> (String, String) {
    (name.to_owned(), value.into())
}

/// What an appliance is told of a bucket, but for the credentials.
fn place(server: &S3, bucket: &Bucket<'_>) -> Vec<(String, String)> {
    vec![
        pair("WORKRUN_OFFSITE_URL", format!("s3://{}/kept/here", bucket.name)),
        pair("WORKRUN_OFFSITE_ENDPOINT", server.endpoint()),
        pair("WORKRUN_OFFSITE_REGION", "ap-northeast-1"),
    ]
}

/// The same with credentials in the environment.
fn settings(server: &S3, bucket: &Bucket<'_>) -> Vec<(String, String)> {
    let mut settings = place(server, bucket);
    settings.push(pair("AWS_ACCESS_KEY_ID", &server.id));
    settings.push(pair("AWS_SECRET_ACCESS_KEY", &server.secret));
    settings
}

fn start(settings: Vec<(String, String)>) -> Appliance {
    Appliance::with(Setup { settings, ..Setup::default() })
}

/// Takes a generation, and waits until it is off-site.
#[track_caller]
fn snapshot(appliance: &Appliance) -> String {
    let name = taken(appliance);
    arrived(appliance, &name);
    name
}

#[track_caller]
fn taken(appliance: &Appliance) -> String {
    appliance.command(&["snapshot"])["generation"].as_str().expect("a name").to_owned()
}

fn state(appliance: &Appliance, name: &str) -> String {
    let listed = appliance.command(&["snapshots"]);
    let rows = listed["items"].as_array().expect("rows");
    let row = rows.iter().find(|row| row["generation"] == *name).expect("the generation's row");
    row["offsite"].as_str().expect("a state").to_owned()
}

#[track_caller]
fn arrived(appliance: &Appliance, name: &str) {
    until(&format!("{name} to be off-site"), || (state(appliance, name) == "there").then_some(()));
}

fn has_alert(appliance: &Appliance, name: &str) -> bool {
    appliance.status()["alerts"].as_array().expect("alerts").iter().any(|alert| alert == name)
}

/// Has the copy tried at once.
fn again(appliance: &Appliance) {
    appliance.operator("root@example.test").post("/console/offsite", &[]).expect(303);
}

/// An organization with a board of three cards.
struct Shop {
    org: String,
    board: String,
    api: Api,
}

impl Shop {
    fn open(appliance: &Appliance, name: &str, owner: &str) -> Self {
        let org = appliance.found(name, owner);
        let api = appliance.api(&org, "owner");
        let made = api.board("依頼", &["新規", "完了"], &[]);
        let shop = Self { org, board: made["id"].as_str().expect("an id").to_owned(), api };
        for title in ["一", "二", "三"] {
            shop.add(title);
        }
        shop
    }

    fn add(&self, title: &str) {
        self.api.post(&format!("boards/{}/cards", self.board), &json!({ "title": title })).expect(201);
    }

    /// Deliveries of a mebibyte each that no compression makes small.
    fn fill(&self, appliance: &Appliance, count: u64) {
        let hook = json!({ "name": "大きな", "scheme": "secret-url" });
        let made = self.api.post(&format!("boards/{}/hooks", self.board), &hook).expect(201).json();
        let url = made["url"].as_str().expect("an address");
        for seed in 0..count {
            let mut state = 0x9e37_79b9_7f4a_7c15_u64 ^ (seed + 1);
            let noise: String = (0..900_000)
                .map(|_| {
                    state ^= state << 13;
                    state ^= state >> 7;
                    state ^= state << 17;
                    char::from(b'!' + u8::try_from(state % 90).expect("a byte"))
                })
                .filter(|char| !matches!(char, '"' | '\\'))
                .collect();
            let body = format!("{{\"title\":\"荷物\",\"noise\":\"{noise}\"}}");
            let answer = appliance.deliver(url, &[("content-type", "application/json")], body.as_bytes());
            answer.expect(200);
        }
    }
}

fn titles(api: &Api, board: &str) -> Vec<String> {
    let mut titles: Vec<String> = api
        .all(&format!("boards/{board}/cards"), 100)
        .into_iter()
        .map(|card| card["title"].as_str().expect("a title").to_owned())
        .collect();
    titles.sort();
    titles
}

fn segments(bucket: &Bucket<'_>) -> Vec<String> {
    bucket.keys("kept/here/segments/", ".seg")
}

fn manifests(bucket: &Bucket<'_>) -> Vec<String> {
    bucket.keys("kept/here/2", "/manifest")
}

#[test]
fn a_generation_is_copied_compared_and_put_back_on_a_bare_machine() {
    let server = S3::start();
    let bucket = server.bucket("tokyo");
    let first = start(settings(&server, &bucket));
    let shop = Shop::open(&first, "青空商会", "owner@example.test");
    let recovery = first.data().join("recovery.key");
    first.command(&["keys", "recovery", "--out", recovery.to_str().expect("a path")]);
    let name = snapshot(&first);
    let status = first.status();
    assert_eq!(status["offsite"]["latest"], *name, "{status}");
    assert_eq!(status["offsite"]["keeps_old_versions"], "no", "{status}");
    assert_eq!((segments(&bucket).len(), manifests(&bucket).len()), (2, 1), "{:?}", bucket.list());
    assert_eq!(first.command(&["snapshots", "--offsite"])["items"][0]["generation"], *name);
    for what in ["latest", &name, "all"] {
        first.command(&["verify", what, "--offsite"]);
    }
    assert!(!has_alert(&first, "offsite") && !has_alert(&first, "offsite-versioned"), "{}", first.status());
    let page = first.operator("root@example.test").get("/console/snapshots").expect(200).text();
    assert!(page.contains("遠隔") && page.contains("s3://tokyo/kept/here"), "{page}");

    // One organization, into the appliance that runs.
    shop.add("四");
    let plan = first.command(&["restore", "latest", "--offsite", "--org", &shop.org, "--dry-run"]);
    assert_eq!((plan["cards_now"].as_u64(), plan["cards_then"].as_u64()), (Some(4), Some(3)), "{plan}");
    first.command(&["restore", &name, "--offsite", "--org", &shop.org, "--yes"]);
    assert_eq!(titles(&first.api(&shop.org, "owner"), &shop.board), ["一", "三", "二"]);
    assert!(!first.data().join("offsite/fetched").exists());

    // Everything, with the recovery key alone, on a machine that has never seen the appliance.
    let mut second = start(settings(&server, &bucket));
    let stranger = second.found("別の会", "other@example.test");
    second.stop();
    let key = second.data().join("key");
    fs::copy(&recovery, &key).expect("the key");
    let key = key.to_str().expect("a path");
    let refused =
        second.output(&["restore", "2020-01-01T120000+0900", "--offsite", "--yes", "--recovery-key-file", key]);
    assert!(said(&refused).contains("there is no generation") && said(&refused).contains(&name), "{}", said(&refused));
    let plan = second.command(&["restore", "latest", "--offsite", "--dry-run", "--recovery-key-file", key]);
    assert_eq!(plan["generation"], *name);
    let done = second.command(&["--restore", "latest", "--offsite", "--yes", "--recovery-key-file", key]);
    assert_eq!(done["records_expected"], done["records_restored"], "{done}");
    assert!(!second.data().join("offsite/fetched").exists());
    second.begin();
    assert_eq!(titles(&second.api(&shop.org, "owner"), &shop.board), ["一", "三", "二"]);
    assert!(!second.command(&["org", "list"]).to_string().contains(&stranger));
    for log in [first.log(), second.log()] {
        assert!(!log.contains(&server.secret), "the secret is in the log");
    }
}

#[test]
fn what_is_there_is_not_sent_again() {
    let server = S3::start();
    let bucket = server.bucket("osaka");
    let appliance = Appliance::with(Setup { mail: true, settings: settings(&server, &bucket), ..Setup::default() });
    appliance.operator("root@example.test");
    let shop = Shop::open(&appliance, "青空商会", "owner@example.test");
    shop.fill(&appliance, 24);
    // The line goes in the middle of the second part of the large segment.
    server.cut_after(12 << 20);
    let name = taken(&appliance);
    assert_eq!(appliance.command(&["verify", &name])["good"], true, "the snapshot itself is whole");
    until("the alert", || has_alert(&appliance, "offsite").then_some(()));
    assert!(server.is_cut() && manifests(&bucket).is_empty());
    let held: u64 = bucket.uploads().values().sum();
    assert_eq!((bucket.uploads().len(), held), (1, 1), "{:?}", bucket.uploads());
    assert_eq!(state(&appliance, &name), "failed");
    let letter = appliance.mailbox().newest("root@example.test", "/console/snapshots");
    assert!(letter["body"].to_string().contains("cannot be reached"), "{letter}");
    // Tried again while it is cut: told once a day.
    again(&appliance);
    let tries = || appliance.log().matches("the off-site copy is not up to date").count();
    until("another try", || (tries() > 1).then_some(()));

    let before = server.sent();
    server.mend();
    again(&appliance);
    arrived(&appliance, &name);
    let sent = server.sent() - before;
    let segment =
        fs::metadata(appliance.data().join(format!("snapshots/{name}/{}.seg", shop.org))).expect("a file").len();
    assert!(segment > 16 << 20, "it is of several parts: {segment}");
    assert!(sent < segment - (8 << 20) + (1 << 20), "{sent} bytes of {segment} were sent again");
    assert!(bucket.uploads().is_empty());
    until("the alert to end", || (!has_alert(&appliance, "offsite")).then_some(()));
    assert_eq!(appliance.command(&["verify", "latest", "--offsite"])["good"], true);
    let letters = appliance.mailbox().to("root@example.test");
    let alerts = letters.iter().filter(|letter| letter["body"].to_string().contains("cannot be reached")).count();
    assert_eq!(alerts, 1, "{letters:?}");

    // A generation in which the organization has not changed names the segment that is there.
    let before = server.sent();
    let later = snapshot(&appliance);
    let sent = server.sent() - before;
    assert!(sent < 1 << 20, "{sent} bytes were sent for an organization that has not changed");
    assert_eq!(manifests(&bucket).len(), 2);
    // It is restored from there as any other.
    let mut appliance = appliance;
    appliance.stop();
    let done = appliance.command(&["restore", &later, "--offsite", "--yes"]);
    assert_eq!(done["records_expected"], done["records_restored"], "{done}");
}

#[test]
fn the_rotation_there_is_that_of_the_snapshot_folder() {
    let server = S3::start();
    let bucket = server.bucket("rotation");
    let appliance = start(settings(&server, &bucket));
    bucket.put("kept/here/notes.txt", "not ours");
    bucket.put("kept/here/segments/readme", "not ours");
    bucket.put("elsewhere", "not ours");
    let shop = Shop::open(&appliance, "青空商会", "owner@example.test");
    let pinned = appliance.command(&["snapshot", "--pin"])["generation"].as_str().expect("a name").to_owned();
    arrived(&appliance, &pinned);
    let mut names = Vec::new();
    for number in 0..9 {
        shop.add(&format!("{number}"));
        names.push(snapshot(&appliance));
    }
    let kept = |name: &String| bucket.list().contains_key(&format!("kept/here/{name}/manifest"));
    until("the oldest to go", || (!kept(&names[0]) && !kept(&names[1])).then_some(()));
    assert!(kept(&pinned) && names[2..].iter().all(kept), "{:?}", bucket.list());
    assert!(bucket.list().contains_key(&format!("kept/here/{pinned}/pinned")));
    // Two segments each, since both have changed each time.
    until("segments that nothing names to go", || (segments(&bucket).len() == 16).then_some(()));
    for other in ["kept/here/notes.txt", "kept/here/segments/readme", "elsewhere"] {
        assert!(bucket.list().contains_key(other), "{other} was not ours");
    }
    let mut operator = appliance.operator("root@example.test");
    operator.post(&format!("/console/snapshots/{pinned}/pin"), &[("on", "false")]).expect(303);
    until("the pin to go", || (!bucket.list().contains_key(&format!("kept/here/{pinned}/pinned"))).then_some(()));
    assert_eq!(appliance.command(&["verify", "all", "--offsite"])["items"].as_array().expect("reports").len(), 8);
}

#[test]
fn damage_there_is_named() {
    let server = S3::start();
    let bucket = server.bucket("damage");
    let mut appliance = start(settings(&server, &bucket));
    let shop = Shop::open(&appliance, "青空商会", "owner@example.test");
    let name = snapshot(&appliance);
    let segment =
        fs::metadata(appliance.data().join(format!("snapshots/{name}/{}.seg", shop.org))).expect("a file").len();
    let listed = bucket.list();
    let key = segments(&bucket).into_iter().find(|key| listed[key] == segment).expect("the organization's segment");
    bucket.damage(&key);
    let refused = appliance.output(&["verify", "latest", "--offsite"]);
    assert_eq!(refused.status.code(), Some(1));
    assert!(said(&refused).contains(&shop.org) && said(&refused).contains("BLAKE3"), "{}", said(&refused));
    assert!(has_alert(&appliance, "offsite"), "{}", appliance.status());
    assert_eq!(appliance.command(&["verify", &name])["good"], true, "the snapshot folder is whole");
    appliance.stop();
    let refused = appliance.output(&["restore", "latest", "--offsite", "--yes"]);
    assert!(said(&refused).contains("is damaged") && said(&refused).contains("as it was"), "{}", said(&refused));
    appliance.begin();
    until("the bucket to be seen", || appliance.status()["offsite"]["latest"].as_str().map(drop));

    // An object that has gone is sent again.
    bucket.remove(&key);
    let refused = appliance.output(&["verify", "latest", "--offsite"]);
    assert!(said(&refused).contains(&shop.org), "{}", said(&refused));
    again(&appliance);
    until("the segment to be there again", || bucket.list().contains_key(&key).then_some(()));
    until("it to be whole", || appliance.output(&["verify", "latest", "--offsite"]).status.success().then_some(()));
    until("the alert to end", || (!has_alert(&appliance, "offsite")).then_some(()));
}

#[test]
fn wrong_credentials_are_told_without_the_secret() {
    const SECRET: &str = "this+is/a-very-secret-key-0123456789abcd";
    let server = S3::start();
    let bucket = server.bucket("credentials");
    let mut wrong = place(&server, &bucket);
    wrong.push(pair("AWS_ACCESS_KEY_ID", &server.id));
    wrong.push(pair("AWS_SECRET_ACCESS_KEY", SECRET));
    let appliance = Appliance::with(Setup { mail: true, settings: wrong, ..Setup::default() });
    appliance.operator("root@example.test");
    let name = taken(&appliance);
    until("the alert", || has_alert(&appliance, "offsite").then_some(()));
    assert_eq!(state(&appliance, &name), "failed");
    let log = appliance.log();
    assert!(log.contains("SignatureDoesNotMatch"), "{log}");
    let letter = appliance.mailbox().newest("root@example.test", "/console/snapshots").to_string();
    let verified = said(&appliance.output(&["verify", "--offsite"]));
    let status = appliance.status().to_string();
    for text in [log, letter, verified, status] {
        assert!(!text.contains(SECRET) && !text.contains("AWS4-HMAC"), "{text}");
    }

    // In a file that others may read they are refused; in one of mode 0600 they are taken.
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("credentials");
    let text = format!("[default]\naws_access_key_id = {}\naws_secret_access_key = {}\n", server.id, server.secret);
    fs::write(&file, text).expect("a file");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).expect("a mode");
    let mut by_file = place(&server, &bucket);
    by_file.push(pair("WORKRUN_OFFSITE_CREDENTIALS_FILE", file.to_str().expect("a path")));
    let appliance = start(by_file);
    let name = taken(&appliance);
    until("the refusal", || appliance.log().contains("others may read the file (mode 0644)").then_some(()));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).expect("a mode");
    again(&appliance);
    arrived(&appliance, &name);
    assert!(!appliance.log().contains(&server.secret));
}

#[test]
fn a_bucket_that_keeps_what_is_overwritten_is_an_alert() {
    let server = S3::start();
    let (versioned, locked) = (server.bucket("versioned"), server.locked_bucket("locked"));
    versioned.keep_versions(true);
    let one = start(settings(&server, &versioned));
    snapshot(&one);
    assert!(has_alert(&one, "offsite-versioned"), "{}", one.status());
    assert_eq!(one.status()["offsite"]["keeps_old_versions"], "yes: versioning");
    let page = one.operator("root@example.test").get("/console").expect(200).text();
    assert!(page.contains("古い版"), "{page}");
    // Off from now on, and what was kept before is still kept.
    one.found("後からの会", "later@example.test");
    snapshot(&one);
    versioned.keep_versions(false);
    snapshot(&one);
    assert!(has_alert(&one, "offsite-versioned"), "{}", one.status());

    let other = start(settings(&server, &locked));
    snapshot(&other);
    assert!(has_alert(&other, "offsite-versioned"), "{}", other.status());
    assert_eq!(other.status()["offsite"]["keeps_old_versions"], "yes: object lock");
}

#[test]
fn nothing_is_sent_outside_the_declared_residency() {
    let server = S3::start();
    let bucket = server.bucket("residency");
    let run = |region: &str, residency: Option<&str>| {
        let folder = tempfile::tempdir().expect("a folder");
        let mut command = Command::new(env!("CARGO_BIN_EXE_workrun"));
        command.env_clear().env("HOME", folder.path()).current_dir(folder.path());
        command.envs(settings(&server, &bucket)).env("WORKRUN_OFFSITE_REGION", region);
        if let Some(residency) = residency {
            command.env("WORKRUN_RESIDENCY", residency);
        }
        let output = command.args(["serve", "--tls", "off", "--listen", "127.0.0.1:0"]).output().expect("the binary");
        assert!(!output.status.success());
        said(&output)
    };
    let told = run("us-east-1", None);
    assert!(told.contains("us-east-1") && told.contains("residency JP"), "{told}");
    assert!(told.contains("ap-northeast-1, ap-northeast-3"), "{told}");
    let told = run("ap-northeast-1", Some("DE"));
    assert!(told.contains("ap-northeast-1") && told.contains("residency DE"), "{told}");

    // A bucket that is elsewhere than the settings say.
    let mut settings = settings(&server, &bucket);
    settings.retain(|(name, _)| name != "WORKRUN_OFFSITE_REGION");
    settings.push(pair("WORKRUN_OFFSITE_REGION", "ap-northeast-3"));
    let appliance = start(settings);
    taken(&appliance);
    until("the refusal", || appliance.log().contains("offsite_region says ap-northeast-3").then_some(()));
    assert!(bucket.list().is_empty(), "{:?}", bucket.list());
    assert!(has_alert(&appliance, "offsite"));
}

#[test]
fn generations_of_another_appliance_are_left_alone() {
    let server = S3::start();
    let bucket = server.bucket("shared");
    let first = start(settings(&server, &bucket));
    snapshot(&first);
    let (there, keyring) = (bucket.list(), bucket.sum("kept/here/keyring"));
    let second = start(settings(&server, &bucket));
    taken(&second);
    until("the refusal", || second.log().contains("the generations of another appliance").then_some(()));
    assert_eq!((bucket.list(), bucket.sum("kept/here/keyring")), (there, keyring));
}

/// Destroys an organization's keys in the keyring of an appliance that does not run, as erasing it does.
fn erase(appliance: &Appliance, org: &str) {
    let root = workrun::seal::RootKey::from_file(&appliance.root_key()).expect("the root key");
    let keyring = workrun::seal::Keyring::open(&appliance.data().join("keyring"), root).expect("the keyring");
    let org = org.parse().expect("an id");
    keyring.destroy_organization(org, workrun::clock::Clock::System.now()).expect("it is destroyed");
}

#[test]
fn an_erased_organization_is_unreadable_there() {
    let server = S3::start();
    let bucket = server.bucket("erased");
    let mut appliance = start(settings(&server, &bucket));
    let (gone, stays) = (
        Shop::open(&appliance, "青空商会", "owner@example.test"),
        Shop::open(&appliance, "山田商店", "yamada@example.test"),
    );
    let recovery = appliance.data().join("recovery.key");
    appliance.command(&["keys", "recovery", "--out", recovery.to_str().expect("a path")]);
    let name = snapshot(&appliance);
    let before = bucket.sum("kept/here/keyring");
    appliance.stop();
    erase(&appliance, &gone.org);
    appliance.begin();
    until("the keyring to be replaced", || (bucket.sum("kept/here/keyring") != before).then_some(()));
    until("its segment to go", || (segments(&bucket).len() == 2).then_some(()));
    assert_eq!(appliance.command(&["verify", &name, "--offsite"])["good"], true);

    let mut second = start(settings(&server, &bucket));
    second.stop();
    let key = second.data().join("key");
    fs::copy(&recovery, &key).expect("the key");
    let key = key.to_str().expect("a path");
    let plan = second.command(&["restore", &name, "--offsite", "--dry-run", "--recovery-key-file", key]);
    let row = |org: &str| -> Value {
        let rows = plan["organizations"].as_array().expect("rows");
        rows.iter().find(|row| row["organization"] == *org).expect("its row").clone()
    };
    assert_eq!(row(&gone.org)["becomes"], "stays erased", "{plan}");
    assert_eq!(row(&stays.org)["becomes"], "restored", "{plan}");
    second.command(&["restore", &name, "--offsite", "--yes", "--recovery-key-file", key]);
    second.begin();
    assert_eq!(titles(&second.api(&stays.org, "owner"), &stays.board).len(), 3);
    let listed = second.command(&["org", "list"]).to_string();
    assert!(listed.contains("山田商店") && !listed.contains("青空商会"), "{listed}");
}

#[test]
fn the_profile_of_an_instance_is_asked_for_credentials() {
    // A server that takes any key pair, since those of a made-up instance are nobody's.
    let server = S3::without_rights();
    let bucket = server.bucket("instance");
    let mut by_profile = place(&server, &bucket);
    by_profile.push(pair("AWS_EC2_METADATA_SERVICE_ENDPOINT", server.endpoint()));
    let appliance = start(by_profile);
    let name = snapshot(&appliance);
    assert_eq!(appliance.command(&["verify", &name, "--offsite"])["good"], true);
}
