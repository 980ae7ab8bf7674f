//! What is tidied up by itself. At the start: a rotation of keys that was cut off, and a directory that differs from the
//! organizations' files. Once an hour: cards that were in the trash for 30 days, ids of senders and answers of the API that
//! nobody needs to know any more, and files that are mostly free. Every few seconds: stores whose disk failed to sync, which
//! are rewritten so that they can be written again.

use std::{sync::Arc, time::Duration};

use tokio::{sync::watch, time::MissedTickBehavior};

use super::rotation;
use crate::{
    backup::Keeper,
    clock::{Clock, Timestamp},
    hooks::delivery,
    people::{directory, reconcile},
    store::{Rewritten, Store, StoreError, Stores, history::Actor},
    web::api,
    work::{self, Command, WorkError},
};

const ROUND: Duration = Duration::from_secs(60 * 60);
const MENDING: Duration = Duration::from_secs(5);
/// Cards erased in one transaction, so that writers wait only briefly.
const ERASED_AT_A_TIME: usize = 50;

/// Tidies every organization until told to stop.
pub async fn run(stores: Arc<Stores>, keeper: Arc<Keeper>, clock: Clock, mut stop: watch::Receiver<bool>) {
    if let Err(error) = rotation::finish(&stores, &keeper).await {
        tracing::error!(%error, "a rotation of keys was cut off and could not be finished; the next start tries again");
    }
    reconcile_all(&stores, &stop).await;
    let stopping = stop.clone();
    let mut hourly = tokio::time::interval(ROUND);
    let mut often = tokio::time::interval(MENDING);
    often.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let due_hourly = tokio::select! {
            _ = hourly.tick() => true,
            _ = often.tick() => false,
            _ = stop.wait_for(|stop| *stop) => return,
        };
        if due_hourly { tidy_all(&stores, &clock, &stopping).await } else { mend_all(&stores).await }
    }
}

/// Rewrites the stores that can only be read since a sync failed.
async fn mend_all(stores: &Arc<Stores>) {
    // One that was closed meanwhile is opened again, for reading.
    let closed = stores.shelf().unsynced();
    let _held: Vec<_> = closed.into_iter().filter_map(|org| stores.organization(org).ok()).collect();
    let open = stores.shelf().opened().into_iter().map(|(_, store)| store);
    for store in open.chain([Arc::clone(stores.system())]).filter(|store| store.is_reading_only()) {
        let path = store.path().display().to_string();
        match rewritten(store).await {
            Ok(_) => {
                tracing::warn!(path, "a store whose disk had failed to sync was rewritten, and is written to again");
            }
            Err(error) => {
                tracing::error!(path, %error, "a store whose disk failed to sync stays in reading only for now");
            }
        }
    }
}

/// Rewrites a file that is mostly free.
async fn compact(store: Arc<Store>) -> Result<(), StoreError> {
    let looked = Arc::clone(&store);
    let free = tokio::task::spawn_blocking(move || looked.is_mostly_free()).await;
    if !free.map_err(|_| StoreError::Panicked)?? {
        return Ok(());
    }
    let done = rewritten(store).await?;
    let pause_ms = done.pause.as_millis();
    tracing::info!(
        before = done.bytes_before,
        after = done.bytes_after,
        pause_ms,
        "a store that was mostly free was rewritten"
    );
    Ok(())
}

async fn rewritten(store: Arc<Store>) -> Result<Rewritten, StoreError> {
    let rewrite = move || store.rewrite(&store.key(), &mut |_| {});
    tokio::task::spawn_blocking(rewrite).await.map_err(|_| StoreError::Panicked)?
}

async fn tidy_all(stores: &Arc<Stores>, clock: &Clock, stop: &watch::Receiver<bool>) {
    let organizations = stores.system().read(|view| directory::organizations(view)).await.unwrap_or_else(|error| {
        tracing::warn!(%error, "the organizations cannot be listed; tidying up again in an hour");
        Vec::new()
    });
    for organization in organizations {
        if *stop.borrow() {
            return;
        }
        let Ok(store) = stores.organization(organization.id) else { continue };
        if let Err(error) = tidy(&store, clock.now()).await {
            tracing::warn!(org.id = %organization.id, %error, "tidying up failed; trying again in an hour");
        }
        if let Err(error) = compact(store).await {
            tracing::warn!(org.id = %organization.id, %error, "a file is mostly free and could not be rewritten");
        }
    }
    if let Err(error) = compact(Arc::clone(stores.system())).await {
        tracing::warn!(%error, "the system's file is mostly free and could not be rewritten");
    }
}

/// Makes the directory follow the organizations' files.
async fn reconcile_all(stores: &Stores, stop: &watch::Receiver<bool>) {
    for org in stores.organizations() {
        if *stop.borrow() {
            return;
        }
        match reconcile::organization(stores, org).await {
            Ok(mended) if mended == reconcile::Mended::default() => {}
            Ok(mended) => tracing::warn!(
                org.id = %org, mended.organizations, mended.people,
                "the system's directory differed from the organization's file, and follows it again"
            ),
            Err(error) => tracing::error!(org.id = %org, %error, "the organization's file cannot be read"),
        }
    }
}

async fn tidy(store: &Arc<Store>, now: Timestamp) -> Result<(), WorkError> {
    store.submit(64, move |txn| Ok::<_, WorkError>(delivery::forget_old_ids(txn, now)?)).await?;
    store.submit(64, move |txn| Ok::<_, WorkError>(api::forget_old_answers(txn, now)?)).await?;
    loop {
        let erased = store
            .submit(4096, move |txn| {
                let old = work::read::trashed_before(txn.reader(), now.minus(work::IN_TRASH), ERASED_AT_A_TIME)?;
                for card in &old {
                    work::change(txn, Actor::System, now, &Command::Erase { card: card.id })?;
                    if let Some(id) = card.delivery {
                        delivery::erase_body(txn, id)?;
                    }
                }
                Ok::<_, WorkError>(old.len())
            })
            .await?;
        if erased < ERASED_AT_A_TIME {
            return Ok(());
        }
    }
}
