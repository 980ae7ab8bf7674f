//! What a client meets: protocols, swaps, dawdlers, exhaustion.

use super::*;

#[tokio::test]
async fn serves_http11_and_tells_the_peer() -> TestResult {
    let door = Door::internal().await?;
    let mut stream = door.connect().await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"http/1.1"[..]));
    assert_eq!(stream.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_3));
    let peer = stream.get_ref().0.local_addr()?;
    assert_eq!(get(&mut stream).await?, format!("https from socket://{peer}"));
    Ok(())
}

#[tokio::test]
async fn serves_h2() -> TestResult {
    let door = Door::internal().await?;
    let root = door.handle.status().internal_root.unwrap_or_default();
    let mut stream = connect(door.at(), "localhost", &root, b"h2").await?;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
    // Preface and empty SETTINGS (RFC 9113, 3.4); the server's first frame must be SETTINGS, type 4.
    stream.write_all(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await?;
    let mut frame = [0; 9];
    stream.read_exact(&mut frame).await?;
    assert_eq!(frame[3], 4);
    Ok(())
}

#[tokio::test]
async fn speaks_tls_1_2_but_not_1_1() -> TestResult {
    let door = Door::internal().await?;
    let root = door.handle.status().internal_root.unwrap_or_default();
    let stream = connect_with(door.at(), "localhost", client_config(&root, b"h2", &[&TLS12])?).await?;
    assert_eq!(stream.get_ref().1.protocol_version(), Some(rustls::ProtocolVersion::TLSv1_2));

    // A ClientHello of TLS 1.1 with one suite of its time (TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA) and no extensions.
    let mut hello = vec![0x16, 3, 1, 0, 45, 1, 0, 0, 41, 3, 2];
    hello.extend([7; 32]);
    hello.extend([0, 0, 2, 0xc0, 0x09, 1, 0]);
    let mut old = TcpStream::connect(door.at()).await?;
    old.write_all(&hello).await?;
    let answer = read_to_end(&mut old).await;
    assert_eq!(answer.first(), Some(&0x15), "an alert is expected, not {answer:?}");
    assert_eq!(answer.get(5), Some(&2), "a fatal one, not {answer:?}");
    Ok(())
}

#[tokio::test]
async fn refuses_protocols_it_does_not_speak() -> TestResult {
    let door = Door::internal().await?;
    let root = door.handle.status().internal_root.unwrap_or_default();
    // Without an order under way a challenge is an unknown protocol like any.
    for alpn in [&b"acme-tls/1"[..], b"spdy/3"] {
        let refused = connect(door.at(), "localhost", &root, alpn).await;
        let alert = refused.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(alert.contains("NoApplicationProtocol"), "{alert}");
    }
    Ok(())
}

#[tokio::test]
async fn swaps_the_certificate_under_live_connections() -> TestResult {
    let door = Door::internal().await?;
    let mut old = door.connect().await?;
    get(&mut old).await?;

    let mut changes = door.handle.watch();
    changes.mark_unchanged();
    door.handle.renew();
    timeout(PATIENCE, changes.wait_for(|status| status.last_attempt.is_some())).await??;

    let new = door.connect().await?;
    assert_ne!(leaf_of(&new), leaf_of(&old));
    get(&mut old).await?;
    Ok(())
}

#[tokio::test]
async fn dawdling_clients_hold_up_nobody() -> TestResult {
    let door = Door::internal().await?;
    let mut silent = Vec::new();
    for dawdle in 0..100 {
        let mut stream = TcpStream::connect(door.at()).await?;
        if dawdle % 2 == 0 {
            // The beginning of a handshake record that never comes.
            stream.write_all(&[0x16, 3, 1, 2]).await?;
        }
        silent.push(stream);
    }
    timeout(PATIENCE, async { get(&mut door.connect().await?).await }).await??;
    // They were still waiting when the other was served.
    for stream in &silent {
        let waiting = stream.try_read(&mut [0]);
        assert_eq!(waiting.map_err(|error| error.kind()), Err(std::io::ErrorKind::WouldBlock));
    }
    Ok(())
}

#[tokio::test]
async fn answers_plain_http_with_the_address_to_use() -> TestResult {
    let door = Door::internal().await?;
    let mut stream = TcpStream::connect(door.at()).await?;
    stream.write_all(b"GET /boards HTTP/1.1\r\nHost: boards.example:8443\r\n\r\n").await?;
    let mut answer = String::new();
    let mut reader = tokio::io::BufReader::new(&mut stream);
    tokio::io::AsyncBufReadExt::read_line(&mut reader, &mut answer).await?;
    assert_eq!(answer, "HTTP/1.1 400 Bad Request\r\n");
    reader.get_mut().shutdown().await?;
    reader.read_to_string(&mut answer).await?;
    assert!(answer.ends_with("This port speaks HTTPS; use https://boards.example:8443/\n"), "{answer}");
    Ok(())
}

#[test]
fn survives_running_out_of_descriptors() -> TestResult {
    let alone = std::process::Command::new(std::env::current_exe()?)
        .args(["--ignored", "--exact", "tls::tests::handshakes::out_of_descriptors"])
        .output()?;
    let said = String::from_utf8_lossy(&alone.stdout);
    assert!(alone.status.success() && said.contains("1 passed"), "{said}");
    Ok(())
}

#[tokio::test]
#[ignore = "starves its whole process: survives_running_out_of_descriptors runs it in one of its own"]
async fn out_of_descriptors() -> TestResult {
    let log = Log::default();
    tracing_subscriber::fmt().with_writer(log.clone()).init();
    let door = Door::internal().await?;
    get(&mut door.connect().await?).await?;

    let few =
        rustix::process::Rlimit { current: Some(64), ..rustix::process::getrlimit(rustix::process::Resource::Nofile) };
    rustix::process::setrlimit(rustix::process::Resource::Nofile, few)?;
    let client = tokio::net::TcpSocket::new_v4()?;
    let hogs: Vec<fs::File> = std::iter::from_fn(|| fs::File::open("/dev/null").ok()).collect();
    // The kernel completes this by itself; the server has no descriptor left to accept it with.
    let stream = client.connect(door.at()).await?;
    until(|| log.text().contains("cannot accept connections")).await?;
    drop(hogs);
    let root = door.handle.status().internal_root.unwrap_or_default();
    let connector = TlsConnector::from(Arc::new(client_config(&root, b"http/1.1", &[&TLS13])?));
    let mut stream = timeout(PATIENCE, connector.connect(ServerName::try_from("localhost")?, stream)).await??;
    get(&mut stream).await?;
    Ok(())
}

/// What was logged.
#[derive(Clone, Default)]
struct Log(Arc<Mutex<Vec<u8>>>);

impl Log {
    fn text(&self) -> String {
        String::from_utf8_lossy(&self.0.lock()).into_owned()
    }
}

impl std::io::Write for Log {
    fn write(&mut self, line: &[u8]) -> std::io::Result<usize> {
        self.0.lock().extend_from_slice(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl tracing_subscriber::fmt::MakeWriter<'_> for Log {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        self.clone()
    }
}
