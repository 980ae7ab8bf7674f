//! What is tidied up by itself, once an hour: ids of senders and mail that nobody needs to know any more.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    clock::Clock,
    hooks::delivery,
    store::{StoreError, Stores},
};

const ROUND: Duration = Duration::from_secs(60 * 60);

/// Tidies the open organizations until told to stop. A closed one is tidied when it is next in use.
pub async fn run(stores: Arc<Stores>, clock: Clock, mut stop: watch::Receiver<bool>) {
    loop {
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
        for (org, store) in stores.shelf().opened() {
            let now = clock.now();
            let forgotten: Result<usize, StoreError> =
                store.submit(64, move |txn| delivery::forget_old_ids(txn, now)).await;
            if let Err(error) = forgotten {
                tracing::warn!(org.id = %org, %error, "old senders' ids could not be forgotten; trying again in an hour");
            }
        }
    }
}
