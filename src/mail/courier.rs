//! The courier: looks into the outboxes and hands over what is due.

use std::{collections::BTreeSet, sync::Arc, time::Duration};

use jiff::tz::TimeZone;
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};

use super::{
    Mail, MailKind, due, letter, purge_old, settle,
    smtp::{Courier, Message, SendError},
    waiting,
};
use crate::{
    clock::{Clock, Timestamp},
    config::Smtp,
    ids::OrgId,
    people::{directory, sign_in},
    store::{Store, StoreError, Stores},
};

/// How long the courier sleeps when nobody wakes it and nothing is due earlier.
const ROUND: Duration = Duration::from_secs(30);
/// Mails taken from an outbox at a time.
const BATCH: usize = 50;

/// Wakes the courier, and knows which outboxes may have something in them: all of them at the start, until they have been looked
/// into.
#[derive(Default)]
pub struct Postbox {
    organizations: Mutex<BTreeSet<OrgId>>,
    wake: Notify,
}

impl Postbox {
    /// Says that something was queued, in the organization's outbox or in the system's.
    pub fn queued(&self, org: Option<OrgId>) {
        if let Some(org) = org {
            self.organizations.lock().insert(org);
        }
        self.wake.notify_one();
    }

    /// The organizations in whose outbox mail may wait.
    #[must_use]
    pub fn organizations(&self) -> Vec<OrgId> {
        self.organizations.lock().iter().copied().collect()
    }

    /// Forgets an organization before its outbox is looked into: what is queued from then on is remembered.
    fn look_into(&self, org: OrgId) {
        self.organizations.lock().remove(&org);
    }

    fn something_waits(&self, org: OrgId) {
        self.organizations.lock().insert(org);
    }
}

/// Carries mail until told to stop. Without a mail server the outboxes wait, and say so in the console.
pub async fn run(
    stores: Arc<Stores>,
    postbox: Arc<Postbox>,
    smtp: Option<Smtp>,
    clock: Clock,
    zone: TimeZone,
    mut stop: watch::Receiver<bool>,
) {
    // Outboxes of a former run: every organization may have one.
    match stores.system().read(|view| directory::organizations(view)).await {
        Ok(all) => postbox.organizations.lock().extend(all.into_iter().map(|org| org.id)),
        Err(error) => tracing::error!(%error, "the organizations cannot be listed: their waiting mail rests"),
    }
    let Some(smtp) = smtp else {
        tracing::info!(
            "no mail server is configured (smtp_host): mail waits; `workrun sign-in-link MAIL` signs people in"
        );
        return;
    };
    let courier = match Courier::new(&smtp) {
        Ok(courier) => courier,
        Err(error) => {
            tracing::error!(%error, "no mail can be sent: mend the mail settings and start again; mail waits");
            return;
        }
    };
    loop {
        let mut pause = ROUND;
        let now = clock.now();
        pause = pause.min(round(stores.system(), &courier, &smtp, &clock, &zone, now).await);
        for org in postbox.organizations() {
            postbox.look_into(org);
            let Ok(store) = stores.organization(org) else { continue };
            let next = round(&store, &courier, &smtp, &clock, &zone, now).await;
            if next != Duration::MAX {
                postbox.something_waits(org);
            }
            pause = pause.min(next);
        }
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            () = postbox.wake.notified() => {}
            _ = stop.wait_for(|stop| *stop) => return,
        }
    }
}

/// Hands over what is due in one outbox; returns how long until something else is, [`Duration::MAX`] if nothing waits.
async fn round(
    store: &Arc<Store>,
    courier: &Courier,
    smtp: &Smtp,
    clock: &Clock,
    zone: &TimeZone,
    now: Timestamp,
) -> Duration {
    let mails = store.read(move |view| due(view, now, BATCH)).await.unwrap_or_else(|error| {
        tracing::error!(%error, "an outbox cannot be read; trying again");
        Vec::new()
    });
    for mail in mails {
        let id = mail.id;
        let outcome = hand_over(&mail, courier, smtp, clock, zone).await;
        let now = clock.now();
        let noted: Result<(), StoreError> = store.submit(512, move |txn| settle(txn, now, id, &outcome)).await;
        if let Err(error) = noted {
            tracing::error!(mail = %id, %error, "what became of a mail could not be noted: it may be sent twice");
        }
    }
    let now = clock.now();
    let _: Result<usize, StoreError> = store.submit(64, move |txn| purge_old(txn, now)).await;
    match store.read(|view| waiting(view)).await {
        Ok((0, _)) => Duration::MAX,
        Ok((_, Some(next))) => next.since(now).max(Duration::from_millis(200)),
        _ => ROUND,
    }
}

async fn hand_over(
    mail: &Mail,
    courier: &Courier,
    smtp: &Smtp,
    clock: &Clock,
    zone: &TimeZone,
) -> Result<(), (String, bool)> {
    let Some(kind) = &mail.kind else { return Err(("nothing to say".to_owned(), false)) };
    if let MailKind::SignIn { asked_at, .. } = kind
        && clock.now().since(*asked_at) >= sign_in::LIFE
    {
        return Err(("the code expired before it could be sent".to_owned(), false));
    }
    let letter = letter::write(kind, &mail.to, &mail.language, zone);
    let message = Message {
        to: mail.to.clone(),
        subject: letter.subject,
        body_text: letter.body,
        from: smtp.from.clone(),
        message_id: format!("{}@{}", mail.id, smtp.from.email.domain()),
        date: mail.queued_at,
    };
    match courier.send(&message).await {
        Ok(_) => {
            tracing::info!(mail = %mail.id, kind = mail.kind_name, "a mail was handed over");
            Ok(())
        }
        Err(SendError::Temporary(words)) => {
            tracing::warn!(mail = %mail.id, kind = mail.kind_name, tries = mail.tries + 1, "a mail was not taken; it waits");
            Err((words, true))
        }
        Err(SendError::Permanent(words)) => {
            tracing::warn!(mail = %mail.id, kind = mail.kind_name, "a mail was refused for good");
            Err((words, false))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_queued_while_an_outbox_is_looked_into_is_remembered() {
        let (postbox, org) = (Postbox::default(), OrgId::fresh(Timestamp(0)));
        postbox.queued(Some(org));
        postbox.look_into(org);
        assert_eq!(postbox.organizations(), []);
        postbox.queued(Some(org));
        // The look found nothing, and says nothing.
        assert_eq!(postbox.organizations(), [org]);
    }
}
