//! Conversations over real sockets.

use std::{fs, os::unix::fs::PermissionsExt as _, process::Command, sync::Arc};

use serde_json::json;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::UnixStream,
    sync::{Notify, oneshot},
    task::JoinHandle,
};

use super::*;

/// Repeats what it was asked, and has its moods.
#[derive(Default)]
struct Parrot {
    /// An organization's list starts by saying so here and waits for leave.
    begun: Notify,
    leave: Notify,
}

impl Handler for Parrot {
    async fn handle(&self, request: Request) -> Response {
        match request {
            Request::Status => Err(Failure::new("in a mood").kept("all feathers").hint("come back later")),
            Request::KeysList => panic!("a parrot has no keys"),
            Request::OrgList => {
                self.begun.notify_one();
                self.leave.notified().await;
                Ok(json!({ "items": [] }))
            }
            other => Ok(serde_json::to_value(other).unwrap()),
        }
    }
}

struct Served {
    parrot: Arc<Parrot>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

async fn serve(folder: &Path) -> Served {
    let listener = Listener::bind(folder).await.unwrap();
    let parrot = Arc::new(Parrot::default());
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(listener.serve(Arc::clone(&parrot), async { drop(stopped.await) }));
    Served { parrot, stop, task }
}

fn link() -> Request {
    Request::SignInLink { mail: "a@example.jp".into(), operator: true }
}

#[tokio::test]
async fn a_request_gets_its_answer() {
    let folder = tempfile::tempdir().unwrap();
    assert!(ask(folder.path(), &link(), |_| {}).await.unwrap().is_none(), "nobody is there yet");
    let served = serve(folder.path()).await;
    let socket = folder.path().join(SOCKET_NAME);
    assert_eq!(fs::metadata(&socket).unwrap().permissions().mode() & 0o777, 0o600);

    let answer = ask(folder.path(), &link(), |_| {}).await.unwrap().unwrap().unwrap();
    assert_eq!(answer, json!({ "command": "sign-in-link", "mail": "a@example.jp", "operator": true }));
    let failure = ask(folder.path(), &Request::Status, |_| {}).await.unwrap().unwrap().unwrap_err();
    assert_eq!(failure, Failure::new("in a mood").kept("all feathers").hint("come back later"));
    let broken = ask(folder.path(), &Request::KeysList, |_| {}).await.unwrap().unwrap().unwrap_err();
    assert_eq!(broken.message, "the appliance failed at this command");
    assert!(ask(folder.path(), &link(), |_| {}).await.unwrap().unwrap().is_ok(), "a panic ends one request");

    served.stop.send(()).unwrap();
    served.task.await.unwrap();
    assert!(!socket.exists());
    assert!(ask(folder.path(), &link(), |_| {}).await.unwrap().is_none());
}

#[tokio::test]
async fn a_live_socket_is_not_stolen_and_a_dead_one_is_replaced() {
    let folder = tempfile::tempdir().unwrap();
    let served = serve(folder.path()).await;
    assert!(matches!(Listener::bind(folder.path()).await, Err(ControlError::Running { .. })));
    assert!(ask(folder.path(), &link(), |_| {}).await.unwrap().is_some(), "the first one still answers");
    served.stop.send(()).unwrap();
    served.task.await.unwrap();

    // A process that dies leaves its socket, and perhaps one that it had not renamed yet.
    for name in [SOCKET_NAME, "control.sock.new"] {
        drop(std::os::unix::net::UnixListener::bind(folder.path().join(name)).unwrap());
    }
    assert!(ask(folder.path(), &link(), |_| {}).await.unwrap().is_none());
    let served = serve(folder.path()).await;
    assert!(ask(folder.path(), &link(), |_| {}).await.unwrap().is_some());
    drop(served);
}

#[tokio::test]
async fn a_folder_with_a_long_path_works_too() {
    let folder = tempfile::tempdir().unwrap();
    let deep = folder.path().join("長い".repeat(20)).join("d".repeat(100));
    fs::create_dir_all(&deep).unwrap();
    assert!(ask(&deep, &link(), |_| {}).await.unwrap().is_none());
    let served = serve(&deep).await;
    assert!(ask(&deep, &link(), |_| {}).await.unwrap().is_some());
    assert!(deep.join(SOCKET_NAME).exists());
    drop(served);
}

#[tokio::test]
async fn stopping_finishes_what_has_begun() {
    let folder = tempfile::tempdir().unwrap();
    let served = serve(folder.path()).await;
    let path = folder.path().to_owned();
    let asked = tokio::spawn(async move { ask(&path, &Request::OrgList, |_| {}).await });
    served.parrot.begun.notified().await;
    served.stop.send(()).unwrap();
    served.parrot.leave.notify_one();
    assert_eq!(asked.await.unwrap().unwrap(), Some(Ok(json!({ "items": [] }))));
    served.task.await.unwrap();
}

/// What comes back for raw bytes.
async fn say(folder: &Path, bytes: &[u8]) -> String {
    let mut stream = UnixStream::connect(folder.join(SOCKET_NAME)).await.unwrap();
    // The listener may close before it has read everything.
    let _ = stream.write_all(bytes).await;
    let _ = stream.shutdown().await;
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    String::from_utf8(answer).unwrap()
}

#[tokio::test]
async fn what_is_no_request_is_refused_and_leaves_the_listener_well() {
    let folder = tempfile::tempdir().unwrap();
    let served = serve(folder.path()).await;
    for bytes in [
        &b"GET / HTTP/1.1\n"[..],
        b"\n",
        b"{\"command\":\"erase\"}\n",
        b"\xff\xfe\n",
        b"{\"command\":\"org-create\",\"name\":\"n\",\"owner\":\"o\",\"x\":1}\n",
    ] {
        let answer = say(folder.path(), bytes).await;
        assert!(answer.starts_with("{\"error\":{\"message\":\"the running appliance ("), "{bytes:?} gave {answer}");
    }
    let endless = say(folder.path(), &vec![b'x'; 70_000]).await;
    assert!(endless.contains("a line of more than 65536 bytes"), "{endless}");
    assert_eq!(say(folder.path(), b"{\"command\"").await, "", "an unfinished line is nothing");
    assert!(ask(folder.path(), &link(), |_| {}).await.unwrap().is_some());
    drop(served);
}

/// Another user reaches the socket only if somebody has loosened its mode; then the kernel tells who it is.
#[tokio::test]
async fn a_stranger_is_refused_by_the_kernels_word() {
    let folder = tempfile::tempdir().unwrap();
    let mut listener = Listener::bind(folder.path()).await.unwrap();
    let socket = folder.path().join(SOCKET_NAME);
    let script = "import socket,sys; s=socket.socket(socket.AF_UNIX); s.connect(sys.argv[1]); \
                  s.sendall(b'{\"command\":\"status\"}\\n'); print(s.makefile().readline())";
    let mut stranger = Command::new("python3");
    stranger.args(["-I", "-c", script]).arg(&socket);
    if rustix::process::geteuid().is_root() {
        use std::os::unix::process::CommandExt as _;
        fs::set_permissions(folder.path(), fs::Permissions::from_mode(0o755)).unwrap();
        fs::set_permissions(&socket, fs::Permissions::from_mode(0o666)).unwrap();
        stranger.uid(65_534).gid(65_534);
    } else {
        // Whoever runs this test is a stranger to somebody else's folder.
        listener = Listener::owned_by(listener, rustix::process::geteuid().as_raw() + 1);
    }
    let (stop, stopped) = oneshot::channel::<()>();
    let task = tokio::spawn(listener.serve(Arc::new(Parrot::default()), async { drop(stopped.await) }));
    let output = tokio::task::spawn_blocking(move || stranger.output()).await.unwrap().unwrap();
    let heard = String::from_utf8_lossy(&output.stdout);
    assert!(heard.contains("only root and the owner of the data folder"), "{heard}{output:?}");
    stop.send(()).unwrap();
    task.await.unwrap();
}

#[test]
fn hints_fit_on_the_line() {
    let failure: Failure = serde_json::from_str("{\"message\":\"m\"}").unwrap();
    assert_eq!(failure, Failure::new("m"));
    assert!(ControlError::Garbled.hint().starts_with("restart"));
}
