//! Replacing a small file so that a power failure leaves the old one or the new one.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::{MetadataExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

use rustix::io::Errno;

/// Puts the names in a file's folder on the disk.
pub(super) fn sync_folder_of(path: &Path) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    };
    File::open(folder)?.sync_all()
}

/// `path` with `.suffix` appended to its file name.
pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(suffix);
    name.into()
}

/// Replaces `path` by `bytes`, mode 0600; the change is on the disk when this returns. The bytes that stood there are
/// overwritten where they stood before their file is unlinked, as far as the file system writes in place.
///
/// Steps: `path.new` is written and synced, the old file is linked as `path.old`, `path.new` is renamed over `path`, the
/// folder is synced, `path.old` is overwritten, synced and unlinked. [`finish_replacing`] ends what a crash interrupted.
pub(super) fn replace_and_shred(path: &Path, bytes: &[u8]) -> io::Result<()> {
    finish_replacing(path)?;
    let new = beside(path, "new");
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(bytes)?;
    file.sync_all()?;
    match fs::hard_link(path, beside(path, "old")) {
        // The old bytes have a second name on the disk before they lose the first.
        Ok(()) => sync_folder_of(path)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) if has_no_links(&error) => return replace_without_link(path, &new),
        Err(error) => return Err(error),
    }
    fs::rename(&new, path)?;
    sync_folder_of(path)?;
    finish_replacing(path)
}

fn has_no_links(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(code, Some(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK))
}

/// On a file system without hard links the old bytes are reached by the file that is still open; a crash before they are
/// overwritten leaves them in blocks that no name leads to.
fn replace_without_link(path: &Path, new: &Path) -> io::Result<()> {
    let mut old = match OpenOptions::new().write(true).open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        old => Some(old?),
    };
    fs::rename(new, path)?;
    sync_folder_of(path)?;
    match &mut old {
        Some(old) => overwrite(old, old.metadata()?.len()),
        None => Ok(()),
    }
}

/// Ends what a crash inside [`replace_and_shred`] left: a half-written `path.new` goes, and the old bytes are
/// overwritten unless they are still the live ones.
pub(super) fn finish_replacing(path: &Path) -> io::Result<()> {
    let Some(live) = metadata_if_there(path)? else {
        // Without the live file there is no telling which bytes are the last: nothing is overwritten.
        return shred_if_there(&beside(path, "new")).map(|_| ());
    };
    let (new, old) = (beside(path, "new"), beside(path, "old"));
    let mut changed = shred_if_there(&new)?;
    if let Some(remains) = metadata_if_there(&old)? {
        if (live.dev(), live.ino()) != (remains.dev(), remains.ino()) {
            // The rename that made these bytes the old ones must be on the disk before they go.
            sync_folder_of(path)?;
            overwrite(&mut OpenOptions::new().write(true).open(&old)?, remains.len())?;
        }
        changed |= remove_if_there(&old)?;
    }
    if changed { sync_folder_of(path) } else { Ok(()) }
}

/// Overwrites a file and unlinks it: it holds what the root key opens.
fn shred_if_there(path: &Path) -> io::Result<bool> {
    if let Some(there) = metadata_if_there(path)? {
        overwrite(&mut OpenOptions::new().write(true).open(path)?, there.len())?;
    }
    remove_if_there(path)
}

fn overwrite(file: &mut File, length: u64) -> io::Result<()> {
    let zeros = [0; 4096];
    let mut left = length;
    while left > 0 {
        let step = usize::try_from(left).unwrap_or(usize::MAX).min(zeros.len());
        file.write_all(&zeros[..step])?;
        left -= step as u64;
    }
    file.sync_all()
}

fn remove_if_there(path: &Path) -> io::Result<bool> {
    match fs::remove_file(path) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

fn metadata_if_there(path: &Path) -> io::Result<Option<fs::Metadata>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    #[test]
    fn the_old_bytes_are_overwritten_where_they_stood() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ring");
        replace_and_shred(&path, b"first").unwrap();
        let mut first = File::open(&path).unwrap();
        replace_and_shred(&path, b"second").unwrap();
        let mut remains = Vec::new();
        first.read_to_end(&mut remains).unwrap();
        assert_eq!(remains, [0; 5]);
        assert_eq!(fs::read(&path).unwrap(), b"second");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_crash_at_each_step_is_finished() {
        for renamed in [false, true] {
            let folder = tempfile::tempdir().unwrap();
            let path = folder.path().join("ring");
            fs::write(&path, b"old").unwrap();
            fs::hard_link(&path, beside(&path, "old")).unwrap();
            fs::write(beside(&path, "new"), b"new").unwrap();
            let mut old = File::open(&path).unwrap();
            if renamed {
                fs::rename(beside(&path, "new"), &path).unwrap();
            }
            finish_replacing(&path).unwrap();
            assert_eq!(fs::read(&path).unwrap(), if renamed { b"new" } else { b"old" });
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
            let mut remains = Vec::new();
            old.read_to_end(&mut remains).unwrap();
            assert_eq!(remains, if renamed { [0; 3] } else { *b"old" }, "live bytes are never overwritten");
        }
    }
}
