use std::{fs, io::Read};

use super::*;

const NOW: Timestamp = Timestamp(1_795_000_000_000);

struct Bench {
    folder: tempfile::TempDir,
    root: RootKey,
    recovery: RecoveryKey,
}

impl Bench {
    fn new() -> Self {
        Self { folder: tempfile::tempdir().unwrap(), root: RootKey::fresh(), recovery: RecoveryKey::generate() }
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("keyring")
    }

    fn create(&self) -> Keyring {
        Keyring::create(&self.path(), &self.root, Some(&self.recovery.recipient()), NOW).unwrap()
    }

    fn open(&self) -> Result<Keyring, KeyringError> {
        Keyring::open(&self.path(), self.root.clone())
    }
}

#[test]
fn keys_come_back_the_same() {
    let bench = Bench::new();
    let ring = bench.create();
    let org = OrgId::fresh(NOW);
    ring.add_organization(org, NOW).unwrap();
    ring.add_organization(org, NOW).unwrap();
    assert_eq!((ring.sequence(), ring.list().len()), (2, 4), "adding twice is adding once");
    let again = bench.open().unwrap();
    assert_eq!(again.list(), ring.list());
    assert_eq!(again.sequence(), 2);
    let prints = [
        again.system_key().fingerprint(),
        again.log_key(None).unwrap().fingerprint(),
        again.organization_key(org).unwrap().fingerprint(),
        again.log_key(Some(org)).unwrap().fingerprint(),
    ];
    assert_eq!(prints.to_vec(), again.list().iter().map(|info| info.fingerprint).collect::<Vec<_>>());
    for (at, print) in prints.iter().enumerate() {
        assert!(!prints[..at].contains(print), "no key serves two purposes");
    }
    assert_eq!(again.organization_key(OrgId::fresh(NOW)).map(|key| key.id()), None);
}

#[test]
fn a_wrong_root_key_is_named_and_an_existing_keyring_is_kept() {
    let bench = Bench::new();
    drop(bench.create());
    let before = fs::read(bench.path()).unwrap();
    let other = RootKey::fresh();
    match Keyring::open(&bench.path(), other.clone()) {
        Err(KeyringError::WrongKey { needs, given }) => {
            assert_eq!((needs, given), (bench.root.fingerprint(), other.fingerprint()));
        }
        result => panic!("{result:?}"),
    }
    let result = Keyring::create(&bench.path(), &other, None, NOW);
    assert!(matches!(result, Err(KeyringError::Exists { .. })), "{result:?}");
    assert_eq!(fs::read(bench.path()).unwrap(), before);
    assert_eq!(peek(&bench.path()), before_clear(&bench));
}

fn peek(path: &Path) -> (Fingerprint, u64, bool) {
    let clear = keyring_file::peek(path).unwrap();
    (clear.root, clear.sequence, clear.has_recovery)
}

fn before_clear(bench: &Bench) -> (Fingerprint, u64, bool) {
    (bench.root.fingerprint(), 1, true)
}

#[test]
fn any_damaged_byte_shows() {
    let bench = Bench::new();
    drop(bench.create());
    let good = fs::read(bench.path()).unwrap();
    for at in 0..good.len() {
        let mut bad = good.clone();
        bad[at] ^= 1;
        assert!(keyring_file::open(&bench.path(), &bad, &bench.root).is_err(), "byte {at} of {}", good.len());
    }
    for length in [0, 7, 159, 160, good.len() - 1] {
        assert!(keyring_file::open(&bench.path(), &good[..length], &bench.root).is_err(), "cut at {length}");
    }
}

#[test]
fn a_newer_format_is_refused_by_name() {
    let bench = Bench::new();
    drop(bench.create());
    let mut file = fs::read(bench.path()).unwrap();
    file[8] = 2;
    file[40..56].copy_from_slice(b"2.7.0\0\0\0\0\0\0\0\0\0\0\0");
    fs::write(bench.path(), file).unwrap();
    let message = bench.open().unwrap_err().to_string();
    assert!(message.contains("install workrun 2.7.0 or newer"), "{message}");
}

#[test]
fn the_recovery_key_opens_and_settles_on_a_new_machine() {
    let bench = Bench::new();
    let ring = bench.create();
    let org = OrgId::fresh(NOW);
    ring.add_organization(org, NOW).unwrap();
    let mirrors = bench.folder.path().join("mirror");
    ring.mirror_to(&mirrors).unwrap();
    let mirror = mirrors.join("keyring");
    let read = Keyring::open_with_recovery(&mirror, &bench.recovery.secret()).unwrap();
    assert_eq!(read.list(), ring.list());
    assert!(matches!(read.add_organization(OrgId::fresh(NOW), NOW), Err(KeyringError::ReadOnly)));
    let stranger = RecoveryKey::generate();
    let refused = Keyring::open_with_recovery(&mirror, &stranger.secret());
    assert!(matches!(refused, Err(KeyringError::NotTheRecoveryKey { .. })), "{refused:?}");
    let (home, root) = (bench.folder.path().join("new"), RootKey::fresh());
    let settled = read.settle(&home, &root).unwrap();
    assert_eq!(settled.sequence(), ring.sequence() + 1);
    settled.add_organization(OrgId::fresh(NOW), NOW).unwrap();
    let again = Keyring::open(&home, root).unwrap();
    assert_eq!(again.organization_key(org).unwrap().fingerprint(), ring.organization_key(org).unwrap().fingerprint());
}

#[test]
fn a_new_recipient_shuts_the_old_one_out() {
    let bench = Bench::new();
    let ring = bench.create();
    ring.set_recovery_taken(NOW).unwrap();
    assert_eq!(bench.open().unwrap().recovery_taken_at(), Some(NOW));
    let next = RecoveryKey::generate();
    assert!(matches!(ring.set_recovery_recipient("age1nonsense"), Err(KeyringError::RecoveryKey(_))));
    ring.set_recovery_recipient(&next.recipient()).unwrap();
    assert_eq!(ring.recovery_taken_at(), None);
    assert!(Keyring::open_with_recovery(&bench.path(), &bench.recovery.secret()).is_err());
    let text = format!("# created: today\n# public key: {}\n{}\n", next.recipient(), *next.secret());
    assert!(Keyring::open_with_recovery(&bench.path(), &text).is_ok(), "as age-keygen writes it");
}

#[test]
fn destroying_leaves_no_bytes_and_no_way_back() {
    let bench = Bench::new();
    let ring = bench.create();
    let (kept, gone) = (OrgId::fresh(NOW), OrgId::fresh(NOW));
    ring.add_organization(kept, NOW).unwrap();
    ring.add_organization(gone, NOW).unwrap();
    ring.rotate(&[KeyKind::Organization(gone)], NOW).unwrap();
    let stale = bench.folder.path().join("stale");
    ring.mirror_to(&stale).unwrap();
    let mut old = fs::File::open(bench.path()).unwrap();
    ring.destroy_organization(gone, NOW).unwrap();
    let sequence = ring.sequence();
    ring.destroy_organization(gone, NOW).unwrap();
    assert_eq!(ring.sequence(), sequence, "destroying twice is destroying once");
    let mut remains = Vec::new();
    old.read_to_end(&mut remains).unwrap();
    assert!(remains.iter().all(|&byte| byte == 0), "the old file was overwritten where it stood");
    for ring in [&ring, &bench.open().unwrap()] {
        assert!(ring.organization_key(gone).is_none() && ring.log_key(Some(gone)).is_none());
        assert!(ring.organization_key(kept).is_some());
        for info in ring.list().iter().filter(|info| info.kind.organization() == Some(gone)) {
            assert_eq!(info.state, KeyState::Destroyed);
            assert!(ring.key(info.id, info.version).is_none());
        }
        assert_eq!(ring.erased(), [(gone, NOW)]);
        assert!(matches!(ring.add_organization(gone, NOW), Err(KeyringError::Erased(_))));
    }
    ring.mirror_to(&stale).unwrap();
    let mirrored = Keyring::open(&stale.join("keyring"), bench.root.clone()).unwrap();
    assert!(mirrored.organization_key(gone).is_none(), "the mirror forgets too");
}

#[test]
fn an_older_copy_gives_erasures_and_never_keys() {
    let bench = Bench::new();
    let ring = bench.create();
    let (first, second) = (OrgId::fresh(NOW), OrgId::fresh(NOW));
    ring.add_organization(first, NOW).unwrap();
    ring.add_organization(second, NOW).unwrap();
    let before = fs::read(bench.path()).unwrap();
    ring.destroy_organization(first, NOW).unwrap();
    let newer = bench.folder.path().join("newer");
    ring.mirror_to(&newer).unwrap();
    fs::write(bench.path(), before).unwrap();
    let ring = bench.open().unwrap();
    assert!(ring.organization_key(first).is_some());
    assert_eq!(ring.take_erasures_from(&newer.join("keyring")).unwrap(), [first]);
    assert!(ring.organization_key(first).is_none() && ring.organization_key(second).is_some());
}

/// Somebody puts an older keyring back: the mirror, which may hold the only copy of keys made since, stays as it is.
#[test]
fn a_newer_mirror_is_never_overwritten() {
    let bench = Bench::new();
    let ring = bench.create();
    let before = fs::read(bench.path()).unwrap();
    let org = OrgId::fresh(NOW);
    ring.add_organization(org, NOW).unwrap();
    let folder = bench.folder.path().join("snapshots");
    ring.mirror_to(&folder).unwrap();
    let mirror = fs::read(folder.join("keyring")).unwrap();
    drop(ring);
    fs::write(bench.path(), before).unwrap();
    let old = bench.open().unwrap();
    let refused = old.mirror_to(&folder).unwrap_err();
    assert!(matches!(refused, KeyringError::NewerCopy { copy: 2, own: 1, .. }), "{refused}");
    assert_eq!(fs::read(folder.join("keyring")).unwrap(), mirror);
    // Put in its place, it serves again.
    drop(old);
    fs::copy(folder.join("keyring"), bench.path()).unwrap();
    let ring = bench.open().unwrap();
    assert!(ring.organization_key(org).is_some());
    ring.mirror_to(&folder).unwrap();
}

#[test]
fn versions_are_active_retained_destroyed() {
    let bench = Bench::new();
    let ring = bench.create();
    let first = ring.system_key();
    ring.rotate(&[KeyKind::System], NOW).unwrap();
    let second = ring.system_key();
    assert_eq!((second.id(), second.version()), (first.id(), 2));
    assert_eq!(ring.key(first.id(), 1).unwrap().fingerprint(), first.fingerprint());
    assert!(matches!(ring.destroy_versions(&[(second.id(), 2)].into()), Err(KeyringError::NoSuchKey { .. })), "active");
    ring.destroy_versions(&[(first.id(), 1)].into()).unwrap();
    assert!(bench.open().unwrap().key(first.id(), 1).is_none());
}

#[test]
fn a_failed_change_changes_nothing_and_spends_its_number() {
    let bench = Bench::new();
    let ring = bench.create();
    let org = OrgId::fresh(NOW);
    let obstacle = durable::beside(&bench.path(), "new");
    fs::create_dir(&obstacle).unwrap();
    assert!(matches!(ring.add_organization(org, NOW), Err(KeyringError::Io { .. })));
    assert!(ring.organization_key(org).is_none());
    assert_eq!(ring.sequence(), 1);
    fs::remove_dir(&obstacle).unwrap();
    ring.add_organization(org, NOW).unwrap();
    assert_eq!(ring.sequence(), 3);
}

#[test]
fn a_new_root_key_opens_and_the_old_one_does_not() {
    let bench = Bench::new();
    let ring = bench.create();
    let root = RootKey::fresh();
    ring.set_root(root.clone()).unwrap();
    assert!(matches!(bench.open(), Err(KeyringError::WrongKey { .. })));
    assert_eq!(Keyring::open(&bench.path(), root).unwrap().list(), ring.list());
}

#[test]
fn organizations_that_come_at_once_share_a_writing() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("keyring");
    let root = RootKey::fresh();
    let keyring = Keyring::create(&path, &root, None, Timestamp(1)).unwrap();
    let erased = OrgId([255; 16]);
    keyring.destroy_organization(erased, Timestamp(2)).unwrap();
    let before = keyring.sequence();
    std::thread::scope(|scope| {
        for number in 0..64_u8 {
            let keyring = &keyring;
            scope.spawn(move || keyring.add_organization(OrgId([number; 16]), Timestamp(3)).unwrap());
        }
        assert!(matches!(keyring.add_organization(erased, Timestamp(3)), Err(KeyringError::Erased(_))));
    });
    assert!(keyring.sequence() - before <= 65);
    let again = Keyring::open(&path, root).unwrap();
    for number in 0..64_u8 {
        assert!(
            again.organization_key(OrgId([number; 16])).is_some() && again.log_key(Some(OrgId([number; 16]))).is_some()
        );
    }
    assert_eq!(again.list().len(), 2 + 64 * 2);
    assert!(again.organization_key(erased).is_none());
}
