//! The appliance's end.

use std::{
    fs,
    future::Future,
    io,
    os::unix::fs::{MetadataExt as _, PermissionsExt as _},
    path::{Path, PathBuf},
    pin::pin,
    sync::Arc,
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _, BufReader, copy, sink},
    net::{UnixListener, UnixStream},
    task::JoinSet,
    time::{sleep, timeout},
};

use super::{
    Answer, ControlError, Failure, Handler, REQUEST_BYTES_MAX, REQUEST_PATIENCE, Request, SOCKET_NAME, ShortPath,
    client::connect, read_line,
};

/// How much is read, and how long, from an asker who has had the answer.
const LINGER_BYTES_MAX: u64 = 1024 * 1024;
const LINGER_PATIENCE: Duration = Duration::from_secs(1);
/// How often an asker is told how far their request is.
const PROGRESS_EVERY: Duration = Duration::from_millis(200);
/// Connections served at once; further ones wait in the kernel.
const CONNECTIONS_MAX: usize = 16;

/// The open socket. Dropping it removes the file.
#[derive(Debug)]
pub struct Listener {
    socket: UnixListener,
    path: PathBuf,
    /// User id of the folder's owner.
    owner: u32,
}

impl Listener {
    /// Opens the socket of a data folder, in the place of one that a dead process left.
    ///
    /// # Errors
    /// If another process answers there, or the folder does not take a socket.
    pub async fn bind(data_dir: &Path) -> Result<Self, ControlError> {
        let path = data_dir.join(SOCKET_NAME);
        if connect(data_dir).await?.is_some() {
            return Err(ControlError::Running { data_dir: data_dir.to_owned() });
        }
        let bind = || {
            let owner = fs::metadata(data_dir)?.uid();
            // Made under another name and renamed, so that it is never there with a mode that lets others in.
            let new = ShortPath::new(data_dir, "control.sock.new")?;
            match fs::remove_file(&new.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let socket = UnixListener::bind(&new.path)?;
            fs::set_permissions(&new.path, fs::Permissions::from_mode(0o600))?;
            fs::rename(&new.path, &path)?;
            Ok(Self { socket, path: path.clone(), owner })
        };
        bind().map_err(|source| ControlError::Bind { path: path.clone(), source })
    }

    /// Serves until `stop` is ready, then finishes the requests that have begun.
    pub async fn serve(self, handler: Arc<impl Handler>, stop: impl Future<Output = ()>) {
        let mut stop = pin!(stop);
        let mut conversations = JoinSet::new();
        loop {
            tokio::select! {
                () = &mut stop => break,
                Some(ended) = conversations.join_next() => {
                    if let Err(error) = ended {
                        tracing::error!(%error, "A conversation on the control socket broke down");
                    }
                }
                accepted = self.socket.accept(), if conversations.len() < CONNECTIONS_MAX => match accepted {
                    Ok((stream, _)) => {
                        conversations.spawn(converse(stream, self.owner, Arc::clone(&handler)));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "The control socket cannot accept a connection");
                        // Most likely out of file descriptors: let some be closed.
                        sleep(Duration::from_millis(100)).await;
                    }
                },
            }
        }
        drop(self);
        while conversations.join_next().await.is_some() {}
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        // A file that stays behind is taken for what it is at the next start.
        let _ = fs::remove_file(&self.path);
    }
}

/// One connection: who is it, what do they want, what came of it.
async fn converse(mut stream: UnixStream, owner: u32, handler: Arc<impl Handler>) {
    let answer = match admitted(&stream, owner) {
        Ok(()) => match timeout(REQUEST_PATIENCE, read_line(&mut BufReader::new(&mut stream), REQUEST_BYTES_MAX)).await
        {
            Ok(Ok(line)) => {
                let mut answered = pin!(answer(&line, Arc::clone(&handler)));
                loop {
                    tokio::select! {
                        answer = &mut answered => break answer,
                        () = sleep(PROGRESS_EVERY) => if let Some(progress) = handler.progress() {
                            tell(&mut stream, &Answer::Progress(progress)).await;
                        },
                    }
                }
            }
            // Somebody looked whether the socket is alive and left.
            Ok(Err(error)) if error.kind() == io::ErrorKind::UnexpectedEof => return,
            Ok(Err(error)) => Answer::Error(Failure::new(format!("the request cannot be read: {error}"))),
            Err(_) => Answer::Error(Failure::new("no request came")),
        },
        Err(failure) => Answer::Error(failure),
    };
    tell(&mut stream, &answer).await;
    linger(stream).await;
}

async fn tell(stream: &mut UnixStream, answer: &Answer) {
    let Ok(mut line) = serde_json::to_vec(answer) else { return };
    line.push(b'\n');
    // The asker may be gone; what is done is done.
    if let Err(error) = stream.write_all(&line).await {
        tracing::debug!(%error, "Nobody waited for the answer on the control socket");
    }
}

/// Waits a little until the asker has closed: the kernel throws away an answer when a socket is closed with something
/// unread in it.
async fn linger(mut stream: UnixStream) {
    let _ = stream.shutdown().await;
    let mut rest = stream.take(LINGER_BYTES_MAX);
    let _ = timeout(LINGER_PATIENCE, copy(&mut rest, &mut sink())).await;
}

/// Root and the folder's owner may command.
fn admitted(stream: &UnixStream, owner: u32) -> Result<(), Failure> {
    let peer = rustix::net::sockopt::socket_peercred(stream);
    let uid = peer.map(|peer| peer.uid.as_raw()).map_err(|error| Failure::new(format!("unknown peer: {error}")))?;
    if uid == 0 || uid == owner {
        return Ok(());
    }
    tracing::warn!(uid, "Refused a command on the control socket from a user who is neither root nor the owner");
    Err(Failure::new("only root and the owner of the data folder may command the appliance")
        .hint("run the command as one of them"))
}

async fn answer(line: &[u8], handler: Arc<impl Handler>) -> Answer {
    let request: Request = match serde_json::from_slice(line) {
        Ok(request) => request,
        Err(error) => {
            return Answer::Error(
                Failure::new(format!(
                    "the running appliance ({}) does not know this request: {error}",
                    env!("CARGO_PKG_VERSION")
                ))
                .kept("nothing was changed")
                .hint("restart the appliance if the program was upgraded"),
            );
        }
    };
    // A task of its own: a panic in it is one answer, not the end of the conversation.
    match tokio::spawn(async move { handler.handle(request).await }).await {
        Ok(Ok(value)) => Answer::Ok(value),
        Ok(Err(failure)) => Answer::Error(failure),
        Err(error) => {
            tracing::error!(%error, "A command broke down");
            Answer::Error(Failure::new("the appliance failed at this command").hint("see its log; it serves on"))
        }
    }
}

#[cfg(test)]
impl Listener {
    /// The same listener, as if the folder were somebody else's.
    pub(super) fn owned_by(mut self, owner: u32) -> Self {
        self.owner = owner;
        self
    }
}
