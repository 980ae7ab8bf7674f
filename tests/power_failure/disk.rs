//! Disks in memory: one that remembers what was done to it, one that never changes.

use std::{io, sync::Arc};

use parking_lot::Mutex;
use workrun::store::backend::{Disk, Place};

/// Bytes that a disk writes as one.
pub const SECTOR: usize = 512;

#[derive(Clone, Debug)]
pub enum Op {
    Write {
        offset: u64,
        bytes: Arc<[u8]>,
    },
    SetLen(u64),
    Sync,
    /// Commit number n was begun.
    Begun(usize),
    /// Commit number n was acknowledged.
    Acknowledged(usize),
}

/// A disk in memory that remembers what was done to it, in order.
#[derive(Clone, Debug, Default)]
pub struct RecordingDisk(Arc<Mutex<Recording>>);

#[derive(Debug, Default)]
struct Recording {
    bytes: Vec<u8>,
    log: Vec<Op>,
}

impl RecordingDisk {
    pub fn holding(bytes: Vec<u8>) -> Self {
        Self(Arc::new(Mutex::new(Recording { bytes, log: Vec::new() })))
    }

    pub fn note(&self, op: Op) {
        self.0.lock().log.push(op);
    }

    pub fn log(&self) -> Vec<Op> {
        self.0.lock().log.clone()
    }
}

impl Disk for RecordingDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.lock().bytes.len() as u64)
    }

    fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        let disk = self.0.lock();
        let there = disk.bytes.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        out.copy_from_slice(there);
        Ok(())
    }

    fn write_all_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.log.push(Op::Write { offset, bytes: bytes.into() });
        apply_write(&mut disk.bytes, offset, bytes);
        Ok(())
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        let mut disk = self.0.lock();
        disk.log.push(Op::SetLen(len));
        disk.bytes.resize(usize::try_from(len).unwrap(), 0);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.note(Op::Sync);
        Ok(())
    }

    fn read_past_memory(&mut self, places: &mut [Place]) -> io::Result<()> {
        places.iter_mut().try_for_each(|(offset, out)| self.read_exact_at(out, *offset))
    }
}

pub fn apply_write(image: &mut Vec<u8>, offset: u64, bytes: &[u8]) {
    let start = usize::try_from(offset).unwrap();
    if image.len() < start + bytes.len() {
        image.resize(start + bytes.len(), 0);
    }
    image[start..start + bytes.len()].copy_from_slice(bytes);
}

/// Bytes that are shared by many states and never change.
#[derive(Clone, Debug)]
pub struct Image(pub Arc<Vec<u8>>);

impl Disk for Image {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }

    fn read_exact_at(&self, out: &mut [u8], offset: u64) -> io::Result<()> {
        let start = usize::try_from(offset).unwrap();
        out.copy_from_slice(self.0.get(start..start + out.len()).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn write_all_at(&self, _: &[u8], _: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn set_len(&self, _: u64) -> io::Result<()> {
        Err(io::ErrorKind::PermissionDenied.into())
    }

    fn sync_data(&self) -> io::Result<()> {
        Ok(())
    }

    fn read_past_memory(&mut self, places: &mut [Place]) -> io::Result<()> {
        places.iter_mut().try_for_each(|(offset, out)| self.read_exact_at(out, *offset))
    }
}
