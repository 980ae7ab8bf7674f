//! Against a real SMTP server, and against some that are up to no good.

use std::{
    env,
    io::{BufRead as _, BufReader},
    path::Path,
    process::{Child, Command, Stdio},
};

use serde_json::Value;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};
use zeroize::Zeroizing;

use super::*;
use crate::config::SecretSource;

/// A Python with aiosmtpd in it.
fn python() -> PathBuf {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = env::var_os("WORKRUN_TEST_PYTHON").map_or_else(|| root.join("tests/.venv/bin/python"), PathBuf::from);
    assert!(
        python.exists(),
        "the mail tests need a Python with aiosmtpd at {}: `python3 -m venv tests/.venv && tests/.venv/bin/pip install \
         aiosmtpd`, or name another in WORKRUN_TEST_PYTHON",
        python.display()
    );
    python
}

/// A running `tests/harness/smtp_server.py`, which ends with its standard input.
struct Server {
    folder: tempfile::TempDir,
    process: Child,
    port: u16,
}

impl Server {
    fn start(tls: SmtpTls, user: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let mode = match tls {
            SmtpTls::None => "none",
            SmtpTls::StartTls => "starttls",
            SmtpTls::Implicit => "implicit",
        };
        certify(folder.path());
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/smtp_server.py");
        let mut command = Command::new(python());
        command.arg(script).arg("--store").arg(folder.path().join("mail.jsonl")).args(["--tls", mode]);
        command.arg("--cert").arg(folder.path().join("cert.pem")).arg("--key").arg(folder.path().join("key.pem"));
        if let Some(user) = user {
            command.args(["--user", user, "--password", "秘密 pass"]);
        }
        let mut process = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let started: Value = serde_json::from_str(&line).expect("the SMTP server starts and says its port");
        let port = u16::try_from(started["port"].as_u64().unwrap()).unwrap();
        Self { folder, process, port }
    }

    fn settings(&self, tls: SmtpTls) -> Smtp {
        Smtp { root_file: Some(self.folder.path().join("ca.pem")), ..settings(self.port, tls) }
    }

    fn mails(&self) -> Vec<Value> {
        let text = fs::read_to_string(self.folder.path().join("mail.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

/// An authority and a certificate of it for localhost.
fn certify(folder: &Path) {
    let ca_key = rcgen::KeyPair::generate().unwrap();
    let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
    let root = ca.self_signed(&ca_key).unwrap();
    let key = rcgen::KeyPair::generate().unwrap();
    let leaf = rcgen::CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
    let leaf = leaf.signed_by(&key, &rcgen::Issuer::from_params(&ca, &ca_key)).unwrap();
    fs::write(folder.join("ca.pem"), root.pem()).unwrap();
    fs::write(folder.join("cert.pem"), leaf.pem()).unwrap();
    fs::write(folder.join("key.pem"), key.serialize_pem()).unwrap();
}

fn settings(port: u16, tls: SmtpTls) -> Smtp {
    Smtp {
        host: if tls == SmtpTls::None { "127.0.0.1" } else { "localhost" }.to_owned(),
        port,
        tls,
        sign_in: None,
        from: sender(),
        root_file: None,
        hello: "work.example.test".to_owned(),
    }
}

fn sender() -> Mailbox {
    "Workrun 受付 <workrun@example.test>".parse().unwrap()
}

fn message(to: &str) -> Message {
    Message {
        to: to.to_owned(),
        subject: "サインイン用コード 123456: 「見積もり」ボードへようこそ、長い件名は何行かに折り返されます".to_owned(),
        body_text: "123456\n\nコードを入力してください。\n.\n..dots\nFrom here\r\nÜmläut 🗾\n".to_owned(),
        from: sender(),
        message_id: "01abc.2@work.example.test".to_owned(),
        date: Timestamp(1_795_316_400_007),
    }
}

fn courier(smtp: &Smtp) -> Courier {
    let short = Duration::from_secs(20);
    Courier::new(smtp).unwrap().with_patience(Patience { connect: short, command: short, content: short })
}

/// The text as it arrived, line ends at its end aside.
fn body(mail: &Value) -> String {
    mail["body"].as_str().unwrap().replace("\r\n", "\n").trim_end().to_owned()
}

#[tokio::test]
async fn japanese_mail_arrives_as_it_was_written() {
    let server = Server::start(SmtpTls::None, None);
    let courier = courier(&server.settings(SmtpTls::None));
    let written = message("hana@example.test");
    let accepted = courier.send(&written).await.unwrap();
    assert_eq!(accepted.reply, "250 2.0.0 queued as test");
    let mail = server.mails().remove(0);
    assert_eq!(mail["subject"], *written.subject);
    assert_eq!(body(&mail), written.body_text.replace("\r\n", "\n").trim_end());
    assert_eq!(mail["sender"], "Workrun 受付 <workrun@example.test>");
    assert_eq!((&mail["from"], &mail["to"][0]), (&"workrun@example.test".into(), &"hana@example.test".into()));
    assert_eq!(mail["message_id"], "<01abc.2@work.example.test>");
    assert_eq!(mail["date"], "Sun, 22 Nov 2026 03:00:00 +0000");
    let raw = mail["raw"].as_str().unwrap();
    assert!(raw.is_ascii(), "nothing depends on 8BITMIME: {raw}");
    assert!(raw.lines().all(|line| line.len() <= 998), "RFC 5322, section 2.1.1");
    for header in ["MIME-Version: 1.0\r\n", "Auto-Submitted: auto-generated\r\n", "Subject: =?utf-8?"] {
        assert!(raw.contains(header), "{header} is missing in {raw}");
    }
}

#[tokio::test]
async fn both_ways_of_encryption_and_the_sign_in_work() {
    for tls in [SmtpTls::StartTls, SmtpTls::Implicit] {
        let user = (tls == SmtpTls::StartTls).then_some("workrun");
        let server = Server::start(tls, user);
        let mut smtp = server.settings(tls);
        let password = |text: &str| SecretSource::Environment(Zeroizing::new(text.to_owned()));
        if user.is_some() {
            smtp.sign_in = Some(("workrun".to_owned(), password("wrong")));
            let refused = courier(&smtp).send(&message("hana@example.test")).await.unwrap_err();
            assert!(
                matches!(&refused, SendError::Temporary(why) if why.starts_with("signing in: 535 ")),
                "{refused:?}"
            );
            smtp.sign_in = Some(("workrun".to_owned(), password("秘密 pass")));
        }
        courier(&smtp).send(&message("hana@example.test")).await.unwrap();
        let mail = server.mails().remove(0);
        assert!(mail["tls"].as_str().is_some_and(|version| version.starts_with("TLSv1.")), "{tls:?}: {}", mail["tls"]);
        assert_eq!(mail["user"].as_str(), user);

        let stranger = Smtp { root_file: None, ..smtp.clone() };
        let refused = courier(&stranger).send(&message("hana@example.test")).await.unwrap_err();
        assert!(matches!(&refused, SendError::Temporary(why) if why.contains("certificate")), "{refused:?}");
        let other_name = Smtp { host: "127.0.0.1".to_owned(), ..smtp };
        let refused = courier(&other_name).send(&message("hana@example.test")).await.unwrap_err();
        assert!(matches!(&refused, SendError::Temporary(why) if why.contains("certificate")), "{refused:?}");
        assert_eq!(server.mails().len(), 1);
    }
}

#[tokio::test]
async fn refusals_are_final_or_not_by_where_they_come() {
    let server = Server::start(SmtpTls::None, None);
    let courier = courier(&server.settings(SmtpTls::None));
    let temporary = |text: &str| Err(SendError::Temporary(text.to_owned()));
    let permanent = |text: &str| Err(SendError::Permanent(text.to_owned()));
    let send = async |to: &str| courier.send(&message(to)).await.map(|_| ());
    assert_eq!(send("tempfail@example.test").await, temporary("naming the recipient: 451 4.3.0 the mailbox is busy"));
    assert_eq!(send("permfail@example.test").await, permanent("naming the recipient: 550 5.1.1 no such mailbox"));
    assert_eq!(send("baddata@example.test").await, permanent("handing over: 554 5.6.0 this content is not welcome"));
    assert_eq!(send("greylist@example.test").await, temporary("naming the recipient: 450 4.2.0 come back later"));
    assert_eq!(send("greylist@example.test").await, Ok(()));
    let mut odd = message("hana@example.test");
    odd.from = "refused@example.test".parse().unwrap();
    let refused = courier.send(&odd).await.unwrap_err();
    assert_eq!(refused, SendError::Temporary("naming the sender: 553 5.7.1 this sender is not welcome".to_owned()));
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn no_header_can_be_slipped_in() {
    let server = Server::start(SmtpTls::None, None);
    let courier = courier(&server.settings(SmtpTls::None));
    let mut sly = message("hana@example.test");
    sly.subject = "Hello\r\nBcc: eve@example.test\r\n\r\nbody\u{0}".to_owned();
    sly.from = Mailbox::new(Some("A\r\nX-Evil: 1".to_owned()), "workrun@example.test".parse().unwrap());
    sly.body_text = "text\r\n.\r\nMAIL FROM:<eve@example.test>\r\n".to_owned();
    courier.send(&sly).await.unwrap();
    let mail = server.mails().remove(0);
    assert_eq!(server.mails().len(), 1);
    let names: Vec<&str> = mail["headers"].as_array().unwrap().iter().map(|pair| pair[0].as_str().unwrap()).collect();
    let known = [
        "From",
        "To",
        "Subject",
        "Date",
        "Message-ID",
        "Auto-Submitted",
        "MIME-Version",
        "Content-Type",
        "Content-Transfer-Encoding",
    ];
    assert!(names.iter().all(|name| known.contains(name)), "{names:?}");
    assert_eq!(body(&mail), "text\n.\nMAIL FROM:<eve@example.test>");
    assert_eq!(mail["to"].as_array().unwrap().len(), 1);

    for to in
        ["", "hana", "a@b@", "hana@example.test\r\nDATA", "<hana@example.test>", "a b@example.test", "a@exa mple.test"]
    {
        let refused = courier.send(&message(to)).await.unwrap_err();
        assert_eq!(refused, SendError::Permanent("the recipient is no mail address".to_owned()), "{to:?}");
    }
    for id in ["", "a", "a@", "a@b\r\nX: y", "<a@b>", "a@b@c"] {
        let odd = Message { message_id: id.to_owned(), ..message("hana@example.test") };
        assert!(matches!(courier.send(&odd).await, Err(SendError::Permanent(_))), "{id:?}");
    }
    assert_eq!(server.mails().len(), 1);
}

#[tokio::test]
async fn addresses_beyond_ascii_are_carried() {
    let server = Server::start(SmtpTls::None, None);
    let courier = courier(&server.settings(SmtpTls::None));
    courier.send(&message("hana@例え.jp")).await.unwrap();
    assert_eq!(server.mails()[0]["to"][0], "hana@xn--r8jz45g.jp");
    courier.send(&message("花@example.test")).await.unwrap();
    assert_eq!(server.mails()[1]["to"][0], "花@example.test");
}

/// A server that says what the script says, line by line, and keeps what it hears.
async fn scripted(replies: &'static [&'static str]) -> (u16, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let task = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut heard = Vec::new();
        for reply in replies {
            stream.write_all(reply.as_bytes()).await.unwrap();
            let mut bytes = [0; 4096];
            let length = stream.read(&mut bytes).await.unwrap_or(0);
            heard.extend_from_slice(&bytes[..length]);
        }
        String::from_utf8_lossy(&heard).into_owned()
    });
    (port, task)
}

#[tokio::test]
async fn without_the_promised_encryption_nothing_is_said() {
    let (port, heard) = scripted(&["220 hello\r\n", "250-me\r\n250 AUTH PLAIN\r\n", "221 bye\r\n"]).await;
    let mut smtp = settings(port, SmtpTls::StartTls);
    smtp.sign_in = Some(("workrun".to_owned(), SecretSource::Environment(Zeroizing::new("secret".to_owned()))));
    let refused = courier(&smtp).send(&message("hana@example.test")).await.unwrap_err();
    assert_eq!(refused, SendError::Temporary("encrypting: the server does not offer STARTTLS".to_owned()));
    let heard = heard.await.unwrap();
    assert!(!heard.contains("AUTH") && !heard.contains("hana"), "{heard}");
}

/// Whoever sits in between may append answers to the last one in clear; they must not count under TLS.
#[tokio::test]
async fn answers_slipped_in_before_tls_do_not_count() {
    use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject as _};
    for slipped_in in ["", "250-me\r\n250 AUTH PLAIN\r\n235 fine\r\n250 ok\r\n250 ok\r\n354 go\r\n250 taken\r\n"] {
        let folder = tempfile::tempdir().unwrap();
        certify(folder.path());
        let cert = CertificateDer::from_pem_file(folder.path().join("cert.pem")).unwrap();
        let key = PrivateKeyDer::from_pem_file(folder.path().join("key.pem")).unwrap();
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let tls = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
        let tls = tls.with_no_client_auth().with_single_cert(vec![cert], key).unwrap();
        let acceptor = tokio_rustls::TlsAcceptor::from(std::sync::Arc::new(tls));

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let mut smtp = settings(listener.local_addr().unwrap().port(), SmtpTls::StartTls);
        smtp.root_file = Some(folder.path().join("ca.pem"));
        let server = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            let last = format!("220 go\r\n{slipped_in}");
            for reply in ["220 hello\r\n", "250-me\r\n250 STARTTLS\r\n", &last] {
                stream.write_all(reply.as_bytes()).await.unwrap();
                if reply != last {
                    let _ = stream.read(&mut [0; 4096]).await.unwrap();
                }
            }
            acceptor.accept(stream).await.is_ok()
        });
        let refused = courier(&smtp).send(&message("hana@example.test")).await.unwrap_err();
        assert!(matches!(&refused, SendError::Temporary(why) if why.starts_with("encrypting: ")), "{refused:?}");
        assert_eq!(
            server.await.unwrap(),
            slipped_in.is_empty(),
            "TLS comes about if and only if nothing was slipped in"
        );
    }
}

#[tokio::test]
async fn a_server_that_falls_silent_or_is_gone_is_tried_again() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let brief = Patience { connect: Duration::from_millis(50), ..Patience::default() };
    let courier = Courier::new(&settings(port, SmtpTls::None)).unwrap().with_patience(brief);
    let silent = courier.send(&message("hana@example.test")).await.unwrap_err();
    assert_eq!(silent, SendError::Temporary("connecting: no answer within 0.05 s".to_owned()));
    drop(listener);
    let gone = courier.send(&message("hana@example.test")).await.unwrap_err();
    assert!(matches!(&gone, SendError::Temporary(why) if why.starts_with("connecting: ")), "{gone:?}");
}

#[tokio::test]
async fn what_a_server_says_is_kept_on_one_short_line() {
    let long: &'static str = Box::leak(format!("554 {}\u{1b}[31m\r\n", "x".repeat(400)).into_boxed_str());
    let replies: &'static [&'static str] = Box::leak(vec![long].into_boxed_slice());
    let (port, _) = scripted(replies).await;
    let refused = courier(&settings(port, SmtpTls::None)).send(&message("hana@example.test")).await.unwrap_err();
    assert!(
        matches!(&refused, SendError::Temporary(why) if why.len() == 300 && !why.contains(char::is_control)),
        "{refused:?}"
    );
}

#[test]
fn a_courier_needs_a_readable_password_and_root() {
    let folder = tempfile::tempdir().unwrap();
    let nowhere = folder.path().join("nowhere");
    let mut smtp = settings(1, SmtpTls::Implicit);
    smtp.root_file = Some(nowhere.clone());
    assert!(matches!(Courier::new(&smtp), Err(CourierError::RootFile { .. })));
    for junk in ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----\n"] {
        fs::write(folder.path().join("junk.pem"), junk).unwrap();
        smtp.root_file = Some(folder.path().join("junk.pem"));
        assert!(Courier::new(&smtp).is_err(), "{junk:?}");
    }
    smtp.root_file = None;
    smtp.sign_in = Some(("u".to_owned(), SecretSource::File(nowhere)));
    let error = Courier::new(&smtp).unwrap_err();
    assert!(error.to_string().starts_with("cannot read the secret in "), "{error}");
}
