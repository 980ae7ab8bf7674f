//! Folders that are still there after a power failure.

use std::{fs, io, os::unix::fs::DirBuilderExt, path::Path};

/// Makes a folder and those above it that are missing (mode 0700), each one's name on the disk when this returns: a file
/// that is synced inside a folder whose own name is lost is lost with it.
///
/// # Errors
/// What the system says.
pub fn make_folder(path: &Path) -> io::Result<()> {
    if path.is_dir() {
        return Ok(());
    }
    let above = match path.parent() {
        Some(above) if !above.as_os_str().is_empty() => above,
        _ => Path::new("."),
    };
    make_folder(above)?;
    match fs::DirBuilder::new().mode(0o700).create(path) {
        // Somebody else was quicker, and may not have synced yet.
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    fs::File::open(above)?.sync_all()
}
