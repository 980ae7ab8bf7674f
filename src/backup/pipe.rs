//! A store's bytes go through several hands: read and opened, packed, sealed, hashed and written. For large ones the hands
//! work side by side, with a few buffers between them.

use std::{
    io::{self, Read, Write},
    sync::mpsc::{Receiver, SyncSender, sync_channel},
    thread::{Scope, ScopedJoinHandle},
};

use super::nice::be_nice;
use crate::store::dump::Target;

/// Buffers on their way at most.
const ON_THE_WAY: usize = 6;
/// Bytes of a buffer that is read ahead.
const BUFFER: usize = 256 * 1024;

fn broken() -> io::Error {
    io::Error::new(io::ErrorKind::BrokenPipe, "the other end of the pipe has gone")
}

/// Where one thread writes what another packs.
pub(super) struct Inlet(SyncSender<Passed>);

/// What goes through an inlet.
enum Passed {
    Bytes(Vec<u8>),
    Table(String),
}

impl Write for Inlet {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.send(Passed::Bytes(bytes.to_vec())).map_err(|_| broken())?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Target for Inlet {
    fn begin_table(&mut self, name: &str) -> io::Result<()> {
        self.0.send(Passed::Table(name.to_owned())).map_err(|_| broken())
    }
}

/// Lets another thread of the scope write into `to`. It ends when the inlet is dropped, and gives back what it wrote to.
pub(super) fn write_behind<'s, W: Target + Send + 's>(
    scope: &'s Scope<'s, '_>,
    mut to: W,
) -> (Inlet, ScopedJoinHandle<'s, io::Result<W>>) {
    let (inlet, outlet) = sync_channel::<Passed>(ON_THE_WAY);
    let behind = scope.spawn(move || {
        be_nice();
        for passed in outlet {
            match passed {
                Passed::Bytes(bytes) => to.write_all(&bytes)?,
                Passed::Table(name) => to.begin_table(&name)?,
            }
        }
        Ok(to)
    });
    (Inlet(inlet), behind)
}

/// What one thread has read ahead for another.
pub(super) struct Outlet {
    from: Receiver<io::Result<Vec<u8>>>,
    buffer: Vec<u8>,
    at: usize,
}

impl Read for Outlet {
    fn read(&mut self, out: &mut [u8]) -> io::Result<usize> {
        while self.at == self.buffer.len() {
            let Ok(next) = self.from.recv() else { return Ok(0) };
            self.buffer = next?;
            self.at = 0;
        }
        let taken = out.len().min(self.buffer.len() - self.at);
        out[..taken].copy_from_slice(&self.buffer[self.at..self.at + taken]);
        self.at += taken;
        Ok(taken)
    }
}

/// Lets another thread of the scope read `from` ahead. At its end, or once nobody takes what was read, it gives it back.
pub(super) fn read_ahead<'s, R: Read + Send + 's>(
    scope: &'s Scope<'s, '_>,
    mut from: R,
) -> (Outlet, ScopedJoinHandle<'s, R>) {
    let (inlet, outlet) = sync_channel(ON_THE_WAY);
    let ahead = scope.spawn(move || {
        be_nice();
        loop {
            let mut buffer = Vec::with_capacity(BUFFER);
            let read = (&mut from).take(BUFFER as u64).read_to_end(&mut buffer);
            let last = !matches!(read, Ok(BUFFER));
            if inlet.send(read.map(|_| buffer)).is_err() || last {
                return from;
            }
        }
    });
    (Outlet { from: outlet, buffer: Vec::new(), at: 0 }, ahead)
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn bytes_come_out_as_they_went_in() {
        let bytes: Vec<u8> = (0..3 * BUFFER + 17).map(|at| at as u8).collect();
        let (written, read) = thread::scope(|scope| {
            let (mut inlet, behind) = write_behind(scope, Vec::new());
            bytes.chunks(1000).for_each(|part| inlet.write_all(part).unwrap());
            drop(inlet);
            let (mut outlet, ahead) = read_ahead(scope, bytes.as_slice());
            let mut read = Vec::new();
            outlet.read_to_end(&mut read).unwrap();
            assert!(ahead.join().unwrap().is_empty());
            (behind.join().unwrap().unwrap(), read)
        });
        assert!(written == bytes && read == bytes);
    }

    struct Failing;
    impl Read for Failing {
        fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::Error::other("no"))
        }
    }
    impl Target for Failing {}
    impl Write for Failing {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("no"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn failures_come_through_and_nobody_waits_for_ever() {
        thread::scope(|scope| {
            let (mut inlet, behind) = write_behind(scope, Failing);
            while inlet.write_all(&[0; 9]).is_ok() {}
            assert!(behind.join().unwrap().is_err());
            let (mut outlet, _) = read_ahead(scope, Failing);
            assert!(outlet.read(&mut [0]).is_err());
            let (outlet, ahead) = read_ahead(scope, io::repeat(7));
            drop(outlet);
            ahead.join().unwrap();
        });
    }
}
