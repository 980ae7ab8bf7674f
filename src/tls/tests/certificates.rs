//! Where certificates come from, and how long they stay.

use super::*;
use crate::tls::identity::Identity;

#[tokio::test]
async fn the_internal_chain_verifies_for_every_name_of_the_machine() -> TestResult {
    let vault = Arc::new(Memory::default());
    let mode = Mode::Internal { names: vec!["Boards.Example".into(), "10.1.2.3".into()] };
    let door = Door::open(mode, vec![LOOPBACK.into()], vault).await?;
    let status = door.handle.status();
    let root = status.internal_root.unwrap_or_default();
    for name in ["localhost", "127.0.0.1", "::1", "boards.example", "10.1.2.3"] {
        connect(door.at(), name, &root, b"h2").await?;
    }
    assert!(connect(door.at(), "elsewhere.example", &root, b"h2").await.is_err());
    let served = status.served.ok_or("nothing is served")?;
    assert_eq!((served.origin, served.publicly_trusted), (Origin::Internal, false));
    assert!(served.not_after.since(served.not_before) <= Duration::from_hours(398 * 24));
    // Another appliance's root does not do.
    let other = InternalCa::open_or_create(&Memory::default(), Clock::System.now())?;
    assert!(connect(door.at(), "localhost", other.root_pem(), b"h2").await.is_err());
    Ok(())
}

#[tokio::test]
async fn a_restart_serves_the_same_leaf() -> TestResult {
    let vault: Arc<Memory> = Arc::default();
    let mode = || Mode::Internal { names: vec![] };
    let first = Door::open(mode(), vec![LOOPBACK.into()], vault.clone()).await?;
    let (leaf, root) = (leaf_of(&first.connect().await?), first.handle.status().internal_root);
    drop(first);
    let second = Door::open(mode(), vec![LOOPBACK.into()], vault.clone()).await?;
    assert_eq!((leaf_of(&second.connect().await?), second.handle.status().internal_root), (leaf.clone(), root.clone()));
    drop(second);
    // A further name needs a new leaf, of the same root.
    let named = Mode::Internal { names: vec!["boards.example".into()] };
    let third = Door::open(named, vec![LOOPBACK.into()], vault).await?;
    assert_ne!(leaf_of(&third.connect().await?), leaf);
    assert_eq!(third.handle.status().internal_root, root);
    Ok(())
}

#[test]
fn an_unreadable_authority_is_kept_and_refused() -> TestResult {
    let vault = Memory::default();
    vault.put("internal/root", b"not what we wrote")?;
    let refused = InternalCa::open_or_create(&vault, Clock::System.now());
    assert!(matches!(refused, Err(InternalCaError::Unreadable(_))), "{refused:?}");
    assert_eq!(vault.get("internal/root")?.as_deref(), Some(&b"not what we wrote"[..]));
    Ok(())
}

#[test]
fn the_authority_outlives_its_leaves() -> TestResult {
    let (vault, day) = (Memory::default(), Duration::from_hours(24));
    let made = Clock::System.now();
    let ca = InternalCa::open_or_create(&vault, made)?;
    let again = InternalCa::open_or_create(&vault, made.plus(day * 3500))?;
    assert_eq!(again.root_pem(), ca.root_pem());
    // A leaf never outlives its root.
    let names = ["localhost".to_owned()];
    let late = again.leaf(&names, made.plus(day * 3500))?;
    let late = Identity::from_pem(late.as_bytes(), late.as_bytes(), Origin::Internal, made)?.facts;
    assert_eq!(late.not_after, ca.not_after());
    // Ninety days before its end another takes over.
    let next = InternalCa::open_or_create(&vault, made.plus(day * 3600))?;
    assert_ne!(next.root_pem(), ca.root_pem());
    Ok(())
}

#[test]
fn a_leaf_is_renewed_at_two_thirds_of_its_life() -> TestResult {
    let (vault, day) = (Memory::default(), Duration::from_hours(24));
    let made = Clock::System.now();
    let names = ["localhost".to_owned()];
    let pem = InternalCa::open_or_create(&vault, made)?.leaf(&names, made)?;
    let leaf = Identity::from_pem(pem.as_bytes(), pem.as_bytes(), Origin::Internal, made)?.facts;
    assert!(!internal::needs_renewal(&leaf, &names, made.plus(day * 264)));
    assert!(internal::needs_renewal(&leaf, &names, made.plus(day * 265)));
    assert!(internal::needs_renewal(&leaf, &names, made.minus(day)), "made with a clock that was ahead");
    assert!(internal::needs_renewal(&leaf, &["other.example".to_owned()], made));
    Ok(())
}

/// A pair as an administrator has it, for localhost, from an authority of its own; returns the authority's root.
fn write_pair(folder: &Path) -> Result<(Files, String), Box<dyn std::error::Error + Send + Sync>> {
    let now = Clock::System.now();
    let ca = InternalCa::open_or_create(&Memory::default(), now)?;
    let pem = ca.leaf(&["localhost".to_owned()], now)?;
    let (key, certificate) = pem.split_at(pem.find("-----BEGIN CERTIFICATE").ok_or("no certificate")?);
    let files = Files { certificate: folder.join("chain.pem"), key: folder.join("key.pem") };
    fs::write(&files.certificate, certificate)?;
    fs::write(&files.key, key)?;
    Ok((files, ca.root_pem().to_owned()))
}

#[tokio::test]
async fn changed_files_are_served_and_broken_ones_are_not() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (files, root) = write_pair(folder.path())?;
    let mode = Mode::Files(files.clone());
    let door = Door::open(mode, vec![LOOPBACK.into()], Arc::new(Memory::default())).await?;
    let first = leaf_of(&connect(door.at(), "localhost", &root, b"h2").await?);

    // Half a pair: a new key with the old certificate.
    let old_certificate = fs::read(&files.certificate)?;
    let (_, next_root) = write_pair(folder.path())?;
    let next_certificate = fs::read(&files.certificate)?;
    fs::write(&files.certificate, old_certificate)?;
    door.handle.renew();
    let status = door.until(|status| status.last_error.is_some()).await;
    assert!(status.last_error.unwrap_or_default().contains("cannot be served together"));
    assert_eq!(leaf_of(&connect(door.at(), "localhost", &root, b"h2").await?), first);

    fs::write(&files.certificate, b"-----BEGIN CERTIFICATE-----\nnonsense")?;
    door.handle.renew();
    door.until(|status| status.last_error.as_deref().is_some_and(|error| error.contains("no readable certificate")))
        .await;
    assert_eq!(leaf_of(&connect(door.at(), "localhost", &root, b"h2").await?), first);

    // The other half arrives, and nobody asks: the files are looked at by themselves.
    fs::write(&files.certificate, next_certificate)?;
    door.until(|status| status.last_error.is_none()).await;
    assert_ne!(leaf_of(&connect(door.at(), "localhost", &next_root, b"h2").await?), first);
    Ok(())
}

#[tokio::test]
async fn unusable_files_refuse_the_start() -> TestResult {
    let folder = tempfile::tempdir()?;
    let (files, _) = write_pair(folder.path())?;
    fs::remove_file(&files.key)?;
    let vault = Arc::new(Memory::default());
    let refused = Door::open(Mode::Files(files), vec![LOOPBACK.into()], vault).await.err();
    assert!(matches!(refused, Some(TlsError::Files(FilesError::Unreadable { .. }))), "{refused:?}");
    Ok(())
}

#[tokio::test]
async fn a_silent_directory_leaves_the_internal_certificate_and_is_not_hammered() -> TestResult {
    // A port that nobody listens on.
    let port = std::net::TcpListener::bind(LOOPBACK)?.local_addr()?.port();
    let mode = || {
        Mode::Acme(Acme {
            directory: format!("https://localhost:{port}/dir"),
            contacts: vec!["admin@example.com".into()],
            names: vec!["boards.example.com".into()],
            directory_root: None,
        })
    };
    let vault: Arc<Memory> = Arc::default();
    let door = Door::open(mode(), vec![LOOPBACK.into()], vault.clone()).await?;
    let failed = door.until(|status| status.last_error.is_some() && status.next_attempt > status.last_attempt).await;
    let minute = failed.last_attempt.map(|at| at.plus(Duration::from_mins(1)));
    assert_eq!(failed.next_attempt, minute);
    assert_eq!(failed.served.map(|served| served.origin), Some(Origin::Internal));
    let root = failed.internal_root.unwrap_or_default();
    connect(door.at(), "boards.example.com", &root, b"h2").await?;
    drop(door);

    // The pause holds over a restart.
    let door = Door::open(mode(), vec![LOOPBACK.into()], vault).await?;
    let waiting = door.until(|status| status.next_attempt.is_some()).await;
    assert_eq!((waiting.last_attempt, waiting.next_attempt), (failed.last_attempt, minute));
    // Unless somebody asks.
    door.handle.renew();
    let again = door.until(|status| status.last_attempt > failed.last_attempt).await;
    assert!(again.last_error.is_some());
    Ok(())
}
