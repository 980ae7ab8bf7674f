//! Where it listens, and what it refuses to begin with.

use super::*;

#[tokio::test]
async fn without_tls_only_this_machine_is_served() -> TestResult {
    let anywhere = SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0));
    let vault: Arc<Memory> = Arc::default();
    let refused = Door::open(Mode::Off, vec![LOOPBACK.into(), anywhere.into()], vault.clone()).await.err();
    assert!(matches!(refused, Some(TlsError::PlainBeyondLoopback(_))), "{refused:?}");

    let folder = tempfile::tempdir()?;
    let path = folder.path().join("workrun.sock");
    // A socket that a killed run left behind.
    drop(std::os::unix::net::UnixListener::bind(&path)?);
    let (acceptor, handle) = start(
        Mode::Off,
        vec![LOOPBACK.into(), Listen::Unix(path.clone())],
        vault,
        Clock::System,
        std::future::pending(),
    )
    .await?;
    let server = tokio::spawn(serve(acceptor));
    let mut tcp = TcpStream::connect(handle.first_tcp().ok_or("no address")?).await?;
    assert_eq!(get(&mut tcp).await?, format!("http from socket://{}", tcp.local_addr()?));
    assert!(get(&mut UnixStream::connect(&path).await?).await?.starts_with("http from unix://"));
    assert_eq!(handle.status(), Status::default());
    server.abort();
    assert!(server.await.is_err_and(|error| error.is_cancelled()));
    // The accept loops end a moment after their set is dropped.
    until(|| !path.exists()).await
}

#[tokio::test]
async fn listens_on_several_addresses_of_both_families() -> TestResult {
    let held = std::net::TcpListener::bind(LOOPBACK)?;
    let port = held.local_addr()?.port();
    let six = SocketAddr::from((std::net::Ipv6Addr::UNSPECIFIED, port));
    let listen = vec![Listen::Inherited(held), six.into()];
    let door = Door::open(Mode::Internal { names: vec![] }, listen, Arc::new(Memory::default())).await?;
    let root = door.handle.status().internal_root.unwrap_or_default();
    for at in [SocketAddr::from((Ipv4Addr::LOCALHOST, port)), SocketAddr::from((std::net::Ipv6Addr::LOCALHOST, port))] {
        let mut stream = connect(at, "localhost", &root, b"http/1.1").await?;
        let peer = stream.get_ref().0.local_addr()?;
        assert_eq!(get(&mut stream).await?, format!("https from socket://{peer}"));
    }
    let taken = Door::open(Mode::Internal { names: vec![] }, vec![six.into()], Arc::new(Memory::default())).await.err();
    assert!(matches!(taken, Some(TlsError::Bind { .. })), "{taken:?}");
    Ok(())
}

#[tokio::test]
async fn settings_that_cannot_work_are_refused() {
    let order = |directory: &str, names: &[&str]| {
        Mode::Acme(Acme {
            directory: directory.into(),
            contacts: vec![],
            names: names.iter().map(|name| (*name).to_owned()).collect(),
            directory_root: None,
        })
    };
    let refuse = async |mode| Door::open(mode, vec![LOOPBACK.into()], Arc::new(Memory::default())).await.err();
    for name in ["192.0.2.7", "localhost", "::1", "*.example.com", "ボード.example", ""] {
        let refused = refuse(order(Acme::LETS_ENCRYPT, &[name])).await;
        assert!(matches!(refused, Some(TlsError::AcmeName(_))), "{name}: {refused:?}");
    }
    assert!(matches!(refuse(order(Acme::LETS_ENCRYPT, &[])).await, Some(TlsError::AcmeNoName)));
    let clear = refuse(order("http://ca.example/dir", &["boards.example"])).await;
    assert!(matches!(clear, Some(TlsError::AcmeDirectory(_))), "{clear:?}");
    let spaced = refuse(Mode::Internal { names: vec!["two words".into()] }).await;
    assert!(matches!(spaced, Some(TlsError::InternalCa(InternalCaError::Name(_)))), "{spaced:?}");
    let nowhere = Door::open(Mode::Off, vec![], Arc::new(Memory::default())).await.err();
    assert!(matches!(nowhere, Some(TlsError::NoAddress)), "{nowhere:?}");
}
