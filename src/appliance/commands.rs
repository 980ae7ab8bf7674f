//! What the command line asks of an appliance, running or not.

use std::{path::PathBuf, sync::Arc, time::Duration};

use serde_json::json;

use crate::{
    backup::Keeper,
    clock::{Clock, Timestamp},
    config::{Config, SecretSource},
    control::{Failure, Handler, Request, Response},
    ids::{OrgId, Secret, TokenId, UserId},
    mail::{self, MailKind, courier::Postbox},
    people::{
        PeopleError, Role, directory,
        links::{self, Link, Purpose},
        members, sagas,
        tokens::{self, Bearer},
    },
    seal::KeyState,
    store::{StoreError, Stores},
    text::{MailAddress, Name},
    web::{
        app::App,
        pages::{console::alerts, percent},
    },
};

use super::{
    foundation::Foundation,
    offsite,
    rotation::{self, Scope},
    serve,
    snapshots::{self, Wanted},
};

/// The language of mail to people who chose none: the command line has no reader to ask.
const LANGUAGE: &str = "ja";

/// Answers requests on one data folder.
pub struct Commands {
    stores: Arc<Stores>,
    clock: Clock,
    public_url: String,
    postbox: Arc<Postbox>,
    keeper: Arc<Keeper>,
    /// Where the root key stands, if it comes from a file.
    root_key_file: Option<PathBuf>,
    /// The running appliance, if it runs.
    running: Option<Running>,
}

/// What only a running appliance knows.
pub struct Running {
    pub app: Arc<App>,
    /// Whether the run before ended without closing its stores.
    pub recovered: bool,
}

fn root_key_file(config: &Config) -> Option<PathBuf> {
    match &config.root_key {
        SecretSource::File(path) => Some(path.clone()),
        _ => None,
    }
}

fn refused(error: &PeopleError) -> Failure {
    Failure::new(error.to_string()).kept("nothing was changed")
}

fn stored(error: &StoreError) -> Failure {
    Failure::new(error.to_string())
}

impl Commands {
    /// For a folder that no appliance serves.
    #[must_use]
    pub fn offline(config: &Config, foundation: &Foundation) -> Self {
        let public_url = serve::public_url(config, config.listen.first().copied());
        Self {
            stores: Arc::clone(&foundation.stores),
            clock: Clock::System,
            keeper: Arc::new(serve::keeper(config, &foundation.stores, Clock::System, &public_url, false)),
            public_url,
            postbox: Arc::default(),
            root_key_file: root_key_file(config),
            running: None,
        }
    }

    /// For the appliance that runs in this process.
    #[must_use]
    pub fn running(config: &Config, app: Arc<App>, recovered: bool) -> Self {
        Self {
            stores: Arc::clone(&app.stores),
            clock: app.clock.clone(),
            public_url: app.public_url.clone(),
            postbox: Arc::clone(&app.postbox),
            keeper: Arc::clone(&app.keeper),
            root_key_file: root_key_file(config),
            running: Some(Running { app, recovered }),
        }
    }

    async fn sign_in_link(&self, mail: &str, operator: bool) -> Response {
        let mail: MailAddress = mail.parse().map_err(|error| Failure::new(format!("{mail}: {error}")))?;
        let (mac, now) = (self.stores.mail_mac(&mail), self.clock.now());
        let known = self.stores.system().view(|view| directory::user_by_mail(view, &mac)).map_err(|e| stored(&e))?;
        if known.is_none() && !operator {
            return Err(Failure::new(format!("nobody here has the address {}", mail.as_str()))
                .kept("nothing was changed")
                .hint("invite them, or add --operator to make the address an operator's"));
        }
        let (secret, fresh, address) = (Secret::<16>::fresh(), UserId::fresh(now), mail.clone());
        let kept = secret.clone();
        let user = self
            .stores
            .system()
            .submit(256, move |txn| {
                let user = directory::ensure_user(txn, &mac, fresh)?;
                if operator && directory::operator(txn.reader(), user)?.is_none() {
                    let name = address.as_str().split('@').next().unwrap_or_default().to_owned();
                    let operator = directory::Operator { user, name, mail: Some(address.clone()), since: now };
                    directory::put_operator(txn, &operator)?;
                }
                links::put(txn, &kept, &Link { purpose: Purpose::SignIn(user), expires_at: now.plus(links::LIFE) })?;
                Ok::<_, PeopleError>(user)
            })
            .await
            .map_err(|error| refused(&error))?;
        self.tell_owners_of_link(user, now).await?;
        Ok(json!({ "url": format!("{}/sign-in/link?t={}", self.public_url, secret.text()) }))
    }

    /// Whoever runs commands on the server can enter as anybody: the organizations of that person are told.
    async fn tell_owners_of_link(&self, user: UserId, now: Timestamp) -> Result<(), Failure> {
        let known = self.stores.system().view(|view| directory::user(view, user)).map_err(|error| stored(&error))?;
        for org in known.map(|user| user.organizations).unwrap_or_default() {
            let Ok(store) = self.stores.organization(org) else { continue };
            let link = format!("{}/o/{org}/settings", self.public_url);
            store
                .submit(512, move |txn| {
                    members::note_sign_in_link(txn, now, user)?;
                    let organization = members::settings(txn.reader())?.name;
                    let people = members::present(txn.reader())?;
                    let member = people.iter().find(|member| member.user == user).map(|member| member.name.clone());
                    for owner in people.iter().filter(|member| member.role == Role::Owner) {
                        let kind = MailKind::SignInLinkMade {
                            organization: organization.clone(),
                            member: member.clone().unwrap_or_default(),
                            made_at: now,
                            link: link.clone(),
                        };
                        mail::queue(txn, now, owner.mail.as_str(), LANGUAGE, kind)?;
                    }
                    Ok::<_, PeopleError>(())
                })
                .await
                .map_err(|error| refused(&error))?;
            self.postbox.queued(Some(org));
        }
        Ok(())
    }

    async fn create_organization(&self, name: &str, owner: &str) -> Response {
        let name: Name = name.parse().map_err(|error| Failure::new(format!("the name: {error}")))?;
        let owner: MailAddress = owner.parse().map_err(|error| Failure::new(format!("{owner}: {error}")))?;
        let now = self.clock.now();
        let org = OrgId::fresh(now);
        let link = format!("{}/sign-in?mail={}", self.public_url, percent(owner.as_str()));
        let welcome = Some(sagas::Welcome { link, language: LANGUAGE.to_owned() });
        let founding = sagas::Founding { org, name: name.clone(), owner, welcome };
        sagas::found(&self.stores, now, founding).await.map_err(|error| refused(&error))?;
        self.postbox.queued(Some(org));
        Ok(json!({ "id": org.to_string(), "name": name.as_str() }))
    }

    async fn list_organizations(&self) -> Response {
        let all =
            self.stores.system().read(|view| directory::organizations(view)).await.map_err(|error| stored(&error))?;
        let items: Vec<_> = all
            .iter()
            .map(|org| {
                json!({
                    "id": org.id.to_string(),
                    "name": sagas::organization_name(&self.stores, org),
                    "created_at": org.created_at.rfc3339(),
                })
            })
            .collect();
        Ok(json!({ "items": items }))
    }

    async fn create_token(&self, org: &str, role: &str) -> Response {
        let missing =
            || Failure::new(format!("there is no organization with the id {org}")).hint("`workrun org list` shows ids");
        let id = self.known_organization(org)?;
        let role = Role::from_name(role)
            .ok_or_else(|| Failure::new(format!("no role `{role}`: owner, admin, member or guest")))?;
        let store = self.stores.organization(id).map_err(|_| missing())?;
        let (now, bearer) = (self.clock.now(), Bearer::fresh(id));
        let text = bearer.text();
        let name: Name = "workrun token create".parse().map_err(|error| Failure::new(format!("{error}")))?;
        let request = tokens::Request { id: TokenId::fresh(now), name, role, life: tokens::LIFE_DEFAULT, bearer };
        let link = format!("{}/o/{id}/settings", self.public_url);
        store
            .submit(512, move |txn| {
                let token = tokens::create(txn, now, None, Role::Owner, &request)?;
                let organization = members::settings(txn.reader())?.name;
                for owner in members::present(txn.reader())?.iter().filter(|member| member.role == Role::Owner) {
                    let kind = MailKind::TokenMade {
                        organization: organization.clone(),
                        name: token.name.clone(),
                        role: token.role.name().to_owned(),
                        expires_at: token.expires_at,
                        made_at: now,
                        link: link.clone(),
                    };
                    mail::queue(txn, now, owner.mail.as_str(), LANGUAGE, kind)?;
                }
                Ok::<_, PeopleError>(())
            })
            .await
            .map_err(|error| refused(&error))?;
        self.postbox.queued(Some(id));
        Ok(json!({ "token": text }))
    }

    async fn status(&self) -> Response {
        let organizations =
            self.stores.system().read(|view| directory::organizations(view)).await.map_err(|error| stored(&error))?;
        let mut waiting =
            self.stores.system().read(|view| mail::waiting(view)).await.map_err(|error| stored(&error))?.0;
        for (_, store) in self.stores.shelf().opened() {
            waiting += store.read(|view| mail::waiting(view)).await.map_err(|error| stored(&error))?.0;
        }
        let mut status = json!({
            "version": env!("CARGO_PKG_VERSION"),
            "running": self.running.is_some(),
            "url": self.public_url,
            "organizations": organizations.len(),
            "mail_waiting": waiting,
            "offsite": self.keeper.offsite().map(offsite::status),
            "last_snapshot": self.keeper.generations().latest().ok().map(|newest| newest.name.to_string()),
        });
        if let Some(Running { app, recovered }) = &self.running {
            let uptime: Duration = app.now().since(app.started_at);
            let tls = app.tls.status();
            status["uptime_seconds"] = uptime.as_secs().into();
            status["listening"] = app.tls.bound().iter().map(ToString::to_string).collect::<Vec<_>>().into();
            status["recovered"] = (*recovered).into();
            status["alerts"] = alerts(app).into();
            let mut ailing = Vec::new();
            for (org, reason) in self.keeper.ailing().await {
                let from = self.keeper.newest_good(org).await.map(|generation| generation.name.to_string());
                ailing.push(json!({ "organization": org.to_string(), "reason": reason, "restore_from": from }));
            }
            status["ailing"] = ailing.into();
            status["certificate_expires_at"] = tls.served.map(|served| served.not_after.rfc3339()).into();
            status["internal_root"] = tls.internal_root.map(|root| root.to_string()).into();
        }
        Ok(status)
    }

    fn known_organization(&self, org: &str) -> Result<OrgId, Failure> {
        let known = org.parse().ok().filter(|id| self.stores.keyring().organization_key(*id).is_some());
        let missing =
            || Failure::new(format!("there is no organization with the id {org}")).hint("`workrun org list` shows ids");
        known.ok_or_else(missing)
    }

    fn list_keys(&self) -> serde_json::Value {
        let items: Vec<_> = self
            .stores
            .keyring()
            .list()
            .iter()
            .map(|key| {
                json!({
                    "id": key.id.to_string(),
                    "version": key.version,
                    "kind": format!("{:?}", key.kind),
                    "state": match key.state {
                        KeyState::Active => "active",
                        KeyState::Retained => "retained",
                        KeyState::Destroyed => "destroyed",
                    },
                    "created_at": key.created_at.rfc3339(),
                })
            })
            .collect();
        json!({
            "items": items,
            "sequence": self.stores.keyring().sequence(),
            "recovery_recipient": self.stores.keyring().recovery_recipient(),
        })
    }

    async fn renew_recovery_key(&self, recipient: String) -> Response {
        let (keyring, now) = (Arc::clone(self.stores.keyring()), self.clock.now());
        tokio::task::spawn_blocking(move || {
            keyring
                .set_recovery_recipient(&recipient)
                .and_then(|()| keyring.set_recovery_taken(now))
                .map_err(|error| Failure::new(error.to_string()).kept("the present recovery key stays valid"))?;
            Ok(json!({ "recipient": recipient }))
        })
        .await
        .unwrap_or_else(|error| Err(Failure::new(error.to_string())))
    }
}

impl Commands {
    /// After a change of the keyring its mirror follows; if that fails, the keeper goes on trying.
    async fn mirrored(&self, done: Response) -> Response {
        if done.is_ok()
            && let Err(error) = self.keeper.mirror().await
        {
            tracing::error!(%error, "the keyring cannot be mirrored into the snapshot folder");
        }
        done
    }
}

impl Handler for Commands {
    fn progress(&self) -> Option<serde_json::Value> {
        self.keeper.under_way().document()
    }

    async fn handle(&self, request: Request) -> Response {
        match request {
            Request::SignInLink { mail, operator } => self.sign_in_link(&mail, operator).await,
            Request::OrgCreate { name, owner } => self.create_organization(&name, &owner).await,
            Request::OrgList => self.list_organizations().await,
            Request::TokenCreate { org, role } => self.create_token(&org, &role).await,
            Request::Status => self.status().await,
            Request::KeysList => Ok(self.list_keys()),
            Request::KeysRotate { org } => {
                let scope = match org {
                    None => Scope::All,
                    Some(org) => Scope::Organization(self.known_organization(&org)?),
                };
                rotation::rotate_data_keys(&self.stores, &self.keeper, self.clock.now(), scope).await
            }
            Request::KeysRotateRoot { out } => {
                let (stores, source) = (Arc::clone(&self.stores), self.root_key_file.clone());
                let rotate = move || rotation::rotate_root(&stores, source.as_deref(), out.as_deref());
                let done = tokio::task::spawn_blocking(rotate).await;
                self.mirrored(done.unwrap_or_else(|error| Err(Failure::new(error.to_string())))).await
            }
            Request::KeysRecovery { recipient } => {
                let done = self.renew_recovery_key(recipient).await;
                self.mirrored(done).await
            }
            Request::Snapshot { pin } => snapshots::take(&self.keeper, pin).await,
            Request::Snapshots { offsite: false } => snapshots::list(&self.keeper).await,
            Request::Snapshots { offsite: true } => offsite::list(&self.keeper).await,
            Request::Verify { what, offsite: false } => snapshots::verify(&self.keeper, &what).await,
            Request::Verify { what, offsite: true } => offsite::verify(&self.keeper, &what).await,
            Request::RestoreOrganization { from, offsite, org, keep_tokens, dry_run } => {
                let wanted = Wanted { org: self.known_organization(&org)?, keep_tokens, dry_run };
                if offsite {
                    offsite::put_back(&self.keeper, &from, wanted).await
                } else {
                    snapshots::put_back(&self.keeper, &from, wanted).await
                }
            }
            Request::Rehearse { recovery_key } => snapshots::rehearse(&self.keeper, recovery_key.as_ref()).await,
        }
    }
}
