//! A file system that loses power: what a sync covered is there; of what was done since, any part may be.
//!
//! Every 512-byte sector that was written since its file's last sync is there or not, on its own; a file's length is the
//! old one, the new one or between. What was named, renamed or unlinked in a folder since the folder's last sync is there
//! up to some point of the order in which it was done, as a journal keeps it.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};

use super::{
    dice::Dice,
    trace::{Handle, Op},
};

const SECTOR: usize = 512;

type Inode = usize;

/// What a folder's name stands for: it has no content of its own.
const FOLDER: Inode = usize::MAX;

#[derive(Clone, Default)]
struct Content {
    synced: Vec<u8>,
    now: Vec<u8>,
    /// Sectors that differ between the two, or were written.
    dirty: Vec<usize>,
}

/// A change of names, durable once one of its folders is synced.
#[derive(Clone)]
struct Naming {
    folders: Vec<PathBuf>,
    change: Change,
}

#[derive(Clone)]
enum Change {
    /// Names that change together, as a file's rename does: what they name from then on.
    Names(Vec<(PathBuf, Option<Inode>)>),
    /// A folder is renamed, and everything in it with it.
    Folder { from: PathBuf, to: PathBuf },
}

impl Change {
    fn apply(&self, names: &mut BTreeMap<PathBuf, Inode>) {
        match self {
            Self::Names(changed) => {
                for (path, inode) in changed {
                    put(names, path, *inode);
                }
            }
            Self::Folder { from, to } => {
                let inside: Vec<PathBuf> = names.keys().filter(|path| path.starts_with(from)).cloned().collect();
                for path in inside {
                    if let (Some(inode), Ok(rest)) = (names.remove(&path), path.strip_prefix(from)) {
                        let target = if rest.as_os_str().is_empty() { to.clone() } else { to.join(rest) };
                        names.insert(target, inode);
                    }
                }
            }
        }
    }
}

#[derive(Clone, Default)]
pub struct Machine {
    root: PathBuf,
    contents: Vec<Content>,
    synced_names: BTreeMap<PathBuf, Inode>,
    names: BTreeMap<PathBuf, Inode>,
    namings: Vec<Naming>,
    open: HashMap<Handle, Open>,
}

#[derive(Clone)]
enum Open {
    File { inode: Inode, at: u64 },
    Folder(PathBuf),
}

/// How much of what was not synced is there.
#[derive(Clone, Copy, Debug)]
pub enum Fate {
    /// The process died, and the machine lives on.
    All,
    /// Nothing but what was synced.
    None,
    /// Whatever the dice say.
    Some(u64),
}

/// A folder in memory where there is one: thousands of states are written and thrown away.
pub fn scratch() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let place = if memory.is_dir() { memory.to_owned() } else { std::env::temp_dir() };
    tempfile::Builder::new().prefix("workrun-power-").tempdir_in(place).expect("a folder")
}

/// Replays operations to every point from `begun` on, and lets what a power failure may leave there be examined: all, no
/// and `each` parts of what was not synced. Returns how many states there were.
pub fn replay(
    each: u64,
    start: &Machine,
    ops: &[Op],
    begun: usize,
    examine: &(dyn Fn(usize, &Path) -> Result<(), String> + Sync),
) -> usize {
    let (states, threads) = (AtomicUsize::new(0), 2);
    thread::scope(|scope| {
        for thread in 0..threads {
            let states = &states;
            scope.spawn(move || {
                let mut machine = start.clone();
                for (at, op) in ops.iter().enumerate() {
                    machine.apply(op);
                    let point = at + 1;
                    if point < begun || point % threads != thread {
                        continue;
                    }
                    let mut fates = vec![Fate::All];
                    if !machine.is_settled() {
                        fates.push(Fate::None);
                        fates.extend((0..each).map(|seed| Fate::Some(seed << 32 | point as u64)));
                    }
                    for fate in fates {
                        let folder = scratch();
                        machine.leave(fate, folder.path());
                        if let Err(error) = examine(point, folder.path()) {
                            panic!("after operation {point} of {} ({op:?}), {fate:?}: {error}", ops.len());
                        }
                        states.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    states.into_inner()
}

impl Machine {
    /// An empty disk, of which what stands under `root` is watched.
    #[allow(dead_code, reason = "each test uses a part of it")]
    pub fn new(root: &Path) -> Self {
        Self { root: root.to_owned(), ..Self::default() }
    }

    /// A disk on which what stands under `root` is there already, and watched.
    #[allow(dead_code, reason = "each test uses a part of it")]
    pub fn of(root: &Path) -> Self {
        let mut machine = Self::new(root);
        machine.take_in(root);
        machine.synced_names = machine.names.clone();
        machine
    }

    fn take_in(&mut self, folder: &Path) {
        for entry in fs::read_dir(folder).expect("a folder") {
            let entry = entry.expect("an entry");
            if entry.path().is_dir() {
                self.names.insert(entry.path(), FOLDER);
                self.take_in(&entry.path());
            } else if entry.path().is_file() {
                let now = fs::read(entry.path()).expect("a file");
                self.contents.push(Content { synced: now.clone(), now, dirty: Vec::new() });
                self.names.insert(entry.path(), self.contents.len() - 1);
            }
        }
    }

    pub fn apply(&mut self, op: &Op) {
        match op {
            Op::Open { handle, path, create, truncate } => self.open_file(*handle, path, *create, *truncate),
            Op::Write { handle, offset, bytes } => self.write(*handle, *offset, bytes),
            Op::SetLen { handle, len, grow } => {
                let Some(Open::File { inode, .. }) = self.open.get(handle) else { return };
                let (content, len) = (&mut self.contents[*inode], usize::try_from(*len).expect("a length"));
                if !grow || len > content.now.len() {
                    content.touch(len.min(content.now.len()), len.max(content.now.len()));
                    content.now.resize(len, 0);
                }
            }
            Op::Sync { handle } => match self.open.get(handle).cloned() {
                Some(Open::File { inode, .. }) => {
                    let content = &mut self.contents[inode];
                    content.synced.clone_from(&content.now);
                    content.dirty.clear();
                }
                Some(Open::Folder(folder)) => self.sync_folder(&folder),
                None => {}
            },
            Op::Rename { from, to } if self.names.get(from) == Some(&FOLDER) => self.rename_folder(from, to),
            Op::Rename { from, to } => {
                if let Some(inode) = self.names.get(from).copied() {
                    self.name(vec![(from.clone(), None), (to.clone(), Some(inode))]);
                }
            }
            Op::Link { from, to } => {
                if let Some(inode) = self.names.get(from).copied() {
                    self.name(vec![(to.clone(), Some(inode))]);
                }
            }
            Op::Unlink(path) => {
                if self.names.contains_key(path) {
                    self.name(vec![(path.clone(), None)]);
                }
            }
            Op::MakeFolder(path) => self.name(vec![(path.clone(), Some(FOLDER))]),
        }
    }

    fn open_file(&mut self, handle: Handle, path: &Path, create: bool, truncate: bool) {
        if !path.starts_with(&self.root) {
            return;
        }
        if path == self.root || self.names.get(path) == Some(&FOLDER) {
            self.open.insert(handle, Open::Folder(path.to_owned()));
            return;
        }
        let inode = match self.names.get(path) {
            Some(inode) => *inode,
            None if create => {
                self.contents.push(Content::default());
                self.name(vec![(path.to_owned(), Some(self.contents.len() - 1))]);
                self.contents.len() - 1
            }
            None => return,
        };
        if truncate {
            let content = &mut self.contents[inode];
            content.touch(0, content.now.len());
            content.now.clear();
        }
        self.open.insert(handle, Open::File { inode, at: 0 });
    }

    fn write(&mut self, handle: Handle, offset: Option<u64>, bytes: &[u8]) {
        let Some(Open::File { inode, at }) = self.open.get_mut(&handle) else { return };
        let start = usize::try_from(offset.unwrap_or(*at)).expect("an offset");
        let (content, end) = (&mut self.contents[*inode], start + bytes.len());
        if offset.is_none() {
            *at = end as u64;
        }
        content.touch(start.min(content.now.len()), end);
        if content.now.len() < end {
            content.now.resize(end, 0);
        }
        content.now[start..end].copy_from_slice(bytes);
    }

    fn name(&mut self, names: Vec<(PathBuf, Option<Inode>)>) {
        let inside = |path: &Path| path.starts_with(&self.root) && path != self.root;
        let names: Vec<_> = names.into_iter().filter(|(path, _)| inside(path)).collect();
        let mut folders: Vec<PathBuf> =
            names.iter().filter_map(|(path, _)| path.parent()).map(Path::to_owned).collect();
        folders.dedup();
        if !folders.is_empty() {
            self.change(folders, Change::Names(names));
        }
    }

    fn rename_folder(&mut self, from: &Path, to: &Path) {
        let begun = self.namings.iter().any(|naming| naming.folders.iter().any(|folder| folder.starts_with(from)));
        assert!(!begun, "{} is renamed before what is in it is on the disk", from.display());
        let mut folders: Vec<PathBuf> = [from, to].into_iter().filter_map(Path::parent).map(Path::to_owned).collect();
        folders.dedup();
        self.change(folders, Change::Folder { from: from.to_owned(), to: to.to_owned() });
        for open in self.open.values_mut() {
            if let Open::Folder(path) = open
                && let Ok(rest) = path.strip_prefix(from)
            {
                *path = if rest.as_os_str().is_empty() { to.to_owned() } else { to.join(rest) };
            }
        }
    }

    fn change(&mut self, folders: Vec<PathBuf>, change: Change) {
        change.apply(&mut self.names);
        self.namings.push(Naming { folders, change });
    }

    fn sync_folder(&mut self, folder: &Path) {
        let (kept, done): (Vec<_>, Vec<_>) = std::mem::take(&mut self.namings)
            .into_iter()
            .partition(|naming| !naming.folders.iter().any(|one| one == folder));
        self.namings = kept;
        for naming in done {
            naming.change.apply(&mut self.synced_names);
        }
    }

    /// Whether anything could be lost now.
    pub fn is_settled(&self) -> bool {
        self.namings.is_empty() && self.contents.iter().all(|content| content.dirty.is_empty())
    }

    /// Writes what the power failure leaves into a folder, which takes the place of the root.
    pub fn leave(&self, fate: Fate, folder: &Path) {
        let mut dice = Dice(if let Fate::Some(seed) = fate { seed } else { 0 });
        let mut names = self.synced_names.clone();
        let mut stops: BTreeMap<&Path, bool> = BTreeMap::new();
        for naming in &self.namings {
            // Each folder's journal ends somewhere; most end late, since most of it was done long ago.
            let ends = matches!(fate, Fate::Some(_)) && dice.below(3) == 0;
            let mut stopped = ends || matches!(fate, Fate::None);
            stopped |= naming.folders.iter().any(|folder| stops.get(folder.as_path()) == Some(&true));
            for folder in &naming.folders {
                stops.insert(folder, stopped);
            }
            if !stopped {
                naming.change.apply(&mut names);
            }
        }
        let mut written: HashMap<Inode, PathBuf> = HashMap::new();
        for (path, inode) in &names {
            let mut above = path.ancestors().skip(1).take_while(|folder| *folder != self.root);
            // What stands in a folder whose own name was lost is lost with it.
            if *inode == FOLDER || above.any(|folder| names.get(folder) != Some(&FOLDER)) {
                continue;
            }
            let target = folder.join(path.strip_prefix(&self.root).expect("a path under the root"));
            fs::create_dir_all(target.parent().expect("a folder")).expect("a folder");
            match written.get(inode) {
                Some(first) => fs::hard_link(first, &target).expect("a link"),
                None => {
                    fs::write(&target, self.contents[*inode].left(fate, &mut dice)).expect("a file");
                    written.insert(*inode, target);
                }
            }
        }
    }
}

fn put(names: &mut BTreeMap<PathBuf, Inode>, path: &Path, inode: Option<Inode>) {
    match inode {
        Some(inode) => drop(names.insert(path.to_owned(), inode)),
        None => drop(names.remove(path)),
    }
}

impl Content {
    fn touch(&mut self, from: usize, to: usize) {
        for sector in from / SECTOR..to.div_ceil(SECTOR) {
            if let Err(place) = self.dirty.binary_search(&sector) {
                self.dirty.insert(place, sector);
            }
        }
    }

    fn left(&self, fate: Fate, dice: &mut Dice) -> Vec<u8> {
        match fate {
            Fate::All => return self.now.clone(),
            Fate::None => return self.synced.clone(),
            Fate::Some(_) => {}
        }
        let (short, long) = (self.synced.len().min(self.now.len()), self.synced.len().max(self.now.len()));
        let len = match dice.below(3) {
            0 => self.synced.len(),
            1 => self.now.len(),
            _ => short + usize::try_from(dice.below((long - short) as u64 + 1)).expect("a length"),
        };
        let mut left = self.synced.clone();
        left.resize(len, 0);
        for sector in &self.dirty {
            let range = sector * SECTOR..((sector + 1) * SECTOR).min(self.now.len()).min(len);
            if range.start < range.end && dice.below(2) == 0 {
                left[range.clone()].copy_from_slice(&self.now[range]);
            }
        }
        left
    }
}
