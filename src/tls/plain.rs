//! An answer for those who speak plain HTTP to the TLS port: mostly a hand-typed `http://` address.

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// As much of the request as is read before answering; heads are rarely over 2 KiB.
const HEAD_LIMIT: usize = 8 * 1024;

/// Reads the request's head and answers 400 with the `https://` address to use. The caller bounds the time.
pub(super) async fn answer(mut stream: TcpStream) -> std::io::Result<()> {
    let mut head = Vec::with_capacity(1024);
    let mut chunk = [0; 1024];
    while head.len() < HEAD_LIMIT && !head.windows(4).any(|end| end == b"\r\n\r\n") {
        match stream.read(&mut chunk).await? {
            0 => break,
            read => head.extend_from_slice(&chunk[..read]),
        }
    }
    stream.write_all(response(&head).as_bytes()).await?;
    stream.shutdown().await?;
    // Closing with unread bytes would reset the connection and may take the answer back from the client.
    while stream.read(&mut chunk).await? > 0 {}
    Ok(())
}

fn response(head: &[u8]) -> String {
    let address = match host(head) {
        Some(host) => format!("https://{host}/"),
        None => "https://".to_owned(),
    };
    let body = format!("This port speaks HTTPS; use {address}\n");
    format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\
         Connection: close\r\n\r\n{body}",
        body.len()
    )
}

/// The `Host` header, if it holds nothing but what a host and port are made of.
fn host(head: &[u8]) -> Option<&str> {
    let head = std::str::from_utf8(head).ok()?;
    let (_, value) = head
        .lines()
        .skip(1)
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("host"))?;
    let value = value.trim();
    let sound = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | ':' | '[' | ']');
    (!value.is_empty() && value.len() <= 260 && value.chars().all(sound)).then_some(value)
}

#[cfg(test)]
mod tests {
    use super::{host, response};

    #[test]
    fn names_the_address_to_use() {
        let answer = response(b"GET / HTTP/1.1\r\nhost: boards.example:8443\r\n\r\n");
        assert!(answer.starts_with("HTTP/1.1 400 "), "{answer}");
        assert!(answer.ends_with("use https://boards.example:8443/\n"), "{answer}");
    }

    #[test]
    fn repeats_nothing_that_is_not_a_host() {
        assert_eq!(host(b"GET / HTTP/1.1\r\nHost: <script>\r\n\r\n"), None);
        assert_eq!(host(b"GET / HTTP/1.1\r\nHost: a b\r\n\r\n"), None);
        assert_eq!(host(b"GET / HTTP/1.1\r\n\r\n"), None);
        assert_eq!(host(b"\xff\xfe"), None);
    }
}
