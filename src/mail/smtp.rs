//! One message to the mail server, and what came of it.
//!
//! The conversation is RFC 5321's, led command by command, because what a refusal means depends on where it came: one
//! at the sign-in is the operator's to mend and the message waits, one of the recipient is final. The server's last
//! reply is kept for the operators, on one line and cut short; the message's content never is.
//!
//! Once the server has said 250 after the content, the message is its own, whatever happens to the connection then. If
//! the connection breaks before that word comes, nobody knows, and the message is tried again under the same
//! `Message-ID`, by which receiving servers can tell.

use std::{
    error::Error as _,
    fmt, fs, io,
    path::PathBuf,
    time::{Duration, UNIX_EPOCH},
};

use lettre::{
    Address,
    message::{
        Mailbox, SinglePart,
        header::{Header, HeaderName, HeaderValue},
    },
    transport::smtp::{
        authentication::{Credentials, DEFAULT_MECHANISMS},
        client::{AsyncSmtpConnection, Certificate, CertificateStore, TlsParameters},
        commands::{Data, Mail, Rcpt},
        extension::{ClientId, Extension, MailBodyParameter, MailParameter},
    },
};
use tokio::{net::TcpStream, time::timeout};

use super::wary::Wary;
use crate::{
    clock::Timestamp,
    config::{SecretError, Smtp, SmtpTls},
};

/// How long each step may take; RFC 5321, section 4.5.3.2, names minutes, since servers do work before they answer.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// To the greeting, encryption and sign-in included.
    pub connect: Duration,
    /// To the answer to a command.
    pub command: Duration,
    /// To the answer to the whole content. Giving up here risks a second copy.
    pub content: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Self { connect: seconds(60), command: seconds(120), content: seconds(600) }
    }
}

/// A message in the making.
#[derive(Clone, Debug)]
pub struct Message {
    /// The recipient's address.
    pub to: String,
    /// One line; control characters become spaces.
    pub subject: String,
    /// Text, its lines ended as they may be.
    pub body_text: String,
    /// The sender as shown, whose address is the envelope's too.
    pub from: Mailbox,
    /// `left@right`, without brackets (RFC 5322, section 3.6.4); the same at every try.
    pub message_id: String,
    /// When it was written.
    pub date: Timestamp,
}

/// The server has taken the message.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Accepted {
    /// What it said.
    pub reply: String,
}

/// The server has not taken the message, or nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// A later try may succeed.
    #[error("not sent for now: {0}")]
    Temporary(String),
    /// No later try will.
    #[error("cannot be sent: {0}")]
    Permanent(String),
}

/// There is no courier to be had with these settings.
#[derive(Debug, thiserror::Error)]
pub enum CourierError {
    /// The password cannot be read.
    #[error(transparent)]
    Password(#[from] SecretError),
    /// The file with the further root cannot be read.
    #[error("cannot read smtp_root_file {}: {source}", path.display())]
    RootFile { path: PathBuf, source: io::Error },
    /// It holds no certificate.
    #[error("smtp_root_file {} holds no PEM certificate that can be a root", path.display())]
    RootMalformed { path: PathBuf },
    /// The host is no name that a certificate could have.
    #[error("no TLS with smtp_host {host}: {reason}")]
    Tls { host: String, reason: String },
}

/// Carries messages to one mail server, each over a connection of its own.
pub struct Courier {
    host: String,
    port: u16,
    hello: ClientId,
    mode: Mode,
    credentials: Option<Credentials>,
    patience: Patience,
}

enum Mode {
    Clear,
    StartTls(TlsParameters),
    Implicit(TlsParameters),
}

/// Where in the conversation something happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Step {
    Connect,
    Encrypt,
    SignIn,
    Sender,
    Recipient,
    Content,
}

impl Courier {
    /// A courier by the settings, which reads the password and the further root now.
    ///
    /// # Errors
    /// If either cannot be read, or is no password or root.
    pub fn new(smtp: &Smtp) -> Result<Self, CourierError> {
        let mode = match smtp.tls {
            SmtpTls::None => Mode::Clear,
            SmtpTls::StartTls => Mode::StartTls(tls(smtp)?),
            SmtpTls::Implicit => Mode::Implicit(tls(smtp)?),
        };
        let credentials = match &smtp.sign_in {
            Some((user, password)) => Some(Credentials::new(user.clone(), password.text()?.to_string())),
            None => None,
        };
        Ok(Self {
            host: smtp.host.clone(),
            port: smtp.port,
            hello: ClientId::Domain(smtp.hello.clone()),
            mode,
            credentials,
            patience: Patience::default(),
        })
    }

    /// The same courier with other limits.
    #[must_use]
    pub fn with_patience(self, patience: Patience) -> Self {
        Self { patience, ..self }
    }

    /// Hands one message over.
    ///
    /// # Errors
    /// [`SendError::Permanent`] if the recipient or the content was refused for good or the message cannot be written
    /// as mail; [`SendError::Temporary`] for everything else, the server's address, certificate and sign-in included.
    pub async fn send(&self, message: &Message) -> Result<Accepted, SendError> {
        let letter = Letter::write(message)?;
        let mut connection = self.connect().await?;
        let outcome = self.deliver(&mut connection, &letter).await;
        // Politeness, and no more: the outcome stands.
        let farewell = async {
            match &outcome {
                Ok(_) => drop(connection.quit().await),
                Err(_) => connection.abort().await,
            }
        };
        let _ = timeout(Duration::from_secs(5), farewell).await;
        outcome
    }

    /// A connection that is encrypted and signed in as the settings say.
    async fn connect(&self) -> Result<AsyncSmtpConnection, SendError> {
        let limit = self.patience.connect;
        let server = (self.host.as_str(), self.port);
        let plainly = |tls| AsyncSmtpConnection::connect_tokio1(server, Some(limit), &self.hello, tls, None);
        let mut connection = match &self.mode {
            Mode::Clear => within(limit, Step::Connect, plainly(None)).await?,
            Mode::Implicit(parameters) => within(limit, Step::Connect, plainly(Some(parameters.clone()))).await?,
            Mode::StartTls(_) => {
                let stream = match timeout(limit, TcpStream::connect(server)).await {
                    Ok(Ok(stream)) => Box::new(Wary::new(stream)),
                    Ok(Err(error)) => {
                        return Err(SendError::Temporary(one_line(&format!("{}: {error}", Step::Connect))));
                    }
                    Err(_) => return Err(overdue(Step::Connect, limit)),
                };
                let greeting = AsyncSmtpConnection::connect_with_transport(stream, &self.hello);
                within(limit, Step::Connect, greeting).await?
            }
        };
        if let Mode::StartTls(parameters) = &self.mode {
            if !connection.can_starttls() {
                connection.abort().await;
                return Err(SendError::Temporary(format!("{}: the server does not offer STARTTLS", Step::Encrypt)));
            }
            within(limit, Step::Encrypt, connection.starttls(parameters.clone(), &self.hello)).await?;
        }
        if let Some(credentials) = &self.credentials {
            let signed_in = within(limit, Step::SignIn, connection.auth(DEFAULT_MECHANISMS, credentials)).await;
            if let Err(error) = signed_in {
                let _ = timeout(Duration::from_secs(5), connection.abort()).await;
                return Err(error);
            }
        }
        Ok(connection)
    }

    async fn deliver(&self, connection: &mut AsyncSmtpConnection, letter: &Letter) -> Result<Accepted, SendError> {
        let mut parameters = Vec::new();
        if !(letter.from.as_ref() as &str).is_ascii() || !(letter.to.as_ref() as &str).is_ascii() {
            if !connection.server_info().supports_feature(Extension::SmtpUtfEight) {
                let reason = "the address goes beyond ASCII, which the mail server does not carry (SMTPUTF8)";
                return Err(SendError::Permanent(reason.to_owned()));
            }
            parameters.push(MailParameter::SmtpUtfEight);
        }
        if !letter.bytes.is_ascii() {
            parameters.push(MailParameter::Body(MailBodyParameter::EightBitMime));
        }
        let limit = self.patience.command;
        let sender = Mail::new(Some(letter.from.clone()), parameters);
        within(limit, Step::Sender, connection.command(sender)).await?;
        let recipient = Rcpt::new(letter.to.clone(), Vec::new());
        within(limit, Step::Recipient, connection.command(recipient)).await?;
        let go_ahead = within(limit, Step::Content, connection.command(Data)).await?;
        if !go_ahead.has_code(354) {
            return Err(SendError::Temporary(format!("{}: the server answers out of step", Step::Content)));
        }
        let taken = within(self.patience.content, Step::Content, connection.message(&letter.bytes)).await?;
        let text: Vec<&str> = taken.message().collect();
        Ok(Accepted { reply: one_line(&format!("{} {}", taken.code(), text.join(" "))) })
    }
}

impl fmt::Debug for Courier {
    /// Without the credentials.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Courier({}:{})", self.host, self.port)
    }
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Connect => "connecting",
            Self::Encrypt => "encrypting",
            Self::SignIn => "signing in",
            Self::Sender => "naming the sender",
            Self::Recipient => "naming the recipient",
            Self::Content => "handing over",
        })
    }
}

/// The server's certificate is checked against the public roots and the further one, if there is one.
fn tls(smtp: &Smtp) -> Result<TlsParameters, CourierError> {
    let mut parameters = TlsParameters::builder(smtp.host.clone()).certificate_store(CertificateStore::WebpkiRoots);
    if let Some(path) = &smtp.root_file {
        let pem = fs::read(path).map_err(|source| CourierError::RootFile { path: path.clone(), source })?;
        let malformed = || CourierError::RootMalformed { path: path.clone() };
        // An empty list of certificates would be taken silently.
        if !pem.windows(27).any(|window| window == b"-----BEGIN CERTIFICATE-----") {
            return Err(malformed());
        }
        parameters = parameters.add_root_certificate(Certificate::from_pem(&pem).map_err(|_| malformed())?);
    }
    parameters
        .build_rustls()
        .map_err(|error| CourierError::Tls { host: smtp.host.clone(), reason: one_line(&error.to_string()) })
}

/// A step's outcome, within its limit.
async fn within<T>(
    limit: Duration,
    step: Step,
    doing: impl Future<Output = Result<T, lettre::transport::smtp::Error>>,
) -> Result<T, SendError> {
    match timeout(limit, doing).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(error)) => Err(judged(step, &error)),
        Err(_) => Err(overdue(step, limit)),
    }
}

fn overdue(step: Step, limit: Duration) -> SendError {
    SendError::Temporary(format!("{step}: no answer within {} s", limit.as_secs_f32()))
}

/// Whether a refusal is final. Only those of the recipient and the content are about this message; and 530, "sign in
/// first" (RFC 4954, section 6), is about the settings even there.
fn judged(step: Step, error: &lettre::transport::smtp::Error) -> SendError {
    let cause = error.source().map(ToString::to_string).unwrap_or_default();
    let reply = match error.status() {
        Some(code) => format!("{code} {cause}"),
        None if cause.is_empty() => error.to_string(),
        None => cause,
    };
    let reason = one_line(&format!("{step}: {reply}"));
    let is_settings = error.status().is_some_and(|code| code.to_string() == "530");
    if error.is_permanent() && matches!(step, Step::Recipient | Step::Content) && !is_settings {
        SendError::Permanent(reason)
    } else {
        SendError::Temporary(reason)
    }
}

/// At most 300 characters of what the other side said, on one line.
fn one_line(text: &str) -> String {
    let mut line: String = text.chars().take(300).map(|char| if char.is_control() { ' ' } else { char }).collect();
    line.truncate(line.trim_end().len());
    line
}

/// A message as bytes, and its envelope.
struct Letter {
    from: Address,
    to: Address,
    bytes: Vec<u8>,
}

impl Letter {
    fn write(message: &Message) -> Result<Self, SendError> {
        let permanent = |reason: &str| SendError::Permanent(reason.to_owned());
        let to = message.to.parse::<Address>().ok().and_then(|address| ascii_domain(&address));
        let to = to.ok_or_else(|| permanent("the recipient is no mail address"))?;
        let from = ascii_domain(&message.from.email).ok_or_else(|| permanent("the sender is no mail address"))?;
        if !is_message_id(&message.message_id) {
            return Err(permanent("the message id is not of the form left@right"));
        }
        let millis = u64::try_from(message.date.0).map_err(|_| permanent("the date is before 1970"))?;
        // The header knows four digits of the year.
        let date = Some(millis)
            .filter(|millis| *millis < 253_402_300_800_000)
            .map(|millis| UNIX_EPOCH + Duration::from_millis(millis))
            .ok_or_else(|| permanent("the date is after 9999"))?;
        let subject: String = message.subject.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
        let name = message.from.name.as_ref();
        let name = name.map(|name| name.replace(char::is_control, " "));
        // RFC 2046, section 4.1.1: CRLF whatever the encoding. The last line's end comes with the dot.
        let body = message.body_text.replace("\r\n", "\n").replace('\r', "\n");
        let body = body.trim_end_matches('\n').replace('\n', "\r\n");
        let written = lettre::Message::builder()
            .from(Mailbox::new(name, from.clone()))
            .to(Mailbox::new(None, to.clone()))
            .subject(subject)
            .date(date)
            .message_id(Some(format!("<{}>", message.message_id)))
            .header(AutoSubmitted)
            .singlepart(SinglePart::plain(body))
            .map_err(|error| SendError::Permanent(one_line(&error.to_string())))?;
        Ok(Self { from, to, bytes: written.formatted() })
    }
}

/// Tells vacation responders not to answer (RFC 3834, section 5).
#[derive(Clone)]
struct AutoSubmitted;

impl Header for AutoSubmitted {
    fn name() -> HeaderName {
        HeaderName::new_from_ascii_str("Auto-Submitted")
    }

    fn parse(_: &str) -> Result<Self, Box<dyn std::error::Error + Send + Sync>> {
        Ok(Self)
    }

    fn display(&self) -> HeaderValue {
        HeaderValue::new(Self::name(), "auto-generated".to_owned())
    }
}

/// The address with its domain in the form that every mail server knows (`例え.jp` as `xn--r8jz45g.jp`).
fn ascii_domain(address: &Address) -> Option<Address> {
    if address.domain().starts_with('[') {
        return Some(address.clone());
    }
    match url::Host::parse(address.domain()) {
        Ok(url::Host::Domain(domain)) => Address::new(address.user(), domain).ok(),
        _ => None,
    }
}

/// Letters, digits and `.-_` on both sides of one `@`: less than RFC 5322 allows, and nothing that needs quoting.
fn is_message_id(id: &str) -> bool {
    let is_side = |side: &str| {
        !side.is_empty() && side.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-_".contains(&byte))
    };
    id.len() <= 200 && id.split_once('@').is_some_and(|(left, right)| is_side(left) && is_side(right))
}

#[cfg(test)]
#[path = "smtp_tests.rs"]
mod tests;
