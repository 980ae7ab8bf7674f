//! Writing behind: what is written goes to the disk while more is written.

use std::{
    fs::File,
    io,
    path::Path,
    sync::mpsc::{SyncSender, sync_channel},
    thread::{self, JoinHandle},
};

/// Sends what was written on its way to the disk while more is written, so that the syncs of the commits find little left
/// to wait for. It has opened the file for itself: a failure that it meets is its own to tell, and is told to the commits as
/// well.
pub struct Flusher {
    wanted: SyncSender<()>,
    thread: JoinHandle<io::Result<()>>,
}

impl Flusher {
    /// For the file at `path`, which must be there.
    ///
    /// # Errors
    /// What the disk says.
    pub fn start(path: &Path) -> io::Result<Self> {
        let file = File::options().write(true).open(path)?;
        let (wanted, asked) = sync_channel::<()>(1);
        let thread = thread::spawn(move || asked.iter().try_for_each(|()| file.sync_data()));
        Ok(Self { wanted, thread })
    }

    /// Sends what was written so far on its way.
    pub fn flush(&self) {
        // One that is at it already, or has failed, needs no word.
        let _ = self.wanted.try_send(());
    }

    /// Waits for what is under way.
    ///
    /// # Errors
    /// What the disk said.
    pub fn end(self) -> io::Result<()> {
        drop(self.wanted);
        self.thread.join().unwrap_or_else(|_| Err(io::Error::other("flushing panicked")))
    }
}
