//! What is tidied up by itself. At the start: a directory that differs from the organizations' files. Once an hour: cards
//! that were in the trash for 30 days, and ids of senders and answers of the API that nobody needs to know any more.

use std::{sync::Arc, time::Duration};

use tokio::sync::watch;

use crate::{
    clock::{Clock, Timestamp},
    hooks::delivery,
    people::{directory, reconcile},
    store::{Store, Stores, history::Actor},
    web::api,
    work::{self, Command, WorkError},
};

const ROUND: Duration = Duration::from_secs(60 * 60);
/// Cards erased in one transaction, so that writers wait only briefly.
const ERASED_AT_A_TIME: usize = 50;

/// Tidies every organization until told to stop.
pub async fn run(stores: Arc<Stores>, clock: Clock, mut stop: watch::Receiver<bool>) {
    reconcile_all(&stores, &stop).await;
    loop {
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
        }
        tokio::select! {
            () = tokio::time::sleep(ROUND) => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
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
