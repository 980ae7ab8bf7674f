//! Threads that count for less: pages come first.

/// How much less than the web's threads those of a snapshot count for the scheduler. Not so much less that a machine which has
/// other work never comes to the end of a snapshot: as idle threads, they took a hundred times as long beside a compiler.
const NICENESS: i32 = 10;

/// Lets this thread, and those that it starts, count for less. Only for threads of one's own: there is no way back.
pub(super) fn be_nice() {
    // Where the system does not allow it, the work is done all the same.
    let _ = rustix::process::setpriority_process(None, NICENESS);
}
