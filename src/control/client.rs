//! The command's end.

use std::{io, path::Path};

use serde_json::Value;
use tokio::{
    io::{AsyncWriteExt as _, BufReader},
    net::UnixStream,
};

use super::{ANSWER_BYTES_MAX, Answer, ControlError, Request, Response, SOCKET_NAME, ShortPath, read_line};

/// Asks the appliance that runs on a data folder; `None` if none does. `on_progress` is told how far it is.
///
/// # Errors
/// If the socket is there and not for this user, or the appliance does not answer to the end. After
/// [`ControlError::Broken`] the request may have been done.
pub async fn ask(
    data_dir: &Path,
    request: &Request,
    mut on_progress: impl FnMut(&Value),
) -> Result<Option<Response>, ControlError> {
    let Some(mut stream) = connect(data_dir).await? else { return Ok(None) };
    let broken = |source| ControlError::Broken { source };
    let mut line = serde_json::to_vec(request).map_err(|error| broken(error.into()))?;
    line.push(b'\n');
    // An appliance that refuses may have said so and closed before it has read all.
    let written = stream.write_all(&line).await;
    let mut stream = BufReader::new(stream);
    loop {
        let answer = match read_line(&mut stream, ANSWER_BYTES_MAX).await {
            Ok(answer) => answer,
            Err(unread) => return Err(broken(written.err().unwrap_or(unread))),
        };
        match serde_json::from_slice(&answer) {
            Ok(Answer::Progress(progress)) => on_progress(&progress),
            Ok(Answer::Ok(value)) => return Ok(Some(Ok(value))),
            Ok(Answer::Error(failure)) => return Ok(Some(Err(failure))),
            Err(_) => return Err(ControlError::Garbled),
        }
    }
}

/// A connection to whoever listens on the folder's socket, if anybody does.
pub(super) async fn connect(data_dir: &Path) -> Result<Option<UnixStream>, ControlError> {
    let path = data_dir.join(SOCKET_NAME);
    let connected = match ShortPath::new(data_dir, SOCKET_NAME) {
        Ok(short) => UnixStream::connect(&short.path).await,
        Err(error) => Err(error),
    };
    match connected {
        Ok(stream) => Ok(Some(stream)),
        Err(error) => match error.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused | io::ErrorKind::NotADirectory => Ok(None),
            io::ErrorKind::PermissionDenied => Err(ControlError::NotAllowed { path }),
            _ => Err(ControlError::Broken { source: error }),
        },
    }
}
