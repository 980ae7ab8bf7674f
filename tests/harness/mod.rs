//! The real binary on real sockets, as a user meets it: started, signed into, posted to, killed.
//!
//! Nothing here knows the product's inside: it speaks HTTP, SMTP and the command line. [`Appliance`] is the process and its
//! data folder, [`Browser`] somebody's browser, [`Api`] a script with a token, [`Mailbox`] a mail server, [`S3`]
//! object storage behind a line that can be cut, [`Terminal`] a
//! keyboard and a screen, [`load`] many senders at once. Every wait is for a condition, with [`PATIENCE`] as its upper bound.

#![allow(dead_code, unused_imports, reason = "each test uses a part of it")]

mod api;
mod appliance;
mod browser;
mod html;
mod http;
pub mod load;
mod mail;
mod s3;
mod terminal;

use std::{
    thread,
    time::{Duration, Instant},
};

pub use api::Api;
pub use appliance::{Appliance, Setup, gives_disks, gives_traces, is_long};
pub use browser::{Browser, Live};
pub use html::{ids_after, text_between};
pub use http::{Answer, Connection, Endpoint, form, percent};
pub use mail::Mailbox;
pub use s3::{Bucket, S3};
pub use terminal::{Terminal, browser_at_link};

/// Far more than anything here takes; a condition that is not met by then never will be.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Asks until there is an answer, and says what was waited for if none comes.
pub fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = ask() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "waited {PATIENCE:?} for {what}");
        thread::sleep(Duration::from_millis(10));
    }
}
