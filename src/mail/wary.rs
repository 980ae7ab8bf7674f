//! A stream on which nothing said in clear is taken for something said under TLS.
//!
//! With STARTTLS (RFC 3207) the answer "220 go ahead" is the last that may count in clear. Somebody in between can append
//! answers to it, and a client that has read them into its buffer along with the 220 believes, once TLS is up, that the
//! server gave them. So as long as the conversation is in clear it is read one byte at a time: the buffer above never
//! holds more than the line that it waits for, and what was slipped in runs into the TLS handshake, which fails on it.

use std::{
    io,
    net::SocketAddr,
    pin::Pin,
    task::{Context, Poll, ready},
};

use lettre::transport::smtp::client::AsyncTokioStream;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::TcpStream,
};

/// First byte of a TLS handshake record (RFC 8446, section 5.1), with which no SMTP command begins.
const HANDSHAKE: u8 = 0x16;

/// A TCP stream that is read byte by byte until this side begins TLS on it.
#[derive(Debug)]
pub(super) struct Wary {
    stream: TcpStream,
    is_clear: bool,
}

impl Wary {
    pub fn new(stream: TcpStream) -> Self {
        Self { stream, is_clear: true }
    }
}

impl AsyncTokioStream for Wary {
    fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.stream.peer_addr()
    }
}

impl AsyncRead for Wary {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if !self.is_clear || buf.remaining() == 0 {
            return Pin::new(&mut self.stream).poll_read(cx, buf);
        }
        let mut byte = [0];
        let mut one = ReadBuf::new(&mut byte);
        ready!(Pin::new(&mut self.stream).poll_read(cx, &mut one))?;
        buf.put_slice(one.filled());
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Wary {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        if buf.first() == Some(&HANDSHAKE) {
            self.is_clear = false;
        }
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
